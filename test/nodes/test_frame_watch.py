"""Which frames are fresh, and when a camera is frozen or silent."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.nodes.frame_watch import FrameWatch
from speedtune_ros.nodes.newest import Frame

MS = 1_000_000


def frame(shade: int, stamp_ms: int) -> Frame:
    return Frame(np.full((4, 6, 3), shade, np.uint8), stamp_ms * MS)


@pytest.fixture
def watch() -> FrameWatch:
    return FrameWatch(frozen_s=0.5, silent_s=0.3, now=10.0)


def test_frames_that_differ_and_advance_are_fresh(watch: FrameWatch) -> None:
    assert all(watch.fresh(frame(i % 3, 33 * i), 10.0 + 0.033 * i) for i in range(60))
    assert watch.trouble(12.0) is None
    assert (watch.repeated_images, watch.repeated_stamps) == (0, 0)


def test_one_pixel_by_one_count_is_a_difference(watch: FrameWatch) -> None:
    first = frame(9, 1)
    second = Frame(first.image.copy(), 2 * MS)
    second.image[3, 5, 2] += 1
    assert watch.fresh(first, 10.0) and watch.fresh(second, 10.0)


def test_the_first_repetition_is_not_fresh_and_half_a_second_of_them_is_frozen(watch: FrameWatch) -> None:
    assert watch.fresh(frame(7, 0), 10.0)
    for i in range(1, 15):
        assert not watch.fresh(frame(7, 33 * i), 10.0 + 0.033 * i)
    assert watch.trouble(10.462) is None
    assert not watch.fresh(frame(7, 33 * 16), 10.528)
    assert watch.trouble(10.528) == ("frozen_image", "frozen: the same image for 0.5 s")
    assert watch.repeated_images == 15
    assert watch.fresh(frame(8, 33 * 17), 10.561) and watch.trouble(10.561) is None


def test_a_stamp_that_does_not_advance_is_frozen_whatever_the_image(watch: FrameWatch) -> None:
    watch.fresh(frame(1, 100), 10.0)
    for i in range(20):
        assert not watch.fresh(frame(i, 100 - i), 10.0 + 0.033 * i)
    assert watch.trouble(10.627) == ("frozen_stamp", "frozen: the same stamp for 0.6 s")
    assert watch.repeated_stamps == 20


def test_no_frames_at_all_are_silence_and_not_frozen(watch: FrameWatch) -> None:
    assert watch.trouble(10.2) is None
    assert watch.trouble(10.4) == ("silent", "no frame for 0.4 s")
    watch.fresh(frame(1, 1), 20.0)
    assert watch.trouble(20.1) is None and watch.trouble(20.7) == ("silent", "no frame for 0.7 s")


def test_a_camera_that_was_opened_again_may_begin_with_an_older_stamp_but_not_with_the_same_image(
    watch: FrameWatch,
) -> None:
    watch.fresh(frame(5, 9000), 10.0)
    watch.restart(20.0)
    assert watch.trouble(20.1) is None
    assert not watch.fresh(frame(5, 10), 20.1)
    assert watch.fresh(frame(6, 20), 20.2)


def test_equal_images_can_be_allowed() -> None:
    watch = FrameWatch(0.5, 0.3, 0.0, content=False)
    assert all(watch.fresh(frame(5, 33 * i), 0.033 * i) for i in range(60))
