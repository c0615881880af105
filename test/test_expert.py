from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.expert import ExpertPolicy
from speedtune_ros.policies.plan import HORIZON
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

EPISODE = Episode("one", "transfer_cube", 1)
STATE = RobotState(77, np.zeros(14), np.zeros(14))


def query(progress: float) -> Query:
    return Query(Observation(STATE), InferenceRequest(0, 77, progress=progress))


@pytest.fixture(scope="module")
def expert() -> ExpertPolicy:
    return ExpertPolicy(TransferCube(), "act")


def test_chunk_is_the_plan_from_the_progress_on(expert: ExpertPolicy) -> None:
    expert.reset(EPISODE)
    chunk = expert.infer({0: query(2.0)})[0]
    plan = expert.plan(EPISODE)
    np.testing.assert_allclose(chunk.targets[0], plan[100:200], atol=1e-6)
    assert (chunk.stamp_ns, chunk.dt, chunk.horizon) == (77, 0.02, HORIZON)


def test_between_steps_and_past_the_end(expert: ExpertPolicy) -> None:
    expert.reset(EPISODE)
    plan = expert.plan(EPISODE)
    between = expert.infer({0: query(2.015)})[0].targets[0, 0]
    np.testing.assert_allclose(between, 0.25 * plan[100] + 0.75 * plan[101], atol=1e-6)
    late = expert.infer({0: query(7.9)})[0].targets[0]
    np.testing.assert_allclose(late[5:], np.tile(plan[-1], (95, 1)), atol=1e-6)
    beyond = expert.infer({0: query(100.0)})[0].targets[0]
    np.testing.assert_allclose(beyond, np.tile(plan[-1], (100, 1)), atol=1e-6)


def test_slots_are_independent_and_repeat(expert: ExpertPolicy) -> None:
    expert.reset(EPISODE, slot=0)
    expert.reset(Episode("two", "transfer_cube", 2), slot=1)
    chunks = expert.infer({0: query(1.5), 1: query(1.5)}, candidates=3)
    assert chunks[0].targets.shape == (3, HORIZON, 14)
    assert not np.array_equal(chunks[0].targets, chunks[1].targets)
    expert.reset(EPISODE, slot=1)
    np.testing.assert_array_equal(expert.infer({1: query(1.5)}, 3)[1].targets, chunks[0].targets)


def test_a_slot_never_reset_is_refused(expert: ExpertPolicy) -> None:
    with pytest.raises(InvalidInputError, match="slot 9 was not reset"):
        expert.infer({9: query(0.0)})
