"""Scripted motion: tool waypoints turned into joint targets by inverse kinematics, joined by minimum-jerk segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from speedtune_ros.aloha import ARM_JOINTS, NUM_JOINTS, SIDES
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.tasks.scene import tool_site

POSITION_TOLERANCE = 5e-4  # [m]
ROTATION_TOLERANCE = 5e-3  # [rad]
MAX_ITERATIONS = 60
LEVENBERG_MARQUARDT = 0.03  # without it, poses near the wrist's singularity take 100 iterations instead of 4

OPEN, CLOSED = 1.0, 0.0  # grippers

# Each gripper reaches down from its own arm's side, steeply, its fingers side by side along y.
FROM_ABOVE = {
    "left": Rotation.from_euler("y", 60.0, degrees=True),
    "right": Rotation.from_euler("ZY", [180.0, 60.0], degrees=True),
}


@dataclass(frozen=True)
class Waypoint:
    """Where a tool is at rest at control step `step`: position (3,) [m], rotation, gripper 0 closed to 1 open."""

    step: int
    position: np.ndarray
    rotation: Rotation
    gripper: float


def minimum_jerk(phase: np.ndarray) -> np.ndarray:
    """Fraction of the way at `phase` in [0, 1], at rest at both ends (Flash and Hogan 1985, eq. 3).

    https://doi.org/10.1523/JNEUROSCI.05-07-01688.1985
    """
    return phase**3 * (10.0 - 15.0 * phase + 6.0 * phase**2)


def plan(
    model: mujoco.MjModel, qpos: np.ndarray, waypoints: Mapping[str, Sequence[Waypoint]], steps: int
) -> np.ndarray:
    """Commands (steps, 14) that take both tools from their poses in `qpos` (nq,) through their waypoints, by side.

    Each side's first waypoint gives only when it leaves its start and with which gripper. Between waypoints the
    joints follow minimum-jerk segments, at rest at each waypoint; after the last one they rest. A side with only one
    waypoint rests where it is.
    """
    commands = np.empty((steps, NUM_JOINTS))
    for index, side in enumerate(SIDES):
        arm = _ArmKinematics(model, qpos, side)
        points = waypoints[side]
        knots = np.array([[*arm.command(), points[0].gripper]] + [[*arm.solve(w), w.gripper] for w in points[1:]])
        commands[:, 7 * index : 7 * index + 7] = through(knots, [w.step for w in points], steps)
    return commands


def through(knots: np.ndarray, at: Sequence[int], steps: int) -> np.ndarray:
    """Minimum-jerk segments from knot to knot (n, d), knot i reached at step `at[i]`: (steps, d)."""
    if len(at) == 1:
        return np.tile(knots, (steps, 1))
    number = np.interp(np.arange(steps), at, np.arange(len(at)))
    whole = np.minimum(number.astype(int), len(at) - 2)
    fraction = minimum_jerk(number - whole)[:, None]
    return knots[whole] + fraction * (knots[whole + 1] - knots[whole])


class _ArmKinematics:
    """Inverse kinematics of one arm by mink, warm-started from the previous solution."""

    def __init__(self, model: mujoco.MjModel, qpos: np.ndarray, side: str) -> None:
        self._configuration = mink.Configuration(model, q=np.array(qpos))
        self._task = mink.FrameTask(tool_site(side), "site", 1.0, 0.2, lm_damping=LEVENBERG_MARQUARDT)
        joints = [model.joint(f"vx300s_{side}/{joint}") for joint in ARM_JOINTS]
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._addresses = np.array([joint.qposadr[0] for joint in joints])
        actuators = {int(joint): i for i, joint in enumerate(model.actuator_trnid[:, 0])}
        self._stiffness = model.actuator_gainprm[[actuators[joint.id] for joint in joints], 0]
        self._limits = [mink.ConfigurationLimit(model)]

    def solve(self, waypoint: Waypoint) -> np.ndarray:
        """The command (6,) [rad] that holds the tool at `waypoint`. Raises SpeedtuneError out of reach."""
        rotation = mink.SO3(waypoint.rotation.as_quat()[[3, 0, 1, 2]])
        self._task.set_target(mink.SE3.from_rotation_and_translation(rotation, waypoint.position))
        for _ in range(MAX_ITERATIONS):
            error = self._task.compute_error(self._configuration)
            if np.linalg.norm(error[:3]) < POSITION_TOLERANCE and np.linalg.norm(error[3:]) < ROTATION_TOLERANCE:
                return self.command()
            step = mink.solve_ik(self._configuration, [self._task], 1.0, "daqp", damping=1e-5, limits=self._limits)
            self._configuration.integrate_inplace(step, 1.0)
        raise SpeedtuneError(f"no joint angles reach {waypoint}; off by {np.linalg.norm(error[:3]):.4f} m")

    def command(self) -> np.ndarray:
        """The present joint angles and what gravity takes from them, torque / stiffness: (6,) [rad]."""
        configuration = self._configuration
        torque = np.zeros(configuration.model.nv)
        mujoco.mj_rne(configuration.model, configuration.data, 0, torque)
        return configuration.q[self._addresses] + torque[self._dofs] / self._stiffness
