"""The motors of one simulated Interbotix arm: registers, modes, torque, heat and shut-down, without the mechanics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.robots.interbotix import (
    CURRENT_UNIT,
    FIRMWARE_VELOCITY_LIMIT,
    GROUPS,
    JOINTS,
    MODE_NUMBERS,
    MODES,
    POSITION_MODES,
    RAM_DEFAULTS,
    STANDARD_P_GAIN,
    VELOCITY_UNIT,
    VIPERX,
    HardwareError,
)
from speedtune_ros.robots.xs_heat import HeatConfig, MotorHeat

_INDEX = {name: i for i, name in enumerate(JOINTS)}
_CONSTANT = np.array([VIPERX[name].motor.torque_constant * VIPERX[name].count for name in JOINTS])  # [N m/A]
_CURRENT_LIMIT = np.array([VIPERX[name].motor.current_limit for name in JOINTS])  # [mA]
_HEAT_LIMIT = np.array([VIPERX[name].motor.heat_limit for name in JOINTS])  # [deg C]
# The errors of Interbotix's Shutdown register: what stops a motor.
_SHUTDOWN = HardwareError.OVER_TEMPERATURE | HardwareError.ELECTRICAL_SHOCK | HardwareError.OVERLOAD
_OVERLOAD_SHARE, _OVERLOAD_S = 0.9, 1.0  # of the current limit, for so long


@dataclass(frozen=True)
class Drive:
    """What the motors do to the joints, all (7,): goal [rad], stiffness as a share of the standard one, torque on."""

    goal: np.ndarray
    stiffness: np.ndarray
    torque: np.ndarray


class SimulatedMotors:
    """Seven motors, arm joints [rad] and gripper [rad of the motor]; `lower`, `upper` (7,): limits of goals.

    torque: whether they hold when they start; mode: of arm and gripper then; speed: of the arm joints at most, whatever
    the firmware allows [rad/s].
    """

    def __init__(
        self,
        position: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        *,
        torque: bool = True,
        modes: tuple[str, str] = ("position", "current_based_position"),
        heat: HeatConfig,
        speed: float = np.inf,
    ) -> None:
        self.lower, self.upper = lower, upper
        self.position, self.velocity = position.copy(), np.zeros(7)
        self.current: np.ndarray = np.zeros(7)  # [mA]
        self.heat = MotorHeat(7, heat)
        self.group_mode = modes[0]  # as the stack remembers it
        self.modes = [modes[0]] * 6 + [modes[1]]
        self.torque = np.full(7, torque)
        self.errors = np.zeros(7, int)
        self.refused = 0  # goals outside the limits, which a motor ignores
        self._speed = np.append(np.full(6, speed), np.inf)
        self._goal = position.copy()
        self._demand = position.copy()  # where the firmware's own ramp is
        self._strained: np.ndarray = np.zeros(7)  # [s] near the current limit
        self._eeprom = {"Velocity_Limit": np.full(7, FIRMWARE_VELOCITY_LIMIT), "Temperature_Limit": _HEAT_LIMIT.copy()}
        self._eeprom["Current_Limit"] = np.round(_CURRENT_LIMIT / CURRENT_UNIT)
        self._eeprom["Current_Limit"][6] = 200  # https://github.com/Interbotix/.../aloha_vx300s.yaml
        self._ram = {name: np.full(7, value) for name, value in RAM_DEFAULTS.items()}

    @staticmethod
    def joints(kind: str, name: str) -> list[int]:
        """The motors of a group or a single joint. Raises UnknownNameError, InvalidInputError."""
        if kind == "group":
            if name not in GROUPS:
                raise UnknownNameError("group", name, GROUPS)
            return [_INDEX[joint] for joint in GROUPS[name]]
        if kind == "single":
            if name not in _INDEX:
                raise UnknownNameError("joint", name, JOINTS)
            return [_INDEX[name]]
        raise InvalidInputError(f"cmd_type: expected group or single, got '{kind}'")

    def command(self, motors: list[int], goals: np.ndarray) -> None:
        """Goal positions [rad]; a motor ignores one outside its limits, without torque or not in a position mode."""
        for motor, goal in zip(motors, goals):
            if not self.lower[motor] <= goal <= self.upper[motor]:  # False for NaN
                self.refused += 1
            elif self.torque[motor] and self.modes[motor] in POSITION_MODES:
                self._goal[motor] = goal

    def set_torque(self, motors: list[int], enable: bool) -> None:
        """Switch torque; a motor that has shut down stays without."""
        for motor in motors:
            if enable and self.errors[motor] & _SHUTDOWN:
                continue
            if enable and not self.torque[motor]:
                self._goal[motor] = self._demand[motor] = self.position[motor]
            self.torque[motor] = enable

    def set_mode(self, motors: list[int], mode: str) -> None:
        """The new mode of motors whose torque is off. Raises UnknownNameError."""
        if mode not in MODES:
            raise UnknownNameError("operating mode", mode, MODES)
        for motor in motors:
            self.modes[motor] = mode
        if len(motors) > 1:
            self.group_mode = mode

    def reboot(self, motors: list[int], only_errors: bool) -> list[int]:
        """Reboot: torque off, errors and everything in RAM gone. Returns the motors it was done to."""
        chosen = [motor for motor in motors if self.errors[motor] or not only_errors]
        for motor in chosen:
            self.errors[motor] = 0
            self.torque[motor] = False
            self._strained[motor] = 0.0
            for name, value in RAM_DEFAULTS.items():
                self._ram[name][motor] = value
        return chosen

    def read(self, motors: list[int], register: str) -> list[int]:
        """The values of a register. Raises UnknownNameError."""
        return [int(value) for value in self._table(register)[motors]]

    def write(self, motors: list[int], register: str, value: int) -> None:
        """Write a register in RAM, or one in EEPROM, which takes motors without torque. Raises UnknownNameError."""
        if register in self._ram:
            self._ram[register][motors] = value
        elif register in self._eeprom:
            free = [motor for motor in motors if not self.torque[motor]]
            self._eeprom[register][free] = value
        else:
            raise UnknownNameError("writable register", register, [*self._ram, *self._eeprom])

    def drive(self, dt: float) -> Drive:
        """`dt` [s] on: the firmware moves its demand towards the goal no faster than Velocity_Limit."""
        step = np.minimum(self._eeprom["Velocity_Limit"] * VELOCITY_UNIT, self._speed) * dt
        self._demand += np.clip(self._goal - self._demand, -step, step)
        self._demand = np.where(self.torque, self._demand, self.position)
        holding = self.torque & np.array([mode in POSITION_MODES for mode in self.modes])
        return Drive(self._demand, self._ram["Position_P_Gain"] / STANDARD_P_GAIN, holding)

    def measure(self, position: np.ndarray, velocity: np.ndarray, torque: np.ndarray, dt: float) -> None:
        """What the mechanics did over `dt` [s], all (7,): position, velocity, torque [N m] of each joint's motors."""
        self.position, self.velocity = position, velocity
        self.current = np.where(self.torque, torque / _CONSTANT * 1e3, 0.0)
        temperature = self.heat.step(self.current / 1e3, dt)
        near = np.abs(self.current) > _OVERLOAD_SHARE * _CURRENT_LIMIT
        self._strained = np.where(near, self._strained + dt, 0.0)
        self.shut_down(temperature >= self._eeprom["Temperature_Limit"], HardwareError.OVER_TEMPERATURE)
        self.shut_down(self._strained > _OVERLOAD_S, HardwareError.OVERLOAD)

    def shut_down(self, motors: np.ndarray, error: int) -> None:
        """Set error bits of the motors in a mask (7,); those in the Shutdown register take the torque away."""
        self.errors[motors] |= int(error)
        if error & _SHUTDOWN:
            self.torque[motors] = False

    def _table(self, register: str) -> np.ndarray:
        live = {
            "Torque_Enable": self.torque.astype(int),
            "Operating_Mode": np.array([MODE_NUMBERS[mode] for mode in self.modes]),
            "Hardware_Error_Status": self.errors,
            "Present_Temperature": np.floor(self.heat.temperature),
            "Present_Current": np.round(self.current / CURRENT_UNIT),
            "Present_Velocity": np.round(self.velocity / VELOCITY_UNIT),
        }
        table = {**self._ram, **self._eeprom, **live}
        if register not in table:
            raise UnknownNameError("register", register, table)
        return np.asarray(table[register])
