"""The driver against the simulated Interbotix stack: bring-up, motion, and the way out of a fault."""

from __future__ import annotations

import time

import numpy as np
import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.action import MoveArms
from speedtune_msgs.msg import DriverStatus
from speedtune_msgs.srv import InjectFault
from speedtune_ros.aloha import ARMS, start_pose

pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

from interbotix_xs_msgs.srv import RegisterValues
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

pytestmark = [pytest.mark.ros, pytest.mark.slow]  # in real time, on a machine with nothing else to do
LEFT = "follower_left"

# fault, joint, value; what the driver calls it; whether it must be mended before the fault can be cleared
FAULTS = {
    "nan_read": ("", 0.0, "not_finite follower_left", True),
    "pi_read": ("", 0.0, "failed_read follower_left", True),
    "silence": ("", 0.0, "bus_silence follower_left", True),
    "frozen": ("", 0.0, "frozen follower_left", True),
    "hardware_error": ("wrist_angle", 0.0, "hardware_error follower_left/wrist_angle", False),
    "overload": ("elbow", 0.0, "overload follower_left/elbow", False),
    "over_temperature": ("shoulder", 0.0, "over_temperature follower_left/shoulder", True),
    "torque_off": ("waist", 0.0, "torque_off follower_left/waist", False),
    "jam": ("waist", 0.0, "tracking_error follower_left", True),
}
REST = (0.0, -1.80, 1.55, 0.0, 0.8, 0.0)  # a vx300s' sleep: not that of simulated arms
QUICK = ("nan_read", "overload", "jam")


@pytest.fixture(scope="module", autouse=True)
def running(unhurried, graph, client):
    graph.start("xs_sim", leaders=False, sleep_rad=str(list(REST)))
    # A loaded machine may be silent for seconds by itself.
    patience = {"interbotix__feedback__hold_s": 4.0, "interbotix__feedback__fault_s": 6.0, "beat_timeout_s": 20.0}
    graph.start("arm_driver", episode_timeout_s=20.0, interbotix__bring_up__timeout_s=40.0, **patience)
    graph.start("episode", robot="real", driver_timeout_s=20.0, settle_s=1.0)
    client.hear("driver_status", "joint_states", "command", "/diagnostics")
    client.until(lambda: client.heard["driver_status"] and status(client).state == DriverStatus.HOLDING, "the driver")
    client.until(lambda: client.diagnostics("episode"), "the episode node")


def status(client) -> DriverStatus:
    return client.heard["driver_status"][-1]


def move(client, pose, speed=1.0, **fields):
    return client.result(client.send(MoveArms, "move_arms", pose=pose, speed=speed, **fields))


def to(client, pose):
    """Move there, even if a loaded machine keeps the arms from it once or twice."""
    outcomes = []
    while not (outcomes and outcomes[-1].success):
        assert len(outcomes) < 3, outcomes
        outcomes.append(move(client, pose))


def inject(client, fault, active=True, joint="", value=0.0):
    answer = client.call(InjectFault, "xs_sim/inject", arm=LEFT, fault=fault, active=active, joint=joint, value=value)
    assert answer.success, answer.message


def registers(client, name):
    request = {"cmd_type": "group", "name": "arm", "reg": name}
    return list(client.call(RegisterValues, f"{LEFT}/get_motor_registers", **request).values)


def test_the_summary_is_shown_and_the_arms_hold_where_they_are(graph, client):
    log = graph.log("arm_driver")
    assert "ok   firmware velocity  all arms" in log and "FAIL" not in log
    assert status(client).state == DriverStatus.HOLDING
    measured = np.array(client.heard["joint_states"][-1].position)
    assert np.abs(measured - np.array(status(client).command))[list(ARMS)].max() < 0.05


def test_arms_that_are_not_as_configured_are_refused_with_the_summary(graph, client):
    graph.start(
        "arm_driver",
        "mismatched",
        interbotix__bring_up__gripper="trossen_2",
        interbotix__bring_up__velocity_limit=4.0,
        interbotix__bring_up__timeout_s=40.0,
    )
    graph.start("arm_driver", "lost", interbotix__left="nobody", interbotix__bring_up__timeout_s=1.0)
    assert graph.wait("mismatched") == 2 and graph.wait("lost") == 2
    log = graph.log("mismatched")
    assert "nothing was moved" in log and "aloha_1 would fit" in log
    assert "FAIL firmware velocity  all arms        3.14   <- expected 4.00 rad/s" in log
    assert "nobody: no service get_robot_info, " in graph.log("lost")
    assert "is Interbotix's xs_sdk running in this namespace?" in graph.log("lost")
    assert status(client).state == DriverStatus.HOLDING


