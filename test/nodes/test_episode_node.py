"""Episodes in real time over real processes: success, cancel, stop, moves, limits, and a policy that dies."""

from __future__ import annotations

import math
import signal

import numpy as np
import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.action import MoveArms, RunEpisode
from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_msgs.srv import LabelEpisode, SetSpeedLimit, SetSpeedMode
from speedtune_ros.aloha import ARMS, start_pose

pytestmark = pytest.mark.ros
HEARD = ("command", "driver_status", "episode_status", "retime_report", "inference_request", "/diagnostics")


@pytest.fixture(scope="module", autouse=True)
def running(graph, client):
    graph.start("sim", cameras=[""], episode_timeout_s=20.0)
    graph.start("retimer", answer_timeout_s=0.5, episode_timeout_s=20.0)
    graph.start("task_policy", policy="expert")
    graph.start("speed_policy", speed="constant:2")
    graph.start("episode", stall_timeout_s=1.0, silence_timeout_s=20.0)
    client.hear(*HEARD)
    for node in graph.processes:
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}")


def driver(client):
    return client.heard["driver_status"][-1]


def start(client, **fields):
    """A goal under way whose arms move."""
    handle = client.send(RunEpisode, "run_episode", **fields)
    assert handle is not None
    client.until(lambda: driver(client).state == DriverStatus.TRACKING, "motion")
    return handle


def assert_holds(client):
    client.until(lambda: driver(client).state != DriverStatus.TRACKING, "rest")
    stamp, last = driver(client).header.stamp.sec, np.array(driver(client).command)
    client.until(lambda: driver(client).header.stamp.sec >= stamp + 1, "another second")
    np.testing.assert_array_equal(driver(client).command, last)


def test_two_speeds_end_to_end(unhurried, client):
    slow = client.run_episode(seed=3, speed_mode="constant:1", timeout=60.0)
    fast = client.run_episode(seed=3, speed_mode="constant:2", timeout=60.0)
    assert (slow.success, slow.reason) == (fast.success, fast.reason) == (True, "success")
    assert fast.acceleration == pytest.approx(slow.duration / fast.duration)
    assert 1.7 < fast.acceleration < 2.4  # a loaded machine stretches the slow one, too
    assert slow.acceleration == 1.0


def test_cancel_and_one_goal_at_a_time(client):
    handle = start(client, seed=4)
    assert client.send(RunEpisode, "run_episode", seed=5) is None
    assert client.send(MoveArms, "move_arms", pose="start", speed=0.5) is None
    client.cancel(handle)
    outcome = client.result(handle)
    assert (outcome.success, outcome.reason) == (False, "cancelled")
    client.until(lambda: client.heard["episode_status"][-1].phase == EpisodeStatus.ENDED, "the end")
    assert client.heard["episode_status"][-1].reason == "cancelled"
    assert_holds(client)


def test_stop_is_latched_until_cleared(client):
    handle = start(client, seed=4)
    assert client.call(Trigger, "episode/stop").success
    assert client.result(handle).reason == "stopped"
    assert driver(client).state == DriverStatus.STOPPED
    assert_holds(client)
    refused = client.run_episode(seed=4)
    assert not refused.success and "clear it with driver/clear_stop" in refused.reason
    assert driver(client).state == DriverStatus.STOPPED
    assert client.call(Trigger, "driver/clear_stop").success
    assert client.run_episode(seed=4, time_limit=0.5).reason == "time_limit"


def test_bad_goals_are_refused_with_their_reason(client):
    assert "transfer_cube" in client.run_episode(task="juggle").reason
    assert "got nan" in client.run_episode(time_limit=math.nan).reason
    assert "constant" in client.run_episode(speed_mode="warp:9").reason


def test_moves(client):
    handle = client.send(MoveArms, "move_arms", pose="sleep", speed=1.5)
    outcome = client.result(handle)
    assert outcome.success, outcome.message
    handle = client.send(MoveArms, "move_arms", positions=list(start_pose(1.0)), speed=1.5)
    assert client.result(handle).success
    np.testing.assert_allclose(np.array(driver(client).command)[list(ARMS)], start_pose(1.0)[list(ARMS)], atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pose": "hammock", "speed": 0.5}, "available: open, sleep, start"),
        ({"pose": "start", "speed": math.nan}, "got nan"),
        ({"pose": "start", "speed": 9.0}, "at most 1.5 rad/s, got 9.0"),
        ({"positions": [0.0] * 3, "speed": 0.5}, "expected shape (14,), got (3,)"),
        ({"positions": [math.nan] * 14, "speed": 0.5}, "not finite"),
    ],
)
def test_bad_moves_move_nothing(client, fields, message):
    before = np.array(driver(client).command)
    outcome = client.result(client.send(MoveArms, "move_arms", **fields))
    assert not outcome.success and message in outcome.message
    np.testing.assert_array_equal(driver(client).command, before)


