"""Rewards by hand, and their bounds against random episodes."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.reward import KINDS, RewardConfig, checked_speeds, episode_rewards, reward, value_bounds


def test_executed_speed_is_paid_by_its_power() -> None:
    speeds = np.array([1.0, 2.0, 3.0])
    assert reward(RewardConfig(), speeds, False) == pytest.approx(0.01 * (1 + 4 + 9))
    assert reward(RewardConfig(), speeds, True) == pytest.approx(100.14)
    assert reward(RewardConfig(alpha=0.5, beta=1.0), speeds, False) == pytest.approx(3.0)
    assert reward(RewardConfig(beta=0.0), np.array([0.0, 2.0]), False) == pytest.approx(0.02)


def test_time_is_charged_and_a_failure_pays_for_what_it_left() -> None:
    config = RewardConfig(kind="time", time_cost=0.5)
    assert reward(config, np.ones(10), False) == -5.0
    assert reward(config, np.ones(4), True) == 98.0
    assert reward(config, np.ones(4), False, forfeited=30) == -17.0


def test_no_failing_episode_earns_by_ending_early_or_late() -> None:
    config = RewardConfig(kind="time")
    late = sum(reward(config, np.full(10, 4.5), False) for _ in range(5))
    early = reward(config, np.full(10, 4.5), False) + reward(config, np.full(10, 1.0), False, forfeited=30)
    assert late == early == -0.25 * 50


def test_an_episodes_rewards_by_hand() -> None:
    speeds = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 3.0])
    starts = np.array([0, 2, 5])
    config = RewardConfig(alpha=1.0, success=50.0)
    assert episode_rewards(config, speeds, starts, True, left=9).tolist() == [2.0, 12.0, 59.0]
    assert episode_rewards(config, speeds, starts, False).tolist() == [2.0, 12.0, 9.0]
    forfeiting = RewardConfig(alpha=1.0, success=50.0, forfeit=True)
    assert episode_rewards(forfeiting, speeds, starts, True).tolist() == [2.0, 12.0, 59.0]
    assert episode_rewards(forfeiting, speeds, starts, False).tolist() == [2.0, 12.0, -14.0]
    time = RewardConfig(kind="time", time_cost=1.0, success=50.0)
    assert episode_rewards(time, speeds, starts, True, left=9).tolist() == [-2.0, -3.0, 49.0]
    assert episode_rewards(time, speeds, starts, False, left=9).tolist() == [-2.0, -3.0, -10.0]


@pytest.mark.parametrize("starts", [[], [1], [0, 2, 2], [0, 3]])
def test_decisions_outside_their_episode_are_refused(starts: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="starts of decisions: expected to increase from 0 to below 3"):
        episode_rewards(RewardConfig(), np.ones(3), np.array(starts), True)


def test_bounds_by_hand() -> None:
    # Two decisions of 10 steps at 3x: .9 each, success on the second: .9 + .5 * (.9 + 10); on the first: 10.9.
    assert value_bounds(RewardConfig(success=10.0), (1.0, 3.0), 10, 0.5, 20) == pytest.approx((0.0, 10.9))
    assert value_bounds(RewardConfig(success=1.0), (1.0, 3.0), 10, 0.5, 20) == pytest.approx((0.0, 1.9))
    assert value_bounds(RewardConfig(success=1.0), (1.0, 3.0), 10, 1.0, 20) == pytest.approx((0.0, 2.8))
    # All of 20 steps at 3x to be given back at once.
    forfeiting = RewardConfig(success=10.0, forfeit=True)
    assert value_bounds(forfeiting, (1.0, 3.0), 10, 0.5, 20) == pytest.approx((-1.8, 10.9))
    time = RewardConfig(kind="time", success=10.0, time_cost=0.5)
    assert value_bounds(time, (1.0, 3.0), 10, 0.5, 20) == pytest.approx((-10.0, 9.5))
    # Without speed at all, degree 0 pays every step.
    assert value_bounds(RewardConfig(beta=0.0, success=0.0), (1.0,), 10, 1.0, 20) == pytest.approx((0.01, 0.2))


@pytest.mark.parametrize("kind", KINDS)
def test_no_episode_leaves_the_bounds(kind: str) -> None:
    rng = np.random.default_rng(0)
    config, limit, discount = RewardConfig(kind=kind), 95, 0.97
    low, high = value_bounds(config, (1.0, 4.5), 10, discount, limit)
    for _ in range(300):
        left, value, factor, over = limit, 0.0, 1.0, False
        while not over:
            steps = int(rng.integers(1, min(10, left) + 1)) if rng.random() < 0.2 else min(10, left)
            over = steps < min(10, left) or left == steps
            succeeded = over and rng.random() < 0.5
            left -= steps
            speeds = rng.choice([0.0, 4.5, rng.uniform(0.0, 4.5)], steps)
            value += factor * reward(config, speeds, succeeded, 0 if succeeded or not over else left)
            factor *= discount
        assert low <= value <= high


@pytest.mark.parametrize("speeds", [[], [2.0, 1.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0], [1.0, np.nan], [np.inf]])
def test_an_impossible_set_is_refused(speeds: list[float]) -> None:
    with pytest.raises(ConfigError, match="speeds: expected at least one, finite, above 0 and strictly increasing"):
        checked_speeds(speeds)


@pytest.mark.parametrize("speeds", [[], [np.nan], [-1.0], [[1.0]]])
def test_bad_executed_speeds_are_refused(speeds: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="executed speeds: expected"):
        reward(RewardConfig(), np.array(speeds), False)


def test_forfeiting_on_success_and_a_horizon_of_nothing_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="forfeited: expected 0 on success"):
        reward(RewardConfig(), np.ones(3), True, forfeited=4)
    with pytest.raises(ConfigError, match="value bounds: expected steps"):
        value_bounds(RewardConfig(), (1.0,), 10, 0.99, 0)
