"""A V4L2 camera or a network stream through OpenCV, drained by a thread so that the newest frame is at hand."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2

from speedtune_ros.errors import DataError
from speedtune_ros.nodes.newest import Frame, Newest

# Seconds after which OpenCV gives up on a device that sends nothing; its own 10 s would delay every reset by as much.
# It is read when the first device is opened: https://github.com/opencv/opencv, modules/videoio/src/cap_v4l.cpp
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

_EXPOSURE_UNIT_S = 1e-4  # V4L2_CID_EXPOSURE_ABSOLUTE counts 100 us
# V4L2_CID_EXPOSURE_AUTO: https://docs.kernel.org/userspace-api/media/v4l/ext-ctrls-camera.html
_MANUAL, _APERTURE_PRIORITY = 1, 3
_TOLERANCE = 0.1  # devices round rate and exposure
_OLDEST_NS = 1_000_000_000  # a buffer's time beyond it is on another clock than CLOCK_MONOTONIC
_JOIN_S = 2.0


@dataclass(frozen=True)
class DeviceSettings:
    """What is asked of a device. rate_hz: frames a second; width, height: [px], 0 as it has them; fourcc: its pixel
    format, empty as it has it; exposure_s: 0 for automatic [s]."""

    rate_hz: float = 30.0
    width: int = 0
    height: int = 0
    fourcc: str = ""
    exposure_s: float = 0.0


class VideoDevice:
    """Frames of a device at its own pace, stamped with the driver's time of capture where it tells it.

    open_capture: makes what behaves as cv2.VideoCapture. Raises DataError where the device cannot be opened, or does
    not take what is asked of it: a camera at another rate or size than the policy learned from is not the same camera.
    """

    live = True

    def __init__(
        self, source: str, settings: DeviceSettings, open_capture: Callable[..., Any] = cv2.VideoCapture
    ) -> None:
        self._source = source
        self._local = is_device(source)
        self._capture = open_capture(int(source) if source.isdigit() else source)
        if not self._capture.isOpened():
            raise DataError(f"camera source '{source}': cannot be opened; is it plugged in, and free?")
        if self._local:
            try:
                negotiate(self._capture, source, settings)
            except DataError:
                self._capture.release()
                raise
        self._newest = Newest()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._drain, name="drain", daemon=True)
        self._thread.start()

    @property
    def overwritten(self) -> int:
        """Frames that were captured, and replaced by newer ones before anybody took them."""
        return self._newest.overwritten

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame, or None if there is none in time. Raises DataError when the device is gone."""
        return self._newest.take(timeout_s)

    def close(self) -> None:
        """Let go of the device, which its thread does: it may be waiting for a frame."""
        self._ending.set()
        self._thread.join(timeout=_JOIN_S)

    def _drain(self) -> None:
        try:
            while not self._ending.is_set():
                grabbed = self._capture.grab()
                stamp_ns = self._stamp_ns()
                frame = self._capture.retrieve()[1] if grabbed else None
                if frame is None:
                    self._newest.fail(f"camera source '{self._source}': no more frames; unplugged?")
                    return
                self._newest.put(Frame(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), stamp_ns))
        except cv2.error as error:
            self._newest.fail(f"camera source '{self._source}': {error.err or error}")
        finally:
            self._capture.release()

    def _stamp_ns(self) -> int:
        buffer_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC) if self._local else 0.0
        return captured_ns(buffer_ms, time.monotonic_ns(), time.time_ns())


def is_device(source: str) -> bool:
    """Whether `source` names a V4L2 device: its number or its path."""
    return source.isdigit() or source.startswith("/dev/")


def is_stream(source: str) -> bool:
    """Whether `source` is the address of a network stream."""
    return "://" in source


def captured_ns(buffer_ms: float, monotonic_ns: int, system_ns: int) -> int:
    """When a frame was captured [ns of the system clock].

    buffer_ms: its V4L2 buffer's time on CLOCK_MONOTONIC [ms]; where a driver uses another clock, now is the answer.
    """
    age_ns = monotonic_ns - round(buffer_ms * 1e6)
    return system_ns - age_ns if 0 <= age_ns < _OLDEST_NS else system_ns


def negotiate(capture: Any, source: str, settings: DeviceSettings) -> None:
    """Set what is asked of a device and read it back. Raises DataError naming what it answers instead."""
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    wanted: list[tuple[str, int, float]] = []
    if settings.fourcc:  # before the size: the sizes on offer depend on it
        wanted.append(("fourcc", cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*settings.fourcc)))  # type: ignore[attr-defined]
    if settings.width:
        wanted.append(("width", cv2.CAP_PROP_FRAME_WIDTH, settings.width))
        wanted.append(("height", cv2.CAP_PROP_FRAME_HEIGHT, settings.height))
    wanted.append(("rate_hz", cv2.CAP_PROP_FPS, settings.rate_hz))
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL if settings.exposure_s else _APERTURE_PRIORITY)
    if settings.exposure_s:
        wanted.append(("exposure_s", cv2.CAP_PROP_EXPOSURE, settings.exposure_s / _EXPOSURE_UNIT_S))
    for _, prop, value in wanted:
        capture.set(prop, value)
    refused = [text for name, prop, value in wanted if (text := _difference(name, value, capture.get(prop)))]
    if refused:
        raise DataError(f"camera source '{source}': {', '.join(refused)}; see `v4l2-ctl --list-formats-ext`")


def _difference(name: str, wanted: float, found: float) -> str:
    """What is to be said of an answer that is not what was asked; empty where it is near enough."""
    if name == "fourcc":
        return "" if int(found) == int(wanted) else f"fourcc: asked {_letters(wanted)}, it has {_letters(found)}"
    if name == "exposure_s":
        wanted, found = wanted * _EXPOSURE_UNIT_S, found * _EXPOSURE_UNIT_S
    elif found <= 0.0:
        return ""  # not told
    tolerance = 0.0 if name in ("width", "height") else _TOLERANCE * wanted
    return "" if abs(found - wanted) <= tolerance else f"{name}: asked {wanted:g}, it has {found:g}"


def _letters(code: float) -> str:
    return int(code).to_bytes(4, "little", signed=False).decode("ascii", "replace").strip("\0") or "none"
