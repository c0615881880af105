"""An operator's keys in a terminal: verdicts, the next episode, the stop."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import NamedTuple

from speedtune_ros.errors import ConfigError

HELP = "s success   f failure   r reward (a number, then Enter)   d discard   n next episode   SPACE stop   q quit"


class Command(NamedTuple):
    """What the operator wants: label (with `reward`), discard, next, stop or quit."""

    kind: str
    reward: float = 0.0


class Keyboard:
    """Turns characters into commands; what follows `r`, until Enter, is a number."""

    _SINGLE = {
        "s": Command("label", 1.0),
        "f": Command("label", 0.0),
        "d": Command("discard"),
        "n": Command("next"),
        " ": Command("stop"),
        "q": Command("quit"),
    }

    def __init__(self) -> None:
        self._number: str | None = None

    def press(self, character: str) -> Command | None:
        """The command that `character` completes, if it completes one. A stop is heard always."""
        if self._number is None or character == " ":
            self._number = "" if character == "r" else None
            return self._SINGLE.get(character)
        if character not in "\r\n":
            self._number += character
            return None
        text, self._number = self._number, None
        try:
            reward = float(text)
        except ValueError:
            return None
        return Command("label", reward) if -1.0 <= reward <= 1.0 else None


class Terminal:
    """The keys pressed since the last call, without waiting for Enter; a context that gives the terminal back.

    Raises ConfigError if standard input is no terminal.
    """

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise ConfigError("labels by keys: standard input is no terminal; expected --labels service, or a terminal")
        self._file = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._file)
        self._keyboard = Keyboard()

    def __enter__(self) -> Terminal:
        tty.setcbreak(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def commands(self) -> list[Command]:
        found = []
        while select.select([self._file], [], [], 0.0)[0]:
            characters = os.read(self._file, 64).decode(errors="replace")
            if not characters:
                break  # the terminal is gone
            found += [command for c in characters if (command := self._keyboard.press(c)) is not None]
        return found
