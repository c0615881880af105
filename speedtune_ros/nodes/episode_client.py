"""Runs episodes on a graph that is up, through its `run_episode` action."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from speedtune_msgs.action import RunEpisode
from speedtune_ros.errors import SpeedtuneError

_SPIN_S = 0.05
_CANCEL_S = 2.0
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
            missing = (nodes - set(self._node.get_node_names())) | (nodes & _POLICIES - self._listening())
            if not missing and self._client.server_is_ready():
                return
        raise SpeedtuneError(
            f"the graph was not up after {timeout:.0f} s; missing: {', '.join(missing) or 'run_episode'}"
        )

    def _listening(self) -> set[str]:
        """Who hears requests: a policy node subscribes when it is warm."""
        return {info.node_name for info in self._node.get_subscriptions_info_by_topic("/inference_request")}

    def run(self, seed: int, mode: str, timeout: float, watch: Watch = lambda *_: None) -> EpisodeOutcome:
        """One episode; a cancelled goal if interrupted. Raises SpeedtuneError if refused or not answered."""
        goal = RunEpisode.Goal(speed_mode=mode, seed=seed)
        sent = self._client.send_goal_async(goal, feedback_callback=lambda message: watch(*_values(message.feedback)))
        handle = self._result(sent, timeout, "accept the goal")
        if not handle.accepted:
            raise SpeedtuneError("the episode node refused the goal: another episode is running")
        try:
            result = self._result(handle.get_result_async(), timeout, "finish the episode").result
        except BaseException:
            self._cancel(handle)
            raise
        return EpisodeOutcome(seed, mode, bool(result.success), float(result.duration), str(result.reason))

    def _result(self, future: Any, timeout: float, what: str) -> Any:
        end = time.monotonic() + timeout
        while not future.done():
            if time.monotonic() > end:
                raise SpeedtuneError(f"the episode node did not {what} within {timeout:.0f} s")
            self._spin_once()
        return future.result()

    def _cancel(self, handle: Any) -> None:
        future = handle.cancel_goal_async()
        end = time.monotonic() + _CANCEL_S
        while not future.done() and time.monotonic() < end:
            self._executor.spin_once(_SPIN_S)

    def _spin_once(self) -> None:
        self._executor.spin_once(_SPIN_S)
        self._alive()


def _values(feedback: Any) -> tuple[float, float, float, float]:
    return feedback.elapsed, feedback.progress, feedback.speed, feedback.reward
