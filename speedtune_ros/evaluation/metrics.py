"""The figures printed everywhere, each under its own name, as pure functions of what the episodes did.

A figure that cannot be computed (no success to take a time from) is NaN, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from speedtune_ros.errors import InvalidInputError

Z_95 = 1.959963984540054  # standard normal quantile of .975


class Run(Protocol):
    """What the figures need to know of one episode: control steps run, and until first success (None: never)."""

    @property
    def steps(self) -> int: ...

    @property
    def success_step(self) -> int | None: ...


class Interval(NamedTuple):
    """A confidence interval on a rate."""

    low: float
    high: float


def wilson(successes: int, trials: int, z: float = Z_95) -> Interval:
    """Wilson score interval for a rate; (0, 1) without trials.

    centre = (p + z^2/2n) / (1 + z^2/n), half width = z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n),
    Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if not 0 <= successes <= trials:
        raise InvalidInputError(f"wilson: expected 0 <= successes <= trials, got {successes} of {trials}")
    if trials == 0:
        return Interval(0.0, 1.0)
    rate = successes / trials
    scale = 1.0 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z * math.sqrt(rate * (1.0 - rate) / trials + z * z / (4 * trials * trials)) / scale
    # At 0 and at n the bound is exactly 0 and 1; rounding must not leave it a hair outside.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)


def success_rate(runs: Sequence[Run]) -> float:
    """Successes / episodes."""
    return mean([float(run.success_step is not None) for run in runs])


def steps_to_success(runs: Iterable[Run]) -> list[int]:
    """Control steps to first success, of the runs that succeeded."""
    return [run.success_step for run in runs if run.success_step is not None]


def acceleration(baseline: Sequence[Run], runs: Sequence[Run]) -> float:
    """Mean steps to first success of the same policy at 1x on the same seeds / mean steps to first success."""
    return ratio(mean(steps_to_success(baseline)), mean(steps_to_success(runs)))


def demo_speedup(demonstrations: Sequence[Run], runs: Sequence[Run]) -> float:
    """Mean demonstration duration to first success / mean duration to first success."""
    return ratio(mean(steps_to_success(demonstrations)), mean(steps_to_success(runs)))


def successes_per_minute(runs: Sequence[Run], dt: float, nominal_steps: int, speed: float) -> float:
    """Successes / all time spent [1/min].

    A success costs its time to first success. A failure is charged in full until the time limit: the larger of what
    it ran and nominal_steps / speed, so that one which ended early (a fault) is not cheap. speed: the mean commanded
    over all `runs`; dt [s] a control step.
    """
    limit = nominal_steps / speed
    spent = sum(max(run.steps, limit) if run.success_step is None else run.success_step for run in runs)
    return ratio(60.0 * len(steps_to_success(runs)), spent * dt)


def pooled_rms(rms: Sequence[float], counts: Sequence[int]) -> float:
    """The root mean square over all samples, from that of each group and the group's size."""
    total = sum(counts)
    return math.sqrt(sum(r * r * n for r, n in zip(rms, counts)) / total) if total else math.nan


def percentile(values: Sequence[float] | np.ndarray, q: float) -> float:
    """The q-th percentile (linear interpolation), NaN of nothing."""
    return float(np.percentile(values, q)) if len(values) else math.nan


def mean(values: Sequence[float]) -> float:
    """The mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else math.nan


def ratio(numerator: float, denominator: float) -> float:
    """numerator / denominator, NaN where the denominator is 0."""
    return numerator / denominator if denominator else math.nan
