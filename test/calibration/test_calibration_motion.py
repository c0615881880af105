"""Motions: bounded, from rest to rest, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import start_pose
from speedtune_ros.calibration.motion import Kind, Motion, direction, fit, stroke, tone, travel
from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.sampling import sample

MOTIONS = [
    tone("left_waist", 0.5, 0.15, 2),
    tone("right_elbow", 2.4, 0.03, 6),
    stroke("left_waist", 0.5, 3.0, 20.0),
    stroke("left_waist", -0.5, 0.4, 20.0),
    travel("left_gripper", 0.3, 0.5),
    travel("right_gripper", 1.0, 0.5),
]


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda motion: f"{motion.joint}-{motion.kind.value}")
def test_a_motion_goes_from_rest_to_rest_and_its_rates_are_those_of_its_way(motion: Motion) -> None:
    ends = np.array([motion.offsets[[0, -1]], motion.rates[[0, -1]]])
    np.testing.assert_allclose(ends, 0.0, atol=1e-9)
    step = np.diff(motion.times)
    assert np.allclose(step, 0.02)
    # trapezoidal rule: what rates sum up to
    way = np.concatenate(([0.0], np.cumsum((motion.rates[1:] + motion.rates[:-1]) / 2.0 * step)))
    assert np.abs(way - motion.offsets).max() < 0.02 * max(motion.reach, 0.1)


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda motion: f"{motion.joint}-{motion.kind.value}")
def test_between_ticks_it_stays_inside_its_reach_and_moves_one_joint_alone(motion: Motion) -> None:
    command = start_pose(0.3 if motion.joint == "left_gripper" else 1.0)
    trajectory = motion.trajectory(command, 10**9, 4)
    assert trajectory.sequence == 4 and trajectory.progress.max() == 0.0
    stamps = 10**9 + np.arange(0, round(motion.duration * 1e9), 3_000_000)
    curve = np.array([sample(trajectory, int(stamp)).position for stamp in stamps])
    assert np.abs(np.delete(curve - command, motion.index, axis=1)).max() == 0.0
    own = curve[:, motion.index] - command[motion.index]
    assert own.min() >= motion.offsets.min() - 5e-4 and own.max() <= motion.offsets.max() + 5e-4
    if motion.kind is Kind.TRAVEL:
        assert curve[:, motion.index].min() >= 0.0 and curve[:, motion.index].max() <= 1.0


def test_a_tone_by_hand() -> None:
    motion = tone("left_waist", 0.5, 0.15, 2)
    assert (motion.duration, motion.steady) == (8.0, (2.0, 6.0))
    assert motion.reach == pytest.approx(0.15)
    assert motion.peak_rate == pytest.approx(0.15 * np.pi, rel=0.01)
    at = lambda t: motion.offsets[round(t / 0.02)]  # noqa: E731
    assert (at(2.5), at(3.5), at(4.0)) == pytest.approx((0.15 * 1.0, -0.15, 0.0), abs=1e-6)


def test_a_stroke_reaches_its_speed_where_it_has_room_for_it() -> None:
    slow, fast = stroke("left_waist", 0.5, 1.0, 20.0), stroke("left_waist", 0.5, 3.0, 4.0)
    assert slow.peak_rate == pytest.approx(1.0)
    assert (slow.rates == slow.rates.max()).sum() * 0.02 == pytest.approx(0.5 / 1.0 - 0.05, abs=0.03)
    assert fast.peak_rate == pytest.approx(np.sqrt(0.5 * 4.0), rel=0.05)  # a triangle
    assert slow.reach == pytest.approx(0.5)
    assert stroke("left_waist", -0.5, 1.0, 20.0).offsets.min() == pytest.approx(-0.5)


def test_a_travel_opens_closes_and_comes_back() -> None:
    position = 0.3 + travel("left_gripper", 0.3, 0.5).offsets
    opened, closed = np.flatnonzero(position > 0.9999), np.flatnonzero(position < 0.0001)
    assert opened[-1] < closed[0]
    assert len(opened) * 0.02 >= 1.0 and len(closed) * 0.02 >= 1.0


@pytest.mark.parametrize(
    ("position", "velocity", "message"),
    [
        (1.2, 3.0, "from 1.050 to 1.350 does not fit between the limits -1.850 and 1.257, 0.02 free"),
        (0.0, 0.3, "at 0.47 is faster than its limit 0.30"),
    ],
)
def test_a_motion_that_does_not_fit_is_refused(position: float, velocity: float, message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"left_shoulder: a tone {message}"):
        fit(tone("left_shoulder", 0.5, 0.15, 2), position, -1.85005, 1.25664, velocity)


def test_room_decides_the_direction() -> None:
    assert (direction(-1.0, -1.8, 1.6), direction(1.0, -1.8, 1.6)) == (1.0, -1.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_nonsense_is_refused(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="amplitude: expected a finite number above 0"):
        tone("left_waist", 0.5, bad, 2)
    with pytest.raises(InvalidInputError, match="speed: expected a finite number above 0"):
        stroke("left_waist", 0.5, bad, 20.0)


def test_an_unknown_joint_is_named() -> None:
    with pytest.raises(UnknownNameError, match="left_waist"):
        _ = tone("left_wast", 0.5, 0.1, 2).index
