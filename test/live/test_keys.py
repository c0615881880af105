"""What an operator's keys mean."""

from __future__ import annotations

import os
import pty
import termios

import pytest

from speedtune_ros.errors import ConfigError
from speedtune_ros.live.keys import Command, Keyboard, Terminal


def pressed(text: str) -> list[Command]:
    keyboard = Keyboard()
    return [command for character in text if (command := keyboard.press(character)) is not None]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("s", [Command("label", 1.0)]),
        ("f", [Command("label", 0.0)]),
        ("dnq", [Command("discard"), Command("next"), Command("quit")]),
        ("r-0.5\n", [Command("label", -0.5)]),
        ("r.25\rs", [Command("label", 0.25), Command("label", 1.0)]),
        ("r2\n", []),  # not a reward: nothing is guessed
        ("rnan\nrfast\n", []),
        ("x\n", []),
        ("r0. ", [Command("stop")]),  # a stop is heard in the middle of a number, which is given up
        ("r0. s", [Command("stop"), Command("label", 1.0)]),
    ],
)
def test_keys(text: str, commands: list[Command]) -> None:
    assert pressed(text) == commands


def test_a_terminal_gives_keys_without_enter_and_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        before = termios.tcgetattr(slave)
        with Terminal() as terminal:
            assert terminal.commands() == []
            os.write(master, b"sr0")
            assert terminal.commands() == [Command("label", 1.0)]
            os.write(master, b".5\n")
            assert terminal.commands() == [Command("label", 0.5)]
        assert termios.tcgetattr(slave) == before
    os.close(master)


def test_without_a_terminal_it_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        with pytest.raises(ConfigError, match="--labels service"):
            Terminal()
