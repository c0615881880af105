"""How far a gripper really goes, from one slow opening and closing with nothing in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speedtune_ros.calibration.recording import Recording
from speedtune_ros.errors import InvalidInputError

_ENDS = 0.01  # of the travel sent: so near to its end is at its end
_SETTLING_S = 0.4  # of the time at an end, left out


@dataclass(frozen=True)
class Travel:
    """finger [m] and motor [rad], closed and open; as measured, where the driver asked for all of its preset."""

    finger: tuple[float, float]
    motor: tuple[float, float]

    @property
    def span(self) -> float:
        """Of the finger [m]."""
        return self.finger[1] - self.finger[0]


def travel_of(recording: Recording) -> Travel:
    """Medians at both ends. Raises InvalidInputError if the gripper was not seen there or does not move."""
    sent = recording.sent(recording.times)
    closed = _rest(recording, np.abs(sent) < _ENDS, "closed")
    opened = _rest(recording, np.abs(sent - 1.0) < _ENDS, "open")
    motor, finger = recording.position, recording.finger
    found = Travel(
        (float(np.median(finger[closed])), float(np.median(finger[opened]))),
        (float(np.median(motor[closed])), float(np.median(motor[opened]))),
    )
    if found.span < 1e-3:
        raise InvalidInputError(
            f"{recording.motion.joint}: the finger moved by {1e3 * found.span:.1f} mm on opening: is it blocked?"
        )
    return found


def _rest(recording: Recording, there: np.ndarray, name: str) -> np.ndarray:
    """Mask of the samples at an end, settled."""
    if not there.any():
        raise InvalidInputError(f"{recording.motion.joint}: no joint state while it was sent {name}")
    settled = there & (recording.times > recording.times[there][0] + _SETTLING_S)
    if settled.sum() < 5:
        raise InvalidInputError(f"{recording.motion.joint}: {int(settled.sum())} joint states while it was {name}")
    return settled
