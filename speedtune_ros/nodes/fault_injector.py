"""Causes faults in a running graph, by the services and topics that anybody could use."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import Trigger

from speedtune_msgs.msg import DriverStatus
from speedtune_msgs.srv import InjectFault, LabelEpisode
from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.errors import SpeedtuneError, UnknownNameError
from speedtune_ros.evaluation.fault_matrix import Ask, Inject, Send
from speedtune_ros.nodes.conversions import to_ns, trajectory_to_message
from speedtune_ros.nodes.episode_client import EpisodeClient
from speedtune_ros.nodes.topics import TOPICS
from speedtune_ros.types import Trajectory

_FIND_S = 20.0
_ANSWER_S = 60.0  # motors are rebooted one after the other
_BEYOND_RAD = 4.0  # no joint reaches it
_LATER = 10**6  # a request number after all of an episode's
_ROOM_C = 25.0


class FaultInjector:
    """What of the fault matrix goes over ROS. Every method raises SpeedtuneError if the graph does not answer."""

    def __init__(self, client: EpisodeClient) -> None:
        self._client = client
        self._node = rclpy.create_node("fault_injector")
        row = TOPICS["trajectory"]
        self._trajectories = self._node.create_publisher(row.type, "trajectory", row.offered)
        self._services = {
            "stop": (Trigger, "episode/stop", Trigger.Request()),
            "label": (LabelEpisode, "episode/label", LabelEpisode.Request(reward=-1.0)),
            "deactivate": (ChangeState, "arm_driver/change_state", _transition(Transition.TRANSITION_DEACTIVATE)),
            "activate": (ChangeState, "arm_driver/change_state", _transition(Transition.TRANSITION_ACTIVATE)),
        }

    def close(self) -> None:
        self._node.destroy_node()

    def find(self) -> None:
        """Know all services, so that no call has to look for its own first."""
        self._client.find(InjectFault, "xs_sim/inject", _FIND_S)
        for kind, name, _ in self._services.values():
            self._client.find(kind, name, _FIND_S)

    def inject(self, cause: Inject, *, active: bool) -> None:
        """Break or mend something of a simulated arm."""
        value = cause.value
        if cause.fault == "over_temperature" and not active:
            active, value = True, _ROOM_C  # a motor cools down by being told so
        request = InjectFault.Request(
            arm=cause.arm, joint=cause.joint, fault=cause.fault, active=active, value=float(value)
        )
        answer = self._client.call(InjectFault, "xs_sim/inject", request)
        if not answer.success:
            raise SpeedtuneError(f"xs_sim refused the fault: {answer.message}")

    def ask(self, cause: Ask, handle: Any = None) -> None:
        """Of a service, or for the end of the episode with this handle."""
        if cause.what == "cancel":
            self._client.cancel(handle)
            return
        if cause.what not in self._services:
            raise UnknownNameError("request", cause.what, ["cancel", *self._services])
        kind, name, request = self._services[cause.what]
        answer = self._client.call(kind, name, request, _ANSWER_S)
        if not answer.success:
            raise SpeedtuneError(f"{name} refused: {getattr(answer, 'message', cause.what)}")

    def send(self, cause: Send, status: DriverStatus) -> None:
        """A bad trajectory to the driver that says `status`."""
        positions = np.tile(np.array(status.command), (50, 1))
        if cause.how == "outside":
            positions[1:, 0] = _BEYOND_RAD
        count = len(positions)
        still, speeds = np.zeros((count, NUM_JOINTS)), np.append(np.ones(count - 1), 0.0)
        start_ns = to_ns(status.header.stamp) + 2 * CONTROL_DT_NS
        progress = status.progress + CONTROL_DT * np.arange(count)
        times = CONTROL_DT * np.arange(count)
        path = Trajectory(start_ns, times, positions, still, progress, speeds, 0, _LATER)
        message = trajectory_to_message(path, "another" if cause.how == "foreign" else status.episode_id)
        if cause.how == "nan":
            message.points[3].positions[0] = math.nan
        self._trajectories.publish(message)

    def recover(self, status: DriverStatus) -> None:
        """From the state the driver is in to one that takes trajectories."""
        if status.state == DriverStatus.INACTIVE:
            self.ask(Ask("activate"))
        elif status.state in (DriverStatus.FAULT, DriverStatus.STOPPED):
            self._client.clear_stop()
        time.sleep(CONTROL_DT)


def _transition(number: int) -> ChangeState.Request:
    return ChangeState.Request(transition=Transition(id=number))
