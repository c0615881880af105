from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import GRIPPERS, NUM_JOINTS
from speedtune_ros.retiming.handover import Handover, HandoverConfig, jump, window
from speedtune_ros.retiming.retimer import Splice
from speedtune_ros.types import TargetKind

DT = 0.02
COMMAND, STATE = TargetKind.COMMAND, TargetKind.STATE


def splice(position: np.ndarray, speed: float = 2.0, consumed: float = 0.2, lag: float = 0.1) -> Splice:
    return Splice(0, position, np.ones(NUM_JOINTS), speed, 5.0, consumed, lag)


def ramp(k: int = 100, rate: float = 1.0) -> np.ndarray:
    return np.repeat(rate * DT * np.arange(k)[:, None], NUM_JOINTS, axis=1)


def enter(path: np.ndarray, at: Splice, kind: TargetKind = COMMAND, **config: object) -> float:
    config = {"slack": 0.0, **config}
    return Handover(HandoverConfig(**config)).entry(path, 0.0 if kind is COMMAND else DT, DT, at, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("speed", "kind", "high"),
    [(2.0, COMMAND, 0.3), (1.0, COMMAND, 0.2), (0.5, COMMAND, 0.2), (0.0, COMMAND, 0.2), (2.0, STATE, 0.4)],
)
def test_window(speed: float, kind: TargetKind, high: float) -> None:
    assert window(splice(np.zeros(14), speed), kind) == pytest.approx((0.2, high))


def test_nearest_enters_where_the_command_is() -> None:
    # at 2x the command is (2 - 1) * lag = 0.1 s further along than the chunk assumes: at 0.27 of a window to 0.3
    assert enter(ramp(), splice(np.full(14, 0.27)), tolerance=0.0) == pytest.approx(0.27)


def test_tolerance_prefers_the_smaller_s_by_at_most_itself() -> None:
    entry = enter(ramp(), splice(np.full(14, 0.27)), tolerance=0.01)
    pace = np.sqrt(12 + 2 * 0.5**2)  # weighted distance per second of this path
    assert entry == pytest.approx(0.27 - 0.01 / pace)


def test_tolerance_costs_no_more_off_the_path() -> None:
    position = np.full(14, 0.27)
    position[0] += 0.05
    position[1] -= 0.05
    on, off = (enter(ramp(), splice(p), tolerance=0.01) for p in (np.full(14, 0.27), position))
    assert off == pytest.approx(on)


def test_slack_catches_up_with_a_chunk_that_begins_early() -> None:
    # at demonstrated speed there is no lead: slack alone reaches 0.24, of which 0.23 is enough
    at = splice(np.full(14, 0.23), speed=1.0)
    assert enter(ramp(), at, tolerance=0.0) == pytest.approx(0.2)
    assert enter(ramp(), at, tolerance=0.0, slack=0.04) == pytest.approx(0.23)
    assert enter(ramp(), splice(np.full(14, 0.9), speed=1.0), slack=0.04, tolerance=0.0) == pytest.approx(0.24)
    assert enter(ramp(), at, method="consumed", slack=0.04) == pytest.approx(0.2)


def test_consumed_ignores_the_command() -> None:
    assert enter(ramp(), splice(np.full(14, 0.27)), method="consumed") == pytest.approx(0.2)


@pytest.mark.parametrize(("position", "expected"), [(-1.0, 0.2), (0.1, 0.2), (0.9, 0.3)])
def test_the_window_bounds_the_entry(position: float, expected: float) -> None:
    assert enter(ramp(), splice(np.full(14, position)), tolerance=0.0) == pytest.approx(expected)


def test_at_rest_and_below_demonstrated_speed_there_is_no_choice() -> None:
    for speed in (0.0, 0.5, 1.0):
        assert enter(ramp(), splice(np.full(14, 0.27), speed)) == pytest.approx(0.2)


def test_the_chunk_bounds_the_window() -> None:
    path = ramp(20)  # ends at 0.38
    assert enter(path, splice(np.full(14, 9.0), consumed=0.35)) == pytest.approx(0.38)
    assert enter(path, splice(np.full(14, 9.0), consumed=4.0)) == pytest.approx(0.38)
    assert enter(path, splice(np.zeros(14), consumed=0.0), STATE) == pytest.approx(DT)


def test_desired_states_have_their_own_window_and_knots() -> None:
    # state i lies at (i + 1) * dt: the value 0.27 is reached at 0.29, inside the window 0.2 to 0.2 + 2 * 0.1
    assert enter(ramp(), splice(np.full(14, 0.27)), STATE, tolerance=0.0) == pytest.approx(0.29)


def test_the_window_of_desired_states_is_bounded_too() -> None:
    assert enter(ramp(), splice(np.full(14, 9.0)), STATE) == pytest.approx(0.4)


def test_standing_still_inside_a_segment_enters_at_what_was_consumed() -> None:
    assert enter(np.zeros((100, NUM_JOINTS)), splice(np.zeros(14), consumed=0.213)) == pytest.approx(0.213)


