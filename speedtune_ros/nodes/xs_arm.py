"""One simulated arm on the wire: what Interbotix's `xs_sdk` node subscribes to, publishes and serves.

Contract: https://github.com/Interbotix/interbotix_ros_core, interbotix_xs_sdk. What it refuses it logs and answers
with an empty response, as that one does.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from speedtune_ros.config import option
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes import INTERBOTIX, require
from speedtune_ros.nodes.conversions import to_stamp
from speedtune_ros.nodes.spinner import Spinner
from speedtune_ros.robots.gripper import Linkage
from speedtune_ros.robots.interbotix import (
    CURRENT_UNIT,
    FINGERS,
    GAIN_REGISTERS,
    GRIPPER,
    GROUPS,
    JOINTS,
    POSITION_UNIT,
    VELOCITY_UNIT,
    VIPERX,
)
from speedtune_ros.robots.profiles import FINGER_VELOCITY, FIRMWARE_VELOCITY, LOWER, UPPER
from speedtune_ros.robots.xs_faults import Faults
from speedtune_ros.robots.xs_motors import Drive, SimulatedMotors

require("interbotix_xs_msgs", INTERBOTIX)

from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand, JointTrajectoryCommand  # noqa: E402
from interbotix_xs_msgs.srv import (  # noqa: E402
    MotorGains,
    OperatingModes,
    Reboot,
    RegisterValues,
    RobotInfo,
    TorqueEnable,
)

_FINGER_LIMITS = (0.021, 0.057)  # [m], vx300s.urdf.xacro


@dataclass(frozen=True)
class BusConfig:
    """How long the motors' bus takes. Nothing else passes while it is busy, joint states neither."""

    command_s: float = option(0.004, "from a command's arrival to the motors", minimum=0.0, maximum=0.2)
    register_s: float = option(0.002, "to read or write one register of one motor", minimum=0.0, maximum=0.5)
    mode_s: float = option(0.05, "a joint is without torque while its mode is switched", minimum=0.0, maximum=2.0)
    reboot_s: float = option(0.3, "a motor's reboot", minimum=0.0, maximum=5.0)


