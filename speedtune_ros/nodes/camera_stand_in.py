"""A camera driver's stand-in for a bench: noise at 30 Hz, until it is told to show something bad, or nothing."""

from __future__ import annotations

import time

import numpy as np
import rclpy
from sensor_msgs.msg import Image

from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.topics import IMAGE_OFFERED

_PERIOD_S = 1.0 / 30.0
_SHAPE = (96, 128, 3)
_IMAGES = 16


class CameraStandIn:
    """Publishes on `topic` as realsense2_camera would. A context; call after rclpy.init.

    Set `shows` to `same_image`, `same_stamp` or `nothing`, and to the empty text for a camera that works.
    """

    def __init__(self, topic: str) -> None:
        self.shows = ""
        generator = np.random.default_rng(0)
        self._images = [generator.integers(0, 256, _SHAPE, np.uint8) for _ in range(_IMAGES)]
        self._count = 0
        self._stamp_ns = time.time_ns()
        self._node = rclpy.create_node("camera_stand_in")
        self._out = self._node.create_publisher(Image, topic, IMAGE_OFFERED)
        self._cadence = Cadence(_PERIOD_S, self._show, "camera")

    def __enter__(self) -> CameraStandIn:
        self._cadence.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cadence.stop()
        self._node.destroy_node()

    def _show(self) -> None:
        if self.shows == "nothing":
            return
        if self.shows != "same_image":
            self._count += 1
        if self.shows != "same_stamp":
            self._stamp_ns = time.time_ns()
        self._out.publish(encode(self._images[self._count % _IMAGES], self._stamp_ns))
