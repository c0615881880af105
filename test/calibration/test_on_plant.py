"""Calibration of xs_sim's own mechanics, whose build it does not know: everything within 10 %."""

from __future__ import annotations

import numpy as np
import pytest
from plant_arms import PlantArms

from speedtune_ros.calibration.findings import Findings
from speedtune_ros.calibration.plan import MotionConfig
from speedtune_ros.calibration.procedure import Calibration
from speedtune_ros.robots.profiles import IDENTIFIED
from speedtune_ros.robots.xs_plant import BuildConfig

# A command waits half a tick of the driver on average; the bus is looked at every 10 ms, and a state is of its end.
HELD_S = 0.01
STOPS = (0.026, 0.052)


def tau(joint: str) -> float:
    model = IDENTIFIED[joint.split("_", 1)[1]]
    return model.damping / model.stiffness


def quiet(text: str) -> None:
    """Nobody is there to be told."""


@pytest.mark.parametrize("bus_s", [0.02, 0.1])
@pytest.mark.parametrize("joint", ["left_waist", "right_forearm_roll", "left_wrist_rotate"])
def test_lag_dead_time_and_time_constant(joint: str, bus_s: float) -> None:
    arms = PlantArms(BuildConfig(), bus_s)
    found = Calibration(arms, MotionConfig(), quiet, to_pose=False).delay([joint], [], 0.0)
    response = found.joints[0].response
    assert response.lag == pytest.approx(bus_s + tau(joint) + HELD_S, rel=0.1)
    assert response.time_constant == pytest.approx(tau(joint), rel=0.1)
    assert found.bus_delay(found.joints[0]) == pytest.approx(bus_s, rel=0.1, abs=0.005)  # half of the bus' own step
    assert arms.saturated == 0


@pytest.fixture(scope="module")
def weak() -> Findings:
    build = BuildConfig(speed=1.3, friction=(0.0, 0.0, 2.0, 0.0, 0.0, 0.0))
    arms = PlantArms(build, 0.05)
    found = Calibration(arms, MotionConfig(), quiet).limits(["left_waist", "left_elbow"])
    assert arms.saturated == 0
    return found


def test_reachable_velocity(weak: Findings) -> None:
    assert weak.caps == pytest.approx({"left_waist": 1.3, "left_elbow": 1.3}, rel=0.1)
    for found in weak.joints:
        assert found.speed is not None and found.speed.reached == pytest.approx(1.3, rel=0.1)


def test_friction(weak: Findings) -> None:
    waist, elbow = weak.joints
    assert waist.friction is not None and elbow.friction is not None
    assert elbow.friction.dry == pytest.approx(2.0, rel=0.1)
    assert waist.friction.dry < 0.1


def test_a_strong_arm_is_not_capped() -> None:
    found = Calibration(PlantArms(BuildConfig(), 0.02), MotionConfig(), quiet, to_pose=False).limits(["left_waist"])
    assert found.caps == {}


def test_acceleration_against_that_of_the_mechanics(weak: Findings) -> None:
    stroke = max((r for r in weak.recordings if r.motion.joint == "left_waist"), key=lambda r: r.motion.peak_rate)
    speed = weak.joints[0].speed
    assert speed is not None
    true = np.abs(np.gradient(stroke.velocity, stroke.times))
    assert speed.acceleration == pytest.approx(np.sort(true)[-3], rel=0.25)


@pytest.mark.parametrize("side", ["left", "right"])
def test_gripper_travel(side: str) -> None:
    arms = PlantArms(BuildConfig(stops=STOPS), 0.02)
    found = Calibration(arms, MotionConfig(), quiet).gripper([side]).grippers[side]
    assert found.span == pytest.approx(STOPS[1] - STOPS[0], rel=0.1)
    assert found.finger == pytest.approx(STOPS, abs=1.5e-3)
    assert arms.saturated == 0
