from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.sampling import Player, hold, sample
from speedtune_ros.types import Trajectory


def make(start_ns: int = 0, times: tuple[float, ...] = (0.0, 1.0, 3.0), sequence: int = 0) -> Trajectory:
    """q(t) = t**3 on every joint, joint i scaled by i: a cubic, so Hermite sampling must reproduce it."""
    t = np.array(times)
    scale = np.arange(NUM_JOINTS, dtype=float)
    return Trajectory(
        start_ns, t, np.outer(t**3, scale), np.outer(3 * t**2, scale), 2.0 * t, np.full(len(t), 2.0), sequence=sequence
    )


@pytest.mark.parametrize("t", [0.0, 0.25, 0.99, 1.0, 1.5, 2.75])
def test_a_cubic_is_reproduced(t: float) -> None:
    setpoint = sample(make(5), 5 + round(t * 1e9))
    assert setpoint.position == pytest.approx(t**3 * np.arange(NUM_JOINTS), abs=1e-12)
    assert setpoint.velocity == pytest.approx(3 * t**2 * np.arange(NUM_JOINTS), abs=1e-12)
    assert setpoint.progress == pytest.approx(2.0 * t)
    assert setpoint.speed == 2.0


def test_speed_is_linear_between_points() -> None:
    trajectory = Trajectory(
        0,
        np.array([0.0, 1.0]),
        np.zeros((2, NUM_JOINTS)),
        np.zeros((2, NUM_JOINTS)),
        np.array([1.0, 4.0]),
        np.array([3.0, 1.0]),
    )
    setpoint = sample(trajectory, 250_000_000)
    assert (setpoint.speed, setpoint.progress) == (2.5, 1.75)


def test_before_its_start_the_first_point_and_after_its_end_rest_at_the_last() -> None:
    trajectory = make(1_000)
    before, after, end = sample(trajectory, 0), sample(trajectory, 10**11), sample(trajectory, 1_000 + 3 * 10**9)
    assert (before.position == trajectory.positions[0]).all() and before.progress == 0.0
    for setpoint in (after, end):
        assert (setpoint.position == trajectory.positions[-1]).all()
        assert (setpoint.velocity == 0.0).all()
        assert (setpoint.speed, setpoint.progress) == (0.0, 6.0)


def test_ticks_meet_points_exactly() -> None:
    n = 500
    positions = np.random.default_rng(0).normal(size=(n, NUM_JOINTS))
    times = np.arange(n) * CONTROL_DT_NS / 1e9
    trajectory = Trajectory(7, times, positions, np.ones((n, NUM_JOINTS)), np.zeros(n), np.ones(n))
    for i in range(n - 1):
        setpoint = sample(trajectory, 7 + i * CONTROL_DT_NS)
        assert (setpoint.position == positions[i]).all()
        assert setpoint.speed == 1.0


def test_hold_stays_put() -> None:
    position = np.arange(14.0)
    trajectory = hold(position, 3, progress=1.5, sequence=4)
    position[0] = 9.0  # a copy was taken
    setpoint = sample(trajectory, 10**10)
    assert (setpoint.position == np.arange(14.0)).all()
    assert (setpoint.velocity == 0.0).all()
    assert (setpoint.progress, setpoint.speed, trajectory.sequence, trajectory.start_ns) == (1.5, 0.0, 4, 3)


def test_player_plays_the_old_until_the_new_takes_over() -> None:
    old, new = hold(np.zeros(14), 0, sequence=1), hold(np.ones(14), 100, sequence=2)
    player = Player(old)
    player.load(new)
    assert player.latest is new
    assert player.peek(99).position[0] == 0.0
    assert player.peek(100).position[0] == 1.0
    assert player.play(99) is old
    assert player.play(100) is new
    assert player.peek(0).position[0] == 1.0  # the old one is forgotten


def test_player_replaces_everything_from_the_start_on() -> None:
    first, second, third = (hold(np.full(14, i), start) for i, start in ((0, 0), (1, 200), (2, 100)))
    player = Player(first)
    player.load(second)
    player.load(third)
    assert player.peek(99).position[0] == 0.0
    assert player.peek(300).position[0] == 2.0
    same_start = hold(np.full(14, 3.0), 100)
    player.load(same_start)
    assert player.peek(100).position[0] == 3.0


def test_player_walks_through_several_pending_trajectories() -> None:
    player = Player(hold(np.zeros(14), 0))
    for i in (1, 2, 3):
        player.load(hold(np.full(14, i), i * 100))
    assert [player.peek(stamp).position[0] for stamp in (50, 150, 250, 350)] == [0.0, 1.0, 2.0, 3.0]
    assert player.play(350).positions[0, 0] == 3.0
