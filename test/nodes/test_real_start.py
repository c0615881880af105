"""The move to the start that comes before an episode of real arms can be cancelled and stopped."""

from __future__ import annotations

import numpy as np
import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.action import MoveArms, RunEpisode
from speedtune_msgs.msg import DriverStatus
from speedtune_ros.aloha import ARMS, start_pose

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module", autouse=True)
def running(graph, client):
    graph.start("arm_driver", backend="mujoco", profile="act", episode_timeout_s=20.0)
    graph.start("episode", robot="real", silence_timeout_s=20.0)
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
        handle.cancel_goal_async()
    else:
        assert client.call(Trigger, "episode/stop").success
    outcome = client.result(handle)
    assert (outcome.success, outcome.reason) == (False, end)
    client.until(lambda: client.heard["driver_status"][-1].state != DriverStatus.TRACKING, "rest", 1.0)
    assert distance(client) > 0.1  # it had not arrived