class XsArm:
    """A node `xs_sdk` in the arm's namespace, spun by a thread of its own as if it were a process.

    `motors` are shared with whoever runs the mechanics: hold `lock`.
    """

    def __init__(
        self, namespace: str, motors: SimulatedMotors, linkage: Linkage, config: BusConfig, sleep: Sequence[float]
    ) -> None:
        self.motors, self.faults, self.lock = motors, Faults(), threading.Lock()
        self._linkage, self._config, self._sleep = linkage, config, sleep
        self._bus = threading.Lock()
        self._pending: deque[tuple[float, list[int], np.ndarray]] = deque()
        self._frozen: JointState | None = None
        self._node = Node("xs_sdk", namespace=namespace, use_global_arguments=False, start_parameter_services=False)
        self._states = self._node.create_publisher(JointState, "joint_states", 10)
        for kind, topic, callback in (
            (JointGroupCommand, "commands/joint_group", self._take_group),
            (JointSingleCommand, "commands/joint_single", self._take_single),
            (JointTrajectoryCommand, "commands/joint_trajectory", self._take_trajectory),
        ):
            self._node.create_subscription(kind, topic, callback, 10)
        self._offer(TorqueEnable, "torque_enable", self._torque)
        self._offer(Reboot, "reboot_motors", self._reboot)
        self._offer(RobotInfo, "get_robot_info", self._info)
        self._offer(OperatingModes, "set_operating_modes", self._modes)
        self._offer(MotorGains, "set_motor_pid_gains", self._gains)
        self._offer(RegisterValues, "set_motor_registers", self._write)
        self._registers = self._offer(RegisterValues, "get_motor_registers", self._read)
        self._spinner = Spinner(self._node)  # answers look whether it ends
        self._spinner.start()

    def drive(self, dt: float) -> Drive:
        """`dt` [s] on: commands that have come through the bus by now reach the motors."""
        now = time.monotonic()
        with self.lock:
            while self._pending and self._pending[0][0] <= now:
                _, motors, goals = self._pending.popleft()
                self.motors.command(motors, goals)
            return self.motors.drive(dt)

    def measure(self, position: np.ndarray, velocity: np.ndarray, torque: np.ndarray, dt: float) -> None:
        with self.lock:
            self.motors.measure(position, velocity, torque, dt)

    def publish(self, stamp_ns: int) -> None:
        """The joint states now, unless the bus is busy or silent."""
        if self.faults.silence or not self._bus.acquire(blocking=False):
            return
        try:
            if not self.faults.frozen:
                self._frozen = None
            elif self._frozen is not None:
                self._frozen.header.stamp = to_stamp(stamp_ns)
                self._states.publish(self._frozen)
                return
            message = self._frozen = self._joint_state(stamp_ns)
            self._states.publish(message)
        finally:
            self._bus.release()

    def inject(self, fault: str, joint: str, active: bool, value: float) -> None:
        """Break or mend something. Raises SpeedtuneError."""
        with self.lock:
            self.faults.inject(self.motors, fault, joint, active, value)
        if self.faults.missing_service and self._registers is not None:
            self._node.destroy_service(self._registers)
            self._registers = None
        elif not self.faults.missing_service and self._registers is None:
            self._registers = self._offer(RegisterValues, "get_motor_registers", self._read)

    def close(self) -> None:
        self._spinner.close(2.0)
        self._node.destroy_node()

    def _joint_state(self, stamp_ns: int) -> JointState:
        motors = self.motors
        with self.lock:
            readings = (
                np.round(motors.position / POSITION_UNIT) * POSITION_UNIT,
                np.round(motors.velocity / VELOCITY_UNIT) * VELOCITY_UNIT,
                np.round(motors.current / CURRENT_UNIT) * CURRENT_UNIT,
            )
            position, velocity, current = self.faults.distort(readings)
        finger = self._linkage.finger(position[6])
        message = JointState(name=[*JOINTS, *FINGERS])
        message.header.stamp = to_stamp(stamp_ns)
        message.position.frombytes(np.append(position, [finger, -finger]).tobytes())
        message.velocity.frombytes(np.append(velocity, [0.0, 0.0]).tobytes())
        message.effort.frombytes(np.append(current, [0.0, 0.0]).tobytes())
        return message

    def _take_group(self, message: JointGroupCommand) -> None:
        if message.name not in GROUPS or len(message.cmd) != len(GROUPS[message.name]):
            self._complain(f"joint_group: '{message.name}' with {len(message.cmd)} commands")
            return
        self._enqueue(self.motors.joints("group", message.name), np.array(message.cmd, float))

    def _take_single(self, message: JointSingleCommand) -> None:
        if message.name not in JOINTS:
            self._complain(f"joint_single: no joint '{message.name}'")
            return
        goal = float(message.cmd)
        if self.motors.modes[JOINTS.index(message.name)] == "linear_position":
            goal = self._linkage.angle(goal)
        self._enqueue(self.motors.joints("single", message.name), np.array([goal]))

    def _take_trajectory(self, message: JointTrajectoryCommand) -> None:
        self._complain("joint_trajectory: not simulated; it cannot be cancelled, nobody should send it")

    def _enqueue(self, motors: list[int], goals: np.ndarray) -> None:
        if not self.faults.silence:
            self._pending.append((time.monotonic() + self._config.command_s, motors, goals))

    def _offer(self, kind: Any, name: str, answer: Callable[[Any, Any, list[int]], None]) -> Any:
        return self._node.create_service(kind, name, functools.partial(self._answer, answer))

    def _answer(self, answer: Callable[[Any, Any, list[int]], None], request: Any, response: Any) -> Any:
        while self.faults.silence and not self._spinner.ending:
            time.sleep(0.05)  # a client waits for ever
        try:
            motors = self.motors.joints(request.cmd_type, request.name)
            with self._bus:
                answer(request, response, motors)
        except SpeedtuneError as error:
            self._complain(str(error))
        return response

    def _complain(self, text: str) -> None:
        self._node.get_logger().error(text, throttle_duration_sec=1.0)

    def _torque(self, request: Any, _: Any, motors: list[int]) -> None:
        time.sleep(self._config.register_s * len(motors))
        with self.lock:
            self.motors.set_torque(motors, request.enable)

    def _reboot(self, request: Any, _: Any, motors: list[int]) -> None:
        with self.lock:
            done = self.motors.reboot(motors, request.smart_reboot)
        time.sleep(self._config.reboot_s * len(done))
        if request.enable:
            with self.lock:
                self.motors.set_torque(done, True)

    def _modes(self, request: Any, _: Any, motors: list[int]) -> None:
        for motor in motors:
            with self.lock:
                self.motors.set_torque([motor], False)
            time.sleep(self._config.mode_s)
            with self.lock:
                self.motors.set_mode([motor], request.mode)
                self.motors.write([motor], "Profile_Velocity", request.profile_velocity)
                self.motors.write([motor], "Profile_Acceleration", request.profile_acceleration)
                self.motors.set_torque([motor], True)
        if request.cmd_type == "group":
            self.motors.group_mode = request.mode

    def _gains(self, request: Any, _: Any, motors: list[int]) -> None:
        fields = ("kp_pos", "ki_pos", "kd_pos", "k1", "k2", "kp_vel", "ki_vel")
        time.sleep(self._config.register_s * len(motors) * len(fields))
        with self.lock:
            for register, field in zip(GAIN_REGISTERS, fields):
                self.motors.write(motors, register, getattr(request, field))

    def _write(self, request: Any, _: Any, motors: list[int]) -> None:
        time.sleep(self._config.register_s * len(motors))
        with self.lock:
            self.motors.write(motors, request.reg, request.value)

    def _read(self, request: Any, response: Any, motors: list[int]) -> None:
        time.sleep(self._config.register_s * len(motors))
        with self.lock:
            response.values = self.motors.read(motors, request.reg)

    def _info(self, request: Any, response: Any, motors: list[int]) -> None:
        group = request.cmd_type == "group"
        response.mode = self.motors.group_mode if group else self.motors.modes[motors[0]]
        response.profile_type = "velocity"
        response.num_joints = len(motors)
        response.name = list(GROUPS) if request.name == "all" else [request.name]
        for motor in motors:
            name = JOINTS[motor]
            response.joint_ids.append(VIPERX[name].id)
            if name == GRIPPER:
                row = (FINGERS[0], len(JOINTS), *_FINGER_LIMITS, FINGER_VELOCITY, self._linkage.finger(0.0))
            else:
                row = (name, motor, LOWER[motor], UPPER[motor], FIRMWARE_VELOCITY, self._sleep[motor])
            joint, index, lower, upper, velocity, sleep = row
            response.joint_names.append(joint)
            response.joint_state_indices.append(index)
            response.joint_lower_limits.append(lower)
            response.joint_upper_limits.append(upper)
            response.joint_velocity_limits.append(velocity)
            response.joint_sleep_positions.append(sleep)
