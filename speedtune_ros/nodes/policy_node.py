"""What the two policy nodes share: they follow the episode, and answer each request on its observation."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from speedtune_msgs.msg import EpisodeStatus, InferenceRequest
from speedtune_ros.config import option
from speedtune_ros.nodes.conversions import request_from_message, to_ns
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.observer import Observer
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.types import Episode, Query


@dataclass(frozen=True)
class PolicyNodeConfig:
    """How a policy node waits for its observation and when it refuses one."""

    lockstep: bool = option(False, "observe images of the request's own stamp, as a lock-step simulation renders them")
    image_age_limit_s: float = option(0.1, "images older than this refuse the observation", minimum=0.001, maximum=10.0)
    state_age_limit_s: float = option(0.4, "joint states older than this refuse it", minimum=0.001, maximum=10.0)
    wait_s: float = option(0.3, "longest wait for an observation still under way", minimum=0.0, maximum=10.0)


P = TypeVar("P", bound=PolicyNodeConfig)
_LOCKSTEP_WAIT_S = 10.0


class PolicyNode(StageNode[P], ABC):
    """Answers requests from its own thread, so that states and images are received while it infers.

    A subclass implements `begin`, `answer` and `repeat`, and publishes; it calls `start` when it is ready.
    """

    def __init__(self, name: str, config_class: type[P]) -> None:
        super().__init__(name, config_class)
        self._wake = threading.Condition()
        self._episode: Episode | None = None
        self._begun = ""  # episode last begun, and below the one that began well
        self._ready = ""
        self.running = ""  # episode under way
        self._started = ("", 0)  # episode that runs, and its first stamp
        self._request: InferenceRequest | None = None
        self._answered: tuple[tuple[str, int], Any] | None = None
        self._stopping = False
        self._warm = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self.latency_s = 0.0

    def start(self, cameras: Iterable[str]) -> None:
        """Listen, once the thread that infers is warm."""
        config = self.config
        self._thread.start()
        self._warm.wait()
        self._observer = Observer(
            self,
            cameras,
            exact=config.lockstep,
            image_age_s=config.image_age_limit_s,
            state_age_s=config.state_age_limit_s,
        )
        self.listen("episode_status", self._follow)
        self.listen("inference_request", self._ask)
        self.beat()

    def warm_up(self) -> None:
        """What takes long the first time, in the thread that infers."""

    @abstractmethod
    def begin(self, episode: Episode) -> None:
        """A new episode: reset the stage."""

    @abstractmethod
    def answer(self, query: Query, episode: Episode) -> Any:
        """Publish the answer and return it, for those who did not hear it."""

    @abstractmethod
    def repeat(self, answer: Any) -> None:
        """Publish an answer again."""

    def _follow(self, status: EpisodeStatus) -> None:
        active = status.phase in (EpisodeStatus.PREPARING, EpisodeStatus.RUNNING)
        # A move of the arms is announced as an episode without a task.
        self.running = status.episode_id if active and status.task else ""
        if not self.running:
            return
        with self._wake:
            if self._episode is None or status.episode_id != self._episode.id:
                self._episode = Episode(status.episode_id, status.task, status.seed, status.instruction)
                self._wake.notify_all()
            if status.phase == EpisodeStatus.RUNNING and status.episode_id != self._started[0]:
                self._started = status.episode_id, to_ns(status.start)
                self._wake.notify_all()

    def _ask(self, request: InferenceRequest) -> None:
        with self._wake:
            if self._request is not None:
                self.counts["superseded"] += 1
            self._request = request
            self._wake.notify_all()

    def _work(self) -> None:
        self.guarded(self.warm_up)()
        self._warm.set()
        begin, reply = self.guarded(self._begin), self.guarded(self._reply)
        while not self._stopping:
            with self._wake:
                self._wake.wait_for(self._due, timeout=1.0)
                episode, request = self._episode, None
                if episode is not None and self._begun == episode.id and self._answerable():
                    request, self._request = self._request, None
            if self._stopping or episode is None:
                continue
            if self._begun != episode.id:
                begin(episode)
            elif request is not None:
                reply(request, episode)

    def _due(self) -> bool:
        if self._stopping:
            return True
        if self._episode is None:
            return False
        return self._begun != self._episode.id or self._answerable()

    def _answerable(self) -> bool:
        """Whether there is a request and its episode's first stamp is known: it may overtake the episode's status."""
        if self._request is None or self._episode is None:
            return False
        return self._request.episode_id != self._episode.id or self._started[0] == self._episode.id

    def _begin(self, episode: Episode) -> None:
        self._begun = episode.id  # also where it fails: what follows is refused, not tried again and again
        self._answered = None
        self._ready = ""
        self.begin(episode)
        self._ready = episode.id

    def _reply(self, message: InferenceRequest, episode: Episode) -> None:
        if message.episode_id != episode.id:
            raise Refused("other_episode", f"request of episode '{message.episode_id}' while '{episode.id}' runs")
        if self._ready != episode.id:
            raise Refused("not_ready", f"episode '{episode.id}' could not be begun")
        key = (message.episode_id, message.sequence)
        if self._answered is not None and self._answered[0] == key:
            self.repeat(self._answered[1])
            return
        request = request_from_message(message)
        wait = _LOCKSTEP_WAIT_S if self.config.lockstep else self.config.wait_s
        observation = self._observer.observe(request.stamp_ns, wait, self._started[1])
        begun = time.perf_counter()
        self._answered = key, self.answer(Query(observation, request), episode)
        self.latency_s = time.perf_counter() - begun
        self.counts["answered"] += 1

    def diagnose(self) -> dict[str, object]:
        return {"episode": self._begun, "latency_ms": 1e3 * self.latency_s}

    def close(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._thread.join(timeout=5.0)
