from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.robots.measured_limits import MeasuredLimits, narrowed
from speedtune_ros.robots.profiles import make_profile

LIMITS = make_profile("hardware").limits


def test_measured_velocities_take_the_place_of_the_profile_s_and_nothing_else_changes() -> None:
    given = MeasuredLimits("hardware", ("left_waist", "right_gripper"), (1.25, 20.0))
    limits = narrowed(LIMITS, given, "hardware")
    assert (limits.velocity[0], limits.velocity[13]) == (1.25, 20.0)
    np.testing.assert_array_equal(np.delete(limits.velocity, [0, 13]), np.delete(LIMITS.velocity, [0, 13]))
    np.testing.assert_array_equal(limits.lower, LIMITS.lower)
    np.testing.assert_array_equal(limits.upper, LIMITS.upper)
    assert LIMITS.velocity[0] == np.pi


def test_without_measurements_the_profile_s_limits_stay() -> None:
    assert narrowed(LIMITS, MeasuredLimits(), "hardware") is LIMITS


def test_the_profile_s_own_limit_rounded_in_a_file_is_not_above_it() -> None:
    limits = narrowed(LIMITS, MeasuredLimits("hardware", ("left_waist",), (3.141593,)), "hardware")
    assert limits.velocity[0] == np.pi


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("act", ("left_waist",), (1.0,)), "measured under profile 'act', expected 'hardware'"),
        (("hardware", ("left_wast",), (1.0,)), "unknown joint 'left_wast'; .* Did you mean 'left_waist'"),
        (("hardware", ("left_waist",), (3.5,)), "left_waist: expected a velocity above 0 and at most 3.142, got 3.5"),
        (("hardware", ("left_waist",), (0.0,)), "left_waist: expected a velocity above 0"),
    ],
)
def test_limits_of_another_profile_or_joint_or_above_the_profile_s_are_refused(given: tuple, message: str) -> None:
    with pytest.raises(SpeedtuneError, match=message):
        narrowed(LIMITS, MeasuredLimits(*given), "hardware")


def test_each_joint_has_one_velocity() -> None:
    with pytest.raises(ConfigError, match="2 joints, but 1 velocities"):
        MeasuredLimits("hardware", ("left_waist", "left_elbow"), (1.0,))
