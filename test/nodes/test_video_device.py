"""What is asked of a device and what it answers; frames of one that sends faster than they are taken."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from speedtune_ros.errors import DataError
from speedtune_ros.nodes.video_device import DeviceSettings, VideoDevice, captured_ns

RED = (0, 0, 200)  # as OpenCV has it: blue, green, red


class Device:
    """Answers as a V4L2 driver does: some settings it takes, some it rounds, some it keeps to itself."""

    def __init__(self, frames: int = 1000, period_s: float = 0.002, **fixed: float) -> None:
        self.asked: list[int] = []
        self.released = False
        self._fixed = {getattr(cv2, f"CAP_PROP_{name}"): value for name, value in fixed.items()}
        self._set: dict[int, float] = {}
        self._left, self._period_s = frames, period_s

    def isOpened(self) -> bool:
        return True

    def set(self, prop: int, value: float) -> bool:
        self.asked.append(prop)
        self._set[prop] = value
        return True

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return (time.monotonic_ns() - 25_000_000) * 1e-6  # captured 25 ms ago
        return self._fixed.get(prop, self._set.get(prop, 0.0))

    def grab(self) -> bool:
        time.sleep(self._period_s)
        self._left -= 1
        return self._left >= 0

    def retrieve(self):  # type: ignore[no-untyped-def]
        return True, np.full((48, 64, 3), RED, np.uint8)

    def release(self) -> None:
        self.released = True


def opened(device: Device, **settings: object) -> VideoDevice:
    return VideoDevice("/dev/video7", DeviceSettings(**settings), lambda _: device)  # type: ignore[arg-type]


def test_settings_are_asked_for_the_pixel_format_before_the_size() -> None:
    device = Device()
    opened(device, rate_hz=30.0, width=640, height=480, fourcc="MJPG", exposure_s=0.008).close()
    order = [cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS]
    assert [prop for prop in device.asked if prop in order] == order
    assert device.get(cv2.CAP_PROP_EXPOSURE) == pytest.approx(80.0)  # of 100 us
    assert device.get(cv2.CAP_PROP_AUTO_EXPOSURE) == 1.0 and device.get(cv2.CAP_PROP_BUFFERSIZE) == 1.0
    assert device.released


def test_exposure_is_automatic_unless_it_is_given() -> None:
    device = Device()
    opened(device).close()
    assert device.get(cv2.CAP_PROP_AUTO_EXPOSURE) == 3.0 and cv2.CAP_PROP_EXPOSURE not in device.asked


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"FPS": 15.0}, "camera source '/dev/video7': rate_hz: asked 30, it has 15; see `v4l2-ctl"),
        ({"FRAME_HEIGHT": 360.0}, "height: asked 480, it has 360"),
        ({"FOURCC": float(cv2.VideoWriter_fourcc(*"YUYV"))}, "fourcc: asked MJPG, it has YUYV"),
        ({"EXPOSURE": 20.0}, "exposure_s: asked 0.008, it has 0.002"),
    ],
)
def test_a_device_that_does_something_else_is_refused_and_let_go(fixed: dict[str, float], message: str) -> None:
    device = Device(**fixed)
    with pytest.raises(DataError, match=message):
        opened(device, width=640, height=480, fourcc="MJPG", exposure_s=0.008)
    assert device.released


def test_what_a_driver_rounds_or_does_not_tell_is_taken() -> None:
    opened(Device(FPS=29.97), width=640, height=480).close()
    opened(Device(FPS=0.0)).close()


def test_the_newest_frame_is_taken_however_slow_the_reader_and_it_is_rgb() -> None:
    device = Device()
    source = opened(device)
    deadline = time.monotonic() + 30.0
    while source.overwritten < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    frame = source.take(1.0)
    taken_ns = time.time_ns()
    assert frame is not None and source.overwritten >= 20
    assert tuple(frame.image[10, 10]) == (200, 0, 0)
    # Its driver's own time of capture, 25 ms before it was read; a queue of 20 would be 40 ms older.
    assert 0.025 <= (taken_ns - frame.stamp_ns) * 1e-9 < 1.0
    source.close()
    assert device.released


def test_a_device_that_is_unplugged_says_so_after_its_last_frame() -> None:
    source = opened(Device(frames=1))
    assert source.take(30.0) is not None
    with pytest.raises(DataError, match="'/dev/video7': no more frames; unplugged?"):
        source.take(30.0)
    source.close()


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="'/dev/video99': cannot be opened"):
        VideoDevice("/dev/video99", DeviceSettings())


def test_the_time_of_capture_is_the_buffer_s_where_its_clock_is_ours() -> None:
    assert captured_ns(1000.0, 1_040_000_000, 5_000_000_000) == 4_960_000_000
    # A driver that counts from the start of the stream, or from nothing at all: now.
    assert captured_ns(12.5, 90_000_000_000, 5_000_000_000) == 5_000_000_000
    assert captured_ns(0.0, 90_000_000_000, 5_000_000_000) == 5_000_000_000
    # A clock that is ahead.
    assert captured_ns(1000.0, 900_000_000, 5_000_000_000) == 5_000_000_000
