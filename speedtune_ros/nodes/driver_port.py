"""The ROS side of a Driver, the same in the arm driver and the simulator: nothing upstream can tell them apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes.conversions import joints_to_message, to_ns, to_stamp, trajectory_from_message
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.nodes.stage_watch import StageWatch
from speedtune_ros.robots.driver import Driver, DriverState, DriverTick
from speedtune_ros.robots.health import HEALTHY, Health, Rung
from speedtune_ros.types import RobotState, Trajectory

MOVING = (EpisodeStatus.PREPARING, EpisodeStatus.RUNNING)
# Without these nothing good can come while arms move.
_NEEDED = {
    EpisodeStatus.PREPARING: ("episode",),
    EpisodeStatus.RUNNING: ("episode", "retimer", "task_policy", "speed_policy"),
}
CALIBRATION = "calibration"  # what moves one joint at a time, needs no other stage: it says so in its episode's id
_EARLIEST_S = 1.0  # a trajectory that began longer ago belongs to another time
_LATEST_S = 2.0


@dataclass
class Current:
    """The episode under way, as told by the episode node."""

    episode_id: str = ""
    phase: int = EpisodeStatus.IDLE
    sequence: int = -1  # of the last trajectory taken


class DriverPort:
    """Takes trajectories and stop requests in, and publishes state, command and status of every tick.

    Callbacks come from the executor, `tick` from the control thread: one lock holds the driver.
    silence_s: without a word from the episode node for so long, a running episode holds [s of a steady clock];
    beat_patience: the arms hold while a stage they need has sent no beat for more ticks; None: beats are not minded;
    recover: makes the arms fit to move again before a fault is cleared, and returns where they are (14,).
    """

    def __init__(
        self,
        node: StageNode[Any],
        driver: Driver,
        start: np.ndarray,
        silence_s: float,
        beat_patience: int | None = None,
        recover: Callable[[], np.ndarray] | None = None,
    ) -> None:
        self.driver = driver
        self.active = True  # else nothing is commanded
        self.health = HEALTHY
        self._recover = recover
        self._held = start  # (14,) commanded while nothing was ticked yet
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)  # a trajectory or the episode's phase
        self.until_ns = 0  # when the last trajectory ends
        self.current = Current()
        self.last: DriverTick | None = None
        self._missed = 0
        self._silence_s = silence_s
        self._heard = time.monotonic()  # of the episode node
        self._silent = False
        self._stages = None if beat_patience is None else StageWatch(beat_patience)
        self._gone: tuple[str, ...] = ()
        self._cameras: tuple[str, ...] = ()  # that were there when the episode began: what one sees may be needed
        self._known: set[tuple[str, str]] = set()  # troubles told
        self._taken = ("", -1, -1)  # episode, sequence and start of the last trajectory
        self._node = node
        self._now_ns = 0
        self._states = node.publisher("joint_states")
        self._commands = node.publisher("command")
        self._status = node.publisher("driver_status")
        node.listen("trajectory", self._take)
        node.listen("episode_status", self._follow)
        if self._stages is not None:
            node.listen("alive", self._hear)
        node.create_service(Trigger, "driver/stop", self._stop)
        node.create_service(Trigger, "driver/clear_stop", self._clear_stop)

    def publish_state(self, state: RobotState) -> None:
        self._states.publish(joints_to_message(state.stamp_ns, state.qpos, state.qvel))

    def tick(
        self, state: RobotState, missed: int = 0, now_ns: int | None = None, health: Health = HEALTHY
    ) -> np.ndarray:
        """The command (14,) of this tick, already published with its status.

        missed: ticks that began late, since the start of the node; now_ns: on the clock that stamps the states, where
        that clock goes on without them. A tick has its state's stamp, unless that state is stale.
        health: of the arms; what is wrong with them holds or latches a fault.
        """
        with self.lock:
            self._mind_silence()
            self._mind(health)
            now_ns = state.stamp_ns if now_ns is None else now_ns
            stale = now_ns - state.stamp_ns > self.driver.config.max_state_age * 1e9
            self._now_ns = now_ns if stale else state.stamp_ns
            tick = self.last = self.driver.tick(state, now_ns, missed - self._missed)
            self._missed = missed
            self._commands.publish(joints_to_message(self._now_ns, tick.command))
            self._publish_status(tick)
        return tick.command

    def _mind(self, health: Health) -> None:
        """Go down the safety ladder as far as what is wrong leads; each trouble is counted once by its name."""
        for trouble in health.troubles:
            if (trouble.name, trouble.where) not in self._known:
                self._node.fail(trouble.name, str(trouble))
        self._known = {(trouble.name, trouble.where) for trouble in health.troubles}
        self.health = health
        self.driver.suspend((*health.at(Rung.HOLD), *self._mind_stages()))
        if faults := health.at(Rung.FAULT):
            self.driver.fail(faults)

    @property
    def latched(self) -> DriverState | None:
        """STOPPED or FAULT while that is latched. It outlives episodes."""
        return self.driver.latched

    def restart(self, episode_id: str, position: np.ndarray, now_ns: int) -> None:
        """A new episode whose arms were put at `position` (14,): hold there, say so."""
        with self.lock:
            self.driver.reset(position)
            self._held, self.last = position, None
            self.until_ns = 0  # what the last episode's trajectory left to play is void
            self.current = Current(episode_id, EpisodeStatus.PREPARING)
            self._silent = False
            self._now_ns = now_ns

    def announce(self, state: RobotState) -> None:
        """State and status without a tick, for those who wait on a paused robot."""
        self.publish_state(state)
        with self.lock:
            self._publish_status(self.last)

    def _take(self, message: JointTrajectory) -> None:
        episode_id, trajectory = trajectory_from_message(message)
        with self.lock:
            key = (episode_id, trajectory.sequence, trajectory.start_ns)
            if key == self._taken:
                self._node.counts["retransmitted"] += 1  # by a retimer that a paused simulator asked twice
                return
            self._check(episode_id, trajectory)
            self.driver.load(trajectory)
            self._taken = key
            self.current.sequence = trajectory.sequence
            self.until_ns = trajectory.start_ns + round(trajectory.duration * 1e9)
            self.changed.notify_all()

    def _check(self, episode_id: str, trajectory: Trajectory) -> None:
        current = self.current
        if self._silent:
            raise Refused("episode_silent", f"trajectory of episode '{episode_id}' while the episode node is silent")
        if episode_id != current.episode_id or current.phase not in MOVING:
            now = f"'{current.episode_id}' runs" if current.phase in MOVING else "none runs"
            raise Refused("other_episode", f"trajectory of episode '{episode_id}' while {now}")
        if trajectory.sequence <= current.sequence:
            reason = "repeated_sequence" if trajectory.sequence == current.sequence else "backward_sequence"
            raise Refused(reason, f"trajectory {trajectory.sequence} after {current.sequence}")
        ahead = (trajectory.start_ns - self._now_ns) * 1e-9
        if ahead > _LATEST_S or ahead < -_EARLIEST_S:
            reason = "future_stamp" if ahead > 0.0 else "old_stamp"
            raise Refused(reason, f"trajectory starts {ahead:.3f} s from now, expected -{_EARLIEST_S} to {_LATEST_S} s")

    def _follow(self, message: EpisodeStatus) -> None:
        with self.lock:
            self._heard, self._silent = time.monotonic(), False
            current = self.current
            if self._stages is not None and (message.episode_id, message.phase) != (current.episode_id, current.phase):
                self._cameras = self._stages.cameras()
            if message.episode_id != current.episode_id:
                self.current = Current(message.episode_id, message.phase)
                self.driver.begin()
            elif message.phase != current.phase:
                current.phase = message.phase
                if message.phase not in MOVING:
                    self.driver.hold()
                elif message.phase == EpisodeStatus.RUNNING and self._taken[2] < to_ns(message.start):
                    current.sequence = -1  # what was taken was the move to the start: requests count from 0
                    self.driver.begin()
            self.changed.notify_all()

    def _mind_silence(self) -> None:
        """Hold while nobody is there to end the episode; go on when the episode node speaks again."""
        silence = time.monotonic() - self._heard
        if self._silent or self.current.phase != EpisodeStatus.RUNNING or silence <= self._silence_s:
            return
        self._silent = True
        self.driver.hold()
        self._node.fail("episode_silent", f"no episode status for {silence:.1f} s: holding")

    def _hear(self, beat: Header) -> None:
        with self.lock:
            if self._stages is not None:
                self._stages.hear(beat.frame_id)

    def _mind_stages(self) -> tuple[str, ...]:
        """The stages that are gone and needed now; each is counted once."""
        if self._stages is None:
            return ()
        self._stages.tick()
        calibrated = self.current.episode_id.startswith(CALIBRATION)
        needed = _NEEDED.get(self.current.phase, ())
        if self.current.phase == EpisodeStatus.RUNNING:
            needed += self._cameras
        gone = self._stages.gone((CALIBRATION,) if needed and calibrated else needed)
        for text in set(gone) - set(self._gone):
            self._node.fail("stage_gone", f"{text}: holding")
        self._gone = gone
        return gone

    def _stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self.lock:
            self.driver.stop()
        self._node.counts["stops"] += 1
        self._node.get_logger().warning("stopped: holding until driver/clear_stop is called")
        response.success, response.message = True, "holding; clear with driver/clear_stop"
        return response

    def _clear_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        position = None
        if self._recover is not None and self.latched is DriverState.FAULT:
            try:
                position = self._recover()  # not under the lock: ticks go on
            except SpeedtuneError as error:
                self._node.refuse(error)
                response.message = f"still in fault: {error}"
                return response
        with self.lock:
            self.driver.clear_stop(position)
        response.success, response.message = True, "cleared: holding until the next trajectory"
        return response

    def inactive(self, state: RobotState, missed: int) -> None:
        """State and status of arms that are not commanded."""
        self._missed = missed
        self.active = False
        with self.lock:
            self._now_ns, self._held, self.last = state.stamp_ns, state.qpos, None
            self._publish_status(None)

    def _publish_status(self, tick: DriverTick | None) -> None:
        message = DriverStatus(episode_id=self.current.episode_id, missed_ticks=self._missed)
        message.header.stamp = to_stamp(self._now_ns)
        if (ceiling := self.health.ceiling) is not None:
            message.speed_ceiling, message.ceiling_reason = float(ceiling.speed), ceiling.reason
            message.ceiling_joint = ceiling.joint
        if tick is None:
            message.state = DriverStatus.HOLDING if self.active else DriverStatus.INACTIVE
            message.command = self._held
        else:
            message.state, message.faults, message.command = int(tick.state), list(tick.faults), tick.command
            message.trajectory, message.progress = max(0, int(tick.trajectory)), float(tick.progress)
            message.speed, message.tracking_error = float(tick.speed), float(tick.tracking_error)
            message.refused, message.saturated = int(tick.refused), int(tick.saturated)
        self._status.publish(message)
