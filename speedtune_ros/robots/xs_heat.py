"""How motors warm up under current: the model behind the simulated arms and the test of the speed ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HeatConfig:
    """One time constant, heat as the current squared.

    ROBOTIS publishes no figures: orders of magnitude of a servo that needs a quarter of an hour at an ampere to be hot.
    """

    ambient: float = 25.0  # [deg C]
    rise: float = 30.0  # [K] above ambient, at rest, of one ampere held for ever
    time_constant: float = 600.0  # [s]


class MotorHeat:
    """Temperatures (n,) [deg C] of motors at ambient when it starts.

    T' = (ambient + rise * I**2 - T) / time_constant
    """

    def __init__(self, count: int, config: HeatConfig = HeatConfig()) -> None:
        self.config = config
        self.temperature = np.full(count, config.ambient)

    def step(self, current: np.ndarray, dt: float) -> np.ndarray:
        """`dt` [s] under `current` (n,) [A], exactly; the new temperatures."""
        target = self.config.ambient + self.config.rise * np.square(current)
        self.temperature = target + (self.temperature - target) * np.exp(-dt / self.config.time_constant)
        return self.temperature
