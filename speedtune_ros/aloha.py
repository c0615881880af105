"""What is true of every bimanual ALOHA: joint order, control rate, start pose, cameras."""

from __future__ import annotations

import numpy as np

ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
SIDES = ("left", "right")

# Left before right, six arm joints [rad] and one gripper (0 closed to 1 open) a side.
JOINT_NAMES: tuple[str, ...] = tuple(f"{side}_{joint}" for side in SIDES for joint in (*ARM_JOINTS, "gripper"))
NUM_JOINTS = len(JOINT_NAMES)  # 14
GRIPPERS = (6, 13)
ARMS = tuple(i for i in range(NUM_JOINTS) if i not in GRIPPERS)

CONTROL_DT = 0.02  # [s], 50 Hz
CONTROL_DT_NS = 20_000_000
CAMERAS = ("top", "angle", "left_wrist", "right_wrist")
# What the robot calls them (https://github.com/Interbotix/aloha, launch/aloha_bringup.launch.py).
HARDWARE_CAMERAS = {
    "top": "cam_high",
    "angle": "cam_low",
    "left_wrist": "cam_left_wrist",
    "right_wrist": "cam_right_wrist",
}

# The ACT benchmark's start pose (https://github.com/tonyzhaozh/act, constants.py), gripper
# joint .02239 m normalised to the range of its fingers.
START_ARM_POSE = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)


def start_pose(gripper: float = 0.0) -> np.ndarray:
    """Both arms at the benchmark's start pose, grippers at `gripper`: (14,) [rad; 0 closed to 1 open]."""
    return np.array([*START_ARM_POSE, gripper] * 2)
