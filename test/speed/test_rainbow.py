"""The agent as a whole, on a small race whose optimal values are computed exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from speedtune_ros import config as configuration
from speedtune_ros.commands.train import speed_config
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed import rainbow
from speedtune_ros.speed.rainbow import Rainbow, RainbowConfig
from speedtune_ros.speed.replay import EpisodeSteps
from speedtune_ros.speed.reward import RewardConfig, reward

torch.set_num_threads(1)

# A race over CELLS cells at speed 1 or 2. Leaving DANGER at speed 2 fails every other time.
CELLS, DANGER, DISCOUNT = 5, 2, 0.9
SPEEDS = (1.0, 2.0)
REWARD = RewardConfig(alpha=0.05, beta=2.0, success=1.0)
BOUNDS = (0.0, 1.5)

SMALL = {
    "network": {"hidden": 32, "layers": 1, "atoms": 51},
    "replay": {"capacity": 2000},
    "discount": DISCOUNT,
    "batch": 32,
    "learning_rate": 2e-3,
    "target_period": 20,
    "warm_up": 100,
    "importance_updates": 1000,
    "epsilon_decisions": 400,
}


def preset(name: str, overrides: Mapping[str, Any]) -> RainbowConfig:
    """The agent of a preset of config/train_speed.yaml, with `overrides` on top."""
    values = configuration.to_dict(speed_config(None, [], name).agent)
    return configuration.build(RainbowConfig, configuration.merge(values, overrides), name)


def outcomes(cell: int, action: int) -> list[tuple[float, float, int | None]]:
    """(probability, reward, next cell or None at the end)."""
    after = cell + int(SPEEDS[action])
    finished = after >= CELLS
    through = (reward(REWARD, np.array([SPEEDS[action]]), finished), None if finished else after)
    if cell != DANGER or action == 0:
        return [(1.0, *through)]
    return [(0.5, *through), (0.5, reward(REWARD, np.array([SPEEDS[action]]), False), None)]


def optimal_values() -> np.ndarray:
    """Q* (CELLS, 2) by value iteration."""
    q = np.zeros((CELLS, 2))
    for _ in range(CELLS + 1):  # nobody stands still, so this many sweeps are exact
        best = q.max(1)
        q = np.array(
            [
                [sum(p * (r + (0.0 if n is None else DISCOUNT * best[n])) for p, r, n in outcomes(cell, action))
                 for action in (0, 1)]
                for cell in range(CELLS)
            ]
        )  # fmt: skip
    return q


def race(choose: Callable[[np.ndarray], int], rng: np.random.Generator) -> EpisodeSteps:
    features, actions, rewards = [], [], []
    cell: int | None = 0
    while cell is not None:
        features.append(np.eye(CELLS)[cell])
        actions.append(choose(features[-1]))
        chances = outcomes(cell, actions[-1])
        _, paid, cell = chances[rng.choice(len(chances), p=[p for p, _, _ in chances])]
        rewards.append(paid)
    return EpisodeSteps(np.array(features, np.float32), np.array(actions), np.array(rewards))


def make(config: RainbowConfig, seed: int = 0) -> Rainbow:
    return rainbow.make(config, CELLS, 1, 2, BOUNDS, seed)


def learned_values(agent: Rainbow) -> np.ndarray:
    return agent.act(np.eye(CELLS, dtype=np.float32)[:, None], explore=False)[1]


def test_value_iteration_by_hand() -> None:
    q = optimal_values()
    np.testing.assert_allclose(q[4], [1.05, 1.2])
    np.testing.assert_allclose(q[3], [0.05 + 0.9 * 1.2, 1.2])
    np.testing.assert_allclose(q[2], [0.05 + 0.9 * 1.2, 0.2 + 0.45 * 1.2])  # careful through the danger
    assert q.argmax(1).tolist() == [1, 1, 0, 1, 1]


PLAIN = {"paper": {}, "dqn": {"network": {"hidden": 32, "layers": 1}}}


@pytest.mark.parametrize("name", PLAIN)
def test_values_are_those_of_value_iteration(name: str) -> None:
    """From chance actions, whose n-step returns would rate chance: one step only."""
    agent = make(preset(name, {**SMALL, **PLAIN[name], "steps": 1, "one_step": False}))
    rng = np.random.default_rng(1)
    while agent.decisions < 1800:
        agent.add(race(lambda _: int(rng.integers(2)), rng))
    learned = []
    for update in range(500):
        agent.learn()
        if update >= 300 and update % 10 == 0:
            learned.append(learned_values(agent))
    # The mean takes out what the last few batches happened to hold.
    np.testing.assert_allclose(np.mean(learned, 0), optimal_values(), atol=0.06)


def test_it_finds_the_best_race_by_itself() -> None:
    """All parts on, three steps, exploring by noise alone."""
    agent = make(preset("paper", SMALL))
    rng = np.random.default_rng(2)
    while agent.decisions < 600:
        agent.add(race(lambda features: int(agent.act(features[None, None])[0][0]), rng))
        for _ in range(agent.owed):
            agent.learn()
    assert agent.updates == agent.decisions - 100
    assert learned_values(agent).argmax(1)[[0, 2, 4]].tolist() == [1, 0, 1]
    assert learned_values(agent)[0].max() == pytest.approx(optimal_values()[0].max(), abs=0.15)


PARTS = {
    "double": {"double": False},
    "duelling": {"network": {"duelling": False}},
    "categorical": {"network": {"atoms": 1}},
    "noisy": {"network": {"noisy": False}},
    "prioritised": {"replay": {"prioritised": False}},
    "n-step": {"steps": 1},
    "one-step": {"one_step": False},
    "soft target": {"target_mix": 1.0},
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_left_out_and_makes_a_difference(part: str) -> None:
    def values(config: RainbowConfig) -> np.ndarray:
        agent, rng = make(config), np.random.default_rng(3)
        for _ in range(40):
            agent.add(race(lambda features: int(agent.act(features[None, None])[0][0]), rng))
        for _ in range(12):
            update = agent.learn()
            assert np.isfinite(dataclasses.astuple(update)).all()
        return learned_values(agent)

    # Much noise, so that the online and the target network often disagree about the best action.
    whole = configuration.merge(SMALL, {"replay": {"exponent": 0.6}, "network": {"sigma": 2.0}, "target_period": 5})
    without = values(preset("paper", configuration.merge(whole, PARTS[part])))
    assert not np.array_equal(without, values(preset("paper", whole)))


@pytest.mark.parametrize("name", ("paper", "rainbow", "dqn"))
def test_learning_resumes_to_the_bit(name: str) -> None:
    config = preset(name, configuration.merge({**SMALL, "warm_up": 1}, PLAIN.get(name, {})) | {"target_period": 7})
    original, rng = make(config, seed=4), np.random.default_rng(4)

    def go_on(agent: Rainbow, rng: np.random.Generator) -> list[tuple[float, ...]]:
        updates = []
        for _ in range(10):
            agent.add(race(lambda features: int(agent.act(features[None, None])[0][0]), rng))
            updates.append(dataclasses.astuple(agent.learn()))
        return updates

    go_on(original, rng)
    state, draws = original.get_state(), rng.bit_generator.state
    restored = make(config, seed=99)
    restored.set_state(state)
    expected = go_on(original, rng)
    rng.bit_generator.state = draws
    assert go_on(restored, rng) == expected
    np.testing.assert_array_equal(learned_values(restored), learned_values(original))
    assert (restored.updates, restored.decisions) == (original.updates, original.decisions)


def test_the_target_network_follows_by_halves() -> None:
    agent = make(preset("paper", {**SMALL, "target_period": 3}))
    agent.add(race(lambda _: 1, np.random.default_rng(0)))
    before = agent.get_state()["target"]["torso.1.weight"]
    agent.learn()
    agent.learn()
    assert torch.equal(agent.get_state()["target"]["torso.1.weight"], before)
    agent.learn()
    state = agent.get_state()
    middle = (before + state["network"]["torso.1.weight"]) / 2
    torch.testing.assert_close(state["target"]["torso.1.weight"], middle)


def test_chance_actions_fade_and_greedy_ones_take_no_chance() -> None:
    agent = make(preset("dqn", {**SMALL, "network": {"hidden": 8}, "epsilon_last": 0.1}))
    states = np.repeat(np.eye(CELLS, dtype=np.float32)[:1, None], 2000, 0)
    best = agent.act(states, explore=False)[0]
    assert (best == best[0]).all()
    assert np.mean(agent.act(states)[0] != best) == pytest.approx(0.5, abs=0.05)  # half of all chances hit the best
    agent.decisions = 200
    assert agent.epsilon == pytest.approx(0.55)
    agent.decisions = 10_000
    assert np.mean(agent.act(states)[0] != best) == pytest.approx(0.05, abs=0.02)


def test_updates_are_owed_by_the_replay_ratio() -> None:
    agent = make(preset("paper", {**SMALL, "updates_per_decision": 0.5, "warm_up": 10}))
    agent.decisions = 10
    assert agent.owed == 0
    agent.decisions = 25
    assert agent.owed == 7
    agent.updates = 6
    assert agent.owed == 1


def test_wrong_ones_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown key 'dobule'.*did you mean 'double'"):
        preset("dqn", {"dobule": True})
    with pytest.raises(ConfigError, match="bounds of the value in increasing order, got 1.0 and 1.0"):
        rainbow.make(RainbowConfig(), 1, 1, 1, (1.0, 1.0))
    state = make(preset("paper", SMALL)).get_state()
    with pytest.raises(ConfigError, match="Rainbow state: of another configuration, which differs in network, double"):
        make(preset("paper", {**SMALL, "double": False, "network": {"hidden": 8}})).set_state(state)


def test_a_loss_that_is_not_finite_names_its_transition() -> None:
    agent = make(preset("paper", SMALL))
    agent.add(race(lambda _: 0, np.random.default_rng(0)))
    with torch.no_grad():
        next(agent.network.parameters())[0] = torch.nan
    with pytest.raises(InvalidInputError, match=r"update 0: loss nan of the transition at \d \(action 0, return "):
        agent.learn()


def test_a_gradient_that_is_not_finite_changes_no_weight() -> None:
    agent = make(preset("paper", SMALL))
    agent.add(race(lambda _: 0, np.random.default_rng(0)))
    last = list(agent.network.parameters())[-1]
    last.register_hook(lambda gradient: gradient * torch.inf)
    before = learned_values(agent)
    with pytest.raises(
        InvalidInputError, match="update 0: the gradient's norm is nan|update 0: the gradient's norm is inf"
    ):
        agent.learn()
    np.testing.assert_array_equal(learned_values(agent), before)
