from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT, GRIPPERS, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.robots.motion_guard import GuardConfig, MotionGuard
from speedtune_ros.robots.robot import Limits

START = np.full(NUM_JOINTS, 0.5)
STEP = np.pi * CONTROL_DT


def limits(velocity: float = np.pi, bound: float = 1.0) -> Limits:
    lower, upper = np.full(NUM_JOINTS, -bound), np.full(NUM_JOINTS, bound)
    lower[list(GRIPPERS)], upper[list(GRIPPERS)] = 0.0, 1.0
    return Limits(lower, upper, np.full(NUM_JOINTS, velocity))


def free() -> Limits:
    infinite = np.full(NUM_JOINTS, np.inf)
    return Limits(-infinite, infinite, infinite)


def at(joint: int, value: float) -> np.ndarray:
    target = START.copy()
    target[joint] = value
    return target


class TestPasses:
    def test_a_small_step_bit_for_bit(self) -> None:
        guard = MotionGuard(limits(), START)
        target = START + np.linspace(-0.9, 0.9, NUM_JOINTS) * STEP
        guarded = guard.check(target)
        assert (guarded.command == target).all()
        assert (guarded.saturated, guarded.refusal) == (False, "")
        assert (guard.last == target).all()
        assert (guard.refused, guard.saturated) == (0, 0)

    def test_a_step_of_exactly_the_limit(self) -> None:
        guard = MotionGuard(limits(), np.zeros(NUM_JOINTS))
        for i in range(1, 15):
            guarded = guard.check(np.full(NUM_JOINTS, STEP) * i)
            assert not guarded.saturated
            assert (guarded.command == STEP * i).all()

    def test_anything_finite_bit_for_bit_without_limits(self) -> None:
        guard = MotionGuard(free(), START)
        for target in np.random.default_rng(0).normal(0.0, 1e6, (100, NUM_JOINTS)):
            guarded = guard.check(target)
            assert (guarded.command == target).all()
            assert (guarded.saturated, guarded.refusal) == (False, "")
        assert not guard.fault
        assert (guard.refused, guard.saturated) == (0, 0)

    def test_whole_numbers_and_single_precision_are_numbers(self) -> None:
        guard = MotionGuard(free(), START)
        for dtype in (np.float32, np.int64):
            assert guard.check(np.ones(NUM_JOINTS, dtype)).refusal == ""

    def test_a_buffer_reused_by_the_caller_changes_nothing(self) -> None:
        guard = MotionGuard(limits(), START)
        target = START.copy()
        command = guard.check(target).command
        target[:] = 0.9
        assert (command == START).all()
        assert guard.check(target).saturated


class TestRefuses:
    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            (np.zeros(13), r"expected 14 numbers, got (13,)"),
            (np.zeros((1, 14)), r"expected 14 numbers, got (1, 14)"),
            (np.array(["a"] * 14), "expected 14 numbers, got (14,)"),
            ([0.0] * 14, "expected 14 numbers, got list"),
            (None, "expected 14 numbers, got NoneType"),
            (at(3, np.nan), "left_forearm_roll: not finite"),
            (at(6, np.nan), "left_gripper: not finite"),
            (at(13, -np.inf), "right_gripper: not finite"),
            (at(1, 1.01), "left_shoulder: 1.0100 outside -1.0000 to 1.0000"),
            (at(12, -1.5), "right_wrist_rotate: -1.5000 outside -1.0000 to 1.0000"),
        ],
    )
    def test_holds_counts_and_says_why(self, target: object, reason: str) -> None:
        guard = MotionGuard(limits(np.inf), START)
        guarded = guard.check(target)  # type: ignore[arg-type]
        assert guarded.refusal == reason
        assert (guarded.command == START).all()
        assert not guarded.saturated
        assert (guard.refused, guard.saturated) == (1, 0)
        assert (guard.last == START).all()

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_not_finite_even_without_limits(self, bad: float) -> None:
        guard = MotionGuard(free(), START)
        assert guard.check(at(0, bad)).refusal == "left_waist: not finite"

    def test_the_next_good_target_passes(self) -> None:
        guard = MotionGuard(limits(), START)
        guard.check(at(0, np.nan))
        assert guard.check(START + 0.01).refusal == ""

    def test_refuse_from_outside(self) -> None:
        guard = MotionGuard(limits(), START)
        guarded = guard.refuse("stale")
        assert (guarded.refusal, guarded.saturated, guard.refused) == ("stale", False, 1)
        assert (guarded.command == START).all()
        guard.refuse("stale")
        assert guard.refused == 2


