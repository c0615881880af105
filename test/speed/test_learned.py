"""A learner behind the speed policy interface, from queries to what the replay takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speedtune_ros.aloha import CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.config import build
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed import rainbow
from speedtune_ros.speed.features import EpisodeScale, FeatureConfig, FeatureStack
from speedtune_ros.speed.learned import LearnedSpeed
from speedtune_ros.speed.rainbow import RainbowConfig
from speedtune_ros.speed.replay import EpisodeSteps
from speedtune_ros.speed.reward import RewardConfig, episode_rewards
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

torch.set_num_threads(1)
SPEEDS = (1.0, 2.0, 4.5)
EPISODES = {0: Episode("a", "transfer_cube"), 7: Episode("b", "transfer_cube", 1)}


def make(explore: bool = False) -> tuple[LearnedSpeed, rainbow.Rainbow]:
    features = FeatureStack(FeatureConfig(images=False, k_stack=2), EpisodeScale(9.0, 2.0))
    config = build(RainbowConfig, {"network": {"hidden": 8, "atoms": 11}, "replay": {"capacity": 50}, "batch": 4})
    agent = rainbow.make(config, features.size, 2, len(SPEEDS), (0.0, 110.0))
    policy = LearnedSpeed(agent, features, SPEEDS, explore)
    for slot, episode in EPISODES.items():
        policy.reset(episode, slot)
    return policy, agent


def queries(tick: int) -> dict[int, Query]:
    stamp = tick * CONTROL_DT_NS
    rows = np.random.default_rng(tick).normal(size=(2, 2, NUM_JOINTS))
    request = InferenceRequest(tick, stamp, 0.02 * tick, 2.0)
    return {slot: Query(Observation(RobotState(stamp, *row)), request) for slot, row in zip(EPISODES, rows)}


def test_it_takes_the_speed_of_the_highest_value() -> None:
    policy, _ = make()
    for tick in (0, 10, 20):
        choices = policy.choose(queries(tick))
        assert set(choices) == set(EPISODES)
        for choice in choices.values():
            assert (choice.stamp_ns, choice.speeds, choice.source) == (tick * CONTROL_DT_NS, SPEEDS, "rainbow")
            assert choice.speed == SPEEDS[int(np.argmax(choice.values))]
    assert policy.choose({}) == {}


def test_what_it_saw_and_chose_is_what_the_agent_learns_from() -> None:
    policy, agent = make(explore=True)
    speeds = [policy.choose(queries(tick))[7].speed for tick in (0, 10, 20)]
    decisions = policy.decisions(EPISODES[7])
    assert [SPEEDS[action] for action in decisions.actions] == speeds
    assert (decisions.stamps // CONTROL_DT_NS).tolist() == [0, 10, 20]
    executed = np.full(24, 2.0)  # success in the fourth tick of the last decision
    rewards = episode_rewards(RewardConfig(), executed, decisions.stamps // CONTROL_DT_NS, True)
    assert rewards == pytest.approx([0.4, 0.4, 100.16])
    agent.add(EpisodeSteps(decisions.features, decisions.actions, rewards, "b"))
    batch = agent.replay.batch(np.array([2]), 1, 0.99)
    # The ceiling in the last state is the one chosen before it; the stack is as it was seen.
    assert batch.states[0, 1, 29] * 3.0 == pytest.approx(speeds[1])
    np.testing.assert_array_equal(batch.states[0], decisions.features[1:])
    agent.learn()


def test_an_episode_is_forgotten_when_its_slot_begins_another() -> None:
    policy, _ = make()
    policy.choose(queries(0))
    policy.reset(Episode("c", "transfer_cube"), 7)
    assert len(policy.decisions(EPISODES[0]).actions) == 1
    for episode in (EPISODES[7], Episode("c", "transfer_cube")):
        with pytest.raises(InvalidInputError, match=f"decisions of episode '{episode.id}': not known; known: a, c"):
            policy.decisions(episode)


def test_wrong_ones_are_refused() -> None:
    policy, agent = make()
    with pytest.raises(InvalidInputError, match="slot 3 was not reset"):
        policy.choose({3: queries(0)[0]})
    with pytest.raises(ConfigError, match="speeds: expected at least one, finite, above 0 and strictly increasing"):
        LearnedSpeed(agent, policy._features, (2.0, 1.0))
