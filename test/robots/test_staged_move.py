"""Staged moves: rest to rest, no joint faster than asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedtune_ros.aloha import ARMS, start_pose
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.robots.staged_move import staged_move


def test_one_joint_by_hand():
    """1 rad at 1 rad/s: the peak of minimum jerk is 15/8 of the mean, so it takes 1.875 s, rounded up to a tick."""
    goal = np.zeros(14)
    goal[2] = 1.0
    move = staged_move(np.zeros(14), goal, 1.0, 7)
    assert (move.start_ns, move.duration) == (7, pytest.approx(1.88))
    middle = len(move.times) // 2
    assert move.positions[middle, 2] == pytest.approx(0.5)
    assert move.velocities[middle, 2] == pytest.approx(1.0, rel=5e-3)
    np.testing.assert_array_equal(move.progress, 0.0)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 3.0))
@settings(max_examples=40, deadline=None)
def test_ends_at_rest_within_the_speed(seed, speed):
    start, goal = np.random.default_rng(seed).uniform(-1.0, 1.0, (2, 14))
    move = staged_move(start, goal, speed, 0)
    np.testing.assert_allclose(move.positions[[0, -1]], [start, goal], atol=1e-12)
    np.testing.assert_allclose(move.velocities[[0, -1]], 0.0, atol=1e-12)
    assert np.abs(move.velocities[:, list(ARMS)]).max() <= speed * (1.0 + 1e-9)
    steps = np.abs(np.diff(move.positions, axis=0)).max(axis=0)[list(ARMS)]
    assert steps.max() <= 0.02 * speed * (1.0 + 1e-9)


def test_no_distance_is_a_short_rest():
    move = staged_move(start_pose(), start_pose(), 0.5, 0)
    assert move.duration == pytest.approx(0.1)
    np.testing.assert_array_equal(move.positions, np.tile(start_pose(), (len(move.times), 1)))


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_speeds_are_refused(speed):
    with pytest.raises(InvalidInputError, match="above 0"):
        staged_move(start_pose(), start_pose(1.0), speed, 0)


def test_bad_goals_are_refused():
    with pytest.raises(InvalidInputError, match="goal: expected shape"):
        staged_move(start_pose(), np.zeros(13), 0.5, 0)
