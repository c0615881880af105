"""Which joint states can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.robots.feedback import FeedbackConfig, FeedbackMonitor, Reading
from speedtune_ros.robots.health import Health, Rung, Trouble

CONFIG = FeedbackConfig()


class Arm:
    """A monitor fed a hundred times a second."""

    def __init__(self):
        self.now, self.count = 10.0, 0
        self.monitor = FeedbackMonitor("follower_left", CONFIG, self.now)

    def hear(self, seconds, moving=True, **fields):
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            self.count += moving
            values = np.full(7, 1e-3 * (self.count % 7))
            reading = Reading(values, 0.03, np.zeros(7), np.zeros(7), round(self.now * 1e9))
            self.monitor.accept(reading._replace(**fields), self.now)
            found = self.troubles()
        return found

    def wait(self, seconds):
        self.now += seconds
        return self.troubles()

    def troubles(self):
        return [(trouble.name, trouble.rung) for trouble in self.monitor.troubles(self.now)]


@pytest.fixture
def arm():
    arm = Arm()
    arm.monitor.commanded(np.zeros(7))
    assert arm.hear(0.5) == []
    return arm


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("not_finite", {"joints": np.full(7, np.nan)}),
        ("not_finite", {"finger": float("nan")}),
        ("not_finite", {"current": np.full(7, np.inf)}),
        ("failed_read", {"joints": np.full(7, -np.pi)}),
    ],
)
def test_bad_reads_are_borne_then_hold_then_fault(arm, name, fields):
    good = arm.monitor.last
    assert arm.hear(0.1, **fields) == []
    assert arm.hear(0.1, **fields) == [(name, Rung.HOLD)]
    assert arm.hear(1.0, **fields) == [(name, Rung.FAULT)]
    assert arm.monitor.last is good and arm.monitor.counts[name] == 120
    assert arm.hear(0.01) == []


def test_one_joint_at_minus_pi_is_a_pose(arm):
    joints = np.zeros(7)
    joints[5] = -np.pi
    assert arm.monitor.accept(arm.monitor.last._replace(joints=joints), arm.now)


def test_silence(arm):
    assert arm.wait(0.1) == []
    assert arm.wait(0.1) == [("bus_silence", Rung.HOLD)]
    assert arm.wait(1.0) == [("bus_silence", Rung.FAULT)]


def test_values_that_do_not_change_are_frozen_only_if_the_arm_was_sent_elsewhere(arm):
    assert arm.hear(3.0, moving=False) == []
    arm.monitor.commanded(np.full(7, 0.2))
    assert arm.hear(0.25, moving=False) == []  # it may be slow to begin
    assert arm.hear(0.02, moving=False) == [("frozen", Rung.HOLD)]
    assert arm.hear(1.0, moving=False) == [("frozen", Rung.FAULT)]
    arm.monitor.reset(arm.now)
    assert arm.hear(0.2) == []


def test_frozen_while_moving_holds_first(arm):
    for i in range(40):
        arm.monitor.commanded(np.full(7, 0.01 * i))
        found = arm.hear(0.01, moving=False)
    assert found == [("frozen", Rung.HOLD)]


def test_values_that_say_motion_and_never_change_are_frozen():
    arm = Arm()  # one that nobody sends anywhere, as a leader
    assert arm.hear(1.0, moving=False, velocity=np.r_[0.05, np.zeros(6)]) == []  # slower than its encoder can tell
    assert arm.hear(0.2, velocity=np.full(7, 1.0)) == []
    assert arm.hear(0.2, moving=False, velocity=np.full(7, 1.0)) == []
    assert arm.hear(0.1, moving=False, velocity=np.full(7, 1.0)) == [("frozen", Rung.HOLD)]


def test_an_arm_that_does_not_follow(arm):
    arm.monitor.commanded(np.r_[0.0, 0.8, np.zeros(5)])
    assert arm.hear(0.3) == []
    assert arm.hear(0.2) == [("tracking_error", Rung.FAULT)]
    arm.monitor.commanded(np.r_[np.zeros(6), 2.0])  # a gripper is stopped by what it holds
    assert arm.hear(1.0) == []


def test_health_tells_troubles_by_rung():
    health = Health((Trouble("overload", "a/elbow", Rung.FAULT, "x"), Trouble("frozen", "b", Rung.HOLD)))
    assert health.at(Rung.FAULT) == ("overload a/elbow",) and health.at(Rung.HOLD) == ("frozen b",)
    assert str(health.troubles[0]) == "overload a/elbow: x"
