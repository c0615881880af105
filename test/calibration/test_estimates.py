"""Estimates from joints whose truth is known: recovered within 10 % through encoder noise, refused where blind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from known_joint import CONSTANT, play

from speedtune_ros.calibration.friction import fit_friction
from speedtune_ros.calibration.gripper import travel_of
from speedtune_ros.calibration.motion import stroke, tone, travel
from speedtune_ros.calibration.plan import MotionConfig, tones
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import Gain, Response, fit_response, gain_of
from speedtune_ros.calibration.sight import Frames, sight_of
from speedtune_ros.calibration.speed import cap_of, speed_of
from speedtune_ros.errors import InvalidInputError

NOISE = 1e-3  # [rad]; an encoder's count is 1.5e-3
TRUTH = Response(delay=0.09, time_constant=0.134, inertia=0.004, gain=1.0, misfit=0.0)
TONES = tones("left_waist", MotionConfig())
STROKES = [stroke("left_waist", 0.5, speed, 20.0) for speed in (1.2, 2.1, 3.0)]


def gains(truth: Response, hertz: tuple[float, ...] = (0.5, 1.1, 2.4)) -> list[Gain]:
    omega = 2.0 * np.pi * np.array(hertz)
    return [Gain(float(w), complex(value)) for w, value in zip(omega, truth.at(omega))]


def test_a_response_by_hand() -> None:
    # at omega = 1 / tau a first-order lag is 45 degrees late and 1 / sqrt(2) as large; the delay adds omega * d
    response = Response(0.1, 0.5, 0.0, 1.0, 0.0)
    value = response.at(np.array([2.0]))[0]
    assert abs(value) == pytest.approx(1.0 / np.sqrt(2.0))
    assert np.angle(value) == pytest.approx(-np.pi / 4.0 - 0.2)
    assert response.lag == pytest.approx(0.6)


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.05, 0.2])
@pytest.mark.parametrize(("tau", "inertia", "gain"), [(0.134, 4e-3, 1.0), (0.08, 0.0, 0.9), (0.02, 1e-3, 1.0)])
def test_exact_gains_give_the_truth_back(delay: float, tau: float, inertia: float, gain: float) -> None:
    found = fit_response(gains(Response(delay, tau, inertia, gain, 0.0)))
    assert found.delay == pytest.approx(delay, abs=6e-4)  # a step of the search
    assert found.time_constant == pytest.approx(tau, abs=1e-3)
    assert found.gain == pytest.approx(gain, rel=1e-2)


@pytest.mark.parametrize("seed", range(3))
def test_delay_and_time_constant_through_noise(seed: int) -> None:
    found = fit_response([gain_of(play(motion, TRUTH, noise=NOISE, seed=seed)) for motion in TONES])
    assert found.delay == pytest.approx(TRUTH.delay, rel=0.1)
    assert found.time_constant == pytest.approx(TRUTH.time_constant, rel=0.1)
    assert found.lag == pytest.approx(TRUTH.lag, rel=0.03)


def test_lost_and_uneven_joint_states_do_no_harm() -> None:
    kept = np.random.default_rng(0).random(5000) < 0.6
    recordings = []
    for motion in TONES:
        whole = play(motion, TRUTH, noise=NOISE)
        some = kept[: len(whole.times)]
        part = {name: getattr(whole, name)[some] for name in ("times", "position", "velocity", "current")}
        recordings.append(dataclasses.replace(whole, **part))
    assert fit_response([gain_of(r) for r in recordings]).lag == pytest.approx(TRUTH.lag, rel=0.03)


def test_simulation_and_gain_agree() -> None:
    times = np.arange(0.0, 8.0, 0.002)
    sent = np.interp(times, TONES[0].times, TONES[0].offsets)
    omega = 2.0 * np.pi * 0.5
    part = (times > 3.0) & (times < 5.0)
    reached = TRUTH.simulate(times, sent)[part]
    expected = TRUTH.at(np.array([omega]))[0] * 0.15
    steady = np.imag(expected * np.exp(1j * omega * (times[part] - 2.0)))
    np.testing.assert_allclose(reached, steady, atol=2e-3)


@pytest.mark.parametrize(("cap", "expected"), [(1.2, 1.2), (2.0, 2.0), (np.inf, np.inf), (5.0, np.inf)])
def test_a_cap_is_found_where_there_is_one_and_only_there(cap: float, expected: float) -> None:
    fastest = play(STROKES[-1], TRUTH, noise=NOISE, cap=cap)
    assert cap_of(fastest, TRUTH) == pytest.approx(expected, rel=0.05)


def test_speed_and_acceleration_of_strokes() -> None:
    recordings = [play(motion, TRUTH, noise=NOISE, cap=1.2) for motion in STROKES]
    found = speed_of(recordings, TRUTH)
    assert found.capped and found.sent == pytest.approx(3.0, rel=0.05)
    assert found.reached == pytest.approx(1.2, rel=0.05)
    clean = play(STROKES[-1], TRUTH, cap=1.2)
    assert found.acceleration == pytest.approx(np.abs(np.gradient(clean.velocity, clean.times)).max(), rel=0.1)


@pytest.mark.parametrize(("dry", "viscous"), [(0.0, 0.0), (2.0, 0.0), (2.0, 3.0), (0.0, 3.0)])
def test_friction_through_noise(dry: float, viscous: float) -> None:
    recordings = [play(motion, TRUTH, noise=NOISE, dry=dry, viscous=viscous) for motion in TONES]
    found = fit_friction(recordings, CONSTANT)
    assert found.dry == pytest.approx(dry, rel=0.1, abs=0.05)
    assert found.viscous == pytest.approx(viscous, rel=0.1, abs=0.25)


def test_a_stuck_joint_is_refused() -> None:
    stuck = [play(motion, TRUTH, dry=100.0) for motion in TONES]
    with pytest.raises(InvalidInputError, match="no tone moved the joint"):
        fit_friction(stuck, CONSTANT)
    with pytest.raises(InvalidInputError, match="is it blocked"):
        fit_response([gain_of(recording) for recording in stuck])


def test_too_few_tones_or_joint_states_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 3 frequencies, got 2"):
        fit_response(gains(TRUTH, (0.5, 1.1)))
    with pytest.raises(InvalidInputError, match="expected a tone"):
        gain_of(play(STROKES[0], TRUTH))
    short = play(TONES[0], TRUTH)
    early = {name: getattr(short, name)[:200] for name in ("times", "position", "velocity", "current")}
    with pytest.raises(InvalidInputError, match="left_waist: 0 joint states between 2.30 and 6.00 s of a tone"):
        gain_of(dataclasses.replace(short, **early))


def gripped(closed: float, opened: float, noise: float = 2e-4) -> Recording:
    """A gripper that follows its command between stops; its motor turns 50 rad a metre."""
    motion = travel("left_gripper", 0.3, 0.5)
    times = np.arange(0.0, motion.duration + 0.5, 0.01)
    wanted = 0.018 + 0.04 * (0.3 + np.interp(times - 0.1, motion.times, motion.offsets))
    finger = np.clip(wanted, closed, opened) + noise * np.random.default_rng(0).standard_normal(len(times))
    still = np.zeros(len(times))
    return Recording(motion, 0.3, times, 50.0 * finger, still, still, np.empty(0), np.empty(0), finger)


@pytest.mark.parametrize(("closed", "opened"), [(0.026, 0.052), (0.0, 0.1)])
def test_travel_is_that_between_the_stops_as_far_as_it_is_sent(closed: float, opened: float) -> None:
    found = travel_of(gripped(closed, opened))
    assert found.finger == pytest.approx((max(closed, 0.018), min(opened, 0.058)), abs=2e-4)
    assert found.motor == pytest.approx(tuple(50.0 * end for end in found.finger), abs=1e-6)


def test_a_blocked_gripper_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="left_gripper: the finger moved by 0.. mm"):
        travel_of(gripped(0.030, 0.0305, noise=0.0))


def seen(recording: Recording, age: float, transport: float = 0.05, contrast: float = 40.0) -> Frames:
    """A camera of 6 x 8 pixels that sees an edge move with the joint, `age` late; stamps are `transport` earlier."""
    arrivals = np.arange(0.0, recording.motion.duration, 1.0 / 30.0)
    position = np.interp(arrivals - age, recording.times, recording.position)
    columns = np.arange(48) % 8
    edge = 4.0 + 8.0 * (position - recording.rest)[:, None]
    noise = np.random.default_rng(1).standard_normal((len(arrivals), 48))
    return Frames("top", arrivals - transport, arrivals, 100.0 + contrast * np.tanh(columns - edge) + noise)


@pytest.mark.parametrize("age", [0.03, 0.2, 0.6])
def test_the_age_of_a_picture_whatever_its_stamps_say(age: float) -> None:
    recording = play(TONES[0], TRUTH, noise=NOISE)
    found = sight_of(seen(recording, age), recording)
    assert found.age == pytest.approx(age, rel=0.1, abs=2e-3)
    assert found.stamped == pytest.approx(age - 0.05, abs=0.01)
    assert found.period == pytest.approx(1.0 / 30.0) and found.worst == pytest.approx(found.age + found.period)


def test_a_camera_that_does_not_see_the_arm_is_refused() -> None:
    recording = play(TONES[0], TRUTH)
    with pytest.raises(InvalidInputError, match="camera 'top' does not see the arm swing"):
        sight_of(seen(recording, 0.1, contrast=0.0), recording)
    frames = seen(recording, 0.1)
    few = Frames("top", frames.stamps[:70], frames.arrivals[:70], frames.pixels[:70])
    with pytest.raises(InvalidInputError, match="camera 'top': 10 frames during the swing, needs 12"):
        sight_of(few, recording)


def test_a_recording_whose_series_differ_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="3 times, but series of"):
        Recording(tone("left_waist", 1.0, 0.1, 1), 0.0, *(np.zeros(n) for n in (3, 3, 2, 3, 0, 0)))
