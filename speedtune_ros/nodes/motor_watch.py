"""Asks motors, slowly and one after the other, how they are: temperature, errors, torque, gains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from speedtune_ros.nodes.interbotix_link import InterbotixLink
from speedtune_ros.robots.bring_up import BringUpError
from speedtune_ros.robots.health import Rung, Trouble
from speedtune_ros.robots.interbotix import JOINTS, HardwareError, error_names

_REGISTERS = ("Hardware_Error_Status", "Present_Temperature", "Torque_Enable", "Position_P_Gain")


@dataclass
class _Known:
    """What one arm's motors said last."""

    values: dict[str, Sequence[int]] = field(default_factory=dict)
    heard: float = 0.0  # temperature, on a steady clock
    missing: str = ""


class MotorWatch:
    """A thread of its own: a motor bus is busy 2 ms for each register of each motor, and joint states wait for it.

    regain: called with an arm whose gains are not `p_gain` any more, as after a reboot; fault_c: too hot [deg C].
    """

    def __init__(
        self,
        links: Mapping[str, InterbotixLink],
        period_s: float,
        p_gain: int,
        fault_c: float,
        regain: Callable[[str], None],
    ) -> None:
        self._links, self._period, self._p_gain = links, period_s / (len(_REGISTERS) * len(links)), p_gain
        self._fault_c, self._regain = fault_c, regain
        self._known = {arm: _Known(heard=time.monotonic()) for arm in links}
        self.lock = threading.Lock()  # held while it asks, and by who must not be disturbed
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="motor watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def forget(self) -> None:
        """After a recovery: nothing of before counts."""
        for known in self._known.values():
            known.values.clear()

    @property
    def temperature(self) -> np.ndarray:
        """Of every motor, arm by arm (7 each) [deg C]; NaN where not known."""
        unknown = [np.nan] * len(JOINTS)
        return np.array(
            [known.values.get("Present_Temperature", unknown) for known in self._known.values()], float
        ).ravel()

    def unheard(self, now: float) -> float:
        """For how long some arm has not told its temperature [s]."""
        return max(now - known.heard for known in self._known.values())

    def troubles(self) -> list[Trouble]:
        """What is wrong with motors, as last heard."""
        found = []
        for arm, known in self._known.items():
            if known.missing:
                found.append(Trouble("missing_service", arm, Rung.WARN, known.missing))
            unknown = [None] * len(JOINTS)
            columns = (known.values.get(register, unknown) for register in _REGISTERS[:3])
            for joint, *values in zip(JOINTS, *columns):
                name, detail = self._judge(*values)
                if name:
                    found.append(Trouble(name, f"{arm}/{joint}", Rung.FAULT, detail))
        return found

    def _judge(self, status: int | None, temperature: int | None, torque: int | None) -> tuple[str, str]:
        """The worst that one motor's registers tell, with details; "" for nothing, None where not known."""
        if status:
            return _hardware(status)
        if temperature is not None and temperature >= self._fault_c:
            return "over_temperature", f"{temperature} C"
        return ("torque_off", "the joint is not held") if torque == 0 else ("", "")

    def _run(self) -> None:
        while True:
            for register in _REGISTERS:
                for arm in self._links:
                    if self._ending.wait(self._period):
                        return
                    self._ask(arm, register)

    def _ask(self, arm: str, register: str) -> None:
        with self.lock:
            self._ask_locked(arm, register)

    def _ask_locked(self, arm: str, register: str) -> None:
        known = self._known[arm]
        try:
            values = self._links[arm].read(register)
            if register == "Torque_Enable" and not all(values):  # why, before it is told
                known.values["Hardware_Error_Status"] = self._links[arm].read("Hardware_Error_Status")
            known.values[register], known.missing = values, ""
            if register == "Position_P_Gain" and any(gain != self._p_gain for gain in known.values[register][:6]):
                self._regain(arm)
        except BringUpError as error:
            known.missing = str(error)
            return
        if register == "Present_Temperature":
            known.heard = time.monotonic()


def _hardware(status: int) -> tuple[str, str]:
    """The name a Hardware_Error_Status is reported under, and its bits in words."""
    for error in (HardwareError.OVER_TEMPERATURE, HardwareError.OVERLOAD):
        if status & error:
            return error_names(error), error_names(status)
    return "hardware_error", error_names(status)
