"""What every registered speed policy owes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.config import build
from speedtune_ros.data.checkpoint_folder import read_content, read_weights, write_folder
from speedtune_ros.errors import CheckpointError
from speedtune_ros.registry import companion, execution_needs, make_policy, make_speed_policy
from speedtune_ros.speed.speed_policy import FACTORIES, SpeedPolicy
from speedtune_ros.training.speed_learner import LearnerConfig, LearnerLimits, SpeedLearner
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState, SpeedChoice

# One specification for each entry of FACTORIES; a new entry without one fails below.
SPECS = {"constant": "constant:2", "phase": "phase:3,1.5", "rainbow": "rainbow:{folder}"}


def queries(seed: int, tick: int, slots: tuple[int, ...]) -> dict[int, Query]:
    rng = np.random.default_rng([seed, tick])
    stamp = tick * CONTROL_DT_NS
    states = (RobotState(stamp, rng.uniform(0, 1, NUM_JOINTS), rng.normal(0, 1, NUM_JOINTS)) for _ in slots)
    return {
        slot: Query(Observation(state), InferenceRequest(tick, stamp, 0.2 * tick)) for slot, state in zip(slots, states)
    }


def episode_of(policy: SpeedPolicy, slots: tuple[int, ...] = (0, 3)) -> list[dict[int, SpeedChoice]]:
    for slot in slots:
        policy.reset(Episode("a", "transfer_cube", seed=slot), slot)
    return [dict(policy.choose(queries(7, tick, slots))) for tick in range(0, 200, 10)]


@pytest.mark.parametrize("name", sorted(FACTORIES))
def test_speed_policy_contract(name: str, tmp_path: Path) -> None:
    """One choice a slot, stamped with its observation, from the set it declares; an episode repeats exactly."""
    expert, spec = make_policy("expert", "transfer_cube"), SPECS[name].format(folder=tmp_path)
    config = build(LearnerConfig, {"agent.network.hidden": 8, "agent.replay.capacity": 1})
    SpeedLearner(config, companion(expert, 10), LearnerLimits(450), 2.0).write(tmp_path)
    policy = make_speed_policy(spec, expert, 10)
    first = episode_of(policy)
    assert first == episode_of(policy) == episode_of(make_speed_policy(spec, expert, 10))
    for tick, choices in zip(range(0, 200, 10), first):
        assert set(choices) == {0, 3}
        for choice in choices.values():
            assert choice.stamp_ns == tick * CONTROL_DT_NS
            assert choice.speed in choice.speeds and list(choice.speeds) == sorted(set(choice.speeds))
            assert choice.source.startswith(name)
    assert policy.choose({}) == {}


def test_what_is_learned_with_temporal_ensembling_runs_with_it(tmp_path: Path) -> None:
    expert = make_policy("expert", "transfer_cube")
    config = build(LearnerConfig, {"agent.network.hidden": 8, "agent.replay.capacity": 1, "ensemble": True})
    SpeedLearner(config, companion(expert, 10, True), LearnerLimits(450), 2.0).write(tmp_path)
    content = read_content(tmp_path)
    older = {key: value for key, value in content.items() if key not in ("ensemble", "hash")}  # training alone says it
    write_folder(tmp_path / "older", older, read_weights(tmp_path, content))
    for folder in (tmp_path, tmp_path / "older"):
        assert execution_needs(f"rainbow:{folder}", "expert", "transfer_cube") == {"k_skip": 10, "ensemble": True}
        make_speed_policy(f"rainbow:{folder}", expert, 10, ensemble=True)
        with pytest.raises(CheckpointError, match="temporal ensembling 'on', got 'off'"):
            make_speed_policy(f"rainbow:{folder}", expert, 10, ensemble=False)


def test_what_a_speed_policy_may_begin_with(tmp_path: Path) -> None:
    """One of another task policy that sees the same; its reward and how much noise it began with do not matter."""
    expert = make_policy("expert", "transfer_cube")
    config = build(LearnerConfig, {"agent.network.hidden": 8, "agent.replay.capacity": 1, "agent.network.sigma": 0.1})
    SpeedLearner(config, companion(expert, 10), LearnerLimits(450), 2.0).write(tmp_path)

    def begin(changes: dict[str, object], horizon: float = 2.0, **beside: object) -> None:
        given = {"agent.network.hidden": 8, "agent.replay.capacity": 1, "begin_with": str(tmp_path), **changes}
        other = dataclasses.replace(companion(expert, 10), **beside)
        SpeedLearner(build(LearnerConfig, given), other, LearnerLimits(500), horizon).begin()

    begin({"reward.alpha": 0.0, "ensemble": True}, policy="act", digest="another")
    for changes, horizon, beside, words in (
        ({"features.k_stack": 3}, 2.0, {}, "features.k_stack: 5 there, 3 asked"),
        ({}, 1.0, {}, "chunk_length: 2.0 there, 1.0 asked"),
        ({}, 2.0, {"task": "tea_bag"}, "task: 'transfer_cube' there, 'tea_bag' asked"),
        ({"vision.encoder": "own"}, 2.0, {"cameras": {"top": (96, 128)}}, "expected features.images false"),
    ):
        with pytest.raises(CheckpointError, match=words):
            begin(changes, horizon, **beside)
