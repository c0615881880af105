"""Where an episode's verdict comes from: a person at the terminal or at the service, or in simulation a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from speedtune_ros.errors import UnknownNameError
from speedtune_ros.live.episode import TROUBLES, LiveEpisode
from speedtune_ros.live.keys import HELP, Command, Terminal
from speedtune_ros.live.options import SOURCES

_POLL_S = 0.1


@dataclass
class Said:
    """What the operator has said since the episode was asked for."""

    discarded: bool = False
    ready: bool = False  # for the next one
    quitting: bool = False

    def take(self, command: Command) -> None:
        self.discarded |= command.kind == "discard"
        self.ready |= command.kind == "next"
        self.quitting |= command.kind == "quit"


class Labels(Protocol):
    """Besides the service `episode/label`, which is always heard."""

    present: bool  # whether a person is there to set things right

    def commands(self) -> list[Command]:
        """What the operator has asked for since the last call."""

    def prepare(self, said: Said, wait: Callable[[float], None]) -> None:
        """Return when the next episode may begin; `wait` [s] lets `said` change."""

    def ask(self, episode: LiveEpisode, say: Callable[[str], None]) -> None:
        """The episode has ended: ask for a verdict."""

    def judge(self, episode: LiveEpisode) -> float | None:
        """A verdict without a person, or None."""


class ServiceLabels:
    """Verdicts by service alone; episodes follow each other after `pause_s`."""

    present = True

    def __init__(self, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def commands(self) -> list[Command]:
        return []

    def prepare(self, said: Said, wait: Callable[[float], None]) -> None:
        wait(self._pause_s)

    def ask(self, episode: LiveEpisode, say: Callable[[str], None]) -> None:
        say(f"ended ({episode.reason}) after {episode.duration:.2f} s: label '{episode.id}' by episode/label")

    def judge(self, episode: LiveEpisode) -> float | None:
        return None


class ScriptedLabels(ServiceLabels):
    """The simulator's own verdict, given through the same service; none on an episode that broke down."""

    present = False

    def ask(self, episode: LiveEpisode, say: Callable[[str], None]) -> None:
        pass

    def judge(self, episode: LiveEpisode) -> float | None:
        return None if episode.reason.startswith(TROUBLES) else float(episode.success)


class KeyLabels:
    """A person at the terminal, who also says when the scene is ready for the next episode."""

    present = True

    def __init__(self, terminal: Terminal, say: Callable[[str], None]) -> None:
        self._terminal = terminal
        self._say = say

    def commands(self) -> list[Command]:
        return self._terminal.commands()

    def prepare(self, said: Said, wait: Callable[[float], None]) -> None:
        self._say(f"scene ready? n starts the next episode. {HELP}")
        while not (said.ready or said.quitting):
            wait(_POLL_S)

    def ask(self, episode: LiveEpisode, say: Callable[[str], None]) -> None:
        say(f"ended ({episode.reason}) after {episode.duration:.2f} s.  {HELP}")

    def judge(self, episode: LiveEpisode) -> float | None:
        return None


def make_labels(source: str, terminal: Terminal | None, say: Callable[[str], None], pause_s: float = 0.0) -> Labels:
    """Raises UnknownNameError. terminal: needed for `keys`."""
    if source == "keys" and terminal is not None:
        return KeyLabels(terminal, say)
    if source == "scripted":
        return ScriptedLabels(pause_s)
    if source == "service":
        return ServiceLabels(pause_s)
    raise UnknownNameError("source of labels", source, SOURCES)
