"""Gripper presets: the crank agrees with the published constants, and a wrong preset is noticed."""

from __future__ import annotations

import pytest

from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.gripper import FOLLOWER_GRIPPERS, FingerRange, Linkage, follower_gripper, implausible


@pytest.mark.parametrize("preset", FOLLOWER_GRIPPERS.values(), ids=lambda preset: preset.name)
def test_the_crank_joins_both_scales_of_every_follower(preset):
    linkage = Linkage()
    for end in ("closed", "open"):
        assert linkage.finger(getattr(preset.joint, end)) == pytest.approx(getattr(preset.finger, end), abs=2e-4)
    for angle in (-0.6, 0.0, 0.5, 1.4):
        assert linkage.angle(linkage.finger(angle)) == pytest.approx(angle, abs=1e-9)


def test_a_range_goes_from_0_to_1():
    span = FingerRange(0.02, 0.06)
    assert span.normalise(0.03) == pytest.approx(0.25) and span.position(0.25) == pytest.approx(0.03)


def test_readings_of_the_same_gripper_are_plausible_and_of_another_are_not():
    linkage = Linkage()
    for angle in (-0.6, 0.5, 1.45):
        assert implausible(follower_gripper("aloha_1"), angle, linkage.finger(angle)) == ""
    said = implausible(follower_gripper("trossen_2"), -0.5, linkage.finger(-0.5))
    assert said == "motor at -0.5000, 'trossen_2' goes from 0.6197 closed to 1.6214 open; aloha_1 would fit"
    assert implausible(follower_gripper("aloha_1"), float("nan"), 0.03).startswith("motor at nan")


def test_an_unknown_gripper_is_refused():
    with pytest.raises(UnknownNameError, match="unknown gripper 'aloha1'; available: aloha_1, trossen_2"):
        follower_gripper("aloha1")
