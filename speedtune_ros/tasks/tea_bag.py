"""Tea bag: the right arm takes a tag from the table and lowers the bag that hangs from it by a string into a cup.

The scene is our own. The bag is a pendulum of `LENGTH`: carried too fast, it swings past the cup.
"""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from speedtune_ros.tasks.motion import CLOSED, FROM_ABOVE, OPEN, Waypoint, plan
from speedtune_ros.tasks.scene import load_arms, set_free_body, touching

LINKS, LINK_LENGTH = 8, 0.0175  # [m]
LINK_RADIUS, LINK_MASS = 0.0015, 0.001  # [m], [kg]
JOINT_DAMPING = 1e-3  # [N m s/rad]
JOINT_ARMATURE = 5e-5  # [kg m2], a fiftieth of the bag's about the tag; with less, a taut string rings too fast
TAG_HALF = np.array([0.02, 0.01, 0.02])  # [m]
LIFTED_HEIGHT = 2 * TAG_HALF[2]  # of the tag's centre: clear of the table, which it leaves for moments when gripped [m]
TAG_MASS = 0.05  # [kg]
TAG_INERTIA = 2e-3  # [kg m2], of the benchmark's objects; with a real tag's, the grasp rattles at this time step
BAG_HALF = 0.02  # [m]
BAG_MASS = 0.1  # [kg]
LENGTH = LINKS * LINK_LENGTH + BAG_HALF  # from the tag to the bag's centre [m]

# The string starts at the tag's face away from the arm and lies straight on the table, aside from the gripper's way.
STRING_START = np.array([-TAG_HALF[0], 0.0, 0.0])
STRING_HEADING = np.deg2rad(228.0)

TAG_CENTRE = np.array([0.1, 0.5])  # middle of the start positions [m]
TAG_SPREAD, YAW_SPREAD = 0.05, 0.5  # either way [m], [rad]

CUP = np.array([-0.1, 0.6, 0.0])  # centre of its floor [m]
CUP_RADIUS, CUP_HEIGHT, CUP_WALL = 0.04, 0.08, 0.004  # [m]
CUP_SIDES = 8

# Contact bits. String and tag meet only what has FLOOR (and the tag the fingers, by pairs of their own): string is no
# obstacle to an arm, and ten contacts with a plane cost less than with the table's mesh.
SOLID, FLOOR = 1, 2

# Of fingers and tag: friction that holds the tag through the swing and hardly creeps.
GRIP = {"friction": [1.5, 1.5, 0.01, 0.0001, 0.0001], "solref": [0.01, 1.0], "solimp": [0.99, 0.999, 0.001, 0.5, 2.0]}

FINGERS = ("vx300s_right/10_left_gripper_finger", "vx300s_right/10_right_gripper_finger")
# Flatter than the grasp and turned towards the cup, which is out of reach from above.
CARRY = Rotation.from_euler("ZY", [170.0, 20.0], degrees=True)
TILT = np.array([0.008, 0.0, 0.0])  # how far the bag's weight turns the string's end away from the arm [m]
# Of the string's upper end: when the bag still lies on the table, on the way, and when the bag is in the cup [m].
TAUT_HEIGHT, CARRY_HEIGHT, DIPPED_HEIGHT = LENGTH + 0.02, LENGTH + 0.16, LENGTH + 0.035

CARRY_STEPS = (210, 375)  # when the demonstrator begins to carry the bag, and is above the cup


