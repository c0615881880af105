"""A node and a command that are asked to end more than once do end."""

from __future__ import annotations

import os
import signal

import pytest

from speedtune_ros.signals import ENDING, ending


def test_a_signal_within_the_handler_of_another_one_waits_for_nothing() -> None:
    """As when a terminal's Ctrl-C, a launcher and the death of a parent come together."""
    before = [signal.getsignal(number) for number in ENDING]
    left = [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]

    def again() -> None:
        if left:
            os.kill(os.getpid(), left.pop())

    with ending(again) as asked:
        assert not asked.to_end
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.to_end and not left
    assert [signal.getsignal(number) for number in ENDING] == before


def test_what_was_before_comes_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with pytest.raises(ValueError, match="own"), ending():
        raise ValueError("own")
    assert [signal.getsignal(number) for number in ENDING] == before
