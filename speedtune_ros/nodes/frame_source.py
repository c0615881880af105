"""Where a camera's frames come from: a V4L2 device, a video file, or a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from speedtune_ros.errors import DataError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class FrameSource(Protocol):
    """Frames in order; a live source blocks until its next one."""

    live: bool

    def read(self) -> np.ndarray | None:
        """The next frame, (H, W, 3) uint8 RGB, or None if there is none now."""

    def close(self) -> None: ...


class Capture:
    """A device or a video file through OpenCV. A file starts over at its end where `loop`."""

    def __init__(self, source: str, width: int, height: int, rate_hz: float, loop: bool) -> None:
        self.live = source.isdigit() or source.startswith("/dev/")
        self._loop = loop
        if source.isdigit():
            self._capture = cv2.VideoCapture(int(source))
        else:
            self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise DataError(f"camera source '{source}': cannot be opened; expected a device, a video file or a folder")
        if self.live:
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the latest frame, never a queue
            self._capture.set(cv2.CAP_PROP_FPS, rate_hz)
            if width and height:
                self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
                self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)

    def read(self) -> np.ndarray | None:
        good, frame = self._capture.read()
        if not good and self._loop and not self.live:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            good, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if good else None

    def close(self) -> None:
        self._capture.release()


class Folder:
    """The images of a folder in the order of their names, decoded once."""

    live = False

    def __init__(self, folder: Path, loop: bool) -> None:
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not self._paths:
            raise DataError(f"camera source '{folder}': no image in it ({', '.join(_SUFFIXES)})")
        self._loop = loop
        self._next = 0
        self._decoded: dict[Path, np.ndarray] = {}

    def read(self) -> np.ndarray | None:
        if self._next >= len(self._paths):
            if not self._loop:
                return None
            self._next = 0
        path = self._paths[self._next]
        self._next += 1
        if path not in self._decoded:
            frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if frame is None:
                raise DataError(f"{path}: not an image that can be read")
            if len(self._decoded) >= 256:
                self._decoded.clear()
            self._decoded[path] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        return self._decoded[path]

    def close(self) -> None:
        self._decoded.clear()


def open_source(source: str, width: int, height: int, rate_hz: float, loop: bool) -> FrameSource:
    """The frames of `source`; width and height [px] are asked of a device, 0 for its own. Raises DataError."""
    if not source:
        raise DataError("camera source: expected a device number, a video file or a folder of images, got none")
    if Path(source).is_dir():
        return Folder(Path(source), loop)
    return Capture(source, width, height, rate_hz, loop)