class TeaBag:
    """The tea bag that is put into a cup by its tag."""

    name = "tea_bag"
    instruction = "pick up the tag with the right arm and lower the tea bag into the cup"
    episode_steps = 500
    max_reward = 3

    def spec(self) -> mujoco.MjSpec:
        spec = load_arms()
        spec.compiler.inertiagrouprange = (0, 5)  # the benchmark takes no inertia from geometry
        _add_cup(spec.worldbody)
        surface = {"type": mujoco.mjtGeom.mjGEOM_PLANE, "size": [0.6, 0.6, 0.1], "group": 3}  # of the table, not drawn
        spec.worldbody.add_geom(name="surface", contype=FLOOR, conaffinity=0, **surface)
        _add_tea_bag(spec.worldbody)
        for finger in FINGERS:
            spec.add_pair(geomname1="tag", geomname2=finger, condim=4, **GRIP)
        return spec

    def randomise(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        position = TAG_CENTRE + rng.uniform(-TAG_SPREAD, TAG_SPREAD, 2)
        yaw = rng.uniform(-YAW_SPREAD, YAW_SPREAD)
        set_free_body(model, data, "tag_joint", np.array([*position, TAG_HALF[2]]), yaw)

    def reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> int:
        """1 a right finger touches the tag, 2 lifted, 3 the whole bag is inside the cup."""
        offset = data.body("bag").xpos - CUP
        if np.hypot(*offset[:2]) < CUP_RADIUS and offset[2] + BAG_HALF < CUP_HEIGHT:
            return 3
        if any(touching(model, data, "tag", FINGERS)):
            return 2 if data.body("tag").xpos[2] > LIFTED_HEIGHT else 1
        return 0

    def demonstration(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        tag, bag, cup = data.body("tag").xpos, data.body("bag").xpos, CUP + TILT
        grasp = Rotation.from_quat(data.body("tag").xquat[[1, 2, 3, 0]]) * FROM_ABOVE["right"]
        right = [
            Waypoint(0, tag, grasp, 0.1),
            Waypoint(90, tag + [0.0, 0.0, 0.1], grasp, OPEN),
            Waypoint(130, tag, grasp, OPEN),
            Waypoint(170, tag, grasp, CLOSED),
            _holding(CARRY_STEPS[0], bag, TAUT_HEIGHT),
            # Lifts as it carries: one long motion swings the bag less than two.
            _holding(CARRY_STEPS[1], cup, CARRY_HEIGHT),
            _holding(428, cup, DIPPED_HEIGHT),
        ]
        left = [Waypoint(0, data.site("left_tool").xpos, FROM_ABOVE["left"], 0.1)]  # rests
        return plan(model, data.qpos, {"left": left, "right": right}, self.episode_steps)


def _holding(step: int, place: np.ndarray, height: float) -> Waypoint:
    """The tool that holds the string's upper end above `place` at `height` [m]."""
    string = (CARRY * FROM_ABOVE["right"].inv()).apply(STRING_START)  # from the tool, as the tag was grasped
    return Waypoint(step, np.array([*place[:2], height]) - string, CARRY, CLOSED)


def _add_cup(world: mujoco.MjsBody) -> None:
    """A regular prism without a lid, standing on the table."""
    cup = world.add_body(name="cup", pos=CUP)
    look = {"rgba": [0.9, 0.9, 0.95, 1.0], "contype": SOLID | FLOOR}
    middle, outer = CUP_RADIUS + CUP_WALL / 2, CUP_RADIUS + CUP_WALL
    cylinder, box = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_BOX
    cup.add_geom(name="cup_floor", type=cylinder, size=[outer, CUP_WALL / 2, 0], pos=[0, 0, CUP_WALL / 2], **look)
    wall = [CUP_WALL / 2, outer * np.tan(np.pi / CUP_SIDES), CUP_HEIGHT / 2]
    for side in range(CUP_SIDES):
        angle = 2 * np.pi * side / CUP_SIDES
        position = [middle * np.cos(angle), middle * np.sin(angle), CUP_HEIGHT / 2]
        cup.add_geom(name=f"cup_wall-{side}", type=box, size=wall, pos=position, quat=_about_z(angle), **look)


def _add_tea_bag(world: mujoco.MjsBody) -> None:
    """Tag, string and bag, the string straight."""
    box, capsule, ball = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtJoint.mjJNT_BALL
    tag = world.add_body(name="tag", pos=[*TAG_CENTRE, TAG_HALF[2]], explicitinertial=True)
    tag.mass, tag.inertia, tag.ipos = TAG_MASS, [TAG_INERTIA] * 3, [0.0, 0.0, 0.0]
    tag.add_freejoint(name="tag_joint")
    tag.add_geom(name="tag", type=box, size=TAG_HALF, contype=0, conaffinity=FLOOR, rgba=[1, 0.8, 0, 1])
    body, start, turn = tag, STRING_START, _about_z(STRING_HEADING)
    end = np.array([LINK_LENGTH, 0.0, 0.0])
    thread = {"mass": LINK_MASS, "contype": 0, "conaffinity": FLOOR, "rgba": [1, 1, 1, 1]}
    for link in range(LINKS):
        body = body.add_body(name=f"string-{link}", pos=start, quat=turn)
        joint = body.add_joint(name=f"string-{link}", type=ball, damping=[JOINT_DAMPING] * 3)
        joint.armature = JOINT_ARMATURE
        body.add_geom(name=f"string-{link}", type=capsule, fromto=[0, 0, 0, *end], size=[LINK_RADIUS, 0, 0], **thread)
        start, turn = end, _about_z(0.0)
    bag = body.add_body(name="bag", pos=end + [BAG_HALF, 0.0, 0.0])
    slide = {"friction": [0.3, 0.005, 0.0001], "priority": 1}  # on the table, too
    bag.add_geom(name="bag", type=box, size=[BAG_HALF] * 3, mass=BAG_MASS, rgba=[0.6, 0.3, 0.1, 1], **slide)


def _about_z(angle: float) -> list[float]:
    """The quaternion (w, x, y, z) of a turn by `angle` [rad]."""
    return [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]