def test_of_equally_near_points_the_first() -> None:
    path = ramp()
    path[10:] = path[10]  # stands still from s = 0.2 on
    assert enter(path, splice(path[10])) == pytest.approx(0.2)
    path[12:14] = 0.5  # an excursion does not hide the earlier visit
    assert enter(path, splice(path[10])) == pytest.approx(0.2)


def test_a_gripper_tells_apart_what_the_arms_do_not() -> None:
    path = np.zeros((100, NUM_JOINTS))
    path[:, GRIPPERS[0]] = np.linspace(1.0, 0.0, 100)
    at = path[13] + 0.0
    assert enter(path, splice(at), tolerance=0.0) == pytest.approx(13 * DT)
    assert enter(path, splice(at), gripper_weight=0.0) == pytest.approx(0.2)


def test_gripper_weight_balances_joint_and_gripper() -> None:
    """One joint says x = 11, one gripper says x = 14; with equal slopes the weight decides by its square."""
    path = np.zeros((100, NUM_JOINTS))
    path[:, 0] = path[:, GRIPPERS[1]] = 0.01 * np.arange(100)
    at = np.zeros(NUM_JOINTS)
    at[0], at[GRIPPERS[1]] = 0.11, 0.14
    for weight in (0.5, 1.0, 2.0):
        share = weight**2 / (1 + weight**2)
        entry = enter(path, splice(at), gripper_weight=weight, tolerance=0.0)
        assert entry == pytest.approx((11 + 3 * share) * DT)


def test_against_a_dense_search() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        path = np.cumsum(rng.normal(0.0, 0.02, (100, NUM_JOINTS)), axis=0)
        consumed, speed = rng.uniform(0.0, 1.9), rng.uniform(1.0, 4.0)
        at = splice(path[int(rng.integers(100))] + rng.normal(0.0, 0.02, NUM_JOINTS), speed, consumed)
        entry = enter(path, at, tolerance=0.0)
        low, high = window(at, COMMAND)
        s = np.clip(np.linspace(low, high, 4000), 0.0, 99 * DT)
        dense = np.stack([np.interp(s, DT * np.arange(100), path[:, j]) for j in range(NUM_JOINTS)], axis=1)
        weights = np.ones(NUM_JOINTS)
        weights[list(GRIPPERS)] = 0.5
        distances = np.linalg.norm((dense - at.position) * weights, axis=1)
        here = [np.interp(entry, DT * np.arange(100), path[:, j]) for j in range(NUM_JOINTS)]
        assert np.linalg.norm((here - at.position) * weights) <= distances.min() + 1e-6
        assert s[0] - 1e-9 <= entry <= s[-1] + 1e-9


class TestJump:
    def test_by_hand(self) -> None:
        """Moving joint 0 at 2 rad/s, thrown back by 0.01 rad and sideways by 0.03 rad, then at 1 rad/s."""
        before = Splice(0, np.zeros(NUM_JOINTS), np.eye(NUM_JOINTS)[0] * 2.0, 2.0, 1.0, 0.2)
        position = np.zeros(NUM_JOINTS)
        position[0], position[1] = -0.01, 0.03
        felt = jump(before, position, np.eye(NUM_JOINTS)[0] * 1.0, 2.0)
        assert felt.position == pytest.approx(0.03)
        assert felt.velocity == pytest.approx(1.0)
        assert felt.backward == pytest.approx(0.01)
        # the path goes 0.5 rad per second of demonstration here: back by 0.02 s, damped by the slowness of 0.05
        assert felt.slip == pytest.approx(-0.01 * 0.5 / (0.5**2 + 0.05**2))

    def test_forward_is_no_backward_step(self) -> None:
        before = Splice(0, np.zeros(NUM_JOINTS), np.ones(NUM_JOINTS), 1.0, 1.0, 0.2)
        felt = jump(before, np.full(NUM_JOINTS, 0.01), np.ones(NUM_JOINTS), 1.0)
        assert felt.backward == 0.0
        assert felt.slip == pytest.approx(0.01, rel=3e-3)

    def test_grippers_are_not_angles(self) -> None:
        before = Splice(0, np.zeros(NUM_JOINTS), np.ones(NUM_JOINTS), 1.0, 1.0, 0.2)
        position, velocity = np.zeros(NUM_JOINTS), np.ones(NUM_JOINTS)
        position[list(GRIPPERS)], velocity[list(GRIPPERS)] = -0.5, 20.0
        assert jump(before, position, velocity, 1.0) == (0.0, 0.0, 0.0, 0.0)

    def test_from_or_to_rest(self) -> None:
        still = Splice(0, np.zeros(NUM_JOINTS), np.zeros(NUM_JOINTS), 0.0, 1.0, 0.2)
        felt = jump(still, np.full(NUM_JOINTS, -0.1), np.ones(NUM_JOINTS), 1.0)
        assert (felt.backward, felt.slip) == (0.0, 0.0)
        assert (felt.position, felt.velocity) == pytest.approx((0.1, 1.0))
        running = Splice(0, np.zeros(NUM_JOINTS), np.ones(NUM_JOINTS), 1.0, 1.0, 0.2)
        assert jump(running, np.full(NUM_JOINTS, -0.1), np.zeros(NUM_JOINTS), 0.0).slip == 0.0
