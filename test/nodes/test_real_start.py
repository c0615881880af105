"""The move to the start before an episode of real arms: it can be cancelled and stopped, and the episode follows."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.action import MoveArms, RunEpisode
from speedtune_msgs.msg import DriverStatus
from speedtune_ros.aloha import ARMS, start_pose

pytestmark = pytest.mark.ros
PATIENCE_S = 2.0  # of the driver with a silent stage


@pytest.fixture(scope="module", autouse=True)
def running(graph, client):
    graph.start("arm_driver", backend="mujoco", profile="act", episode_timeout_s=20.0, beat_timeout_s=PATIENCE_S)
    graph.start("episode", robot="real", driver_timeout_s=20.0)
    client.hear("driver_status", "/diagnostics")
    for node in graph.processes:
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}")
    outcome = client.result(client.send(MoveArms, "move_arms", pose="sleep", speed=1.5))
    assert outcome.success, outcome.message


def distance(client):
    off = np.array(client.heard["driver_status"][-1].command) - start_pose()
    return np.abs(off[list(ARMS)]).max()


@pytest.mark.parametrize("end", ["cancelled", "stopped"])
def test_the_move_to_the_start_ends_at_once(client, end):
    handle = client.send(RunEpisode, "run_episode", seed=1)
    client.until(lambda: client.heard["driver_status"][-1].state == DriverStatus.TRACKING, "the move to the start")
    if end == "cancelled":
        client.cancel(handle)
    else:
        assert client.call(Trigger, "episode/stop").success
    outcome = client.result(handle)
    assert (outcome.success, outcome.reason) == (False, end)
    client.until(lambda: client.heard["driver_status"][-1].state != DriverStatus.TRACKING, "rest", 1.0)
    assert distance(client) > 0.1  # it had not arrived


def test_a_move_that_a_hold_drops_is_made_again(graph, client):
    assert client.call(Trigger, "driver/clear_stop").success
    episode = graph.processes["episode"]
    handle = client.send(RunEpisode, "run_episode", seed=1)
    client.until(lambda: client.heard["driver_status"][-1].state == DriverStatus.TRACKING, "the move to the start")
    episode.send_signal(signal.SIGSTOP)
    try:
        client.until(lambda: client.heard["driver_status"][-1].state == DriverStatus.HOLDING, "a hold")
    finally:
        episode.send_signal(signal.SIGCONT)
    assert distance(client) > 0.1
    client.until(lambda: distance(client) < 0.01, "the second move")
    client.cancel(handle)
    client.result(handle)
    assert client.counted("arm_driver", "refused.repeated_sequence") == 0
    assert client.result(client.send(MoveArms, "move_arms", pose="sleep", speed=1.5)).success


def test_the_episode_follows_its_move_from_the_first_answer_on(graph, client):
    graph.start("retimer", answer_timeout_s=20.0, episode_timeout_s=20.0)
    graph.start("task_policy", policy="expert")
    graph.start("speed_policy")
    for node in graph.processes:
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}")
    assert distance(client) > 0.1
    outcome = client.run_episode(seed=1, time_limit=1.0)
    assert outcome.reason == "time_limit"
    assert client.heard["driver_status"][-1].progress > 0.1
    assert client.counted("arm_driver", "refused.repeated_sequence") == 0
