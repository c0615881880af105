"""Runs episodes on a graph that is up, through its `run_episode` action."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from action_msgs.msg import GoalInfo
from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger
from unique_identifier_msgs.msg import UUID

from speedtune_msgs.action import RunEpisode
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.live.episode import NO_LIMITS, EpisodeLimits

_SPIN_S = 0.05
_CANCEL_S = 2.0
_ATTEMPTS = 3
_FOUND_S = 10.0
_POLICIES = {"task_policy", "speed_policy"}

# Called with each feedback: elapsed [s], progress [s], executed sdot, reward.
Watch = Callable[[float, float, float, float], None]


@dataclass(frozen=True)
class EpisodeOutcome:
    """What `run_episode` answered: duration to first success or to the end [s], and why it ended."""

    seed: int
    mode: str
    success: bool
    duration: float
    reason: str


class EpisodeClient:
    """A client of the episode node; use as a context manager.

    alive: raises if the graph is gone, called while waiting, so that no wait outlives the graph.
    """

    def __init__(self, alive: Callable[[], None] = lambda: None) -> None:
        self._alive = alive
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node(f"episode_client_{os.getpid()}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._client = ActionClient(self._node, RunEpisode, "run_episode")
        self._services: dict[str, Any] = {}

    def __enter__(self) -> EpisodeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.destroy()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def wait_for_graph(self, nodes: set[str], timeout: float) -> None:
        """Until all of `nodes` are seen, policies listen and the action is served.

        Raises SpeedtuneError naming what is missing.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self._spin_once()
            missing = (nodes - self.nodes) | (nodes & _POLICIES - self._listening())
            if not missing and self._client.server_is_ready():
                return self._be_found(end - time.monotonic())
        raise SpeedtuneError(
            f"the graph was not up after {timeout:.0f} s; missing: {', '.join(missing) or 'run_episode'}"
        )

    def _be_found(self, timeout: float) -> None:
        """Until the action's server knows this client: it drops a reply to one that it has not found yet, and a goal
        must not be sent twice."""
        self.call(CancelGoal, "run_episode/_action/cancel_goal", cancel_of_nothing(), max(timeout, _FOUND_S))

    @property
    def nodes(self) -> set[str]:
        """Who is there, by name."""
        return set(self._node.get_node_names())

    def _listening(self) -> set[str]:
        """Who hears requests: a policy node subscribes when it is warm."""
        return {info.node_name for info in self._node.get_subscriptions_info_by_topic("/inference_request")}

    def run(
        self,
        seed: int,
        mode: str,
        timeout: float,
        watch: Watch = lambda *_: None,
        limits: EpisodeLimits = NO_LIMITS,
    ) -> EpisodeOutcome:
        """One episode; a cancelled goal if interrupted. Raises SpeedtuneError if refused or not answered.

        timeout: how long to wait for the answer [s].
        """
        handle = self.start(seed, mode, timeout, watch, limits)
        try:
            return self.finish(handle, seed, mode, timeout)
        except BaseException:
            self.cancel(handle)
            raise

    def start(
        self,
        seed: int,
        mode: str,
        timeout: float,
        watch: Watch = lambda *_: None,
        limits: EpisodeLimits = NO_LIMITS,
    ) -> Any:
        """The handle of an episode under way; `run` does the rest as well. Raises SpeedtuneError."""
        goal = RunEpisode.Goal(speed_mode=mode, seed=seed, time_limit=limits.time, progress_limit=limits.progress)
        sent = self._client.send_goal_async(goal, feedback_callback=lambda message: watch(*_values(message.feedback)))
        handle = self._result(sent, timeout, "accept the goal")
        if not handle.accepted:
            raise SpeedtuneError("the episode node refused the goal: another episode is running")
        return handle

    def finish(self, handle: Any, seed: int, mode: str, timeout: float) -> EpisodeOutcome:
        """How a started episode ended. Raises SpeedtuneError if that is not answered."""
        result = self._result(handle.get_result_async(), timeout, "finish the episode").result
        return EpisodeOutcome(seed, mode, bool(result.success), float(result.duration), str(result.reason))

    def clear_stop(self, timeout: float = 60.0) -> None:
        """Release a stop or fault, as often as it takes. Raises SpeedtuneError with what stands in the way to the end.

        timeout: motors may have to be rebooted one after the other, and joint states to come again [s].
        """
        end = time.monotonic() + timeout
        while not (answer := self.call(Trigger, "driver/clear_stop", Trigger.Request(), timeout)).success:
            if time.monotonic() > end:
                raise SpeedtuneError(answer.message)
            self.spin(1.0)

    def call(self, kind: Any, name: str, request: Any, timeout: float = 10.0) -> Any:
        """The answer of a service. Raises SpeedtuneError if there is none."""
        client = self.find(kind, name, timeout)
        for attempt in range(1, _ATTEMPTS + 1):  # an answer sent before its server has found our ear is lost
            future = client.call_async(request)
            try:
                return self._result(future, timeout / _ATTEMPTS, f"answer {name}")
            except SpeedtuneError:
                client.remove_pending_request(future)
                if attempt == _ATTEMPTS:
                    raise

    def find(self, kind: Any, name: str, timeout: float) -> Any:
        """A client of a service that is up; a call may then be made at once. Raises SpeedtuneError."""
        if name not in self._services:
            self._services[name] = self._node.create_client(kind, name)
        client = self._services[name]
        self.wait_until(client.service_is_ready, f"serve {name}", timeout)
        return client

    def spin(self, seconds: float) -> None:
        """Wait; what comes meanwhile is heard."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._spin_once()

    def wait_until(self, met: Callable[[], bool], what: str, timeout: float) -> None:
        """Until `met`; raises SpeedtuneError that says `what` the graph did not do in time."""
        end = time.monotonic() + timeout
        while not met():
            if time.monotonic() > end:
                raise SpeedtuneError(f"the graph did not {what} within {timeout:.0f} s")
            self._spin_once()

    def _result(self, future: Any, timeout: float, what: str) -> Any:
        self.wait_until(future.done, what, timeout)
        return future.result()

    def cancel(self, handle: Any) -> None:
        """Ask for an episode's end."""
        future = handle.cancel_goal_async()
        end = time.monotonic() + _CANCEL_S
        while not future.done() and time.monotonic() < end:
            self._executor.spin_once(_SPIN_S)

    def _spin_once(self) -> None:
        self._executor.spin_once(_SPIN_S)
        self._alive()


def cancel_of_nothing() -> CancelGoal.Request:
    """A question without consequences to an action's server, which knows no such goal and says so.

    Asked by a service client made after an action client: a process announces its ears in the order it made them, so
    whoever answers has found both.
    """
    return CancelGoal.Request(goal_info=GoalInfo(goal_id=UUID(uuid=list(uuid.uuid4().bytes))))


def _values(feedback: Any) -> tuple[float, float, float, float]:
    return feedback.elapsed, feedback.progress, feedback.speed, feedback.reward
