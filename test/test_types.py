"""The values between stages are checked once, where they are built."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.types import Chunk, Observation, RobotState, SpeedChoice, TargetKind, Trajectory, checked

ZEROS = np.zeros(14)


def trajectory(**changes: object) -> Trajectory:
    values = {
        "start_ns": 5,
        "times": [0.0, 0.02, 0.05],
        "positions": np.ones((3, 14)),
        "velocities": np.zeros((3, 14)),
        "progress": [0.0, 0.04, 0.1],
        "speeds": [2.0, 2.0, 0.0],
    }
    return Trajectory(**{**values, **changes})  # type: ignore[arg-type]


def test_checked_gives_an_array_of_the_asked_type_and_shape() -> None:
    array = checked("a", [[1, 2], [3, 4]], (None, 2))
    assert array.dtype == np.float64
    assert checked("a", [[1, 2]], (1, 2), np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        ("word", (1,), "a: expected numbers of shape"),
        ([[1, 2], [3]], (2, 2), "a: expected numbers of shape"),
        ({}, (1,), "a: expected numbers of shape"),
        ([1, 2], (3,), r"a: expected shape \(3,\), got \(2,\)"),
        ([1, 2], (None, None), r"a: expected shape \(None, None\), got \(2,\)"),
        (1.0, (1,), r"got \(\)"),
        (None, (1,), r"got \(\)"),
        ([0.0, np.nan], (2,), r"a: not finite at index \(1,\)"),
        ([[0.0, 1.0], [np.inf, 1.0]], (2, 2), r"a: not finite at index \(1, 0\)"),
        ([-np.inf, np.inf], (2,), r"not finite at index \(0,\)"),
    ],
)
def test_checked_refuses_the_rest(value: object, shape: tuple, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        checked("a", value, shape)


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_checked_passes_exactly_the_finite(values: list[float]) -> None:
    finite = all(np.isfinite(values))
    try:
        checked("a", values, (len(values),))
    except InvalidInputError:
        assert not finite
    else:
        assert finite


def test_numbers_too_large_to_square_are_still_finite() -> None:
    assert checked("a", [1e200, -1e200], (2,))[0] == 1e200


def test_a_state_has_14_finite_joints() -> None:
    state = RobotState(7, [0] * 14, ZEROS)  # type: ignore[arg-type]
    assert state.qpos.shape == (14,)
    assert Observation(state).stamp_ns == 7
    with pytest.raises(InvalidInputError, match=r"qpos: expected shape \(14,\), got \(13,\)"):
        RobotState(0, ZEROS[:13], ZEROS)
    with pytest.raises(InvalidInputError, match="qvel: not finite at index"):
        RobotState(0, ZEROS, np.full(14, np.nan))


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RobotState(0, ZEROS, ZEROS).stamp_ns = 3  # type: ignore[misc]


def test_a_chunk_s_knots_lie_one_step_later_where_targets_are_states() -> None:
    command = Chunk(0, np.zeros((3, 14)), 0.04)
    assert command.targets.shape == (1, 3, 14)
    assert command.targets.dtype == np.float32
    assert command.horizon == 3
    np.testing.assert_allclose(command.knots, [0.0, 0.04, 0.08])
    np.testing.assert_allclose(dataclasses.replace(command, kind=TargetKind.STATE).knots, [0.04, 0.08, 0.12])


@pytest.mark.parametrize(
    ("targets", "dt", "message"),
    [
        (np.zeros((1, 1, 14)), 0.02, "at least 1 candidate of 2 targets"),
        (np.zeros((0, 5, 14)), 0.02, "at least 1 candidate of 2 targets"),
        (np.zeros((5, 13)), 0.02, r"chunk targets: expected shape \(None, None, 14\)"),
        (np.zeros(14), 0.02, "chunk targets: expected shape"),
        ([[0.0] * 14, [0.0]], 0.02, "chunk targets: expected one row of 14 a target"),
        (np.full((2, 14), np.nan), 0.02, "chunk targets: not finite"),
        (np.full((2, 14), 1e300), 0.02, "chunk targets: not finite"),  # not in float32
        (np.zeros((2, 14)), 0.0, "chunk dt: expected a positive time"),
        (np.zeros((2, 14)), -0.02, "chunk dt"),
        (np.zeros((2, 14)), np.nan, "chunk dt"),
        (np.zeros((2, 14)), np.inf, "chunk dt"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_bad_chunk_is_refused(targets: object, dt: float, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Chunk(0, targets, dt)  # type: ignore[arg-type]


@pytest.mark.parametrize("speed", [0.0, -1.0, np.nan, np.inf])
def test_a_bad_speed_is_refused(speed: float) -> None:
    with pytest.raises(InvalidInputError, match="speed: expected a finite number above 0"):
        SpeedChoice(0, speed)


def test_a_trajectory_knows_its_duration() -> None:
    assert trajectory().duration == 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": [0.01, 0.02, 0.05]}, "strictly increasing from 0"),
        ({"times": [0.0, 0.02, 0.02]}, "strictly increasing from 0"),
        ({"times": []}, "strictly increasing from 0"),
        ({"times": [0.0, 0.02, np.nan]}, "trajectory times: not finite"),
        ({"positions": np.ones((2, 14))}, r"trajectory positions: expected shape \(3, 14\), got \(2, 14\)"),
        ({"velocities": np.full((3, 14), np.inf)}, "trajectory velocities: not finite"),
        ({"progress": [0.0, 0.2, 0.1]}, "trajectory progress: expected never to go backwards"),
        ({"speeds": [1.0]}, "trajectory speeds: expected shape"),
    ],
)
def test_a_bad_trajectory_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        trajectory(**changes)
