"""An operator's keys in a terminal: verdicts, the next episode, the stop."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple

from speedtune_ros.errors import ConfigError

HELP = "s success   f failure   r reward (a number, then Enter)   d discard   n next episode   SPACE stop   q quit"


class Command(NamedTuple):
    """What the operator wants: label (with `reward`), number (which follows), discard, next, stop, quit, or a mark."""

    kind: str
    reward: float = 0.0


LABELS: Mapping[str, Command] = {
    "s": Command("label", 1.0),
    "f": Command("label", 0.0),
    "r": Command("number"),
    "d": Command("discard"),
    "n": Command("next"),
    " ": Command("stop"),
    "q": Command("quit"),
}


class Keyboard:
    """Turns characters into commands; what follows a `number`, until Enter, is a label's reward."""

    def __init__(self, keys: Mapping[str, Command] = LABELS) -> None:
        self._keys = keys
        self._number: str | None = None

    def press(self, character: str) -> Command | None:
        """The command that `character` completes, if it completes one. A stop is heard always."""
        command = self._keys.get(character)
        kind = "" if command is None else command.kind
        if self._number is None or kind == "stop":
            self._number = "" if kind == "number" else None
            return None if kind == "number" else command
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

    without: what to do instead where standard input is no terminal, which raises ConfigError.
    """

    def __init__(
        self, keys: Mapping[str, Command] = LABELS, without: str = "expected --labels service, or a terminal"
    ) -> None:
        if not sys.stdin.isatty():
            raise ConfigError(f"labels by keys: standard input is no terminal; {without}")
        self._file = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._file)
        self._keyboard = Keyboard(keys)

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
