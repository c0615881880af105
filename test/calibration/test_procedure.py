"""The whole procedure on arms that are a formula, and the files it leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from known_joint import play

from speedtune_ros import config
from speedtune_ros.aloha import CONTROL_DT, JOINT_NAMES, start_pose
from speedtune_ros.calibration import files
from speedtune_ros.calibration.findings import Findings
from speedtune_ros.calibration.gripper import Travel
from speedtune_ros.calibration.motion import Motion
from speedtune_ros.calibration.page import calibration_page
from speedtune_ros.calibration.plan import MotionConfig, describe, joints, motions
from speedtune_ros.calibration.procedure import Calibration
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import Response
from speedtune_ros.calibration.sight import Frames
from speedtune_ros.errors import DataError, InvalidInputError, SpeedtuneError, UnknownNameError
from speedtune_ros.robots.measured_limits import MeasuredLimits, narrowed
from speedtune_ros.robots.profiles import make_profile

TRUTH = Response(delay=0.06, time_constant=0.1, inertia=0.003, gain=1.0, misfit=0.0)
LIMITS = make_profile("hardware").limits
CAPS = {"left_waist": 1.1}


class FormulaArms:
    """Implements Arms. What it was asked to do is in `done`."""

    profile, limits, rate_hz = "hardware", LIMITS, 50.0
    state_age = 0.012

    def __init__(self) -> None:
        self.command = np.array([0.0, -1.84, 1.5, 0.0, 0.8, 0.0, 0.3] * 2)
        self.done: list[str] = []

    def move(self, goal: np.ndarray, speed: float) -> None:
        self.done.append(f"move {speed:g}")
        self.command = goal

    def play(self, motion: Motion) -> Recording:
        self.done.append(f"{motion.joint} {motion.kind.value}")
        cap = CAPS.get(motion.joint, np.inf)
        return play(motion, TRUTH, rest=float(self.command[motion.index]), noise=5e-4, cap=cap, dry=1.0)

    def frames(self, recording: Recording) -> list[Frames]:
        arrivals = np.arange(0.0, recording.motion.duration, 0.05)
        seen = np.interp(arrivals - 0.15, recording.times, recording.position)
        return [Frames("top", arrivals - 0.1, arrivals, 100.0 + 50.0 * seen[:, None] * np.ones((1, 4)))]


@pytest.fixture(scope="module")
def limits_found() -> tuple[FormulaArms, Findings]:
    arms = FormulaArms()
    chosen = joints(["left_waist", "right_elbow"])
    return arms, Calibration(arms, MotionConfig(), lambda text: None).limits(chosen)


def test_limits_moves_one_joint_at_a_time_and_stops_at_the_stroke_that_finds_the_cap(limits_found) -> None:
    arms, _ = limits_found
    waist = ["left_waist tone"] * 3 + ["left_waist stroke"]
    elbow = ["right_elbow tone"] * 3 + ["right_elbow stroke"] * 3
    assert arms.done == ["move 0.3", *waist, *elbow]
    np.testing.assert_allclose(arms.command, [*start_pose(0.3)], atol=1e-12)


def test_limits_finds_caps_friction_and_lag(limits_found) -> None:
    waist, elbow = limits_found[1].joints
    assert waist.speed is not None and elbow.speed is not None and waist.friction is not None
    assert waist.speed.cap == pytest.approx(1.1, rel=0.05)
    assert not elbow.speed.capped and elbow.speed.sent == pytest.approx(0.98 * np.pi, rel=0.05)
    assert waist.friction.dry == pytest.approx(1.0 * 2.41 / 2.4, rel=0.1)
    assert waist.response.lag == pytest.approx(0.16, rel=0.1)
    assert limits_found[1].bus_delay(waist) == pytest.approx(waist.response.delay - CONTROL_DT / 2.0)


def test_the_limits_file_is_one_that_guard_and_retimer_take(limits_found, tmp_path: Path) -> None:
    path = files.write(tmp_path, files.LIMITS, files.limit_parameters(limits_found[1], LIMITS))
    for node in ("arm_driver", "retimer"):
        measured = config.build(MeasuredLimits, config.read_parameters(path, node)["limits"])
        velocity = narrowed(LIMITS, measured, "hardware").velocity
        assert velocity[0] == pytest.approx(1.1, rel=0.05)
        np.testing.assert_array_equal(velocity[1:], LIMITS.velocity[1:])
    with pytest.raises(SpeedtuneError, match="measured under profile 'hardware', expected 'identified'"):
        narrowed(LIMITS, measured, "identified")


def test_where_nothing_is_capped_the_file_changes_nothing() -> None:
    parameters = files.limit_parameters(Findings("limits", "hardware", 0.01), LIMITS)
    measured = config.build(MeasuredLimits, parameters["retimer"]["limits"])
    assert narrowed(LIMITS, measured, "hardware") is LIMITS


def test_delay_writes_lag_and_budget(tmp_path: Path) -> None:
    arms = FormulaArms()
    calibration = Calibration(arms, MotionConfig(), lambda text: None, to_pose=False)
    found = calibration.delay(["left_waist"], ["top"], inference=0.08)
    assert arms.done == ["left_waist tone"] * 3
    (sight,) = found.sights
    assert (sight.age, sight.stamped, sight.worst) == pytest.approx((0.15, 0.05, 0.2), abs=0.01)
    path = files.write(tmp_path, files.DELAY, files.delay_parameters(found))
    retimer = config.read_parameters(path, "retimer")
    assert retimer["scheduler"]["latency"] == pytest.approx(0.012 + 0.08 + 0.02)
    assert retimer["scheduler"]["image_age"] == pytest.approx(0.2, abs=0.01)
    assert retimer["lag_s"] == pytest.approx(found.lag, abs=1e-4)
    with pytest.raises(UnknownNameError, match="camera that sent frames 'angle'; available: top"):
        calibration.delay(["left_waist"], ["angle"], 0.0)


def test_the_gripper_file_names_both_ends() -> None:
    found = Findings("gripper", "hardware", 0.01, grippers={"right": Travel((0.026, 0.052), (-0.3, 1.2))})
    travel = files.gripper_parameters(found)["arm_driver"]["interbotix"]["travel"]
    assert travel == {"right": [0.026, 0.052, -0.3, 1.2]}


def test_the_page_is_self_contained_and_the_samples_are_kept(limits_found, tmp_path: Path) -> None:
    findings = limits_found[1]
    page = calibration_page(findings, {"profile": "hardware"})
    assert not re.search(r'(src|href)="(?!data:|#)', page) and page.count("<svg") == 2
    assert "left_waist" in page and "1.1" in page
    raw = json.loads(files.write_raw(tmp_path, findings, {}).read_text(), parse_constant=pytest.fail)
    assert raw["joints"][1]["speed"]["cap"] is None  # never capped
    assert len(raw["recordings"]) == 10 and len(raw["recordings"][0]["position"]) > 500


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    files.prepare(tmp_path / "a")
    (tmp_path / "a" / files.PAGE).write_text("kept")
    with pytest.raises(DataError, match="page.html lies there already; a calibration is never overwritten"):
        files.prepare(tmp_path / "a")


def test_joints_by_name_side_and_kind() -> None:
    assert joints(["elbow"]) == ("left_elbow", "right_elbow")
    assert joints(["right_waist", "left"])[-1] == "right_waist" and len(joints(["left"])) == 6
    assert len(joints(["left", "right"])) == 12
    with pytest.raises(UnknownNameError, match="unknown joint 'left_gripper'"):
        joints(["left_gripper"])


def test_the_plan_says_how_far_and_how_fast() -> None:
    made = motions("limits", "left_waist", start_pose(), LIMITS, MotionConfig(speed=1.0))
    text = describe("left_waist", made)
    assert re.search(r"swings up to 0.15 rad to each side, at most 0.50 rad/s; strokes up to 0.50 rad", text)
    assert "at most 1.00 rad/s; " in text
    for motion in motions("limits", "right_wrist_angle", start_pose(), LIMITS, MotionConfig()):
        assert motion.peak_rate <= LIMITS.velocity[JOINT_NAMES.index("right_wrist_angle")]


def test_what_does_not_fit_is_refused_before_anything_moves() -> None:
    arms = FormulaArms()
    calibration = Calibration(arms, MotionConfig(), lambda text: None, to_pose=False)
    with pytest.raises(InvalidInputError, match="left_shoulder: a tone from -1.990 to -1.690 does not fit"):
        calibration.limits(["left_waist", "left_shoulder"])
    assert arms.done == []
