"""Replay against hand-made episodes and against the slow, obvious way."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.replay import Batch, EpisodeSteps, Replay, ReplayConfig


def episode(first: int, length: int) -> EpisodeSteps:
    """Every number in it tells which step it is of."""
    steps = first + np.arange(length)
    return EpisodeSteps(np.stack([steps, -steps], 1).astype(float), steps % 3, steps.astype(float), f"from {first}")


def drawn(batch: Batch) -> list[int]:
    return batch.states[:, -1, 0].astype(int).tolist()


def test_states_returns_and_ends_by_hand() -> None:
    replay = Replay(ReplayConfig(capacity=10), features=2, stack=3)
    replay.add(episode(10, 2))
    replay.add(episode(20, 4))
    batch = replay.batch(np.array([0, 2, 3, 5]), steps=2, discount=0.5)
    assert batch.states[..., 0].tolist() == [[10, 10, 10], [20, 20, 20], [20, 20, 21], [21, 22, 23]]
    assert (batch.states[..., 1] == -batch.states[..., 0]).all()
    assert batch.actions.tolist() == [1, 2, 0, 2]
    # The last step of an episode has nothing after it; the one before ends exactly where s' would begin.
    assert batch.returns.tolist() == [10 + 5.5, 20 + 10.5, 21 + 11.0, 23]
    assert batch.discounts.tolist() == [0.0, 0.25, 0.25, 0.0]
    assert batch.next_states[1:3, :, 0].tolist() == [[20, 21, 22], [21, 22, 23]]
    assert batch.probabilities.tolist() == [1 / 6] * 4


def test_an_overwritten_episode_is_gone_whole() -> None:
    replay = Replay(ReplayConfig(capacity=10), features=2, stack=2)
    for first, length in ((10, 4), (20, 4), (30, 3)):
        replay.add(episode(first, length))
    assert len(replay) == 7
    rows = replay.sample(500, 1, 1.0, np.random.default_rng(0))
    assert set(drawn(rows)) == {20, 21, 22, 23, 30, 31, 32}
    wrapped = replay.batch(np.array([8, 9, 0]), steps=3, discount=1.0)
    assert wrapped.states[..., 0].tolist() == [[30, 30], [30, 31], [31, 32]]
    assert wrapped.returns.tolist() == [93, 63, 32]


def test_steps_are_drawn_by_priority() -> None:
    replay = Replay(ReplayConfig(capacity=8, exponent=0.5), features=2, stack=1)
    replay.add(episode(0, 4))
    replay.set_priorities(np.arange(4), np.array([0.0, 1.0, 4.0, 9.0]))
    batch = replay.sample(6000, 1, 1.0, np.random.default_rng(1))
    counts = np.bincount(drawn(batch), minlength=4) / 6000
    np.testing.assert_allclose(counts, np.array([0.001, 1, 2, 3]) / 6.001, atol=2e-3)
    np.testing.assert_allclose(batch.probabilities, (np.array([0.001, 1, 2, 3]) / 6.001)[drawn(batch)], rtol=1e-3)
    replay.add(episode(4, 1))  # new steps are given the highest priority so far
    assert replay.batch(np.array([4]), 1, 1.0).probabilities[0] == pytest.approx(3 / 9.001, rel=1e-3)


def test_without_priorities_all_are_alike() -> None:
    replay = Replay(ReplayConfig(capacity=8, prioritised=False), features=2, stack=1)
    replay.add(episode(0, 4))
    replay.set_priorities(np.arange(4), np.array([0.0, 1.0, 4.0, 9.0]))
    assert replay.sample(4, 1, 1.0, np.random.default_rng(0)).probabilities.tolist() == [0.25] * 4


def test_against_the_obvious_way() -> None:
    """Random episodes through a small ring; every transition rebuilt from the episodes kept in a list."""
    rng = np.random.default_rng(3)
    replay, kept, first = Replay(ReplayConfig(capacity=50), features=2, stack=3), [], 0
    for _ in range(40):
        made = episode(first, int(rng.integers(1, 20)))
        first += len(made.actions)
        kept.append(made)
        replay.add(made)
        batch = replay.sample(32, 3, 0.9, rng)
        for row, step in enumerate(drawn(batch)):
            source = next(e for e in kept if e.rewards[0] <= step <= e.rewards[-1])
            at, rewards = step - int(source.rewards[0]), source.rewards
            assert batch.states[row, :, 0].tolist() == [rewards[max(at - back, 0)] for back in (2, 1, 0)]
            expected = sum(0.9**i * reward for i, reward in enumerate(rewards[at : at + 3]))
            assert batch.returns[row] == pytest.approx(expected, rel=1e-6)
            assert batch.discounts[row] == (np.float32(0.9**3) if at + 3 < len(rewards) else 0.0)
            if batch.discounts[row]:
                assert batch.next_states[row, :, 0].tolist() == rewards[at + 1 : at + 4].tolist()


@pytest.mark.parametrize("episodes", [3, 9])
def test_the_state_restores_to_the_bit(episodes: int) -> None:
    rng = np.random.default_rng(5)
    config = ReplayConfig(capacity=40, precision="float16")
    original, copy = Replay(config, 2, 2), Replay(config, 2, 2)
    for i in range(episodes):
        original.add(episode(10 * i, int(rng.integers(2, 9))))
        original.set_priorities(original.sample(4, 1, 1.0, rng).indices, rng.random(4))
    state = original.get_state()
    copy.add(episode(7, 30))
    copy.set_state(state)
    assert len(copy) == len(original)
    for i in range(6):
        batches = [replay.sample(16, 2, 0.9, np.random.default_rng(i)) for replay in (original, copy)]
        for field in dataclasses.fields(Batch):
            np.testing.assert_array_equal(*(getattr(batch, field.name) for batch in batches))
        for replay in (original, copy):
            replay.set_priorities(batches[0].indices, np.arange(16.0) * i)
            replay.add(episode(1000 + 10 * i, 7))
    assert (state["weights"] > 0.0).sum() == sum(length for _, length in state["episodes"])  # a copy, untouched


def test_a_state_of_another_shape_is_refused() -> None:
    state = Replay(ReplayConfig(capacity=9), 3, 1).get_state()
    with pytest.raises(ConfigError, match=r"replay state: expected features float32 \(9, 2\), found float32 \(0, 3\)"):
        Replay(ReplayConfig(capacity=9), 2, 1).set_state(state)


def test_nan_is_refused_with_the_step_that_has_it() -> None:
    good = episode(0, 4)
    features, rewards = good.features.copy(), good.rewards.copy()
    features[2, 1] = np.nan
    rewards[3] = np.inf
    with pytest.raises(
        InvalidInputError, match="episode 'x', decision 2 of 4: features not finite; action 2, reward 2"
    ):
        EpisodeSteps(features, good.actions, good.rewards, "x")
    with pytest.raises(
        InvalidInputError, match="episode 'x', decision 3 of 4: rewards not finite; action 0, reward inf"
    ):
        EpisodeSteps(good.features, good.actions, rewards, "x")


def test_what_does_not_fit_is_refused() -> None:
    replay = Replay(ReplayConfig(capacity=5, precision="float16"), 2, 1)
    with pytest.raises(InvalidInputError, match="expected at most 5 decisions of 2 features, got"):
        replay.add(episode(0, 6))
    with pytest.raises(InvalidInputError, match="a feature is too large for float16"):
        replay.add(episode(100_000, 2))
    with pytest.raises(InvalidInputError, match="expected as many features and rewards as actions"):
        EpisodeSteps(np.zeros((3, 2)), np.zeros(2, int), np.zeros(2))
    with pytest.raises(InvalidInputError, match="expected at least one episode before sampling, got none"):
        replay.sample(1, 1, 1.0, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="a stack of 1 and no more pixels than features, got 2, 0 and 0"):
        Replay(ReplayConfig(capacity=5), 2, 0)


def test_pixels_are_kept_as_bytes_and_come_back_behind_the_numbers() -> None:
    replay = Replay(ReplayConfig(capacity=6), features=3, stack=2, pixels=2)
    seen = np.array([[0.5, 0, 255], [1.5, 7, 8], [2.5, 9, 10]])
    replay.add(EpisodeSteps(seen, np.zeros(3, int), np.zeros(3)))
    batch = replay.batch(np.array([0, 2]), 1, 1.0)
    np.testing.assert_array_equal(batch.states, [[seen[0], seen[0]], [seen[1], seen[2]]])
    columns = replay.get_state()["columns"]
    assert columns["pixels"].dtype == np.uint8 and columns["features"].shape == (3, 1)
    restored = Replay(ReplayConfig(capacity=6), features=3, stack=2, pixels=2)
    restored.set_state(replay.get_state())
    np.testing.assert_array_equal(restored.batch(np.array([0, 2]), 1, 1.0).states, batch.states)


@pytest.mark.parametrize("pixel", [-1.0, 256.0, 0.5])
def test_what_is_no_pixel_is_refused(pixel: float) -> None:
    replay = Replay(ReplayConfig(capacity=6), features=2, stack=1, pixels=1)
    with pytest.raises(InvalidInputError, match="episode 'odd': expected pixels to be whole numbers from 0 to 255"):
        replay.add(EpisodeSteps(np.array([[1.0, pixel]]), np.zeros(1, int), np.zeros(1), "odd"))
    with pytest.raises(ConfigError, match="no more pixels than features, got 2, 1 and 3"):
        Replay(ReplayConfig(capacity=6), features=2, stack=1, pixels=3)
