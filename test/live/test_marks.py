"""The keys and pedals that mark demonstrations."""

from __future__ import annotations

import pytest

from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.live.keys import Command, Keyboard
from speedtune_ros.live.marks import MARKS, help_text, mark_keys


def pressed(keys: dict[str, Command], text: str) -> list[str]:
    keyboard = Keyboard(keys)
    return [command.kind for character in text if (command := keyboard.press(character)) is not None]


def test_each_mark_has_its_key() -> None:
    assert pressed(mark_keys(), "ensd rqx") == ["engage", "start", "success", "discard", "stop", "release", "quit"]
    text = help_text(mark_keys())
    assert text.startswith("e engage   n start   s success") and "SPACE stop" in text


def test_pedals_send_what_they_were_set_to() -> None:
    keys = mark_keys("start=a,success=b,discard=enter")
    assert pressed(keys, "ab\nn") == ["start", "success", "discard"]
    assert set(command.kind for command in keys.values()) == set(MARKS)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("begin=a", UnknownNameError, "unknown mark 'begin'; available: discard, engage"),
        ("start=ab", ConfigError, "start: expected one character or space, enter, tab, comma, equals, got 'ab'"),
        ("start", ConfigError, "start: expected one character"),
        ("start=s", ConfigError, "'s' is the key of start and success"),
        ("start=space", ConfigError, "'SPACE' is the key of start and stop"),
    ],
)
def test_keys_that_cannot_be_told_apart_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mark_keys(text)
