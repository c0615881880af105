"""One Interbotix arm on the wire: two publishers, one subscription, and services asked by name.

Contract: https://github.com/Interbotix/interbotix_ros_core, interbotix_xs_sdk. Motion goes on `commands/joint_group`
and `commands/joint_single` alone: `commands/joint_trajectory` cannot be cancelled.
"""

from __future__ import annotations

import array
import threading
import time
from typing import Any

import numpy as np
from rclpy.node import Node

from speedtune_ros.nodes import INTERBOTIX, require
from speedtune_ros.nodes.arm_feed import ArmFeed
from speedtune_ros.nodes.spinner import Spinner, node_beside
from speedtune_ros.robots.bring_up import BringUpError, Group
from speedtune_ros.robots.feedback import FeedbackMonitor, Reading
from speedtune_ros.robots.interbotix import ALL_GROUP, ARM_GROUP, GRIPPER

require("interbotix_xs_msgs", INTERBOTIX)

from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand  # noqa: E402
from interbotix_xs_msgs.srv import OperatingModes, Reboot, RegisterValues, RobotInfo, TorqueEnable  # noqa: E402

SERVICES = {
    "get_robot_info": RobotInfo,
    "get_motor_registers": RegisterValues,
    "set_motor_registers": RegisterValues,
    "set_operating_modes": OperatingModes,
    "torque_enable": TorqueEnable,
    "reboot_motors": Reboot,
}
_SLOW = ("reboot_motors", "set_operating_modes")  # they take each motor in turn
_SLOW_S, _TIMEOUT_S = 15.0, 5.0
_GROUPS = {ARM_GROUP: "group", ALL_GROUP: "group", GRIPPER: "single"}


class InterbotixLink:
    """Talks to the arm in namespace `arm`; `node` is spun by another thread than those that call `ask`.

    `monitor` judges what the arm says; without a good word for `patience_s` there is none [s].
    """

    def __init__(self, node: Node, arm: str, monitor: FeedbackMonitor, patience_s: float) -> None:
        self.arm, self.monitor = arm, monitor
        self._patience_s = patience_s
        self._node = node
        self._group = node.create_publisher(JointGroupCommand, f"{arm}/commands/joint_group", 10)
        self._single = node.create_publisher(JointSingleCommand, f"{arm}/commands/joint_single", 10)
        self._clients = {name: node.create_client(kind, f"{arm}/{name}") for name, kind in SERVICES.items()}
        self.lock = ArmFeed(node, arm, monitor).lock  # fed by the node's thread and asked by the control thread

    def command(self, joints: np.ndarray) -> None:
        """Send the arm to joints (7,) [rad], the gripper's being its motor's."""
        self._group.publish(JointGroupCommand(name=ARM_GROUP, cmd=array.array("f", joints[:6].tolist())))
        self._single.publish(JointSingleCommand(name=GRIPPER, cmd=float(joints[6])))
        with self.lock:
            self.monitor.commanded(joints)

    def others(self, seconds: float) -> bool:
        """Whether anybody commands the arm within so long: to be asked while this link does not."""
        heard = threading.Event()
        # Its own node: what one thread destroys while another gathers what to wait for ends that other one's round.
        ear = node_beside(self._node, f"{self._node.get_name()}_ear")
        ear.create_subscription(JointGroupCommand, f"{self.arm}/commands/joint_group", lambda _: heard.set(), 10)
        spinner = Spinner(ear).start()
        try:
            return heard.wait(seconds)
        finally:
            spinner.close()
            ear.destroy_node()

    def missing(self) -> list[str]:
        """The services that are not there now."""
        return [name for name, client in self._clients.items() if not client.service_is_ready()]

    def wait(self, deadline: float) -> None:
        """Until a good joint state and every service are there. Raises BringUpError at `deadline` of a steady clock."""
        while self.monitor.last is None or self.missing():
            if time.monotonic() > deadline:
                lacking = [f"service {name}" for name in self.missing()]
                lacking += [] if self.monitor.last else [f"good joint states (heard: {dict(self.monitor.counts)})"]
                raise BringUpError(
                    f"{self.arm}: no {', '.join(lacking)}; is Interbotix's xs_sdk running in this namespace?"
                )
            time.sleep(0.02)

    def ask(self, service: str, **fields: Any) -> Any:
        """The answer of a service. Raises BringUpError if it is not there or silent."""
        client = self._clients[service]
        if not client.service_is_ready():
            raise BringUpError(f"{self.arm}: service {service} is missing")
        done = threading.Event()
        future = client.call_async(SERVICES[service].Request(**fields))
        future.add_done_callback(lambda _: done.set())
        timeout_s = _SLOW_S if service in _SLOW else _TIMEOUT_S
        if not done.wait(timeout_s):
            client.remove_pending_request(future)
            raise BringUpError(f"{self.arm}: service {service} did not answer within {timeout_s:g} s")
        return future.result()

    def info(self, group: str) -> Group:
        answer = self.ask("get_robot_info", cmd_type=_GROUPS[group], name=group)
        return Group(
            answer.mode,
            tuple(answer.joint_names),
            tuple(answer.joint_lower_limits),
            tuple(answer.joint_upper_limits),
            tuple(answer.joint_sleep_positions),
        )

    def read(self, register: str, group: str = ALL_GROUP) -> list[int]:
        """A register of each motor of a group. Raises BringUpError."""
        answer = self.ask("get_motor_registers", cmd_type=_GROUPS[group], name=group, reg=register)
        expected = {ARM_GROUP: 6, ALL_GROUP: 7, GRIPPER: 1}[group]
        if len(answer.values) != expected:
            got = len(answer.values)
            raise BringUpError(
                f"{self.arm}: {register}: expected {expected} values, got {got}: a motor does not answer"
            )
        return list(answer.values)

    def write(self, register: str, value: int, group: str = ARM_GROUP) -> None:
        self.ask("set_motor_registers", cmd_type=_GROUPS[group], name=group, reg=register, value=int(value))

    def set_mode(self, group: str, mode: str) -> None:
        """Switch the operating mode; joints are without torque meanwhile."""
        fields = {"mode": mode, "profile_type": "velocity", "profile_velocity": 0, "profile_acceleration": 0}
        self.ask("set_operating_modes", cmd_type=_GROUPS[group], name=group, **fields)

    def torque_on(self) -> None:
        """Hold, at the joints that are measured now: the goal is sent before and after."""
        for group in (ARM_GROUP, GRIPPER):
            self.ask("torque_enable", cmd_type=_GROUPS[group], name=group, enable=True)

    def reboot_failed(self) -> None:
        """Reboot the motors in an error state, torque on again; gains in RAM are lost."""
        self.ask("reboot_motors", cmd_type="group", name=ALL_GROUP, enable=True, smart_reboot=True)

    def fresh(self) -> Reading:
        """A good reading that comes after this call. Raises BringUpError."""
        old, deadline = self.monitor.last, time.monotonic() + self._patience_s
        while (last := self.monitor.last) is old or last is None:
            if time.monotonic() > deadline:
                raise BringUpError(f"{self.arm}: no good joint state within {self._patience_s:g} s")
            time.sleep(0.005)
        return last
