"""SIGINT and SIGTERM as something to look at between two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM)


class Asked:
    """Whether somebody asked for the end. Without a lock, unlike threading.Event: a signal that interrupts the handler
    of another one would wait for ever for the lock that the first one holds."""

    def __init__(self) -> None:
        self.to_end = False


@contextmanager
def ending(react: Callable[[], None] = lambda: None) -> Iterator[Asked]:
    """The signals of ENDING set a flag instead, until the context ends. react: called in the handler after that."""
    asked = Asked()

    def handle(*_: object) -> None:
        asked.to_end = True
        react()

    before = {number: signal.signal(number, handle) for number in ENDING}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
