"""Leaders lead, and everything that makes the followers hold instead."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import ARMS, start_pose
from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.driver import Driver, DriverState
from speedtune_ros.robots.gripper import leader_gripper
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.teleoperation import Mode, Teleoperation, TeleoperationConfig, distance, targets
from speedtune_ros.types import RobotState

LIMITS = make_profile("hardware").limits
TICK = 20_000_000
STILL = np.zeros(14)
CONFIG = TeleoperationConfig()


class Arms:
    """Followers that are where they are commanded, behind the real driver and its guard."""

    def __init__(self):
        self.now_ns = 1_000_000_000_000
        self.driver = Driver(LIMITS, start_pose())
        self.command = start_pose()
        self.teleoperation = Teleoperation(LIMITS, CONFIG)
        self.leaders = start_pose()
        self.speeds = []

    def tick(self, count=1, troubles=(), sending=True, move=STILL):
        for _ in range(count):
            self.now_ns += TICK
            self.leaders = self.leaders + move
            sent = self.teleoperation.tick(self.now_ns, self.command, self.leaders, troubles) if sending else None
            if sent is not None:
                self.driver.load(sent)
            state = RobotState(self.now_ns, self.command, np.zeros(14))
            before, self.last = self.command, self.driver.tick(state)
            self.command = np.array(self.last.command)
            self.speeds.append(np.abs(self.command - before)[list(ARMS)].max() / 0.02)
        return self.teleoperation.mode

    def engaged(self):
        self.teleoperation.engage(self.command, self.now_ns)
        for _ in range(1000):
            if self.tick() is Mode.FOLLOWING:
                return self
        raise AssertionError("they never met")

    @property
    def apart(self):
        return distance(self.command, self.leaders)[0]


@pytest.fixture
def arms():
    return Arms()


def test_nothing_is_sent_before_it_is_engaged(arms):
    assert arms.tick(5, move=np.full(14, 0.01)) is Mode.RELEASED
    np.testing.assert_array_equal(arms.command, start_pose())
    assert arms.teleoperation.reason == "not engaged yet"


def test_far_followers_approach_slowly_then_follow(arms):
    arms.leaders = start_pose() + np.r_[1.0, np.zeros(13)]
    arms.engaged()
    assert max(arms.speeds) <= CONFIG.approach_rad_s + 1e-6
    assert len(arms.speeds) * 0.02 == pytest.approx(1.0 / 0.4, abs=0.4)
    accelerations = np.diff([0.0, *arms.speeds]) / 0.02
    assert accelerations.max() <= CONFIG.acceleration_rad_s2 + 0.1


def test_followers_follow_through_the_guard_untouched(arms):
    arms.engaged()
    arms.tick(100)
    for step in range(200):
        arms.tick(move=0.02 * np.cos(0.05 * step) * np.r_[np.ones(6), 0.0, -np.ones(6), 0.0] * 0.5)
        assert arms.apart < 0.04
    assert arms.last.state is DriverState.TRACKING and arms.last.speed == 1.0
    assert (arms.last.refused, arms.last.saturated) == (0, 0)


def test_leaders_beyond_the_followers_limits_stop_at_them(arms):
    arms.engaged()
    arms.tick(300, move=np.r_[np.zeros(2), 0.004, np.zeros(11)])
    assert arms.command[2] == pytest.approx(LIMITS.upper[2], abs=1e-3)
    assert arms.last.refused == 0


def test_trouble_brakes_and_holds_until_it_is_over(arms):
    arms.engaged()
    arms.tick(100)
    arms.tick(50, move=np.r_[0.02, np.zeros(13)])
    assert arms.tick(1, ["failed_read leader_left"]) is Mode.HOLDING
    arms.tick(8, ["failed_read leader_left"])
    held = arms.command
    arms.tick(20, ["failed_read leader_left"])
    np.testing.assert_array_equal(arms.command, held)
    assert arms.teleoperation.reason == "failed_read leader_left"
    arms.speeds.clear()
    arms.tick(1)
    assert arms.tick(50) is Mode.FOLLOWING and arms.apart < 0.01
    assert max(np.diff([0.0, *arms.speeds])) / 0.02 <= CONFIG.acceleration_rad_s2 + 0.5


def test_leaders_far_away_after_a_hold_must_be_engaged_again(arms):
    arms.engaged()
    arms.tick(20, ["not_finite leader_right"])
    arms.tick(60, ["not_finite leader_right"], move=np.r_[0.01, np.zeros(13)])
    assert arms.tick(2) is Mode.RELEASED
    assert arms.teleoperation.reason == (
        "leaders are 0.60 rad away (left_waist) after a hold (not_finite leader_right): engage again"
    )
    assert arms.tick(10) is Mode.RELEASED
    assert arms.engaged().tick(200) is Mode.FOLLOWING


def test_a_leap_is_no_hand_s(arms):
    arms.engaged()
    arms.tick(50)
    assert arms.tick(1, move=np.r_[np.zeros(3), 0.3, np.zeros(10)]) is Mode.HOLDING
    assert arms.teleoperation.reason == "the leaders leapt by 0.30 rad (left_forearm_roll)"
    arms.speeds.clear()
    assert arms.tick(15) is Mode.APPROACHING
    assert max(arms.speeds) < CONFIG.approach_rad_s + 1e-6


def test_without_new_trajectories_the_arms_come_to_rest_by_themselves(arms):
    arms.engaged()
    arms.tick(100)
    arms.tick(50, move=np.r_[0.03, np.zeros(13)])
    assert arms.speeds[-1] > 1.4
    arms.tick(9, sending=False)
    arms.tick(1, sending=False)
    assert arms.speeds[-1] == 0.0 and arms.last.state is DriverState.HOLDING
    assert arms.teleoperation.at_rest(arms.now_ns)


def test_a_plan_the_driver_does_not_play_begins_anew_where_the_arms_are(arms):
    arms.engaged()
    elsewhere = start_pose() + np.r_[0.5, np.zeros(13)]
    sent = arms.teleoperation.tick(arms.now_ns + TICK, elsewhere, arms.leaders)
    np.testing.assert_allclose(sent.positions[0], elsewhere, atol=1e-12)


def test_targets_are_joints_and_normalised_grippers():
    preset = leader_gripper("aloha_1")
    left, right = np.r_[np.arange(6) / 10, preset.joint.open + 1.0], np.r_[-np.arange(6) / 10, -0.188]
    found = targets(left, right, preset)
    np.testing.assert_allclose(found[:6], left[:6])
    np.testing.assert_allclose(found[7:13], right[:6])
    assert found[6] == 1.0  # squeezed further than the preset's travel
    assert found[13] == pytest.approx((-0.188 + 0.6842) / (0.3083 + 0.6842))
    with pytest.raises(UnknownNameError, match="unknown leader gripper 'soft'; available: aloha_1, trossen_2"):
        leader_gripper("soft")
