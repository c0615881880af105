"""The constant speed: the same choice for every query, stamped with its observation."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.constant import ConstantSpeed, make
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState


def query(stamp_ns: int) -> Query:
    observation = Observation(RobotState(stamp_ns, np.zeros(14), np.zeros(14)))
    return Query(observation, InferenceRequest(0, stamp_ns))


def test_every_slot_gets_the_speed_with_its_own_stamp() -> None:
    choices = make("2.5").choose({0: query(20), 3: query(40)})
    assert {slot: choice.stamp_ns for slot, choice in choices.items()} == {0: 20, 3: 40}
    assert {(c.speed, c.speeds, c.source) for c in choices.values()} == {(2.5, (2.5,), "constant:2.5")}


def test_a_reset_changes_nothing_and_no_query_no_choice() -> None:
    policy = ConstantSpeed(0.5)
    policy.reset(Episode("a", "transfer_cube", 3), slot=1)
    assert policy.choose({}) == {}
    assert policy.choose({1: query(0)})[1].speed == 0.5


def test_left_out_it_is_demonstrated_speed() -> None:
    assert make("").choose({0: query(0)})[0].speed == 1.0


@pytest.mark.parametrize("argument", ["0", "-1", "nan", "inf", "-inf"])
def test_an_impossible_speed_is_refused(argument: str) -> None:
    with pytest.raises(InvalidInputError, match="speed: expected a finite number above 0"):
        make(argument)


def test_a_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a number after 'constant:', got 'fast'"):
        make("fast")
