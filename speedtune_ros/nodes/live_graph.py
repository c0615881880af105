"""A running graph as a place to learn and to measure: runs episodes, asks a person for a verdict, loads weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from std_srvs.srv import Trigger

from speedtune_msgs.srv import LabelEpisode, LoadSpeedPolicy, SetSpeedLimit
from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.live.episode import NO_LIMITS, TROUBLES, EpisodeLimits, LiveEpisode
from speedtune_ros.live.labels import Labels, Said
from speedtune_ros.nodes.episode_client import EpisodeClient, EpisodeOutcome
from speedtune_ros.nodes.episode_log import EpisodeLog
from speedtune_ros.registry import make_task

_POLICIES = {"task_policy", "speed_policy"}
_ARMS = {"sim", "arm_driver"}
_STAGES = {*_POLICIES, "retimer", "episode"}
_ENDS = ("success", "time_limit", "progress_limit", "labelled", *TROUBLES)  # of an episode that took place
_WAIT_S = 0.2


class LiveGraph:
    """Implements Graph. A context; use it from one thread.

    labels: where verdicts come from besides the service; alive: raises if the graph is gone, called while waiting;
    patience_s: longest wait for anything that needs no person, say: what the operator is told.
    """

    def __init__(
        self,
        labels: Labels,
        say: Callable[[str], None],
        alive: Callable[[], None] = lambda: None,
        patience_s: float = 120.0,
    ) -> None:
        self._labels = labels
        self._say = say
        self._alive = alive
        self._patience_s = patience_s
        self._said = Said()
        self._client = EpisodeClient(self._look)
        self._log = EpisodeLog()

    def __enter__(self) -> LiveGraph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self._client.__exit__(kind, error, trace)

    def join(self, **expected: object) -> None:
        """Wait for the graph; raises SpeedtuneError that names both where it runs something else than `expected`.

        expected: `node__parameter=value`, a further `__` standing for the dot of a nested one.
        """
        self._client.wait_for_graph(_STAGES, self._patience_s)
        self._client.wait_until(lambda: bool(_ARMS & self._client.nodes), "show arm_driver or sim", self._patience_s)
        for kind, name in ((Trigger, "episode/stop"), (LabelEpisode, "episode/label")):
            self._client.find(kind, name, self._patience_s)
        nodes = {key.split("__")[0] for key in expected} | {"retimer", "episode"}
        self._client.wait_until(lambda: nodes <= set(self._log.settings), "tell its settings", self._patience_s)
        for key, wanted in expected.items():
            found = self.setting(key)
            if found != wanted:
                raise ConfigError(f"the running graph has {key.replace('__', '.')} '{found}', expected '{wanted}'")

    def setting(self, key: str) -> object:
        """A node's parameter, as in `retimer__scheduler__k_skip`."""
        node, *path = key.split("__")
        value: object = self._log.settings[node]
        for part in path:
            value = value[part]  # type: ignore[index]
        return value

    @property
    def simulated(self) -> bool:
        """Whether a simulator stands for the arms: it alone knows success."""
        return "sim" in self._client.nodes

    @property
    def attended(self) -> bool:
        """Whether a person is there to judge."""
        return self._labels.present

    def episode_steps(self, task: str) -> int:
        """See Graph: as the episode node has it, or the simulated task of that name."""
        given = self.setting("episode__demonstration_s")
        assert isinstance(given, float)
        return round(given / CONTROL_DT) or make_task(task).episode_steps

    def limit(self, speed: float = 0.0) -> float:
        """The operator's ceiling on `sdot` as the retimer enforces it, set to `speed` before if that is above 0."""
        if speed > 0.0:
            self._demand(SetSpeedLimit, "retimer/set_speed_limit", SetSpeedLimit.Request(speed=speed))
            return speed
        return float(self._log.values["retimer"]["operator_limit"])

    def run(self, seed: int, mode: str = "", limits: EpisodeLimits = NO_LIMITS) -> LiveEpisode | None:
        """See Graph. Where the episode could not take place, say why and try again."""
        while True:
            self._labels.prepare(self._said, self._wait)
            if self._said.quitting:
                return None
            self._said = Said()
            self._log.forget()
            outcome = self._client.run(seed, mode, self._patience_s + 20.0 * limits.time, limits=limits)
            if outcome.reason.startswith(_ENDS) and outcome.duration > 0.0:  # a latched stop ends it before it began
                return self._log.episode(seed, outcome.duration, outcome.success)
            self._impossible(outcome)

    def label(self, episode: LiveEpisode, timeout_s: float) -> float | None:
        """See Graph. timeout_s: counted from the end of the episode."""
        end = time.monotonic() + timeout_s
        self._labels.ask(episode, self._say)
        while True:
            status = self._log.status
            if status is not None and status.episode_id == episode.id and status.labelled:
                return float(status.label)
            if self._said.discarded or time.monotonic() > end:
                return None
            verdict = self._labels.judge(episode)
            if verdict is not None:
                self._send_label(verdict, episode.id)
            self._wait(_WAIT_S / 4)

    def load(self, folder: str, seed: int) -> None:
        """See Graph. Raises SpeedtuneError with the node's reason if it refuses."""
        request = LoadSpeedPolicy.Request(path=folder, explore=True, seed=seed)
        end = time.monotonic() + self._patience_s
        while True:  # its node may not have heard yet that the episode has ended
            answer = self._client.call(LoadSpeedPolicy, "speed_policy/load", request, self._patience_s)
            if answer.success:
                return
            if "between episodes" not in answer.message or time.monotonic() > end:
                raise SpeedtuneError(f"speed_policy/load: {answer.message}")
            self._wait(_WAIT_S)

    def _look(self) -> None:
        """Called while anything is waited for: the operator may want something meanwhile."""
        self._alive()
        for command in self._labels.commands():
            self._said.take(command)
            if command.kind == "stop":
                answer = self._client.call(Trigger, "episode/stop", Trigger.Request())
                self._say(f"STOP: {answer.message}")
            elif command.kind == "label":
                request = LabelEpisode.Request(reward=command.reward)
                self._say(self._client.call(LabelEpisode, "episode/label", request).message)

    def _send_label(self, reward: float, episode_id: str) -> None:
        self._demand(LabelEpisode, "episode/label", LabelEpisode.Request(episode_id=episode_id, reward=reward))

    def _demand(self, kind: type, name: str, request: object) -> None:
        answer = self._client.call(kind, name, request)
        if not answer.success:
            raise SpeedtuneError(f"{name}: {answer.message}")

    def _wait(self, seconds: float) -> None:
        self._client.spin(seconds)

    def _impossible(self, outcome: EpisodeOutcome) -> None:
        """The safety ladder or a cancel is in the way: that is for a person to clear; SpeedtuneError without one."""
        self._say(f"no episode: {outcome.reason}")
        if not self._labels.present or self._said.quitting:
            raise SpeedtuneError(f"the episode did not take place: {outcome.reason}")
        self._wait(5.0)
