"""Episodes through separate ROS processes and the same episodes in one process give the same commands."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_msgs.msg import EpisodeStatus
from speedtune_msgs.srv import SimReset, SimStep
from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.registry import make_policy, make_simulation, make_speed_policy
from speedtune_ros.retiming.scheduler import SchedulerConfig
from speedtune_ros.types import Episode

pytestmark = pytest.mark.ros
SPEED = "constant:2"


@pytest.mark.parametrize(("latency", "seeds"), [(0.0, (3, 5)), (0.06, (3,))])
def test_same_commands_and_result(graph, client, latency, seeds):
    for node, parameters in _nodes(latency).items():
        graph.start(node, **parameters)
    client.hear("command", "sim_status", "joint_states", "episode_status")
    client.heard.clear()
    client.until(lambda: client.heard["joint_states"], "state of the paused simulator")
    client.policies("task_policy", "speed_policy")
    for seed in seeds:  # the second must not hear of the first
        _check_episode(client, seed, _in_process(latency, seed), client.run_episode(seed=seed, timeout=60.0))
    for process in graph.processes.values():
        process.terminate()
    assert [process.wait(20.0) for process in graph.processes.values()] == [0] * len(graph.processes)


def _check_episode(client, seed, expected, outcome):
    assert (outcome.success, outcome.reason) == (expected.success, "success")
    assert outcome.duration == pytest.approx(0.02 * expected.success_step)
    status = client.until(lambda: _running(client, seed), "the episode's first stamp")
    start_ns, end_ns = to_ns(status.start), to_ns(status.start) + expected.steps * 20_000_000
    client.until(lambda: to_ns(client.heard["command"][-1].header.stamp) >= end_ns - 20_000_000, "all commands")
    sent = [m.position for m in client.heard["command"] if start_ns <= to_ns(m.header.stamp) < end_ns]
    np.testing.assert_allclose(np.array(sent), expected.trace.commands, atol=1e-6, rtol=0.0)
    client.until(lambda: to_ns(client.heard["sim_status"][-1].header.stamp) >= end_ns, "all rewards")
    rewards = [m.reward for m in client.heard["sim_status"] if start_ns < to_ns(m.header.stamp) <= end_ns]
    np.testing.assert_array_equal(rewards, expected.trace.reward)


def _running(client, seed):
    statuses = [status for status in client.heard["episode_status"] if status.seed == seed]
    return next((status for status in statuses if status.phase == EpisodeStatus.RUNNING), None)


def test_a_paused_simulator_steps_and_resets_without_going_back(graph, client):
    graph.start("sim", "sim_alone", lockstep=True, cameras=[""])
    client.hear("joint_states")
    client.heard.clear()
    reset = client.call(SimReset, "sim/reset", episode_id="alone", seed=1)
    assert reset.success
    stamp_ns = to_ns(reset.stamp)
    assert client.call(SimStep, "sim/step", ticks=5).success
    client.until(lambda: to_ns(client.heard["joint_states"][-1].header.stamp) == stamp_ns + 5 * 20_000_000, "5 ticks")
    again = client.call(SimReset, "sim/reset", episode_id="alone2", seed=1)
    assert to_ns(again.stamp) > stamp_ns + 5 * 20_000_000
    other = client.call(SimReset, "sim/reset", episode_id="alone3", task="juggle")
    assert not other.success and "task:=juggle" in other.message


def _nodes(latency):
    return {
        "sim": {"lockstep": True, "cameras": [""]},
        "retimer": {"lockstep": True, "scheduler__latency": latency},
        "task_policy": {"lockstep": True, "policy": "expert"},
        "speed_policy": {"lockstep": True, "speed": SPEED},
        "episode": {"silence_timeout_s": 20.0},
    }


def _in_process(latency, seed):
    simulation = make_simulation("transfer_cube")
    config = PipelineConfig(scheduler=SchedulerConfig(latency=latency), workers=1)
    policy = make_policy("expert", "transfer_cube")
    pipeline = Pipeline([simulation], policy, make_speed_policy(SPEED), config)
    (result,) = pipeline.run([Episode("parity", "transfer_cube", seed)], trace=True)
    return result
