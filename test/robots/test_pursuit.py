"""Arms that pursue a target: as close as the spring says, never faster than allowed, always able to stop."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import ARMS, start_pose
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.pursuit import Pursuit, PursuitConfig
from speedtune_ros.sampling import hold, sample
from speedtune_ros.types import Setpoint

LIMITS = make_profile("hardware").limits
TICK = 20_000_000
FREE = np.full(14, np.inf)
DEFAULT = PursuitConfig()


def pursue(target, ceiling=FREE, start=None, ticks=100, config=DEFAULT):
    """Positions and velocities (ticks, 14) at the control rate; target: of a tick's number."""
    pursuit, plan, found = Pursuit(LIMITS, config), hold(start_pose() if start is None else start, 0), []
    for tick in range(ticks):
        now = sample(plan, tick * TICK)
        found.append((now.position, now.velocity))
        plan = pursuit.step(now, target(tick), ceiling, tick * TICK, tick)
    return np.array([p for p, _ in found]), np.array([v for _, v in found]), plan


def test_the_first_step_is_the_spring_s() -> None:
    """By hand: w = 2 / 0.04 = 50, h = 0.02, e = -0.1: b = -5, v = (-5 - 50 (-0.1 - 0.1)) exp(-1) = 5 / e."""
    target = start_pose() + 0.1 * np.eye(14)[0]
    plan = Pursuit(LIMITS).step(Setpoint(start_pose(), np.zeros(14), 0.0, 0.0), target, FREE, 0, 7, 1.5)
    np.testing.assert_allclose(plan.times, [0.0, 0.02, 0.04, 0.14])
    velocity = 5.0 / np.e
    np.testing.assert_allclose(plan.velocities[:, 0], [0.0, velocity, velocity, 0.0])
    expected = np.cumsum([0.0, 0.01 * velocity, 0.02 * velocity, 0.05 * velocity])
    np.testing.assert_allclose(plan.positions[:, 0], expected, atol=1e-12)
    np.testing.assert_array_equal(plan.positions[:, 1:], np.tile(start_pose()[1:], (4, 1)))
    assert (plan.sequence, plan.progress[0], plan.speeds[-1]) == (7, 1.5, 0.0)


def test_it_arrives_with_hardly_any_overshoot() -> None:
    goal = start_pose() + 0.3 * np.r_[np.ones(6), 0.0, -np.ones(6), 0.0]
    positions, _, _ = pursue(lambda tick: goal, ticks=60)
    beyond = (positions - goal) * np.sign(goal - start_pose())
    assert np.abs(beyond[-1]).max() < 1e-6
    assert beyond.max() < 0.3e-3  # [rad], a thousandth of the way


def test_it_is_a_little_behind_a_steady_target() -> None:
    def target(tick):
        return start_pose() + np.r_[0.02 * tick, np.zeros(13)]  # 1 rad/s

    positions, velocities, _ = pursue(target, ticks=100)
    assert velocities[-1, 0] == pytest.approx(1.0, abs=1e-3)
    assert 0.03 < target(99)[0] - positions[-1, 0] < 0.08  # [rad], at 1 rad/s also [s]


def test_a_ceiling_slows_all_joints_alike() -> None:
    goal = start_pose() + np.r_[0.8, 0.4, np.zeros(12)]
    positions, velocities, _ = pursue(lambda tick: goal, ceiling=np.full(14, 0.5), ticks=40)
    assert np.abs(velocities).max() <= 0.5 + 1e-9
    moved = positions[20] - positions[0]
    assert moved[0] == pytest.approx(2.0 * moved[1], rel=1e-6)


def test_wherever_it_is_it_can_stop_inside_the_limits() -> None:
    """A target that jumps beyond the limits, fast: every trajectory ends inside."""
    rng = np.random.default_rng(0)
    pursuit, plan = Pursuit(LIMITS), hold(start_pose(), 0)
    arms = list(ARMS)
    for tick in range(300):
        now_ns = tick * TICK + int(rng.integers(0, TICK))  # ticks are late by up to one
        now = sample(plan, now_ns)
        plan = pursuit.step(now, rng.uniform(-4.0, 4.0, 14), 0.9 * LIMITS.velocity, now_ns, tick)
        for end in (plan.positions[-1], sample(plan, now_ns + 100_000_000).position):
            assert (end[arms] >= LIMITS.lower[arms] - 1e-6).all() and (end[arms] <= LIMITS.upper[arms] + 1e-6).all()


def test_no_coast_is_no_point() -> None:
    _, _, plan = pursue(lambda tick: start_pose(), ticks=2, config=PursuitConfig(coast_s=0.0))
    np.testing.assert_allclose(plan.times, [0.0, 0.02, 0.12])
