from __future__ import annotations

import math
from typing import NamedTuple

import pytest

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.evaluation import metrics


class Run(NamedTuple):
    steps: int
    success_step: int | None


def test_wilson_of_95_of_100_is_the_textbook_interval() -> None:
    low, high = metrics.wilson(95, 100)
    assert low == pytest.approx(0.88825, abs=1e-5)
    assert high == pytest.approx(0.97846, abs=1e-5)


def test_wilson_at_the_ends_stays_inside_and_is_not_a_point() -> None:
    assert metrics.wilson(0, 10).low == 0.0
    assert metrics.wilson(0, 10).high == pytest.approx(0.27753, abs=1e-5)
    assert metrics.wilson(10, 10) == (pytest.approx(0.72247, abs=1e-5), 1.0)
    assert metrics.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("trials", [1, 7, 50, 200])
def test_wilson_contains_the_rate_and_narrows_with_more_trials(trials: int) -> None:
    for successes in range(trials + 1):
        low, high = metrics.wilson(successes, trials)
        assert 0.0 <= low <= successes / trials <= high <= 1.0
        wider = metrics.wilson(successes * 4, trials * 4)
        assert wider.high - wider.low < high - low


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(InvalidInputError, match="got 3 of 2"):
        metrics.wilson(3, 2)


def test_acceleration_divides_mean_steps_of_successes_only() -> None:
    baseline = [Run(300, 280), Run(300, 300), Run(450, None)]  # mean 290
    fast = [Run(145, 140), Run(450, None), Run(150, 150)]  # mean 145
    assert metrics.acceleration(baseline, fast) == 2.0
    assert metrics.acceleration(baseline, baseline) == 1.0


def test_speedups_are_nan_without_a_success() -> None:
    failed = [Run(450, None)]
    assert math.isnan(metrics.acceleration([Run(10, 10)], failed))
    assert math.isnan(metrics.demo_speedup(failed, [Run(10, 10)]))


def test_successes_per_minute_charges_failures_until_the_limit() -> None:
    # 100 steps to success, 300 until the end of the failure: 400 steps of .02 s are 8 s for one success.
    runs = [Run(100, 100), Run(300, None)]
    assert metrics.successes_per_minute(runs, 0.02, 400, 2.0) == pytest.approx(60.0 / 8.0)
    # A failure that stopped early (a fault) is charged the nominal 400 / 2 = 200 steps.
    runs = [Run(100, 100), Run(50, None)]
    assert metrics.successes_per_minute(runs, 0.02, 400, 2.0) == pytest.approx(60.0 / 6.0)
    assert metrics.successes_per_minute([Run(50, None)], 0.02, 400, 2.0) == 0.0


def test_success_rate_and_pooled_rms() -> None:
    assert metrics.success_rate([Run(1, 1), Run(2, None)]) == 0.5
    assert metrics.pooled_rms([3.0, 0.0], [1, 3]) == pytest.approx(1.5)  # sqrt(9 / 4)
    assert math.isnan(metrics.pooled_rms([], []))
    assert metrics.percentile([0.0, 1.0], 99) == pytest.approx(0.99)
    assert math.isnan(metrics.percentile([], 99))
