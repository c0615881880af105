"""The newest frame of a camera, between the thread that receives frames and the one that publishes them."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from speedtune_ros.errors import DataError


class Frame(NamedTuple):
    """An image (H, W, 3) uint8 RGB and when it was captured [ns of the system clock]."""

    image: np.ndarray
    stamp_ns: int


class Newest:
    """Holds one frame, the newest: what nobody took in time is overwritten and counted, never queued."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error = ""
        self.overwritten = 0

    def put(self, frame: Frame) -> None:
        with self._changed:
            self.overwritten += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def fail(self, message: str) -> None:
        """No more frames will come; `take` raises, once the last one is taken."""
        with self._changed:
            self._error = message
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not taken yet, or None if none comes in time. Raises DataError after `fail`."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or bool(self._error), timeout_s)
            frame, self._frame = self._frame, None
            if frame is None and self._error:
                raise DataError(self._error)
            return frame
