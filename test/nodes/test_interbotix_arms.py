"""Taking Interbotix arms over and giving them back, against simulated ones in the same process."""

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
import pytest
import rclpy

from speedtune_ros.aloha import ARM_JOINTS
from speedtune_ros.robots.bring_up import BringUpConfig, BringUpError
from speedtune_ros.robots.feedback import FeedbackConfig
from speedtune_ros.robots.health import Rung
from speedtune_ros.robots.interbotix import SLEEP
from speedtune_ros.robots.interbotix_config import InterbotixConfig
from speedtune_ros.robots.motor_ceiling import CeilingConfig

pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

from speedtune_ros.nodes.interbotix_arms import InterbotixArms
from speedtune_ros.nodes.xs_sim import XsSimNode

pytestmark = pytest.mark.ros
BRING_UP = BringUpConfig(timeout_s=60.0)
PATIENT = FeedbackConfig(hold_s=10.0, fault_s=30.0, tracking_s=10.0)  # with a busy machine
UNHURRIED = CeilingConfig(unwatched_s=60.0)


class Stack:
    """The simulated arms, and drivers of them."""

    def __init__(self):
        self.sim = XsSimNode()
        self.said = []
        self.drivers = []

    def driver(self, feedback=PATIENT, **bring_up):
        config = InterbotixConfig(
            watch_s=0.3, bring_up=dataclasses.replace(BRING_UP, **bring_up), feedback=feedback, ceiling=UNHURRIED
        )
        driver = InterbotixArms(config, "hardware", self.sim, self.said.append)
        self.drivers.append(driver)
        return driver

    def motors(self, side):
        return self.sim.arms[f"follower_{side}"].motors

    def gains(self, side):
        return self.motors(side).read(list(range(6)), "Position_P_Gain")