class TestClips:
    @pytest.mark.parametrize(("value", "expected"), [(1.0 + 0.9e-4, 1.0), (-1.0 - 0.9e-4, -1.0)])
    def test_an_arm_joint_barely_outside(self, value: float, expected: float) -> None:
        guard = MotionGuard(limits(np.inf), START)
        guarded = guard.check(at(2, value))
        assert guarded.command[2] == expected
        assert (guarded.saturated, guarded.refusal) == (False, "")

    def test_slack_is_configurable(self) -> None:
        guard = MotionGuard(limits(np.inf), START, config=GuardConfig(slack=0.1))
        assert guard.check(at(2, 1.09)).command[2] == 1.0
        assert guard.check(at(2, 1.11)).refusal != ""

    @pytest.mark.parametrize(("value", "expected"), [(-0.3, 0.0), (1.2, 1.0)])
    @pytest.mark.parametrize("gripper", GRIPPERS)
    def test_a_gripper_outside_its_range_and_counts_it(self, gripper: int, value: float, expected: float) -> None:
        guard = MotionGuard(limits(np.inf), START)
        guarded = guard.check(at(gripper, value))
        assert guarded.command[gripper] == expected
        assert (guarded.saturated, guarded.refusal, guard.saturated) == (True, "", 1)

    def test_a_gripper_outside_its_range_is_no_fault(self) -> None:
        guard = MotionGuard(limits(), START)
        for _ in range(100):
            guard.check(np.where(np.isin(np.arange(NUM_JOINTS), GRIPPERS), -0.1, 0.5))
        assert not guard.fault
        assert guard.saturated == 100

    def test_a_start_outside(self) -> None:
        guard = MotionGuard(limits(), np.full(NUM_JOINTS, 3.0))
        assert (guard.last == 1.0).all()
        guard.reset(np.full(NUM_JOINTS, -3.0))
        assert (guard.last == np.where(np.isin(np.arange(NUM_JOINTS), GRIPPERS), 0.0, -1.0)).all()


class TestSaturates:
    def test_moves_towards_the_target_by_the_limit(self) -> None:
        guard = MotionGuard(limits(), START)
        target = START.copy()
        target[0], target[1] = -1.0, 0.52
        guarded = guard.check(target)
        assert guarded.command[0] == pytest.approx(0.5 - STEP)
        assert guarded.command[1] == 0.52  # the others are let through
        assert guarded.saturated
        assert guard.saturated == 1
        assert (guard.last == guarded.command).all()

    def test_reaches_a_resting_target(self) -> None:
        guard = MotionGuard(limits(), START)
        target = at(0, 0.5 - 3.5 * STEP)
        commands = [guard.check(target).command[0] for _ in range(5)]
        assert commands == pytest.approx([0.5 - i * STEP for i in (1, 2, 3, 3.5, 3.5)])
        assert guard.saturated == 3

    def test_dt_scales_the_step(self) -> None:
        guard = MotionGuard(limits(), START, dt=0.005)
        assert guard.check(at(0, 0.0)).command[0] == pytest.approx(0.5 - np.pi * 0.005)

    def test_fault_after_half_a_second_without_a_break(self) -> None:
        guard = MotionGuard(limits(0.01, 100.0), START)
        faults = []
        for _ in range(26):
            guard.check(at(0, 90.0))
            faults.append(guard.fault)
        assert faults == [False] * 24 + [True] * 2

    def test_a_break_starts_the_clock_anew(self) -> None:
        guard = MotionGuard(limits(0.01, 100.0), START)
        for _ in range(24):
            guard.check(at(0, 90.0))
        guard.check(guard.last.copy())
        for _ in range(24):
            guard.check(at(0, 90.0))
        assert not guard.fault

    def test_a_refusal_is_no_break(self) -> None:
        guard = MotionGuard(limits(0.01, 100.0), START)
        for _ in range(24):
            guard.check(at(0, 90.0))
        guard.check(at(0, np.nan))
        guard.check(at(0, 90.0))
        assert guard.fault

    def test_fault_time_is_configurable(self) -> None:
        guard = MotionGuard(limits(0.01), START, config=GuardConfig(fault_time=0.06))
        for _ in range(3):
            guard.check(at(0, 0.9))
        assert guard.fault


def test_reset_starts_anew() -> None:
    guard = MotionGuard(limits(0.01, 100.0), START)
    for _ in range(30):
        guard.check(at(0, 90.0))
    assert guard.fault
    guard.reset(np.full(NUM_JOINTS, 0.25))
    assert not guard.fault
    assert (guard.last == 0.25).all()
    assert guard.saturated == 30  # counts stay
    with pytest.raises(InvalidInputError, match=r"guard start: expected shape \(14,\), got \(3,\)"):
        guard.reset(np.zeros(3))
