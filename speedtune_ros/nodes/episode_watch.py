"""What the episode node sees of the robot, and when it says that an episode is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from speedtune_msgs.msg import DriverStatus, RetimeReport, SimStatus
from speedtune_ros.aloha import ARMS
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.episode_config import EpisodeConfig
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.robots.interbotix import ASLEEP

_POLL_S = 0.02
_SLOWEST = 0.05  # time limits grow no longer below this speed


class Interrupted(SpeedtuneError):
    """A cancel, a stop or a fault ended a wait or a move; its text is the reason."""


class EpisodeWatch:
    """Follows the driver, the simulator's reward and the retimer's refusals of one episode at a time.

    Elapsed time is that of the stamps; silence is measured on a steady clock.
    """

    def __init__(self, node: StageNode[Any], config: EpisodeConfig) -> None:
        self._config = config
        real = config.robot == "real"
        self._silence_s = config.driver_timeout_s if real else config.silence_timeout_s
        self._changed = threading.Condition()
        self.driver: DriverStatus | None = None
        self.stamp_ns = 0
        self.begin("", 0.0)
        self.sleep: Sequence[float] = ASLEEP  # (14,), until the driver says how its arms rest
        node.listen("sleep_pose", self._keep_sleep)
        node.listen("driver_status", self._keep_driver)
        node.listen("sim_status", self._keep_sim)
        node.listen("retime_report", self._keep_report)

    def begin(self, episode_id: str, limit_s: float, progress_limit: float = 0.0, stretches: bool = False) -> None:
        """Forget the last episode; nothing counts before `start`. progress_limit: of demonstration [s], 0 for none;
        stretches: whether an episode that is asked to be slower than demonstrated has so much more time."""
        with self._changed:
            self._episode_id = episode_id
            self._limit_ns = round(limit_s * 1e9)
            self._stretches, self._slowest = stretches, 1.0
            self._progress_limit = progress_limit or float("inf")
            self._start_ns: int | None = None
            self._moved_ns: int | None = None  # stamp of the last tick in motion
            self._success_ns: int | None = None
            self._label: float | None = None
            self._refusal = ""
            self._abandoned = ""
            self._heard = time.monotonic()
            self.reward = self.progress = self.speed = 0.0

    def start(self, stamp: Time) -> None:
        with self._changed:
            self._start_ns = to_ns(stamp)
            self._started = self._heard = time.monotonic()

    def label(self, reward: float) -> None:
        """An operator's verdict ends a running episode."""
        with self._changed:
            self._label = self.reward = reward
            if reward >= 1.0:
                self._success_ns = self.stamp_ns
            self._changed.notify_all()

    def abandon(self, reason: str) -> None:
        with self._changed:
            self._abandoned = reason
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait(timeout_s)

    def wait_for_driver(self, timeout_s: float, cancelled: Callable[[], bool]) -> np.ndarray:
        """The command (14,) the driver holds, once it knows of this episode. Raises Refused, or Interrupted."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while self.driver is None or self.driver.episode_id != self._episode_id:
                if cancelled() or self._abandoned:
                    raise Interrupted(self._abandoned or "cancelled")
                if time.monotonic() > end:
                    raise Refused("no_driver", f"no driver status within {timeout_s} s: is arm_driver or sim running?")
                self._changed.wait(_POLL_S)
            return np.array(self.driver.command)

    def check(self, cancelled: Callable[[], bool]) -> None:
        """Raise Interrupted if the goal was cancelled, or there is trouble."""
        reason = "cancelled" if cancelled() else self.trouble()
        if reason:
            raise Interrupted(reason)

    @property
    def success(self) -> bool:
        return self._success_ns is not None

    @property
    def elapsed(self) -> float:
        """Time since the first tick [s]."""
        return 0.0 if self._start_ns is None else max(0, self.stamp_ns - self._start_ns) * 1e-9

    @property
    def duration(self) -> float:
        """Time to first success, or to now [s]."""
        if self._success_ns is None or self._start_ns is None:
            return self.elapsed
        return (self._success_ns - self._start_ns) * 1e-9

    def distance(self, pose: np.ndarray) -> float:
        """How far the arms are from `pose` (14,), as commanded and tracked [rad]; infinite if not known."""
        with self._changed:
            if self.driver is None:
                return float("inf")
            arms = list(ARMS)
            return float(np.abs(np.asarray(self.driver.command) - pose)[arms].max() + self.driver.tracking_error)

    def ended(self) -> str:
        """Why the episode is over; empty while it is not."""
        with self._changed:
            if self._label is not None:
                return "success" if self.success else f"labelled {self._label:g}"
            if self.success:
                return "success"
            trouble = self.trouble()
            if trouble:
                return trouble
            if self._start_ns is not None and self.stamp_ns - self._start_ns >= self._limit_ns / self._slowest:
                return "time_limit"
            if self.progress >= self._progress_limit:
                return "progress_limit"
            return self._stalled()

    def trouble(self) -> str:
        """What ends anything at once: a stop, a fault, silence."""
        driver = self.driver
        if self._abandoned:
            return self._abandoned
        silence = time.monotonic() - self._heard
        if silence > self._silence_s:
            return f"fault: no driver status for {silence:.1f} s"
        if driver is None or driver.episode_id != self._episode_id:
            return ""
        if driver.state == DriverStatus.INACTIVE:
            return "fault: the driver is inactive"
        if driver.state == DriverStatus.STOPPED:
            return "stopped"
        if driver.state == DriverStatus.FAULT:
            return f"fault: {', '.join(driver.faults) or 'driver'}"
        return ""

    def _stalled(self) -> str:
        config = self._config
        why = self._refusal or (", ".join(self.driver.faults) if self.driver is not None else "")
        said = f" ({why})" if why else ""
        if self._moved_ns is None:
            waited = time.monotonic() - self._started
            return f"fault: no first trajectory for {waited:.0f} s{said}" if waited > config.start_timeout_s else ""
        held = (self.stamp_ns - self._moved_ns) * 1e-9
        return f"fault: no new trajectory for {held:.1f} s{said}" if held > config.stall_timeout_s else ""

    def _keep_sleep(self, pose: JointState) -> None:
        self.sleep = list(pose.position)

    def _keep_driver(self, status: DriverStatus) -> None:
        with self._changed:
            self.driver = status
            self.stamp_ns = to_ns(status.header.stamp)
            self._heard = time.monotonic()
            if status.episode_id == self._episode_id and self._start_ns is not None:
                self.progress, self.speed = status.progress, status.speed
                if status.state == DriverStatus.TRACKING:
                    self._moved_ns = self.stamp_ns
            self._changed.notify_all()

    def _keep_sim(self, status: SimStatus) -> None:
        with self._changed:
            if status.episode_id != self._episode_id or self._start_ns is None:
                return
            self.reward = max(self.reward, status.max_reward)
            if status.success and self._success_ns is None:
                self._success_ns = to_ns(status.header.stamp)
            self._changed.notify_all()

    def _keep_report(self, report: RetimeReport) -> None:
        with self._changed:
            if report.episode_id != self._episode_id:
                return
            self._refusal = report.fallback_reason
            if self._stretches and not report.fallback_reason:
                # As the speed policy or the operator wants it; what limits or lateness took off is no reason to wait.
                asked = report.peak_speed if report.binding_limit == "operator" else report.requested_speed
                self._slowest = min(self._slowest, max(asked, _SLOWEST))
