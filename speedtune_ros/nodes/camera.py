"""The camera node: fresh frames of one camera, stamped when they were captured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
from std_srvs.srv import Trigger

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.nodes.frame_source import FrameSource, open_source
from speedtune_ros.nodes.frame_watch import FrameWatch
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.newest import Frame
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.stage_watch import CAMERA
from speedtune_ros.nodes.topic_frames import TopicFrames
from speedtune_ros.nodes.topics import image_topic
from speedtune_ros.nodes.video_device import DeviceSettings

_TAKE_S = 0.05  # how soon trouble, a reset and the end are noticed
DRIVERS = ("v4l2", "realsense")


@dataclass(frozen=True)
class CameraConfig:
    """Which camera, how fast, how large, and when it is in trouble."""

    name: str = option("top", "its name, as in camera/<name>/image_raw")
    driver: str = option("v4l2", "v4l2 opens `source`; realsense subscribes to `topic`", choices=DRIVERS)
    source: str = option("", "a device number or path, a stream's address, a video file, or a folder of images")
    topic: str = option("", "images of a camera that another node drives, rgb8 or bgr8")
    rate_hz: float = option(30.0, "frames a second", minimum=0.1, maximum=240.0)
    width: int = option(0, "width of published frames, 0 as captured [px]", minimum=0, maximum=8192)
    height: int = option(0, "height of published frames, 0 as captured [px]", minimum=0, maximum=8192)
    capture_width: int = option(640, "width asked of a device, 0 as it has it [px]", minimum=0, maximum=8192)
    capture_height: int = option(480, "height asked of a device, 0 as it has it [px]", minimum=0, maximum=8192)
    fourcc: str = option("", "pixel format asked of a device, as MJPG or YUYV; empty as it has it")
    exposure_s: float = option(0.0, "exposure asked of a device, 0 for automatic [s]", minimum=0.0, maximum=1.0)
    loop: bool = option(True, "start a file or folder over at its end")
    frozen_s: float = option(0.5, "a live camera that repeats itself so long is frozen", minimum=0.05, maximum=60.0)
    frozen_content: bool = option(True, "count images equal in every pixel as repetitions, not stamps alone")
    silent_s: float = option(0.5, "a live camera without frames so long is silent", minimum=0.05, maximum=60.0)
    late_s: float = option(0.1, "warn of frames older than this when they are published", minimum=0.001, maximum=10.0)
    retry_s: float = option(5.0, "open a frozen or silent camera again every so often", minimum=0.1, maximum=600.0)
    reopen_s: float = option(1.0, "time between attempts to open a source that failed", minimum=0.05, maximum=60.0)

    def __post_init__(self) -> None:
        for name in ("", "capture_"):
            width, height = getattr(self, f"{name}width"), getattr(self, f"{name}height")
            if bool(width) != bool(height):
                raise ConfigError(f"camera {name}size: expected both width and height or neither, got {width}x{height}")
        if not self.name.isidentifier():
            raise ConfigError(f"camera name: expected letters, digits and underscores, got '{self.name}'")
        if len(self.fourcc) not in (0, 4):
            raise ConfigError(f"camera fourcc: expected four letters as MJPG, or none, got '{self.fourcc}'")
        if self.driver == "realsense" and not self.topic:
            raise ConfigError("camera topic: driver realsense expects one, as /cam_high/camera/color/image_rect_raw")


class CameraNode(StageNode[CameraConfig]):
    """Publishes from a thread of its own, the newest frame alone: there is no queue to grow stale in.

    A frame that repeats the last one, by its stamp or in every pixel, is not published: a policy sees its age.
    """

    def __init__(self) -> None:
        super().__init__("camera", CameraConfig)
        config = self.config
        self._out = self.publisher("camera/<name>/image_raw", image_topic(config.name))
        self._published = self._drops = self._reopened = self._resets = 0
        self._overwritten = 0  # by sources that are closed
        self._stamp_ns = self._delay_ns = 0  # of the last frame, and how old it was then
        self._size = (0, 0)
        self._before = (0, time.monotonic())
        self._error, self._in_trouble = "opening", ""
        self._watch = FrameWatch(config.frozen_s, config.silent_s, time.monotonic(), config.frozen_content)
        self._topic = TopicFrames(self, config.topic) if config.driver == "realsense" else None
        self._source: FrameSource | None = None
        self._stopping, self._asked = threading.Event(), threading.Event()
        self._serve(Trigger, "camera/<name>/reset", self._reset)
        self._thread = threading.Thread(target=self._work, name="capture", daemon=True)
        self._thread.start()
        self.beat(f"{CAMERA}{config.name}")

    def _serve(self, kind: Any, name: str, answer: Callable[..., Any]) -> None:
        self.create_service(kind, name.replace("<name>", self.config.name), answer)

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Let go of the source and open it again; other cameras are other processes, and go on."""
        self._asked.set()
        self._resets += 1
        response.success, response.message = True, f"opening {self.config.topic or self.config.source} again"
        return response

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._asked.clear()
            try:
                self._source = source = self._open()
            except (DataError, OSError) as error:
                self._lost(str(error))
                continue
            try:
                self._stream(source)
            except (DataError, cv2.error) as error:
                self._lost(str(error))
            finally:
                self._source = None
                source.close()
                self._overwritten += 0 if self._topic is source else source.overwritten

    def _open(self) -> FrameSource:
        config = self.config
        if self._topic is not None:
            return self._topic
        size = config.capture_width, config.capture_height
        return open_source(
            config.source, DeviceSettings(config.rate_hz, *size, config.fourcc, config.exposure_s), config.loop
        )

    def _lost(self, message: str) -> None:
        self._error = message
        self.fail("source", message)
        self._asked.wait(self.config.reopen_s)
        self._reopened += 1

    def _stream(self, source: FrameSource) -> None:
        """Publish what is fresh until the source fails, is to be opened again, or this node ends."""
        self._watch.restart(time.monotonic())
        while not self._stopping.is_set() and not self._asked.is_set():
            frame = source.take(_TAKE_S)
            now = time.monotonic()
            if frame is not None and (not source.live or self._watch.fresh(frame, now)):
                self._publish(frame, source.live)
                self._error = self._in_trouble = ""
            if source.live:
                self._mind(now)

    def _mind(self, now: float) -> None:
        """Say what is wrong with the camera, once; raise DataError when it is time to open it again."""
        trouble = self._watch.trouble(now)
        if trouble is None:
            return
        if self._topic is None:
            self._error = f"camera source '{self.config.source}': {trouble.text}"
        else:
            self._error = f"{self.config.topic}: {trouble.text}; is its driver running?"
        if trouble.name != self._in_trouble:
            self._in_trouble = trouble.name
            self.fail(trouble.name, self._error)
        if self._watch.troubled_s(now) > self.config.retry_s:
            raise DataError(self._error)

    def _publish(self, frame: Frame, live: bool) -> None:
        config = self.config
        image, stamp_ns = frame
        if config.width and image.shape[:2] != (config.height, config.width):
            image = cv2.resize(image, (config.width, config.height), interpolation=cv2.INTER_AREA)
        self._out.publish(encode(image, stamp_ns, config.name))
        if live and self._stamp_ns:
            self._drops += max(0, round((stamp_ns - self._stamp_ns) * 1e-9 * config.rate_hz) - 1)
        self._published, self._stamp_ns, self._size = self._published + 1, stamp_ns, image.shape[:2]
        self._delay_ns = time.time_ns() - stamp_ns

    def diagnose(self) -> dict[str, object]:
        count, now = self._published, time.monotonic()
        rate = (count - self._before[0]) / max(now - self._before[1], 1e-9)
        self._before = count, now
        source, playing = self._source, self._source is not None and not self._source.live
        overwritten = self._overwritten + (source.overwritten if source is not None else 0)
        values: dict[str, object] = {
            "camera": self.config.name,
            "rate_hz": rate,
            "published": count,
            "last_stamp_ns": self._stamp_ns,
            "drops": overwritten if playing else self._drops,
            "overwritten": overwritten,
            "repeated_images": self._watch.repeated_images,
            "repeated_stamps": self._watch.repeated_stamps,
            "reopened": self._reopened,
            "resets": self._resets,
            "size": "x".join(map(str, self._size)),
        }
        if self._stamp_ns:
            values["age_ms"] = (time.time_ns() - self._stamp_ns) * 1e-6
            values["delay_ms"] = self._delay_ns * 1e-6
        if self._topic is not None:
            values["encoding"] = self._topic.encoding
        return values

    def level(self) -> tuple[bytes, str]:
        if self._error:
            return b"\x02", self._error
        if abs(self._delay_ns) * 1e-9 > self.config.late_s:
            return b"\x01", f"frames are {self._delay_ns * 1e-9:.3f} s old when they arrive: late, or of another clock"
        return super().level()

    def close(self) -> None:
        self._stopping.set()
        self._asked.set()
        self._thread.join(timeout=3.0)


def main() -> int:
    return run(CameraNode)


if __name__ == "__main__":
    raise SystemExit(main())
