"""What a simulated follower's build does to its mechanics."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import ConfigError
from speedtune_ros.registry import make_simulation
from speedtune_ros.robots.gripper import ALOHA_1_FOLLOWER, Linkage
from speedtune_ros.robots.xs_motors import Drive
from speedtune_ros.robots.xs_plant import BuildConfig, FollowerPlant

ARM = "follower_left"


def after(build: BuildConfig, goal: dict[int, float], seconds: float = 1.5) -> np.ndarray:
    """Where the motors (7,) of an arm are when it has been sent to `goal` by motor, from its sleep pose."""
    robot = make_simulation("transfer_cube", "hardware", {}).robot
    plant = FollowerPlant(robot, ALOHA_1_FOLLOWER, Linkage(), build=build)
    target = plant.start(ARM).copy()
    for motor, position in goal.items():
        target[motor] = position
    for _ in range(round(seconds / 0.01)):
        plant.step({ARM: Drive(target, np.ones(7), np.ones(7, bool))}, 0.01)
    return plant.measure(ARM).position


def test_fingers_stop_where_the_build_stops_them() -> None:
    build = BuildConfig(stops=(0.026, 0.050))
    for angle, stop in ((-0.62, 0.026), (1.49, 0.050)):
        assert Linkage().finger(after(build, {6: angle})[6]) == pytest.approx(stop, abs=1.5e-3)


def test_dry_friction_keeps_a_joint_short_of_its_goal() -> None:
    friction = (2.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert after(BuildConfig(), {0: 0.3})[0] == pytest.approx(0.3, abs=2e-3)
    # stiffness 43 N m/rad: it may stick anywhere within 2 / 43 rad of the goal
    assert 0.005 < 0.3 - after(BuildConfig(friction=friction), {0: 0.3}, 4.0)[0] <= 2.0 / 43.0


@pytest.mark.parametrize(
    ("given", "message"),
    [({"friction": (1.0,)}, "friction: expected one of each of waist, .*got 1"), ({"stops": (0.05, 0.02)}, "stops:")],
)
def test_a_build_that_cannot_be(given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BuildConfig(**given)
