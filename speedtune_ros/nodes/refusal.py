"""What a node raises when a message breaks its contract."""

from __future__ import annotations

from speedtune_ros.errors import InvalidInputError


class Refused(InvalidInputError):
    """A message was refused; `reason` is the short name it is counted under in diagnostics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
