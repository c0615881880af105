"""What a decision looks like, by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from speedtune_ros.aloha import start_pose
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.features import EpisodeScale, FeatureConfig, FeatureStack
from speedtune_ros.speed.projection import Projection, Unchanged
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

SCALE = EpisodeScale(time_limit=9.0, chunk_length=2.0)
BLIND = FeatureConfig(images=False, k_stack=3)


def query(sequence: int, progress: float, speed: float, moved: float = 0.0, seconds: float | None = None) -> Query:
    """Request `sequence`, 200 ms after the one before unless told."""
    stamp = 1_000_000_000 + round((0.2 * sequence if seconds is None else seconds) * 1e9)
    state = RobotState(stamp, start_pose() + moved, np.full(14, 2.0 * moved))
    return Query(Observation(state), InferenceRequest(sequence, stamp, progress, speed))


def begun(config: FeatureConfig = BLIND, *slots: int) -> FeatureStack:
    features = FeatureStack(config, SCALE)
    for slot in slots or (0,):
        features.reset(Episode(f"e{slot}", "transfer_cube"), slot)
    return features


def brightness(queries: Sequence[Query]) -> np.ndarray:
    """An encoder: the sequence number and its double."""
    return np.array([[q.request.sequence, 2.0 * q.request.sequence] for q in queries])


def test_two_decisions_by_hand() -> None:
    features = begun()
    assert features.names[:1] + features.names[14:15] + features.names[28:] == (
        "qpos0", "qvel0", "speed", "ceiling", "progress", "chunk_left", "time_left"
    )  # fmt: skip
    first = features.observe({0: query(0, 0.0, 0.0)})[0]
    assert first.shape == (3, 33) and first.dtype == np.float32
    assert (first == first[0]).all()  # nothing before: the first decision three times
    np.testing.assert_allclose(first[0], [0.0] * 28 + [0.0, 1 / 3, 0.0, 1.0, 1.0], atol=1e-6)
    features.chose(0, 3.0)
    second = features.observe({0: query(1, 0.5, 2.4, moved=0.1)})[0]
    assert (second[:2] == first[1:]).all()
    expected = [0.1] * 28 + [0.8, 1.0, 0.5 / 8, 1 - 0.5 / 2, 1 - 0.2 / 9]
    np.testing.assert_allclose(second[2], expected, atol=1e-6)
    third = features.observe({0: query(2, 1.0, 3.0)})[0]
    np.testing.assert_allclose(third[2, -2:], [1 - 0.5 / 2, 1 - 0.4 / 9], atol=1e-6)


def test_the_latency_is_the_last_of_those_before_the_images() -> None:
    config = FeatureConfig(k_stack=1, qpos=False, qvel=False, images=False, latency=True)
    features = begun(config)
    assert features.names == ("speed", "ceiling", "progress", "chunk_left", "time_left", "latency")
    asked = query(0, 0.0, 0.0)
    late = Query(asked.observation, dataclasses.replace(asked.request, latency=0.04))
    np.testing.assert_allclose(features.observe({0: late})[0][0, -1], 0.8, atol=1e-6)


def test_slots_and_episodes_are_apart() -> None:
    features, alone = begun(BLIND, 0, 5), begun(BLIND, 5)
    both = [features.observe({0: query(i, 0.3 * i, 1.0), 5: query(i, 0.1 * i, 2.0, 0.2 * i)}) for i in range(5)]
    expected = [alone.observe({5: query(i, 0.1 * i, 2.0, 0.2 * i)})[5] for i in range(5)]
    np.testing.assert_array_equal([states[5] for states in both], expected)
    features.reset(Episode("next", "transfer_cube"), 5)
    np.testing.assert_array_equal(features.observe({5: query(0, 0.0, 2.0)})[5], expected[0])


def test_images_are_encoded_as_one_batch_and_scaled() -> None:
    batches = []

    def encoder(queries: Sequence[Query]) -> np.ndarray:
        batches.append(len(queries))
        return brightness(queries)

    config = FeatureConfig(k_stack=1, qpos=False, qvel=False, markov=False)
    features = FeatureStack(config, SCALE, encoder, Projection(np.array([1.0, 2.0]), np.diag([0.5, 0.25])))
    for slot in (0, 1):
        features.reset(Episode("e", "transfer_cube"), slot)
    states = features.observe({0: query(3, 0.0, 1.0), 1: query(5, 0.0, 1.0)})
    assert batches == [2] and features.names == ("image0", "image1")
    assert [states[slot].tolist() for slot in (0, 1)] == [[[1.0, 1.0]], [[2.0, 2.0]]]
    assert features.observe({}) == {} and batches == [2]


@pytest.mark.parametrize("part", ["qpos", "qvel", "markov"])
def test_each_part_can_be_left_out(part: str) -> None:
    config = FeatureConfig(**{"images": False, part: False})
    assert FeatureStack(config, SCALE).size == {"qpos": 19, "qvel": 19, "markov": 28}[part]


def test_nothing_that_is_not_finite_is_remembered() -> None:
    def encoder(queries: Sequence[Query]) -> np.ndarray:
        found = brightness(queries)
        found[:, 1] = np.where(found[:, 0] == 1, np.nan, found[:, 1])
        return found

    features = FeatureStack(FeatureConfig(k_stack=2), SCALE, encoder, Unchanged(2))
    features.reset(Episode("e7", "transfer_cube"), 2)
    first = features.observe({2: query(0, 0.0, 0.0)})[2]
    with pytest.raises(InvalidInputError, match="features of episode 'e7', request 1: image1 is not finite"):
        features.observe({2: query(1, 0.5, 1.0)})
    with pytest.raises(InvalidInputError, match="features of episode 'e7', request 2: speed is not finite"):
        features.observe({2: query(2, 0.5, np.nan)})
    np.testing.assert_array_equal(features.observe({2: query(3, 0.5, 1.0)})[2][0], first[1])


def test_wrong_ones_are_refused() -> None:
    with pytest.raises(ConfigError, match="images are on, but there is no encoder"):
        FeatureStack(FeatureConfig(), SCALE)
    with pytest.raises(ConfigError, match="at least one of qpos, qvel, images, markov and latency, got none"):
        FeatureStack(FeatureConfig(qpos=False, qvel=False, images=False, markov=False), SCALE)
    with pytest.raises(ConfigError, match=r"time_limit: expected a positive time \[s\], got 0"):
        EpisodeScale(0.0, 2.0)
    with pytest.raises(InvalidInputError, match=r"slot 1 was not reset; reset: \[0\]"):
        begun().observe({1: query(0, 0.0, 1.0)})
    features = FeatureStack(FeatureConfig(), SCALE, brightness, Unchanged(3))
    features.reset(Episode("e", "transfer_cube"))
    with pytest.raises(InvalidInputError, match=r"encoded images: expected shape \(1, 3\), got \(1, 2\)"):
        features.observe({0: query(0, 0.0, 1.0)})
