"""Builds the observation a request asks for, out of joint states and images as they arrive."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rclpy.subscription import Subscription
from sensor_msgs.msg import Image, JointState

from speedtune_ros.nodes.conversions import state_from_message, to_ns
from speedtune_ros.nodes.images import decode
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.nodes.topics import EVENTS, image_topic
from speedtune_ros.types import Observation, RobotState

_STATES = 256
_IMAGES = 4  # the newest may be younger than the state asked for


class Observer:
    """Remembers the last states and the last few images of each camera.

    exact: images must carry the state's own stamp (lock-step renders them on request); otherwise the newest
    not younger than the state counts, and one older than `image_age_s` is refused.
    """

    def __init__(
        self,
        node: StageNode[Any],
        cameras: Iterable[str],
        *,
        exact: bool,
        image_age_s: float,
        state_age_s: float,
    ) -> None:
        self._node = node
        self._exact, self._image_age_s, self._state_age_s = exact, image_age_s, state_age_s
        self._arrived = threading.Condition()
        self._states: deque[RobotState] = deque(maxlen=_STATES)
        self._heard = time.monotonic()
        self._images: dict[str, deque[Image]] = {}
        self._cameras: dict[str, Subscription] = {}
        node.listen("joint_states", self._keep_state)
        self.watch(cameras)

    def watch(self, cameras: Iterable[str]) -> None:
        """Observations have the images of these cameras from now on. Call it in the executor's thread."""
        wanted = set(cameras)
        for name in set(self._cameras) - wanted:
            self._node.destroy_subscription(self._cameras.pop(name))
        with self._arrived:
            self._images = {name: self._images.get(name, deque(maxlen=_IMAGES)) for name in sorted(wanted)}
        qos = EVENTS if self._exact else None
        for name in wanted - set(self._cameras):
            topic = image_topic(name)
            self._cameras[name] = self._node.listen("camera/<name>/image_raw", self._keep_image(name), topic, qos)

    def observe(self, stamp_ns: int, timeout_s: float, since_ns: int = 0) -> Observation:
        """The observation as of `stamp_ns`, waiting for what is still under way. Raises Refused.

        since_ns: the episode's first stamp. An image from before it shows another scene, however young it is.
        """
        state, images = self._wait(stamp_ns, time.monotonic() + timeout_s, since_ns)
        return Observation(state, {name: decode(image) for name, image in images.items()})

    def _wait(self, stamp_ns: int, deadline: float, since_ns: int) -> tuple[RobotState, dict[str, Image]]:
        first: Refused | None = None  # what was missing; while waiting the rest grows old too
        with self._arrived:
            newest_ns = self._states[-1].stamp_ns if self._states else stamp_ns  # before any wait for images
            while True:
                try:
                    return self._state(stamp_ns, newest_ns), self._select(stamp_ns, since_ns)
                except Refused as error:
                    if first is None or first.reason == "no_state":
                        # Its traceback holds this frame, which holds it and the images: they would stay in memory
                        # until the next full collection of garbage.
                        first = error.with_traceback(None)
                    left = deadline - time.monotonic()
                if left <= 0.0:
                    raise Refused(first.reason, str(first))
                self._arrived.wait(left)

    def _state(self, stamp_ns: int, newest_ns: int) -> RobotState:
        state = next((state for state in reversed(self._states) if state.stamp_ns == stamp_ns), None)
        if state is None:
            raise Refused("no_state", f"no joint state of stamp {stamp_ns}; {len(self._states)} kept")
        age = (newest_ns - stamp_ns) * 1e-9
        silence = time.monotonic() - self._heard
        if not self._exact and max(age, silence) > self._state_age_s:
            raise Refused("stale_state", f"joint state: {max(age, silence):.3f} s old, limit {self._state_age_s} s")
        return state

    def _select(self, stamp_ns: int, since_ns: int) -> dict[str, Image]:
        return {name: self._image(name, stamp_ns, since_ns) for name in self._images}

    def _image(self, name: str, stamp_ns: int, since_ns: int) -> Image:
        kept = [image for image in self._images[name] if to_ns(image.header.stamp) >= since_ns]
        if not kept and self._images[name]:
            raise Refused("stale_image", f"camera '{name}': no image since the episode began on {image_topic(name)}")
        if not kept:
            raise Refused("missing_image", f"camera '{name}': no image yet on {image_topic(name)}")
        usable = [image for image in kept if to_ns(image.header.stamp) <= stamp_ns]
        newest = max(usable, key=lambda image: to_ns(image.header.stamp), default=kept[0])
        age = (stamp_ns - to_ns(newest.header.stamp)) * 1e-9
        if self._exact and age != 0.0:
            raise Refused("stale_image", f"camera '{name}': no image of stamp {stamp_ns}")
        if abs(age) > self._image_age_s:
            words = f"{age:.3f} s old" if age > 0.0 else f"{-age:.3f} s newer than the state asked for"
            raise Refused("stale_image", f"camera '{name}': image {words}, limit {self._image_age_s} s")
        return newest

    def _keep_state(self, message: JointState) -> None:
        state = state_from_message(message)
        with self._arrived:
            self._states.append(state)
            self._heard = time.monotonic()
            self._arrived.notify_all()

    def _keep_image(self, name: str) -> Any:
        def keep(message: Image) -> None:
            with self._arrived:
                if name in self._images:
                    self._images[name].append(message)
                self._arrived.notify_all()

        return keep
