"""What any graph can run before there is a policy: a slow motion of both arms above the table that touches nothing."""

from __future__ import annotations

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, start_pose
from speedtune_ros.policies.plan import HORIZON, PlanPolicy
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.tasks.motion import CLOSED, OPEN, through

STEPS = 500  # 10 s at demonstrated speed

# (reached at step, each arm's joints beside the start pose [rad], grippers). The fingers stay more than 0.2 m above the
# table and the hands as far from each other.
_REST = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_REACH = (0.0, 0.2, 0.0, 0.0, -0.1, 0.0)
_LIFT = (0.0, 0.1, -0.3, 0.0, 0.2, 0.0)
_TURN = (0.0, 0.1, -0.3, 0.0, 0.2, 0.5)
WAYPOINTS = (
    (0, _REST, CLOSED),
    (60, _REST, OPEN),
    (130, _REACH, OPEN),
    (190, _REACH, CLOSED),
    (270, _LIFT, CLOSED),
    (340, _TURN, CLOSED),
    (390, _TURN, OPEN),
    (470, _REST, OPEN),
    (STEPS - 1, _REST, CLOSED),
)


def rehearsal(task: str, profile: str) -> PlanPolicy:
    """The policy `rehearsal` for any task: reach, close, lift, turn, open, back to the start; the same every time."""
    plan = rehearsed()
    return PlanPolicy(PolicyInfo("rehearsal", task, profile, HORIZON, CONTROL_DT), lambda _: plan)


def rehearsed() -> np.ndarray:
    """The motion, from the start pose back to it: (STEPS, 14) [rad; gripper 0 to 1]."""
    steps = [step for step, _, _ in WAYPOINTS]
    knots = np.array([start_pose() + [*joints, gripper, *joints, gripper] for _, joints, gripper in WAYPOINTS])
    return through(knots, steps, STEPS)
