"""An episode through separate ROS processes and the same episode in one process give the same commands."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.registry import make_policy, make_simulation, make_speed_policy
from speedtune_ros.retiming.scheduler import SchedulerConfig
from speedtune_ros.types import Episode

pytestmark = pytest.mark.ros
SPEED = "constant:2"
SEED = 3


@pytest.mark.parametrize("latency", [0.0, 0.06])
def test_same_commands_and_result(graph, client, latency):
    for node, parameters in _nodes(latency).items():
        graph.start(node, **parameters)
    client.heard.clear()
    client.hear("command", "sim_status", "joint_states")
    client.until(lambda: client.heard["joint_states"], "state of the paused simulator")
    outcome = client.run_episode(seed=SEED, timeout=60.0)
    expected = _in_process(latency)

    assert outcome.success == expected.success
    assert outcome.reason == "success"
    assert outcome.duration == pytest.approx(0.02 * expected.success_step)
    client.until(lambda: len(client.heard["command"]) >= expected.steps, "all commands", 5.0)
    sent = np.array([message.position for message in client.heard["command"]])
    np.testing.assert_allclose(sent[: expected.steps], expected.trace.commands, atol=1e-6, rtol=0.0)
    client.until(lambda: len(client.heard["sim_status"]) > expected.steps, "all rewards", 5.0)
    rewards = [status.reward for status in client.heard["sim_status"] if status.step > 0]
    np.testing.assert_array_equal(rewards[: expected.steps], expected.trace.reward)
    for process in graph.processes.values():
        process.terminate()
    assert [process.wait(10.0) for process in graph.processes.values()] == [0] * len(graph.processes)


def _nodes(latency):
    return {
        "sim": {"lockstep": True, "cameras": [""]},
        "retimer": {"lockstep": True, "scheduler__latency": latency},
        "task_policy": {"lockstep": True, "policy": "expert"},
        "speed_policy": {"lockstep": True, "speed": SPEED},
        "episode": {},
    }


def _in_process(latency):
    simulation = make_simulation("transfer_cube")
    config = PipelineConfig(scheduler=SchedulerConfig(latency=latency), workers=1)
    policy = make_policy("expert", "transfer_cube")
    pipeline = Pipeline([simulation], policy, make_speed_policy(SPEED), config)
    (result,) = pipeline.run([Episode("parity", "transfer_cube", SEED)], trace=True)
    return result
