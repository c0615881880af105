"""The whole graph on simulated Interbotix arms: an episode, and three faults during motion."""

from __future__ import annotations

import time

import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.action import RunEpisode
from speedtune_msgs.msg import DriverStatus
from speedtune_msgs.srv import InjectFault

pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

pytestmark = [pytest.mark.ros, pytest.mark.slow]  # in real time, on a machine with nothing else to do
PATIENT = {"answer_timeout_s": 20.0, "episode_timeout_s": 20.0}


@pytest.fixture(scope="module", autouse=True)
def running(unhurried, graph, client):
    graph.start("xs_sim", leaders=False)
    graph.start(
        "arm_driver",
        episode_timeout_s=20.0,
        beat_timeout_s=20.0,
        interbotix__bring_up__timeout_s=50.0,
        interbotix__feedback__hold_s=4.0,
        interbotix__feedback__fault_s=15.0,
    )
    graph.start("episode", robot="real", profile="hardware", driver_timeout_s=20.0, stall_timeout_s=20.0)
    graph.start("retimer", profile="hardware", **PATIENT)
    graph.start("task_policy", policy="expert", profile="hardware")
    graph.start("speed_policy", speed="2")
    client.hear("driver_status", "retime_report", "/diagnostics")
    client.until(lambda: client.heard["driver_status"] and state(client) == DriverStatus.HOLDING, "the driver")
    for node in graph.processes:
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}")


def state(client):
    return client.heard["driver_status"][-1].state


def inject(client, fault, active=True, joint="", value=0.0):
    request = {"arm": "follower_right", "fault": fault, "active": active, "joint": joint, "value": value}
    answer = client.call(InjectFault, "xs_sim/inject", **request)
    assert answer.success, answer.message


def moving_episode(client, limit):
    """The goal of an episode whose first chunk is being executed."""
    seen = len(client.heard["retime_report"])
    handle = client.send(RunEpisode, "run_episode", seed=1, time_limit=limit)
    client.until(lambda: len(client.heard["retime_report"]) > seen + 1, "answers")
    client.until(lambda: state(client) == DriverStatus.TRACKING, "motion")
    return handle


def test_an_episode_runs_faster_than_demonstrated(client):
    outcome = client.run_episode(seed=1, time_limit=2.0)
    assert outcome.reason == "time_limit"
    status = client.heard["driver_status"][-1]
    assert status.progress > 1.0 and status.saturated < 20
    reports = client.heard["retime_report"]
    assert max(report.mean_speed for report in reports) > 1.3 and not any(report.fallback_reason for report in reports)


def test_a_hot_motor_slows_the_episode_and_the_report_says_so(client):
    inject(client, "over_temperature", joint="elbow", value=67.9)
    client.until(lambda: client.heard["driver_status"][-1].ceiling_reason == "motor_temperature", "a ceiling", 20.0)
    client.result(moving_episode(client, 2.0))
    report = client.heard["retime_report"][-1]
    assert (report.binding_limit, report.binding_joint) == ("motor_temperature", "right_elbow")
    assert 0.5 < report.mean_speed < 1.3
    inject(client, "over_temperature", joint="elbow", value=25.0)


def test_failed_reads_hold_the_arms_and_motion_goes_on_after_them(client):
    handle = moving_episode(client, 8.0)
    inject(client, "nan_read")
    client.until(lambda: state(client) == DriverStatus.HOLDING, "a hold", 20.0)
    assert list(client.heard["driver_status"][-1].faults) == ["not_finite follower_right"]
    inject(client, "nan_read", active=False)
    client.until(lambda: state(client) == DriverStatus.TRACKING, "motion again", 20.0)
    assert client.result(handle).reason == "time_limit"


def test_a_motor_that_shuts_down_ends_the_episode_and_one_action_leads_back(client):
    handle = moving_episode(client, 20.0)
    inject(client, "overload", joint="shoulder")
    outcome = client.result(handle)
    assert not outcome.success and outcome.reason.startswith("fault: overload follower_right/shoulder")
    refused = client.run_episode(seed=1, time_limit=2.0)
    assert refused.reason.startswith("fault: overload follower_right/shoulder")
    assert client.call(Trigger, "driver/clear_stop").success
    client.until(lambda: state(client) == DriverStatus.HOLDING, "a cleared fault")
    time.sleep(1.0)
    assert client.run_episode(seed=1, time_limit=1.0).reason == "time_limit"
