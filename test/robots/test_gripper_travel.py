from __future__ import annotations

import pytest

from speedtune_ros.errors import ConfigError
from speedtune_ros.robots.gripper import follower_gripper
from speedtune_ros.robots.gripper_travel import mounted

PRESET = follower_gripper("aloha_1")


def test_a_measured_travel_takes_the_place_of_the_preset_s() -> None:
    found = mounted(PRESET, (0.026, 0.052, -0.31, 1.2), "left")
    assert found.finger.normalise(0.026) == 0.0 and found.finger.normalise(0.052) == 1.0
    assert found.joint.position(0.5) == pytest.approx((-0.31 + 1.2) / 2.0)


def test_without_a_measurement_the_preset_stays() -> None:
    assert mounted(PRESET, (0.0, 0.0, 0.0, 0.0), "left") is PRESET


@pytest.mark.parametrize(
    ("travel", "message"),
    [
        ((0.052, 0.026, -0.31, 1.2), "left gripper: finger measured from 0.0520 closed to 0.0260 open"),
        ((0.026, 0.080, -0.31, 1.2), "finger measured .* inside those of 'aloha_1', 0.0184 to 0.0580"),
        ((0.026, 0.052, -0.31, 2.5), "motor measured"),
    ],
)
def test_a_travel_of_another_gripper_is_refused(travel: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mounted(PRESET, travel, "left")
