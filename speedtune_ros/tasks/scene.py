"""The ACT benchmark's MuJoCo scenes, from the assets that gym-aloha installs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np

from speedtune_ros.aloha import SIDES
from speedtune_ros.errors import MissingDependencyError

# Ahead of `gripper_link`, between the finger pads [m]; the fingers end at .154.
TOOL_OFFSET = (0.14, 0.0, 0.0)

# The fingers whose contacts the benchmark rewards.
LEFT_FINGER = "vx300s_left/10_left_gripper_finger"
RIGHT_FINGER = "vx300s_right/10_right_gripper_finger"


def asset_folder() -> Path:
    """Where gym-aloha keeps its scenes and meshes; the package itself (and dm_control) is not imported."""
    spec = find_spec("gym_aloha")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("the simulated tasks need gym-aloha's meshes: pip install gym-aloha")
    return Path(spec.submodule_search_locations[0]) / "assets"


def load_scene(name: str) -> mujoco.MjSpec:
    """The benchmark scene `name` with the sites `left_tool` and `right_tool` added between the finger pads."""
    path = asset_folder() / f"{name}.xml"
    if not path.is_file():
        found = ", ".join(sorted(p.stem for p in path.parent.glob("bimanual*.xml")))
        raise MissingDependencyError(f"{path}: no such scene in this gym-aloha; found: {found or 'none'}")
    spec = mujoco.MjSpec.from_file(str(path))
    for side in SIDES:
        spec.body(f"vx300s_{side}/gripper_link").add_site(name=tool_site(side), pos=TOOL_OFFSET)
    return spec


def load_arms() -> mujoco.MjSpec:
    """The benchmark's table, arms and cameras, with nothing on the table."""
    spec = load_scene("bimanual_viperx_transfer_cube")
    spec.delete(spec.body("box"))
    for key in spec.keys:  # they place the box too
        spec.delete(key)
    return spec


def tool_site(side: str) -> str:
    return f"{side}_tool"


def set_free_body(
    model: mujoco.MjModel, data: mujoco.MjData, joint: str, position: np.ndarray, yaw: float = 0.0
) -> None:
    """Put the body on free `joint` at `position` (3,) [m], turned by `yaw` [rad] about the vertical."""
    start = model.jnt_qposadr[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, joint)]
    data.qpos[start : start + 7] = [*position, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]


def touching(model: mujoco.MjModel, data: mujoco.MjData, geom: str, others: tuple[str, ...]) -> list[bool]:
    """Whether `geom` is in contact with each of `others`."""
    own = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, geom)
    pairs = data.contact.geom.tolist()  # (ncon, 2)
    partners = {second if first == own else first for first, second in pairs if own in (first, second)}
    return [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, other) in partners for other in others]
