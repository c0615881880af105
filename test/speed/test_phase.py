"""The phase table, on a hand-made grasp and release."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import GRIPPERS
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.phase import GripperPhase, make
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

EPISODE = Episode("a", "transfer_cube")


def query(stamp_ns: int, left: tuple[float, float], right: tuple[float, float] = (0.0, 0.0)) -> Query:
    """Apertures and their rates [1/s]."""
    qpos, qvel = np.zeros(14), np.zeros(14)
    for joint, (aperture, rate) in zip(GRIPPERS, (left, right)):
        qpos[joint], qvel[joint] = aperture, rate
    return Query(Observation(RobotState(stamp_ns, qpos, qvel)), InferenceRequest(0, stamp_ns))


def test_a_gripper_through_a_whole_grasp() -> None:
    gripper = GripperPhase()
    story = [
        (0.1, 0.0, "free"),
        (0.09, -0.2, "free"),  # jerks at the start: nothing to grasp with yet
        (0.3, 0.8, "free"),  # opens on its way
        (0.6, 0.8, "open"),
        (1.0, 0.0, "open"),
        (0.98, -0.3, "moving"),  # closes
        (0.4, -1.2, "moving"),
        (0.1, 0.0, "moving"),  # came to rest since: it travelled
        (0.1, 0.0, "moving"),  # dwells
        (0.1, 0.0, "holding"),
        (0.12, 0.05, "holding"),  # jitter
        (0.2, 0.5, "moving"),  # lets go
        (0.7, 0.9, "moving"),
        (1.0, 0.0, "moving"),  # dwells
        (1.0, 0.0, "open"),
    ]
    assert [gripper.update(aperture, rate) for aperture, rate, _ in story] == [phase for _, _, phase in story]


def test_a_grasp_between_two_decisions_is_seen() -> None:
    gripper = GripperPhase()
    phases = [gripper.update(aperture, 0.0) for aperture in (1.0, 0.1, 0.1, 0.1)]
    assert phases == ["open", "moving", "moving", "holding"]


def test_the_slower_gripper_decides_and_slots_are_apart() -> None:
    policy = make("3,1.5")
    for slot in (0, 4):
        policy.reset(EPISODE, slot)
    policy.choose({0: query(0, (1.0, 0.0)), 4: query(0, (1.0, 0.0))})
    choices = policy.choose({0: query(20, (0.9, -1.0)), 4: query(20, (1.0, 0.0))})
    assert [(choice.stamp_ns, choice.speed) for choice in choices.values()] == [(20, 1.5), (20, 3.0)]
    assert choices[0].speeds == (1.5, 3.0) and choices[0].source == "phase:3,1.5"
    assert policy.choose({0: query(40, (0.9, 0.0), (0.0, 0.0))})[0].speed == 1.5  # dwells
    policy.reset(EPISODE, 0)
    assert policy.choose({0: query(60, (0.5, -1.0))})[0].speed == 3.0  # forgot that it was open


def test_other_phases_take_their_own_speed() -> None:
    policy = make("4,1,open=2,holding=3")
    policy.reset(EPISODE)
    apertures = [0.0, 1.0, 0.0, 0.0, 0.0]
    assert [policy.choose({0: query(i, (a, 0.0))})[0].speed for i, a in enumerate(apertures)] == [4, 2, 1, 1, 3]
    assert policy.choose({0: query(9, (0.0, 0.0))})[0].speeds == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "expected an argument after 'phase:'"),
        ("3", "expected FAST,SLOW"),
        ("3,2,1", "expected FAST,SLOW"),
        ("3,open=2,1", "expected FAST,SLOW"),
        ("3,slow", "expected a number, got 'slow'"),
        ("3,1,closed=2", "unknown phase 'closed' in '3,1,closed=2'; available: open, holding"),
        ("1,3", "expected FAST before SLOW, got '1,3'"),
    ],
)
def test_a_wrong_argument_is_refused(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(argument)


@pytest.mark.parametrize("argument", ["3,0", "3,-1", "inf,1", "3,1,open=nan"])
def test_an_impossible_speed_is_refused(argument: str) -> None:
    with pytest.raises(InvalidInputError, match="speed: expected a finite number above 0"):
        make(argument)


def test_a_slot_without_an_episode_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="slot 2 was not reset; reset: none"):
        make("3,1").choose({2: query(0, (0.0, 0.0))})
