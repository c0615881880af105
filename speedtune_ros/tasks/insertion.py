"""Insertion: each arm picks up a part, and the peg goes into the socket in mid-air.

The scene, its randomisation and its reward are the ACT benchmark's
(https://github.com/huggingface/gym-aloha, tasks/sim.py and utils.py).
"""

from __future__ import annotations

import mujoco
import numpy as np

from speedtune_ros.tasks.motion import CLOSED, FROM_ABOVE, OPEN, Waypoint, plan
from speedtune_ros.tasks.scene import LEFT_FINGER, RIGHT_FINGER, load_scene, set_free_body, touching

PEG, PIN = "red_peg", "pin"
SOCKET = ("socket-1", "socket-2", "socket-3", "socket-4")
# Start positions [m].
PEG_LOW, PEG_HIGH = (0.1, 0.4, 0.05), (0.2, 0.6, 0.05)
SOCKET_LOW, SOCKET_HIGH = (-0.2, 0.4, 0.05), (-0.1, 0.6, 0.05)
# Heights of the resting parts' centres [m].
PEG_REST, SOCKET_REST = 0.01, 0.022
# The peg is held this far above its centre [m]: lower down the table holds the fingers apart.
PEG_GRIP = np.array([0.0, 0.0, 0.007])
MEETING_POINT = np.array([0.0, 0.5, 0.15])
ABOVE = np.array([0.0, 0.0, 0.1])
APART = np.array([0.1, 0.0, 0.0])  # of each part from the meeting point, before the insertion [m]
# The peg touches the pin when the centres are .1 m apart; a little further, so that it does so for certain.
INSERTED = np.array([0.046, 0.0, 0.0])


class Insertion:
    """The bimanual insertion of the ACT benchmark."""

    name = "insertion"
    instruction = "pick up the red peg and the blue socket and insert the peg into the socket"
    episode_steps = 400
    max_reward = 4

    def spec(self) -> mujoco.MjSpec:
        return load_scene("bimanual_viperx_insertion")

    def randomise(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        set_free_body(model, data, "red_peg_joint", rng.uniform(PEG_LOW, PEG_HIGH))
        set_free_body(model, data, "blue_socket_joint", rng.uniform(SOCKET_LOW, SOCKET_HIGH))

    def reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> int:
        """1 both parts touched, 2 both lifted, 3 the peg touches the socket, 4 it touches the pin inside."""
        right, peg_down, pin, *walls = touching(model, data, PEG, (RIGHT_FINGER, "table", PIN, *SOCKET))
        if pin:
            return 4
        parts = [touching(model, data, wall, (LEFT_FINGER, "table")) for wall in SOCKET]
        left, socket_down = (any(column) for column in zip(*parts))
        lifted = not (peg_down or socket_down)
        if any(walls) and lifted:
            return 3
        if left and right:
            return 2 if lifted else 1
        return 0

    def demonstration(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        peg = np.array([*data.body("peg").xpos[:2], PEG_REST])
        socket = np.array([*data.body("socket").xpos[:2], SOCKET_REST])
        left = _pick_and_insert("left", socket, MEETING_POINT, -1.0)
        right = _pick_and_insert("right", peg + PEG_GRIP, MEETING_POINT + PEG_GRIP, 1.0)
        return plan(model, data.qpos, {"left": left, "right": right}, self.episode_steps)


def _pick_and_insert(side: str, grasp: np.ndarray, meeting: np.ndarray, away: float) -> list[Waypoint]:
    """The way of the tool on `side`: from `grasp` (3,) to the side `away` of `meeting` (3,) [m], -1 left or 1 right."""
    points = [
        (0, grasp, 0.1),
        (120, grasp + ABOVE, OPEN),
        (170, grasp, OPEN),
        (220, grasp, CLOSED),
        (285, meeting + away * APART, CLOSED),
        (340, meeting + away * INSERTED, CLOSED),
    ]
    return [Waypoint(step, position, FROM_ABOVE[side], gripper) for step, position, gripper in points]
