"""Where a camera's frames come from: a device, a network stream, a video file, or a folder of images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from speedtune_ros.errors import DataError
from speedtune_ros.nodes.newest import Frame
from speedtune_ros.nodes.video_device import DeviceSettings, VideoDevice, is_device, is_stream

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_DECODED = 256  # images of a folder kept, at most


class FrameSource(Protocol):
    """Frames as they come. A live source has a sensor behind it; `overwritten` counts frames that nobody took."""

    live: bool

    @property
    def overwritten(self) -> int: ...

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame not taken yet, or None if there is none in time. Raises DataError when it is gone."""

    def close(self) -> None: ...


class Images(Protocol):
    """Images in order, whenever they are asked for."""

    def read(self) -> np.ndarray | None:
        """The next image, (H, W, 3) uint8 RGB, or None after the last."""

    def rewind(self) -> None: ...

    def close(self) -> None: ...


class Playback:
    """Images at a rate of their own, at absolute deadlines; they start over at their end where `loop`."""

    live = False

    def __init__(self, images: Images, source: str, rate_hz: float, loop: bool) -> None:
        self._images, self._source, self._loop = images, source, loop
        self._period_ns = round(1e9 / rate_hz)
        self._deadline = time.monotonic_ns()
        self.overwritten = 0  # deadlines that passed while nobody asked

    def take(self, timeout_s: float) -> Frame | None:
        wait_ns = self._deadline - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(min(timeout_s, wait_ns * 1e-9))
            if wait_ns > timeout_s * 1e9:
                return None
        missed = max(0, (time.monotonic_ns() - self._deadline) // self._period_ns)
        self.overwritten += missed
        self._deadline += self._period_ns * (1 + missed)
        image = self._images.read()
        if image is None and self._loop:
            self._images.rewind()
            image = self._images.read()
            if image is None:
                raise DataError(f"camera source '{self._source}': no frame in it")
        return None if image is None else Frame(image, time.time_ns())

    def close(self) -> None:
        self._images.close()


class VideoFile:
    """The frames of a video file."""

    def __init__(self, path: str) -> None:
        self._capture = cv2.VideoCapture(path)
        if not self._capture.isOpened():
            raise DataError(
                f"camera source '{path}': cannot be opened; expected a device, a stream, a video file or a folder"
            )

    def read(self) -> np.ndarray | None:
        good, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if good else None

    def rewind(self) -> None:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)

    def close(self) -> None:
        self._capture.release()


class Folder:
    """The images of a folder in the order of their names, decoded once."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not self._paths:
            raise DataError(f"camera source '{folder}': no image in it ({', '.join(_SUFFIXES)})")
        self._next = 0
        self._decoded: dict[Path, np.ndarray] = {}

    def read(self) -> np.ndarray | None:
        if self._next >= len(self._paths):
            return None
        path = self._paths[self._next]
        self._next += 1
        if path not in self._decoded:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise DataError(f"{path}: not an image that can be read")
            if len(self._decoded) >= _DECODED:
                self._decoded.clear()
            self._decoded[path] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return self._decoded[path]

    def rewind(self) -> None:
        self._next = 0

    def close(self) -> None:
        self._decoded.clear()


def open_source(source: str, settings: DeviceSettings, loop: bool) -> FrameSource:
    """The frames of `source`; a device is asked for `settings`, files have their rate alone. Raises DataError."""
    if not source:
        raise DataError("camera source: expected a device, a stream's address, a video file or a folder, got none")
    if is_device(source) or is_stream(source):
        return VideoDevice(source, settings)
    images: Images = Folder(Path(source)) if Path(source).is_dir() else VideoFile(source)
    return Playback(images, source, settings.rate_hz, loop)