@pytest.fixture
def stack(request, domain, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    arguments = [text for setting in ("leaders:=false", *request.param) for text in ("-p", setting)]
    rclpy.init(args=["--ros-args", *arguments], domain_id=domain)
    stack = Stack()
    yield stack
    for driver in stack.drivers:
        driver.close()
    stack.sim.close()
    stack.sim.destroy_node()
    rclpy.shutdown()


def with_(*settings):
    return pytest.mark.parametrize("stack", [settings], indirect=True, ids=[" ".join(settings) or "as shipped"])


@with_()
def test_gains_are_set_read_back_and_restored(stack):
    driver = stack.driver(gains="low")
    stack.motors("right").write(list(range(6)), "Position_P_Gain", 640)
    assert "FAIL" not in driver.configure()
    assert stack.gains("left") == [800] * 6  # looking changes nothing
    driver.activate()
    assert stack.gains("left") == stack.gains("right") == [100] * 6
    driver.deactivate()
    assert (stack.gains("left"), stack.gains("right")) == ([800] * 6, [640] * 6)
    assert stack.motors("left").torque.all()
    assert "follower_left: gains restored; torque stays on" in stack.said[-2]


@with_()
def test_a_second_driver_is_refused_while_the_first_one_commands(stack):
    first, second = stack.driver(), stack.driver()
    for driver in (first, second):
        driver.configure()
    first.activate()
    over = threading.Event()
    posture = first.posture()

    def drive() -> None:
        while not over.wait(0.02):
            first.command(posture)

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        with pytest.raises(BringUpError, match="follower_left: somebody else commands it"):
            second.activate()
    finally:
        over.set()
        thread.join()
    second.activate()


@with_("torque:=false")
def test_torque_is_switched_on_where_the_arms_lie(stack):
    driver = stack.driver()
    driver.configure()
    assert not stack.motors("left").torque.any()
    driver.activate()
    assert stack.motors("left").torque.all() and stack.motors("right").torque.all()
    off = np.abs(driver.posture()[:6] - SLEEP)
    wrist = ARM_JOINTS.index("wrist_angle")  # it hangs without torque
    assert off[wrist] < 0.3 and np.delete(off, wrist).max() < 0.1


@with_("arm_mode:=pwm", "gripper_mode:=linear_position")
def test_modes_are_switched_in_the_sleep_pose_alone(stack):
    driver = stack.driver()
    assert "FAIL arm mode           all arms        pwm   <- expected position" in driver.configure()
    driver.activate()
    assert stack.motors("left").modes == ["position"] * 6 + ["current_based_position"]
    assert any("switching arm from pwm to position, without torque meanwhile" in line for line in stack.said)


@with_("arm_mode:=pwm")
def test_elsewhere_a_wrong_mode_is_refused(stack):
    with pytest.raises(BringUpError, match="FAIL arm mode"):
        stack.driver(set_modes=False).configure()
    stack.sim._plant._data.qpos[stack.sim._plant._arms["follower_left"].position[1]] = -0.5
    with pytest.raises(BringUpError, match="nothing was moved"):
        stack.driver().configure()
    assert any("switching drops the arm, so it must lie in the sleep pose" in line for line in stack.said)
    assert stack.motors("left").modes[0] == "pwm"


@with_()
def test_a_recovery_reboots_what_failed_and_leaves_the_arms_where_they_are(stack):
    driver = stack.driver(gains="low")
    with pytest.raises(BringUpError, match="activate the driver first"):
        driver.recover()
    driver.configure()
    driver.activate()
    stack.sim.arms["follower_left"].inject("overload", "elbow", True, 0.0)
    assert not stack.motors("left").torque[2]
    posture = driver.recover()
    assert not stack.motors("left").errors.any() and stack.motors("left").torque.all()
    assert stack.gains("left") == [100] * 6
    np.testing.assert_allclose(posture[:6], stack.motors("left").position[:6], atol=0.2)
    assert driver.health().troubles == ()


# What is broken, of which joint; what it is called, where, and how far down the ladder it leads at first.
FAULTS = {
    "nan_read": ("", "not_finite", "", Rung.HOLD),
    "pi_read": ("", "failed_read", "", Rung.HOLD),
    "silence": ("", "bus_silence", "", Rung.HOLD),
    "frozen": ("", "frozen", "", Rung.HOLD),
    "jam": ("waist", "tracking_error", "", Rung.FAULT),
    "hardware_error": ("wrist_angle", "hardware_error", "/wrist_angle", Rung.FAULT),
    "overload": ("elbow", "overload", "/elbow", Rung.FAULT),
    "over_temperature": ("shoulder", "over_temperature", "/shoulder", Rung.FAULT),
    "torque_off": ("waist", "torque_off", "/waist", Rung.FAULT),
    "missing_service": ("", "missing_service", "", Rung.WARN),
}


@with_()
def test_every_fault_has_its_name_and_its_rung(stack):
    driver = stack.driver(FeedbackConfig(hold_s=2.0, fault_s=60.0, tracking_s=0.3))
    driver.configure()
    driver.activate()
    away = driver.posture()
    away[0] += 0.9  # the waist, away from the table
    arm = stack.sim.arms["follower_left"]
    for fault, (joint, name, place, rung) in FAULTS.items():
        arm.inject(fault, joint, True, 0.0)
        if fault in ("frozen", "jam"):
            driver.command(away)
        found = wait_for(driver, name)
        assert (found.where, found.rung) == (f"follower_left{place}", rung), fault
        arm.inject(fault, joint, fault == "over_temperature", 25.0)
        if rung is not Rung.WARN:
            away[0] = driver.recover()[0] + 0.9
        wait_for(driver, None)


def wait_for(driver, name, timeout=30.0):
    """The trouble of that name, or for None until there is none."""
    deadline = time.monotonic() + timeout
    while True:
        troubles = driver.health().troubles
        named = [trouble for trouble in troubles if trouble.name == name]
        if named or (name is None and not troubles):
            return named[0] if named else None
        assert time.monotonic() < deadline, (name, troubles)
        time.sleep(0.02)
