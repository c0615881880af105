"""The keys and pedals that mark demonstrations: a foot pedal is a keyboard that sends what it was set to."""

from __future__ import annotations

from collections.abc import Mapping

from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.live.keys import Command

# What an operator can do, and the key for it.
MARKS: Mapping[str, str] = {
    "engage": "e",
    "start": "n",
    "success": "s",
    "discard": "d",
    "release": "r",
    "stop": " ",
    "quit": "q",
}
_NAMES: Mapping[str, str] = {"space": " ", "enter": "\n", "tab": "\t", "comma": ",", "equals": "="}


def mark_keys(text: str = "") -> dict[str, Command]:
    """The command of each key. text: other keys, as in `start=a,success=b,discard=c`.

    A key is one character or one of space, enter, tab, comma, equals. Raises ConfigError, UnknownNameError.
    """
    chosen = dict(MARKS)
    for item in filter(None, text.split(",")):
        mark, _, key = item.strip().partition("=")
        if mark not in MARKS:
            raise UnknownNameError("mark", mark, MARKS)
        chosen[mark] = _NAMES.get(key, key)
        if len(chosen[mark]) != 1:
            raise ConfigError(f"--keys: {mark}: expected one character or {', '.join(_NAMES)}, got '{key}'")
    for key in chosen.values():
        twice = [mark for mark, other in chosen.items() if other == key]
        if len(twice) > 1:
            raise ConfigError(f"--keys: '{_name(key)}' is the key of {' and '.join(twice)}")
    return {key: Command(mark) for mark, key in chosen.items()}


def help_text(keys: Mapping[str, Command]) -> str:
    """One line for the operator."""
    return "   ".join(f"{_name(key)} {command.kind}" for key, command in keys.items())


def _name(key: str) -> str:
    return next((name.upper() for name, character in _NAMES.items() if character == key), key)
