"""Bring-up: each mismatch is one failed line of the summary."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from speedtune_ros.aloha import ARM_JOINTS
from speedtune_ros.robots.bring_up import REGISTERS, ArmReport, BringUpConfig, Group, checks, summary
from speedtune_ros.robots.gripper import Linkage
from speedtune_ros.robots.interbotix import SLEEP
from speedtune_ros.robots.profiles import LOWER, UPPER

LIMITS = np.array(LOWER), np.array(UPPER)


def report(**registers):
    arm = Group("position", ARM_JOINTS, LOWER, UPPER, SLEEP)
    gripper = Group("current_based_position", ("left_finger",), (0.021,), (0.057,), (0.03,))
    joints = np.array([*SLEEP, -0.3])
    values = dict.fromkeys(REGISTERS, [0] * 7)
    values |= {"Velocity_Limit": [131] * 7, "Present_Temperature": [31] * 7, "Torque_Enable": [1] * 7}
    return ArmReport("follower_left", arm, gripper, joints, Linkage().finger(-0.3), {**values, **registers}, 200)


def failed(found, config=BringUpConfig()):  # noqa: B008
    return [(check.name, check.found) for check in checks(found, config, *LIMITS) if not check.passed]


def test_arms_as_configured_pass():
    assert failed(report()) == []
    assert report().asleep


@pytest.mark.parametrize(
    ("name", "registers", "found"),
    [
        ("hardware errors", {"Hardware_Error_Status": [0, 0, 0x24, 0, 0, 0, 0]}, "elbow: over_temperature+overload"),
        ("firmware velocity", {"Velocity_Limit": [131, 131, 200, 131, 131, 131, 131]}, "3.14 4.80"),
        ("profile velocity", {"Profile_Velocity": [0, 0, 5, 0, 0, 0, 0]}, "0 5"),
        ("temperature", {"Present_Temperature": [31, 60, 31, 31, 31, 31, 31]}, "60 C"),
    ],
)
def test_each_register_is_checked(name, registers, found):
    assert failed(report(**registers)) == [(name, found)]


def test_modes_limits_names_and_grippers_are_checked():
    arm = report()
    arm.arm = arm.arm._replace(mode="pwm", lower=(-3.14158, -1.0, *LOWER[2:]))
    arm.gripper_current = 1193
    assert failed(arm) == [
        ("limits", "-1.000 to 1.257 at shoulder"),
        ("arm mode", "pwm"),
        ("gripper current", "1193"),
    ]
    other = report()
    other.arm = other.arm._replace(joints=ARM_JOINTS[::-1])
    assert failed(other)[0][0] == "joints"
    wrong = failed(report(), dataclasses.replace(BringUpConfig(), gripper="trossen_2"))
    assert wrong[0][0] == "gripper" and "aloha_1 would fit" in wrong[0][1]


def test_an_arm_that_stands_is_not_asleep():
    arm = report()
    arm.joints = np.array([0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.0])
    assert not arm.asleep and arm.awake_by == pytest.approx(1.27)


def test_the_summary_fits_a_screen_and_marks_what_failed():
    left = checks(report(), BringUpConfig(), *LIMITS)
    right = [check._replace(arm="follower_right") for check in left]
    mode = [check.name for check in right].index("arm mode")
    right[mode] = right[mode]._replace(found="pwm", passed=False)
    lines = summary([*left, *right]).splitlines()
    assert len(lines) < 24
    assert "  FAIL arm mode           follower_right  pwm   <- expected position" in lines
    assert "  ok   temperature        all arms        31 C" in lines
