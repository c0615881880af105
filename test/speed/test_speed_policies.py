"""What every registered speed policy owes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.config import build
from speedtune_ros.registry import companion, make_policy, make_speed_policy
from speedtune_ros.speed.speed_policy import FACTORIES, SpeedPolicy
from speedtune_ros.training.speed_learner import EpisodeLimits, LearnerConfig, SpeedLearner
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
    SpeedLearner(config, companion(expert, 10), EpisodeLimits(450), 2.0).write(tmp_path)
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
