"""The arms of xs_sim without its wires and its clock: the same motors, mechanics and bus, the driver's own guard."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from speedtune_ros.calibration.motion import Motion
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.sight import Frames
from speedtune_ros.registry import make_simulation
from speedtune_ros.robots.driver import Driver
from speedtune_ros.robots.gripper import Linkage, follower_gripper
from speedtune_ros.robots.interbotix import CURRENT_UNIT, FOLLOWERS, POSITION_UNIT, VELOCITY_UNIT
from speedtune_ros.robots.profiles import LOWER, UPPER, make_profile
from speedtune_ros.robots.staged_move import staged_move
from speedtune_ros.robots.xs_heat import HeatConfig
from speedtune_ros.robots.xs_motors import SimulatedMotors
from speedtune_ros.robots.xs_plant import BuildConfig, FollowerPlant
from speedtune_ros.types import RobotState, Trajectory

STEP_NS, TICK_NS = 10_000_000, 20_000_000
SETTLE_NS = 600_000_000


class PlantArms:
    """Implements Arms in simulated time. bus_s: from a command to the motors [s]; `accelerations` of joint states."""

    profile, rate_hz, state_age = "hardware", 50.0, 0.01

    def __init__(self, build: BuildConfig, bus_s: float) -> None:
        self.limits = make_profile("hardware").limits
        self._gripper, self._linkage = follower_gripper("aloha_1"), Linkage()
        robot = make_simulation("transfer_cube", "hardware", {}).robot
        self._plant = FollowerPlant(robot, self._gripper.finger, self._linkage, build=build)
        low, high = np.append(LOWER, -0.9) - POSITION_UNIT, np.append(UPPER, 1.7) + POSITION_UNIT
        speed = build.speed or np.inf
        starts = {arm: self._plant.start(arm) for arm in FOLLOWERS}
        self._motors = {
            arm: SimulatedMotors(start, low, high, heat=HeatConfig(), speed=speed) for arm, start in starts.items()
        }
        self._bus_ns = round(bus_s * 1e9)
        self._pending: deque[tuple[int, np.ndarray]] = deque()
        self._now_ns = 0
        start = np.concatenate([np.append(s[:6], self._gripper.joint.normalise(s[6])) for s in starts.values()])
        self._driver = Driver(self.limits, start)
        self.command = start
        self.saturated = 0

    def move(self, goal: np.ndarray, speed: float) -> None:
        self._run(staged_move(self.command, goal, speed, self._now_ns + TICK_NS), 0)

    def play(self, motion: Motion) -> Recording:
        rest, start_ns = float(self.command[motion.index]), self._now_ns + TICK_NS
        rows = self._run(motion.trajectory(self.command, start_ns, 1), motion.index)
        times, position, velocity, current, finger = np.array(rows).T
        empty = np.empty(0)
        kept = times >= start_ns
        times = (times[kept] - start_ns) * 1e-9
        return Recording(motion, rest, times, position[kept], velocity[kept], current[kept], empty, empty, finger[kept])

    def frames(self, recording: Recording) -> Sequence[Frames]:
        return []

    def _run(self, trajectory: Trajectory, joint: int) -> list[tuple[float, ...]]:
        """Joint states of one motor, as they are read, until the trajectory has ended."""
        self._driver.load(trajectory)
        arm, motor = FOLLOWERS[joint // 7], joint % 7
        end_ns, rows = trajectory.start_ns + round(trajectory.duration * 1e9) + SETTLE_NS, []
        while self._now_ns < end_ns:
            if self._now_ns % TICK_NS == 0:
                tick = self._driver.tick(RobotState(self._now_ns, self.command, np.zeros(14)))
                self.command, self.saturated = tick.command, tick.saturated
                self._pending.append((self._now_ns + self._bus_ns, tick.command))
            self._step()
            motors = self._motors[arm]
            rows.append(
                (
                    float(self._now_ns),
                    round(motors.position[motor] / POSITION_UNIT) * POSITION_UNIT,
                    round(motors.velocity[motor] / VELOCITY_UNIT) * VELOCITY_UNIT,
                    round(motors.current[motor] / CURRENT_UNIT) * CURRENT_UNIT,
                    self._linkage.finger(motors.position[6]),
                )
            )
        return rows

    def _step(self) -> None:
        while self._pending and self._pending[0][0] <= self._now_ns:
            _, command = self._pending.popleft()
            for motors, own in zip(self._motors.values(), (command[:7], command[7:])):
                motors.command(list(range(7)), np.append(own[:6], self._gripper.joint.position(own[6])))
        dt = STEP_NS * 1e-9
        self._plant.step({arm: motors.drive(dt) for arm, motors in self._motors.items()}, dt)
        for arm, motors in self._motors.items():
            motors.measure(*self._plant.measure(arm), dt)
        self._now_ns += STEP_NS
