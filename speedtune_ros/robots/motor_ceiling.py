"""Slows the arms down before a motor shuts down: a ceiling on `sdot` from motor temperature and load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError
from speedtune_ros.robots.health import SpeedCeiling, lowest


@dataclass(frozen=True)
class CeilingConfig:
    """Between `warm` and `hot` the ceiling falls from `fastest` to `slowest`; the same for load."""

    fastest: float = option(4.5, "ceiling of a motor that is just warm", minimum=0.1, maximum=100.0)
    slowest: float = option(0.5, "ceiling of a hot one", minimum=0.01, maximum=100.0)
    warm_c: float = option(50.0, "temperature from which the ceiling falls [deg C]", minimum=0.0, maximum=100.0)
    hot_c: float = option(
        70.0, "temperature at which it is lowest [deg C]; motors shut down at 80", minimum=0.0, maximum=100.0
    )
    fault_c: float = option(76.0, "temperature at which the arms stop [deg C]", minimum=0.0, maximum=100.0)
    warm_load: float = option(
        0.45, "the same for load, root mean square, as a share of the current limit", minimum=0.0, maximum=1.0
    )
    hot_load: float = option(0.8, "load at which the ceiling is lowest", minimum=0.0, maximum=1.0)
    load_time_s: float = option(10.0, "time over which load is averaged", minimum=0.1, maximum=600.0)
    recovery: float = option(0.05, "the ceiling rises at most so fast [1/s]", minimum=0.001, maximum=10.0)
    unwatched: float = option(1.0, "ceiling while motors do not tell their temperature", minimum=0.01, maximum=100.0)
    unwatched_s: float = option(5.0, "no temperature for so long: unwatched", minimum=0.5, maximum=600.0)

    def __post_init__(self) -> None:
        ordered = self.warm_c < self.hot_c < self.fault_c and self.warm_load < self.hot_load
        if not ordered or self.slowest > self.fastest:
            raise ConfigError(
                "motor ceiling: expected warm_c < hot_c < fault_c, warm_load < hot_load, slowest <= fastest"
            )


class MotorLoad:
    """Root mean square of each motor's current as a share of its limit (n,) [mA]."""

    def __init__(self, limit: np.ndarray, time_s: float) -> None:
        self._limit, self._time = limit, time_s
        self._square = np.zeros(len(limit))

    def add(self, current: np.ndarray, dt: float) -> None:
        """`dt` [s] of `current` (n,) [mA]."""
        share = 1.0 - np.exp(-dt / self._time)
        self._square += share * (np.square(current / self._limit) - self._square)

    @property
    def share(self) -> np.ndarray:
        return np.sqrt(self._square)


class MotorCeiling:
    """Falls at once, rises slowly, so that a motor at the edge does not make the arms hurry and dawdle in turn.

    names: of the motors (n,).
    """

    def __init__(self, names: Sequence[str], config: CeilingConfig) -> None:
        self._names, self.config = names, config
        self._last: SpeedCeiling | None = None

    def update(self, temperature: np.ndarray, load: np.ndarray, dt: float) -> SpeedCeiling | None:
        """The ceiling for temperatures (n,) [deg C] and loads (n,), `dt` [s] after the last; None: no limit."""
        config = self.config
        wanted = lowest(
            [
                ceiling
                for reason, values, warm, hot in (
                    ("motor_temperature", temperature, config.warm_c, config.hot_c),
                    ("motor_load", load, config.warm_load, config.hot_load),
                )
                if (ceiling := self._falling(reason, values, warm, hot)) is not None
            ]
        )
        if self._last is not None:
            most = self._last.speed + config.recovery * dt
            if most < (config.fastest if wanted is None else wanted.speed):
                wanted = self._last._replace(speed=most)
        self._last = wanted
        return wanted

    def _falling(self, reason: str, values: np.ndarray, warm: float, hot: float) -> SpeedCeiling | None:
        worst = int(np.argmax(values))
        share = (float(values[worst]) - warm) / (hot - warm)
        if not share > 0.0:  # NaN too: unwatched is told elsewhere
            return None
        config = self.config
        speed = config.fastest + (config.slowest - config.fastest) * min(share, 1.0)
        return SpeedCeiling(speed, reason, self._names[worst])
