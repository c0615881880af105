"""The one family of errors this package raises on purpose."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpeedtuneError(Exception):
    """Base of every error raised on purpose; the message says what was given, expected and available."""


class ConfigError(SpeedtuneError):
    """A configuration file or option is unknown, ill-typed or out of range."""


class InvalidInputError(SpeedtuneError):
    """An observation, chunk, speed or command breaks its contract; nothing was executed."""


class Refused(InvalidInputError):
    """A message was refused; `reason` is the short name it is counted under in diagnostics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DataError(SpeedtuneError):
    """A file on disk is missing, truncated or not what it should be."""


class CheckpointError(DataError):
    """A checkpoint is truncated, or belongs to another task, profile or policy."""


class MissingDependencyError(SpeedtuneError):
    """Something outside Python must be installed or built first; the message names the command."""


class UnknownNameError(SpeedtuneError):
    """A name is in no registry."""

    def __init__(self, what: str, given: str, available: Iterable[str]) -> None:
        names = sorted(available)
        close = difflib.get_close_matches(given, names, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        super().__init__(f"unknown {what} '{given}'; available: {', '.join(names) or 'none'}.{hint}")
