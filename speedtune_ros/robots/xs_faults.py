"""What can be broken in a simulated Interbotix arm, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.robots.interbotix import JOINTS, HardwareError
from speedtune_ros.robots.xs_motors import SimulatedMotors

FAULTS: Mapping[str, str] = {
    "nan_read": "joint states read NaN",
    "pi_read": "joint states read -pi, as after a failed bus read",
    "frozen": "joint states come but never change",
    "silence": "no joint states come, no command arrives, no service answers",
    "hardware_error": "a motor shuts down with an electrical shock, or with the error bits in `value`",
    "overload": "a motor shuts down with an overload",
    "over_temperature": "a motor is at `value` deg C; at its limit it shuts down",
    "jam": "a joint cannot be moved",
    "torque_off": "a motor, or all, lost its torque without a word",
    "gains": "a motor's Position_P_Gain is at `value`, as after a reboot that nobody ordered",
    "missing_service": "get_motor_registers is not there",
}
_ERRORS = {"hardware_error": HardwareError.ELECTRICAL_SHOCK, "overload": HardwareError.OVERLOAD}


@dataclass
class Faults:
    """The faults of one arm that last until they are mended."""

    nan_read: bool = False
    pi_read: bool = False
    frozen: bool = False
    silence: bool = False
    jam: frozenset[int] = frozenset()  # motors
    missing_service: bool = False

    def distort(self, readings: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Positions, velocities and currents (7,) as a failing bus would read them."""
        if self.nan_read:
            return tuple(np.full(7, np.nan) for _ in readings)
        if self.pi_read:
            return np.full(7, -np.pi), np.zeros(7), np.zeros(7)
        return readings

    def inject(self, motors: SimulatedMotors, fault: str, joint: str, active: bool, value: float) -> None:
        """Break or mend. Shut-downs are not mended here: they need a reboot. Raises UnknownNameError and others."""
        if fault not in FAULTS:
            raise UnknownNameError("fault", fault, FAULTS)
        chosen = _motors(joint, everything=fault == "torque_off")
        if fault == "jam":
            self.jam = self.jam | set(chosen) if active else self.jam - set(chosen)
        elif fault in _EVENTS:
            if active:
                _EVENTS[fault](motors, chosen, fault, value)
        else:
            setattr(self, fault, active)


def _motors(joint: str, everything: bool) -> list[int]:
    if joint in JOINTS:
        return [JOINTS.index(joint)]
    if joint:
        raise UnknownNameError("joint", joint, JOINTS)
    return list(range(len(JOINTS))) if everything else [1]


def _shut_down(motors: SimulatedMotors, chosen: list[int], fault: str, value: float) -> None:
    motors.shut_down(_mask(chosen), int(value) or _ERRORS[fault])


def _heat(motors: SimulatedMotors, chosen: list[int], fault: str, value: float) -> None:
    if not 0.0 <= value <= 150.0:
        raise InvalidInputError(f"temperature: expected 0 to 150 deg C, got {value}")
    motors.heat.temperature[chosen] = value or motors.read(chosen, "Temperature_Limit")[0] + 1.0


def _drop(motors: SimulatedMotors, chosen: list[int], fault: str, value: float) -> None:
    motors.set_torque(chosen, False)


def _forget(motors: SimulatedMotors, chosen: list[int], fault: str, value: float) -> None:
    motors.write(chosen, "Position_P_Gain", int(value))


def _mask(chosen: list[int]) -> np.ndarray:
    mask = np.zeros(len(JOINTS), bool)
    mask[chosen] = True
    return mask


_EVENTS: Mapping[str, Callable[[SimulatedMotors, list[int], str, float], None]] = {
    "hardware_error": _shut_down,
    "overload": _shut_down,
    "over_temperature": _heat,
    "torque_off": _drop,
    "gains": _forget,
}