def test_operator_limit_clamps_and_is_named(client):
    assert client.call(SetSpeedLimit, "retimer/set_speed_limit", speed=1.5).success
    client.run_episode(seed=3, speed_mode="constant:3", time_limit=1.0)
    report = client.heard["retime_report"][-1]
    assert (report.binding_limit, report.requested_speed) == ("operator", 3.0)
    assert report.peak_speed <= 1.5 + 1e-9
    assert client.call(SetSpeedLimit, "retimer/set_speed_limit", speed=10.0).success


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, math.inf, 10.5])
def test_bad_operator_limits_are_refused(client, speed):
    answer = client.call(SetSpeedLimit, "retimer/set_speed_limit", speed=speed)
    assert not answer.success and "above 0 and at most 10" in answer.message


@pytest.mark.parametrize("mode", ["constant:0", "constant:-1", "constant:nan", "constant:fast", "warp:9"])
def test_bad_speed_modes_are_refused(client, mode):
    answer = client.call(SetSpeedMode, "speed_policy/set_mode", mode=mode)
    assert not answer.success and answer.message


def test_label_ends_the_episode(client):
    handle = start(client, seed=4, speed_mode="constant:1")
    assert not client.call(LabelEpisode, "episode/label", reward=2.0).success
    assert not client.call(LabelEpisode, "episode/label", episode_id="other", reward=1.0).success
    assert client.call(LabelEpisode, "episode/label", reward=1.0).success
    outcome = client.result(handle)
    assert (outcome.success, outcome.reason) == (True, "success")
    assert (client.heard["episode_status"][-1].labelled, client.heard["episode_status"][-1].label) == (True, 1.0)


def test_a_label_after_the_end_is_told_once(client):
    assert client.run_episode(seed=4, time_limit=0.5).reason == "time_limit"
    before = client.heard["episode_status"][-1]
    assert (before.phase, before.labelled) == (EpisodeStatus.ENDED, False)
    assert client.call(LabelEpisode, "episode/label", episode_id=before.episode_id, reward=-0.5).success
    after = client.until(lambda: (s := client.heard["episode_status"][-1]).labelled and s, "the label")
    assert (after.episode_id, after.label, after.elapsed, after.reason) == (
        before.episode_id, -0.5, before.elapsed, "time_limit",
    )  # fmt: skip
    assert client.call(LabelEpisode, "episode/label", reward=-0.5).success  # repeated, as services may be
    again = client.call(LabelEpisode, "episode/label", reward=1.0)
    assert not again.success and "labelled -0.5 already" in again.message


def test_a_move_cannot_be_labelled(client):
    client.result(client.send(MoveArms, "move_arms", pose="start", speed=0.5))
    answer = client.call(LabelEpisode, "episode/label", reward=1.0)
    assert not answer.success and "no episode" in answer.message


def test_dead_policy_brakes_holds_and_is_said(graph, client):
    handle = start(client, seed=4, speed_mode="constant:1")
    graph.processes["task_policy"].send_signal(signal.SIGKILL)
    outcome = client.result(handle, 60.0)
    assert outcome.reason.startswith("fault: no new trajectory") and "task_policy" in outcome.reason
    client.until(lambda: client.heard["episode_status"][-1].reason == outcome.reason, "the reason in episode_status")
    assert_holds(client)
    assert client.counted("retimer", "refused.no_answer") > 0
    velocity = np.diff([message.position for message in client.heard["command"][-100:]], axis=0)
    assert np.abs(velocity[-1]).max() == 0.0


def test_interrupt_ends_each_node_cleanly(graph):
    for name, process in graph.processes.items():
        if name != "task_policy":
            process.send_signal(signal.SIGINT)
            assert graph.wait(name) == 0, graph.log(name)
            assert "Traceback" not in graph.log(name)
