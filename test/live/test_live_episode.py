"""What learning and figures take from what a graph published."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT_NS
from speedtune_ros.errors import DataError
from speedtune_ros.live.episode import LONGEST_GAP, LiveEpisode, decisions, executed, sample
from speedtune_ros.types import RetimeReport, SpeedChoice

START = 5_000_000_000
SPEEDS = (1.0, 2.0)


def choice(step: int, speed: float = 2.0, features: tuple[float, ...] = (0.5, 1.5)) -> SpeedChoice:
    return SpeedChoice(START + step * CONTROL_DT_NS, speed, SPEEDS, (3.0, 4.0), "rainbow", features)


def episode(steps: int = 20, **changes: object) -> LiveEpisode:
    speeds = {START + i * CONTROL_DT_NS: 0.1 * i for i in range(steps + 3)}  # the driver went on after the end
    values: dict[str, object] = {
        "id": "a",
        "seed": 7,
        "start_ns": START,
        "end_ns": START + steps * CONTROL_DT_NS,
        "success": True,
        "reason": "success",
        "speeds": speeds,
        "choices": (choice(0, 1.0), choice(10), choice(20)),
    }
    return LiveEpisode(**{**values, **changes})  # type: ignore[arg-type]


def test_executed_speed_of_each_step_until_the_end() -> None:
    np.testing.assert_allclose(executed(episode()), 0.1 * np.arange(20))
    np.testing.assert_allclose(executed(episode(), START + 10 * CONTROL_DT_NS), 0.1 * np.arange(10, 20))


def test_uneven_ticks_of_hardware_fall_to_the_nearest_step() -> None:
    rng = np.random.default_rng(0)
    speeds = {START + i * CONTROL_DT_NS + int(rng.integers(-4e6, 4e6)): float(i) for i in range(21)}
    np.testing.assert_allclose(executed(episode(speeds=speeds)), np.arange(20))


def test_a_short_silence_of_the_driver_is_bridged_and_a_long_one_refused() -> None:
    def without(first: int, last: int) -> LiveEpisode:
        whole = episode()
        gone = {START + i * CONTROL_DT_NS for i in range(first, last)}
        return dataclasses.replace(whole, speeds={s: v for s, v in whole.speeds.items() if s not in gone})

    np.testing.assert_allclose(executed(without(4, 6))[3:7], [0.3, 0.3, 0.3, 0.6])
    with pytest.raises(DataError, match="no driver status for 6 of 20 control steps"):
        executed(without(4, 4 + LONGEST_GAP + 2))
    with pytest.raises(DataError, match="no driver status for 20 of 20"):
        executed(episode(speeds={}))


def test_decisions_are_those_before_the_end() -> None:
    found = decisions(episode(), SPEEDS, 2)
    np.testing.assert_array_equal(found.features, [[0.5, 1.5], [0.5, 1.5]])
    np.testing.assert_array_equal(found.actions, [0, 1])
    np.testing.assert_array_equal(found.stamps, [START, START + 10 * CONTROL_DT_NS])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((choice(0, features=()),), "does not tell what it saw"),
        ((choice(0, speed=1.5),), "does not tell what it saw"),
        ((choice(0, features=(0.5,)),), "expected 2 features .* got 1 and .* from 'rainbow'"),
        ((dataclasses.replace(choice(0), speeds=(2.0, 4.0)),), "and .2.0, 4.0. from 'rainbow'"),
        ((), "no choice of a speed was heard"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(choices: tuple[SpeedChoice, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decisions(episode(choices=choices), SPEEDS, 2)


def test_a_sample_by_hand() -> None:
    reports = tuple(
        RetimeReport(START + 10 * i * CONTROL_DT_NS, i, "linear", 2.0, 1.9, 2.0, 1.0, handover=how, position_jump=jump)
        for i, (how, jump) in enumerate([("start", 9.0), ("nearest", 0.25), ("nearest", 7.0)])
    )
    reports = (reports[0], dataclasses.replace(reports[1], slip=0.2), reports[2])
    stamps = [START + i * CONTROL_DT_NS for i in range(21)]
    commands = {s: np.zeros(14) for s in stamps[:20]}
    qpos = {s: np.full(14, 0.3) for s in stamps[1:]}
    found = sample(episode(reports=reports, commands=commands, qpos=qpos), 1.0)
    assert (found.seed, found.steps, found.success_step, found.trouble) == (7, 20, 20, "")
    assert found.realised_speed == pytest.approx(0.95 + 0.2 / 0.4)
    assert found.handover_jumps_rad == (0.25,)  # the third report lies at the end: it moved nothing
    assert found.tracking_error_rad_rms == pytest.approx(0.3)
    assert found.commanded_speed == pytest.approx(5.0 / 3.0)


@pytest.mark.parametrize(("label", "success"), [(1.0, True), (0.9, False), (0.0, False), (-1.0, False)])
def test_the_verdict_decides_not_the_graph(label: float, success: bool) -> None:
    found = sample(episode(), label)
    assert found.success is success and found.max_reward == label


def test_trouble_is_kept() -> None:
    assert sample(episode(reason="fault: speed"), 0.0).trouble == "fault: speed"
    assert sample(episode(reason="labelled 0"), 0.0).trouble == ""
