"""A learned speed policy through the ROS processes: what it sees, says and refuses, and the same as in one process."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from speedtune_msgs.msg import EpisodeStatus
from speedtune_msgs.srv import LoadSpeedPolicy, SetSpeedMode
from speedtune_ros.nodes.conversions import choice_from_message, to_ns
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.registry import CHECKPOINTS, make_policy, make_simulation, make_speed_policy
from speedtune_ros.types import Episode

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.ros
SIZE = (48, 64)
STEPS = 80


class Heard:
    """The choices of a speed policy."""

    def __init__(self, policy):
        self.cameras, self.reset, self._policy = policy.cameras, policy.reset, policy
        self.choices = []

    def choose(self, queries):
        choices = self._policy.choose(queries)
        self.choices += choices.values()
        return choices


@pytest.fixture(scope="module")
def nodes(graph, client, act_checkpoint, rainbow_checkpoint):
    graph.start("sim", lockstep=True, cameras=[f"{name}:48x64" for name in ("top", "left_wrist")])
    graph.start("retimer", lockstep=True)
    graph.start("task_policy", lockstep=True, policy=act_checkpoint)
    graph.start("speed_policy", lockstep=True, policy=act_checkpoint, speed=f"rainbow:{rainbow_checkpoint}")
    graph.start("episode", silence_timeout_s=20.0)
    client.hear("command", "speed_command", "episode_status", "/diagnostics")
    client.policies("task_policy", "speed_policy")
    return graph


def test_the_same_speeds_and_commands_as_in_one_process(nodes, client, act_checkpoint, rainbow_checkpoint):
    outcome = client.run_episode(seed=1, time_limit=0.02 * STEPS)
    assert outcome.reason == "time_limit"
    status = next(s for s in client.heard["episode_status"] if s.phase == EpisodeStatus.RUNNING)
    sent = [m for m in client.heard["command"] if to_ns(m.header.stamp) >= to_ns(status.start)][:STEPS]
    expected, choices = in_process(act_checkpoint, rainbow_checkpoint)
    assert len({choice.speed for choice in choices}) > 1  # or nothing was tried
    np.testing.assert_allclose(np.array([m.position for m in sent]), expected.trace.commands, atol=1e-6, rtol=0.0)
    messages = [m for m in client.heard["speed_command"] if m.episode_id == status.episode_id]
    heard = {m.sequence: choice_from_message(m) for m in messages}  # one asked for again is said twice
    assert len(heard) >= len(choices)
    for sequence, choice in enumerate(choices):
        said = heard[sequence]
        assert (said.speed, said.speeds, said.source) == (choice.speed, choice.speeds, "rainbow")
        np.testing.assert_allclose(said.values, choice.values, atol=1e-4)
        np.testing.assert_allclose(said.features, choice.features, atol=1e-5)
    assert len(said.values) == len(said.speeds) == 4


def in_process(act_checkpoint, rainbow_checkpoint):
    torch.set_num_threads(1)
    simulation = make_simulation("transfer_cube", "act", {name: SIZE for name in ("top", "left_wrist")})
    policy = make_policy(str(act_checkpoint), "transfer_cube")
    speeds = Heard(make_speed_policy(f"rainbow:{rainbow_checkpoint}", policy, 10))
    config = PipelineConfig(time_limit_steps=STEPS, workers=1)
    (result,) = Pipeline([simulation], policy, speeds, config).run([Episode("parity", "transfer_cube", 1)], trace=True)
    return result, speeds.choices


def test_one_is_loaded_between_episodes_and_explores_as_it_is_told(nodes, client, rainbow_checkpoint):
    handle = client.send_goal(seed=2)
    client.until(lambda: client.heard["episode_status"][-1].phase == EpisodeStatus.RUNNING, "a running episode")
    refused = client.call(LoadSpeedPolicy, "speed_policy/load", path=str(rainbow_checkpoint))
    assert not refused.success and "between episodes" in refused.message
    client.cancel(handle)
    client.until(lambda: client.heard["episode_status"][-1].phase == EpisodeStatus.ENDED, "its end")
    values = []
    for seed in (5, 5, 6):
        loaded = client.call(
            LoadSpeedPolicy, "speed_policy/load", path=str(rainbow_checkpoint), explore=True, seed=seed
        )
        assert loaded.success, loaded.message
        client.run_episode(seed=3, time_limit=0.4)
        values.append([tuple(m.values) for m in client.heard["speed_command"] if m.sequence == 0][-1])
    assert values[0] == values[1] != values[2]
    assert client.call(SetSpeedMode, "speed_policy/set_mode", mode="constant:2").success
    client.run_episode(seed=3, time_limit=0.4)
    assert client.heard["speed_command"][-1].source == "constant:2" and not client.heard["speed_command"][-1].features


def test_one_of_others_is_refused_and_nothing_changes(nodes, client, act_checkpoint, rainbow_checkpoint, tmp_path):
    from speedtune_ros.speed.checkpoint import read_speed_card, write_speed_checkpoint

    client.call(SetSpeedMode, "speed_policy/set_mode", mode="constant:2")
    card = read_speed_card(rainbow_checkpoint)
    changes = {
        "task": ("tea_bag", "transfer_cube"),
        "profile": ("hardware", "act"),
        "policy": ("diffusion", "act"),
        "k_skip": (5, 10),
        "policy_digest": ("f" * 64, make_policy(str(act_checkpoint), "transfer_cube").info.digest[:16]),
    }
    for name, (learned, given) in changes.items():
        write_speed_checkpoint(tmp_path / name, dataclasses.replace(card, **{name: learned}), {}, None)
        answer = client.call(LoadSpeedPolicy, "speed_policy/load", path=str(tmp_path / name))
        assert not answer.success and str(learned)[:16] in answer.message and f"'{given}'" in answer.message, name
    missing = client.call(LoadSpeedPolicy, "speed_policy/load", path=str(tmp_path / "nothing"))
    assert not missing.success and "No such file" in missing.message
    shipped = client.call(SetSpeedMode, "speed_policy/set_mode", mode="rainbow")
    assert read_speed_card(CHECKPOINTS / "transfer_cube/act/act/rainbow").ensemble
    assert not shipped.success and "temporal ensembling 'on', got 'off'" in shipped.message
    client.until(lambda: client.diagnostics("speed_policy").get("mode") == "constant:2", "the old mode")


def test_one_of_another_policy_ends_the_node_with_2(graph, rainbow_checkpoint):
    graph.start("speed_policy", "beside_expert", policy="expert", speed=f"rainbow:{rainbow_checkpoint}")
    assert graph.wait("beside_expert") == 2
    assert "'act'" in graph.log("beside_expert") and "'expert'" in graph.log("beside_expert")
