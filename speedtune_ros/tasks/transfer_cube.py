"""Transfer cube: the right arm picks a cube from the table and hands it to the left arm in mid-air.

The scene, its randomisation and its reward are the ACT benchmark's
(https://github.com/huggingface/gym-aloha, tasks/sim.py and utils.py).
"""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from speedtune_ros.tasks.motion import CLOSED, FROM_ABOVE, OPEN, Waypoint, plan
from speedtune_ros.tasks.scene import LEFT_FINGER, RIGHT_FINGER, load_scene, set_free_body, touching

CUBE = "red_box"
CUBE_LOW, CUBE_HIGH = (0.0, 0.4, 0.05), (0.2, 0.6, 0.05)  # start positions [m]
CUBE_REST = 0.02  # height of the resting cube's centre [m]
MEETING_POINT = np.array([0.0, 0.5, 0.25])

# The right gripper comes from above, the left one horizontally with its fingers above each other.
LEFT_GRASP = Rotation.from_euler("x", 90.0, degrees=True)


class TransferCube:
    """The cube transfer of the ACT benchmark."""

    name = "transfer_cube"
    instruction = "pick up the red cube with the right arm and hand it to the left arm"
    episode_steps = 400
    max_reward = 4

    def spec(self) -> mujoco.MjSpec:
        return load_scene("bimanual_viperx_transfer_cube")

    def randomise(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        set_free_body(model, data, "red_box_joint", rng.uniform(CUBE_LOW, CUBE_HIGH))

    def reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> int:
        """1 the right finger touches the cube, 2 lifted, 3 the left finger touches it, 4 off the table."""
        left, right, table = touching(model, data, CUBE, (LEFT_FINGER, RIGHT_FINGER, "table"))
        if left:
            return 3 if table else 4
        if right:
            return 1 if table else 2
        return 0

    def demonstration(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        cube = np.array([*data.body("box").xpos[:2], CUBE_REST])
        away = np.array([0.1, 0.0, 0.0])
        right = [
            _right(0, cube, 0.1),
            _right(90, cube + [0.0, 0.0, 0.1], OPEN),
            _right(130, cube, OPEN),
            _right(170, cube, CLOSED),
            _right(220, MEETING_POINT, CLOSED),
            _right(285, MEETING_POINT, CLOSED),
            _right(310, MEETING_POINT, OPEN),
            _right(360, MEETING_POINT + away, OPEN),
        ]
        left_grasp = MEETING_POINT + [0.0, 0.0, 0.0]
        left = [
            _left(0, left_grasp, 0.1),
            _left(100, left_grasp - away, OPEN),
            _left(220, left_grasp - away, OPEN),
            _left(260, left_grasp, OPEN),
            _left(310, left_grasp, CLOSED),
            _left(360, left_grasp - away, CLOSED),
        ]
        return plan(model, data.qpos, {"left": left, "right": right}, self.episode_steps)


def _right(step: int, position: np.ndarray, gripper: float) -> Waypoint:
    return Waypoint(step, position, FROM_ABOVE["right"], gripper)


def _left(step: int, position: np.ndarray, gripper: float) -> Waypoint:
    return Waypoint(step, position, LEFT_GRASP, gripper)
