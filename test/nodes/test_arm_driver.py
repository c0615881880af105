"""The driver node over simulated Interbotix arms in the same process: its states, and the way out of a fault."""

from __future__ import annotations

import time

import numpy as np
import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from std_srvs.srv import Trigger

from speedtune_ros.robots.driver import DriverState

pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

from speedtune_ros.nodes.arm_driver import ArmDriverNode
from speedtune_ros.nodes.xs_sim import XsSimNode

pytestmark = pytest.mark.ros
PATIENT = ("feedback.hold_s:=10.0", "feedback.fault_s:=30.0", "bring_up.timeout_s:=60.0", "watch_s:=0.3")


@pytest.fixture
def nodes(domain, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    own = ("xs_sim:leaders:=false", "arm_driver:realtime_priority:=0")  # it would be that of all other tests
    settings = [*own, *(f"arm_driver:interbotix.{setting}" for setting in PATIENT)]
    rclpy.init(args=["--ros-args", *(text for setting in settings for text in ("-p", setting))], domain_id=domain)
    sim = XsSimNode()
    driver = ArmDriverNode()
    yield sim, driver
    for node in (driver, sim):
        node.close()
        node.destroy_node()
    rclpy.shutdown()


def until(met, what, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not met():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_it_starts_by_itself_faults_recovers_and_gives_the_arms_back(nodes):
    sim, driver = nodes
    port, motors = driver._port, sim.arms["follower_right"].motors
    until(lambda: port.last is not None and port.last.state == DriverState.HOLDING, "an active driver")
    assert driver.diagnose()["active"] and driver.level()[0] == b"\x00"
    until(lambda: np.abs(port.last.command[7:13] - motors.position[:6]).max() < 0.1, "arms held where they lie")

    sim.arms["follower_right"].inject("overload", "elbow", True, 0.0)
    until(lambda: port.last.state == DriverState.FAULT, "a fault")
    assert port.last.faults == ("overload follower_right/elbow",)
    level, message = driver.level()
    assert level == b"\x02" and message.startswith("fault: overload follower_right/elbow; after seeing to it")
    assert driver.counts["refused.overload"] == 1
    answer = port._clear_stop(Trigger.Request(), Trigger.Response())
    assert answer.success, answer.message
    until(lambda: port.last.state == DriverState.HOLDING, "a cleared fault")
    assert motors.torque.all() and not motors.errors.any()

    assert driver.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    until(lambda: not port.active, "an inactive driver")
    assert motors.torque.all()
    assert driver.trigger_activate() == TransitionCallbackReturn.SUCCESS
    until(lambda: port.last is not None and port.last.state == DriverState.HOLDING, "an active driver again")

    assert port._stop(Trigger.Request(), Trigger.Response()).success
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert getattr(driver, f"trigger_{transition}")() == TransitionCallbackReturn.SUCCESS, transition
    until(lambda: port.last is not None and port.last.state == DriverState.STOPPED, "a stop that outlives that")
    assert port._clear_stop(Trigger.Request(), Trigger.Response()).success
    until(lambda: port.last.state == DriverState.HOLDING, "a cleared stop")
