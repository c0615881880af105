"""The frames of a camera that another node drives, such as realsense2_camera: rgb8, bgr8 and the like."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import Image

from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.images import decode
from speedtune_ros.nodes.newest import Frame, Newest
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.topics import IMAGE_LATEST


class TopicFrames:
    """A subscription that asks for the latest image alone; a frame's stamp is its message's, as its driver set it."""

    live = True

    def __init__(self, node: StageNode[Any], topic: str) -> None:
        self.encoding = ""  # of the last message
        self._newest = Newest()
        node.create_subscription(Image, topic, node.guarded(self._keep), IMAGE_LATEST)

    @property
    def overwritten(self) -> int:
        """Frames that were received, and replaced by newer ones before anybody took them."""
        return self._newest.overwritten

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame, or None if there is none in time."""
        return self._newest.take(timeout_s)

    def close(self) -> None:
        """The subscription stays: a driver that comes back is heard."""

    def _keep(self, message: Image) -> None:
        self.encoding = message.encoding
        self._newest.put(Frame(decode(message), to_ns(message.header.stamp)))