def test_staged_moves_to_the_start_and_back_to_sleep(client):
    to(client, "sleep")
    resting = np.array(client.heard["joint_states"][-1].position)
    assert np.abs(resting - [*REST, 0.0, *REST, 0.0])[list(ARMS)].max() < 0.1, "as the arms say"
    for pose in ("open", "sleep", "start"):
        to(client, pose)
    reached = np.array(client.heard["joint_states"][-1].position)
    assert np.abs(reached - start_pose())[list(ARMS)].max() < 0.1
    refused = move(client, "start", speed=2.0)
    assert not refused.success and "at most 1.5 rad/s" in refused.message


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FAULTS]
)
def test_each_fault_is_named_stops_the_arms_and_has_one_way_out(client, fault):
    joint, value, name, mend_first = FAULTS[fault]
    to(client, "start")
    away = start_pose()
    away[0] += 1.2
    handle = client.send(MoveArms, "move_arms", positions=list(away), speed=0.4)
    client.until(lambda: status(client).state == DriverStatus.TRACKING, "motion", 20.0)
    time.sleep(0.5)
    inject(client, fault, joint=joint, value=value)
    client.until(lambda: status(client).state == DriverStatus.FAULT, "a fault", 20.0)
    assert name in status(client).faults
    outcome = client.result(handle)
    assert not outcome.success and name in outcome.message
    client.until(lambda: client.diagnostics("arm_driver")["message"].startswith("fault: "), "diagnostics")
    assert name in client.diagnostics("arm_driver")["message"]
    held = np.array(status(client).command)
    if mend_first:
        if fault not in ("over_temperature",):
            answer = client.call(Trigger, "driver/clear_stop")
            assert not answer.success or client.until(lambda: status(client).state == DriverStatus.FAULT, "it again")
        inject(client, fault, joint=joint, value=25.0, active=fault == "over_temperature")
    np.testing.assert_array_equal(held, status(client).command)
    answer = client.call(Trigger, "driver/clear_stop")
    assert answer.success, answer.message
    client.until(lambda: status(client).state == DriverStatus.HOLDING, "a cleared fault")
    time.sleep(1.5)
    assert status(client).state == DriverStatus.HOLDING, status(client).faults
    assert registers(client, "Position_P_Gain") == [800] * 6
    to(client, "start")


def test_gains_lost_in_a_reboot_are_set_again(client):
    inject(client, "gains", joint="waist", value=640.0)
    client.until(lambda: registers(client, "Position_P_Gain") == [800] * 6, "the profile's gains")
    assert status(client).state == DriverStatus.HOLDING


def test_a_missing_service_slows_the_arms_and_is_named(client):
    inject(client, "missing_service")
    client.until(lambda: "missing_service follower_left" in client.diagnostics("arm_driver")["message"], "name", 20.0)
    client.until(lambda: status(client).ceiling_reason == "motors_unwatched", "a ceiling", 20.0)
    assert status(client).speed_ceiling == 1.0
    inject(client, "missing_service", active=False)
    client.until(lambda: status(client).speed_ceiling == 0.0, "no ceiling")


def test_a_warm_motor_lowers_the_ceiling(client):
    inject(client, "over_temperature", joint="elbow", value=60.9)
    client.until(lambda: status(client).ceiling_reason == "motor_temperature", "a ceiling", 20.0)
    assert status(client).ceiling_joint == "left_elbow" and 2.4 < status(client).speed_ceiling < 2.8
    assert status(client).state == DriverStatus.HOLDING
    inject(client, "over_temperature", joint="elbow", value=25.0)


def test_deactivating_gives_the_arms_back(graph, client):
    change = lambda number: client.call(  # noqa: E731
        ChangeState, "arm_driver/change_state", transition=Transition(id=number)
    )
    assert change(Transition.TRANSITION_DEACTIVATE).success
    client.until(lambda: status(client).state == DriverStatus.INACTIVE, "an inactive driver")
    assert "torque stays on, the arm holds" in graph.log("arm_driver")
    silent = len(client.heard["command"])
    time.sleep(0.3)
    assert len(client.heard["command"]) == silent
    assert registers(client, "Torque_Enable") == [1] * 6
    assert move(client, "start").message == "fault: the driver is inactive"
    assert change(Transition.TRANSITION_ACTIVATE).success
    client.until(lambda: status(client).state == DriverStatus.HOLDING, "an active driver")
