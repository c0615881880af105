"""The camera node: frames of a device, a video file or a folder, stamped when they were captured."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import cv2
import numpy as np

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.nodes.frame_source import FrameSource, open_source
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.node import StageNode, run
from speedtune_ros.nodes.topics import image_topic

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class CameraConfig:
    """Which camera, how fast, how large."""

    name: str = option("top", "its name, as in camera/<name>/image_raw")
    source: str = option("", "a device number or path, a video file, or a folder of images")
    rate_hz: float = option(30.0, "frames a second", minimum=0.1, maximum=240.0)
    width: int = option(0, "width of published frames, 0 as captured [px]", minimum=0, maximum=8192)
    height: int = option(0, "height of published frames, 0 as captured [px]", minimum=0, maximum=8192)
    loop: bool = option(True, "start a file or folder over at its end")
    reopen_s: float = option(1.0, "time between attempts to open a source that failed", minimum=0.05, maximum=60.0)

    def __post_init__(self) -> None:
        if bool(self.width) != bool(self.height):
            raise ConfigError(f"camera size: expected both width and height or neither, got {self.width}x{self.height}")
        if not self.name.isidentifier():
            raise ConfigError(f"camera name: expected letters, digits and underscores, got '{self.name}'")


class CameraNode(StageNode[CameraConfig]):
    """Captures in its own thread and publishes each frame at once: there is no queue to grow stale in."""

    def __init__(self) -> None:
        super().__init__("camera", CameraConfig)
        config = self.config
        self._out = self.publisher("camera/<name>/image_raw", image_topic(config.name))
        self._published = self._drops = self._reopened = 0
        self._stamp_ns = 0  # of the last frame
        self._before = (0, time.monotonic())
        self._error = "opening"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="capture", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                config = self.config
                source = open_source(config.source, config.width, config.height, config.rate_hz, config.loop)
            except (DataError, OSError) as error:
                self._lost(str(error))
                continue
            self._error = ""
            try:
                self._stream(source)
            except (DataError, cv2.error) as error:
                self._lost(str(error))
            finally:
                source.close()

    def _lost(self, message: str) -> None:
        self._error = message
        self.fail("source", message)
        self._stopping.wait(self.config.reopen_s)
        self._reopened += 1

    def _stream(self, source: FrameSource) -> None:
        """Publish until the source fails: a device at its own pace, files at absolute deadlines."""
        period_ns = round(_SECOND_NS / self.config.rate_hz)
        deadline = time.monotonic_ns()
        while not self._stopping.is_set():
            if not source.live:
                late = time.monotonic_ns() - deadline
                if late < 0:
                    self._stopping.wait(-late / _SECOND_NS)
                    continue
                self._drops += late // period_ns
                deadline += period_ns * (1 + late // period_ns)
            frame = source.read()
            stamp_ns = time.time_ns()
            if frame is None:
                if not source.live and not self.config.loop:
                    self._stopping.wait(self.config.reopen_s)
                    continue
                raise DataError(f"camera source '{self.config.source}': no frame")
            self._publish(frame, stamp_ns, period_ns if source.live else 0)

    def _publish(self, frame: np.ndarray, stamp_ns: int, period_ns: int) -> None:
        config = self.config
        if config.width and frame.shape[:2] != (config.height, config.width):
            frame = cv2.resize(frame, (config.width, config.height), interpolation=cv2.INTER_AREA)
        self._out.publish(encode(frame, stamp_ns, config.name))
        if period_ns and self._stamp_ns:
            self._drops += max(0, round((stamp_ns - self._stamp_ns) / period_ns) - 1)
        self._published, self._stamp_ns = self._published + 1, stamp_ns

    def diagnose(self) -> dict[str, object]:
        count, now = self._published, time.monotonic()
        rate = (count - self._before[0]) / max(now - self._before[1], 1e-9)
        self._before = count, now
        return {
            "camera": self.config.name,
            "rate_hz": rate,
            "published": count,
            "last_stamp_ns": self._stamp_ns,
            "drops": self._drops,
            "reopened": self._reopened,
        }

    def level(self) -> tuple[bytes, str]:
        return (b"\x02", self._error) if self._error else super().level()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=2.0)


def main() -> int:
    return run(CameraNode)


if __name__ == "__main__":
    raise SystemExit(main())
