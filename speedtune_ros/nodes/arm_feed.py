"""What one Interbotix arm says of its joints, judged as it comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.robots.bring_up import BringUpError
from speedtune_ros.robots.feedback import FeedbackMonitor, Reading
from speedtune_ros.robots.interbotix import FINGERS, JOINTS


class ArmFeed:
    """Subscribes to `<arm>/joint_states` for `monitor`, which is asked under `lock` by other threads."""

    def __init__(self, node: Node, arm: str, monitor: FeedbackMonitor) -> None:
        self.monitor = monitor
        self.lock = threading.Lock()
        self._order: list[int] | None = None
        node.create_subscription(JointState, f"{arm}/joint_states", self._hear, 10)

    def _hear(self, message: JointState) -> None:
        if self._order is None:
            self._order = _order(message.name)
        positions = np.asarray(message.position)[self._order]
        joints = slice(0, len(JOINTS))
        reading = Reading(
            positions[joints],
            float(positions[-1]),
            np.asarray(message.velocity)[self._order][joints],
            np.asarray(message.effort)[self._order][joints],
            to_ns(message.header.stamp),
        )
        with self.lock:
            self.monitor.accept(reading, time.monotonic())


def _order(names: Sequence[str]) -> list[int]:
    """Where the seven joints and the left finger are. Raises BringUpError."""
    wanted = (*JOINTS, FINGERS[0])
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BringUpError(f"joint states: missing {', '.join(missing)}; got {', '.join(names)}")
    return [list(names).index(name) for name in wanted]
