"""Moves one joint at a time on a running graph, through the arm driver and its guard, and records what comes of it."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
import rclpy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_ros.aloha import CONTROL_DT, GRIPPERS
from speedtune_ros.calibration.motion import Motion
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.sight import Frames
from speedtune_ros.config import build
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.calibration_ears import CalibrationEars
from speedtune_ros.nodes.conversions import to_ns, to_stamp, trajectory_to_message
from speedtune_ros.nodes.driver_port import CALIBRATION
from speedtune_ros.nodes.topics import TOPICS
from speedtune_ros.robots.measured_limits import MeasuredLimits, narrowed
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.robot import Limits
from speedtune_ros.robots.staged_move import staged_move
from speedtune_ros.types import Trajectory

_POLL_S = 0.02
_BEAT_S = 0.03  # the driver holds where it misses them
_AHEAD_S = 0.3  # a motion begins so long after it is sent
_SETTLE_S = 0.6  # recorded after each motion
_SILENCE_S = 2.0
_SLOW_CASE = 0.9  # percentile of ages
MakeTrajectory = Callable[[np.ndarray, int], Trajectory]  # of the command held (14,) and the start [ns]
_ATTEMPTS = 5  # at a motion that is disturbed
_BACK_SPEED = 0.3  # [rad/s], after that
_BUSY = (EpisodeStatus.PREPARING, EpisodeStatus.RUNNING)


class CalibrationEnded(SpeedtuneError):
    """Something stopped the arms, or took them; they hold."""


class Disturbed(CalibrationEnded):
    """A motion was not played as it was sent, for a reason that may pass; the arms hold or go on."""


class CalibrationClient:
    """Implements Arms. A context: leaving it tells the driver that the calibration is over, and the arms hold.

    The calibration is an episode that stays in preparation, as a staged move is: the driver takes its trajectories and
    no policy wakes up. alive: raises if the graph is gone, called while waiting; patience_s: longest wait for anything.
    """

    def __init__(self, alive: Callable[[], None] = lambda: None, patience_s: float = 60.0) -> None:
        self._alive, self._patience_s = alive, patience_s
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._ears = CalibrationEars(f"calibration_{os.getpid()}")
        self._episodes = self._publisher("episode_status")
        self._trajectories = self._publisher("trajectory")
        self._beats = self._publisher("alive")
        self._beating = Cadence(_BEAT_S, self._beat, "alive")
        self._id = ""
        self._sequence = 0
        self._start_ns = 0  # of the last motion
        self.profile, self.rate_hz = "", 1.0 / CONTROL_DT

    def __enter__(self) -> CalibrationClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._id:
            self._tell(EpisodeStatus.ENDED, str(error) if error is not None else "done")
            end = time.monotonic() + _SILENCE_S
            while not self._holding() and time.monotonic() < end:
                time.sleep(_POLL_S)
            self._beating.stop()
        self._ears.close()
        rclpy.try_shutdown()

    def join(self) -> None:
        """Wait for the arm driver, learn whose arms it drives, and look whether it is free. Raises SpeedtuneError."""
        ears = self._ears
        self._until(lambda: "arm_driver" in ears.settings and ears.driver is not None, "no arm_driver tells its state")
        settings = ears.settings["arm_driver"]
        if settings["backend"] != "interbotix":
            raise SpeedtuneError(
                f"calibration is for Interbotix arms, real or xs_sim; the driver's backend is '{settings['backend']}'"
            )
        self.profile, self.rate_hz = settings["profile"], float(settings["rate_hz"])
        measured = build(MeasuredLimits, settings["limits"], "arm_driver's limits")
        self.limits: Limits = narrowed(make_profile(self.profile).limits, measured, self.profile)
        self._arms = (settings["interbotix"]["left"], settings["interbotix"]["right"])
        ears.listen_to_arms(self._arms)
        self._until(lambda: all(ears.samples.values()), f"no joint states of {' and '.join(self._arms)}")
        self._until(lambda: self._trajectories.get_subscription_count() > 0, "nobody takes trajectories")
        self._until(lambda: len(ears.ages) > 20, "no joint states of the driver")
        end = time.monotonic() + self._patience_s
        while self._status().state == DriverStatus.INACTIVE and time.monotonic() < end:  # it may be coming up
            time.sleep(_POLL_S)
        self._refuse_unless_free()

    def watch(self, cameras: Sequence[str]) -> None:
        """Cameras to look through. Raises SpeedtuneError for one that sends nothing."""
        self._ears.watch(cameras)
        for camera in cameras:
            self._until(functools.partial(len, self._ears.shots[camera]), f"no image of camera '{camera}'")

    @property
    def command(self) -> np.ndarray:
        assert self._ears.driver is not None
        return np.array(self._ears.driver.command)

    @property
    def state_age(self) -> float:
        return float(np.quantile(list(self._ears.ages), _SLOW_CASE))

    def begin(self) -> None:
        """Take the arms: from now on they hold or do what is asked here."""
        self._refuse_unless_free()
        self._beating.start()
        self._take()

    def move(self, goal: np.ndarray, speed: float) -> None:
        """Slowly to `goal` (14,), no arm joint faster than `speed` [rad/s]. Raises CalibrationEnded."""
        self._try(lambda command, start: staged_move(command, goal, speed, start), self._take)

    def play(self, motion: Motion) -> Recording:
        """Play a motion and return what was measured; again if it is disturbed. Raises CalibrationEnded."""
        rest = self.command

        def go_back() -> None:
            self._take()
            self.move(rest, _BACK_SPEED)

        self._try(lambda command, start: motion.trajectory(command, start, 0), go_back)
        return self._recording(motion, float(rest[motion.index]))

    def frames(self, recording: Recording) -> list[Frames]:
        """What the cameras saw during the last motion."""
        found = []
        for camera, kept in self._ears.shots.items():
            shots = [shot for shot in list(kept) if shot.arrival_ns > self._start_ns]
            if shots:
                times = np.array([(shot.stamp_ns, shot.arrival_ns) for shot in shots])
                stamps, arrivals = ((times - self._start_ns) * 1e-9).T
                found.append(Frames(camera, stamps, arrivals, np.stack([shot.pixels for shot in shots])))
        return found

    def _take(self) -> None:
        """Begin anew: what was playing is dropped, the arms hold."""
        self._id = f"{CALIBRATION}-{time.time_ns() // 1_000_000:x}"
        self._sequence = 0
        self._tell(EpisodeStatus.PREPARING, "")
        self._until(self._ours, "the driver does not hear of the calibration")

    def _try(self, make: MakeTrajectory, mend: Callable[[], None]) -> None:
        """Play what `make` says; where that is disturbed, `mend` and play it again. Raises CalibrationEnded."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._play(make)
            except Disturbed:
                mend()
        self._play(make)

    def _play(self, make: MakeTrajectory) -> None:
        """Send a trajectory made for the command held and a start [ns], and wait for its end."""
        self._until_steady()
        driver = self._checked()
        rest, saturated = np.array(driver.command), driver.saturated
        self._start_ns = to_ns(driver.header.stamp) + round(_AHEAD_S * 1e9)
        trajectory = make(rest, self._start_ns)
        self._sequence += 1
        message = trajectory_to_message(trajectory, self._id)
        message.header.frame_id = f"{self._id}#{self._sequence}"
        self._trajectories.publish(message)
        end_ns = self._start_ns + round((trajectory.duration + _SETTLE_S) * 1e9)
        while to_ns((driver := self._checked()).header.stamp) < end_ns:
            stamp_ns = to_ns(driver.header.stamp)
            if stamp_ns > self._start_ns + round(_SETTLE_S * 1e9) and driver.trajectory != self._sequence:
                raise Disturbed("the driver did not take a motion; see its diagnostics; the arms hold")
            if driver.saturated > saturated:
                raise Disturbed("calibration ended: the motion guard had to slow a motion down; the arms hold")
            time.sleep(_POLL_S)

    def _recording(self, motion: Motion, rest: float) -> Recording:
        start_ns, end_ns = self._start_ns, self._start_ns + round((motion.duration + _SETTLE_S) * 1e9)
        side, motor = divmod(motion.index, 7)
        kept = list(self._ears.samples[self._arms[side]])
        samples = [sample for sample in kept if start_ns <= sample.stamp_ns <= end_ns]
        if not samples:
            raise CalibrationEnded(f"no joint states of {self._arms[side]} during a motion; the arms hold")
        sent = [(stamp, position) for stamp, position in list(self._ears.commands) if start_ns <= stamp <= end_ns]
        fingers = [sample.finger for sample in samples] if motion.index in GRIPPERS else []
        return Recording(
            motion,
            rest,
            np.array([(sample.stamp_ns - start_ns) * 1e-9 for sample in samples]),
            np.array([sample.position[motor] for sample in samples]),
            np.array([sample.velocity[motor] for sample in samples]),
            np.array([sample.current[motor] for sample in samples]),
            np.array([(stamp - start_ns) * 1e-9 for stamp, _ in sent]),
            np.array([position[motion.index] for _, position in sent]),
            np.array(fingers),
        )

    def _checked(self) -> DriverStatus:
        """The driver's last word, if it still does what is asked here. Raises CalibrationEnded."""
        self._alive()
        driver = self._ears.driver
        assert driver is not None
        silence = time.monotonic() - self._ears.heard
        if silence > _SILENCE_S:
            raise CalibrationEnded(f"calibration ended: no driver status for {silence:.1f} s")
        if not self._ours():
            raise CalibrationEnded(f"calibration ended: episode '{driver.episode_id}' has taken the arms")
        if trouble := _trouble(driver):
            passing = driver.state == DriverStatus.HOLDING
            raise (Disturbed if passing else CalibrationEnded)(f"calibration ended: {trouble}; the arms hold")
        return driver

    def _refuse_unless_free(self) -> None:
        driver, episode = self._status(), self._ears.episode
        if driver.state != DriverStatus.HOLDING and (trouble := _trouble(driver)):
            raise SpeedtuneError(f"calibration needs arms that hold: {trouble}; clear with driver/clear_stop")
        if episode is not None and episode.phase in _BUSY and episode.episode_id != self._id:
            raise SpeedtuneError(f"calibration needs the arms for itself: '{episode.episode_id}' is under way")

    def _ours(self) -> bool:
        return self._ears.driver is not None and self._ears.driver.episode_id == self._id

    def _until_steady(self) -> None:
        """Wait while the driver holds for a reason that may pass, as joint states that are late."""
        end = time.monotonic() + self._patience_s
        while _trouble(self._status()) and not self._latched() and time.monotonic() < end:
            self._alive()
            time.sleep(_POLL_S)

    def _holding(self) -> bool:
        return self._ears.driver is None or self._ears.driver.state != DriverStatus.TRACKING

    def _status(self) -> DriverStatus:
        assert self._ears.driver is not None
        return self._ears.driver

    def _latched(self) -> bool:
        """Whether waiting is of no use."""
        latched = self._status().state in (DriverStatus.STOPPED, DriverStatus.FAULT)
        return latched or time.monotonic() - self._ears.heard > _SILENCE_S

    def _beat(self) -> None:
        self._beats.publish(Header(frame_id=CALIBRATION))

    def _publisher(self, topic: str):
        row = TOPICS[topic]
        return self._ears.node.create_publisher(row.type, topic, row.offered)

    def _tell(self, phase: int, reason: str) -> None:
        status = EpisodeStatus(episode_id=self._id, phase=phase, reason=reason)
        status.header.stamp = to_stamp(time.time_ns())
        self._episodes.publish(status)

    def _until(self, met: Callable[[], object], otherwise: str) -> None:
        end = time.monotonic() + self._patience_s
        while not met():
            self._alive()
            if time.monotonic() > end:
                raise SpeedtuneError(f"calibration: {otherwise}, for {self._patience_s:.0f} s: is the graph up?")
            time.sleep(_POLL_S)


def _trouble(driver: DriverStatus) -> str:
    """Why these arms do not do what they are asked; empty if they do."""
    faults = ", ".join(driver.faults)
    return {
        DriverStatus.INACTIVE: "the driver is inactive",
        DriverStatus.STOPPED: "stopped",
        DriverStatus.FAULT: f"fault: {faults or 'driver'}",
        DriverStatus.HOLDING: f"the driver holds: {faults}" if faults else "",
    }.get(driver.state, "")
