"""One place between two threads: the newest frame, and nothing older."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from speedtune_ros.errors import DataError
from speedtune_ros.nodes.newest import Frame, Newest


def frame(stamp_ns: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), stamp_ns)


def test_what_nobody_took_is_overwritten_and_counted() -> None:
    newest = Newest()
    for stamp_ns in (1, 2, 3):
        newest.put(frame(stamp_ns))
    taken = newest.take(0.0)
    assert taken is not None and taken.stamp_ns == 3 and newest.overwritten == 2
    assert newest.take(0.0) is None
    newest.put(frame(4))
    assert newest.overwritten == 2


def test_a_frame_wakes_who_waits_for_it() -> None:
    newest = Newest()
    timer = threading.Timer(0.05, newest.put, [frame(7)])
    timer.start()
    taken = newest.take(30.0)
    assert taken is not None and taken.stamp_ns == 7


def test_the_last_frame_of_a_failed_source_comes_before_its_error() -> None:
    newest = Newest()
    newest.put(frame(1))
    newest.fail("gone")
    assert newest.take(0.0) is not None
    with pytest.raises(DataError, match="gone"):
        newest.take(30.0)
