"""The simulated robot: two position-controlled arms in MuJoCo, stepped at the control rate."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import mujoco
import numpy as np

from speedtune_ros.aloha import ARM_JOINTS, CONTROL_DT, CONTROL_DT_NS, NUM_JOINTS, SIDES, START_ARM_POSE
from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.gripper import ALOHA_1_FOLLOWER
from speedtune_ros.robots.profiles import Profile
from speedtune_ros.robots.rendering import scene_key, shared_renderer
from speedtune_ros.robots.robot import Limits
from speedtune_ros.types import RobotState, checked

START_FINGER = 0.02239  # [m] https://github.com/tonyzhaozh/act, constants.py (START_ARM_POSE)
FINGERS = ("left_finger", "right_finger")

# The right finger mirrors the left one: 16 actuators from 14 targets.
_TARGET_OF_ACTUATOR = np.array([0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 13])
_SIGN_OF_ACTUATOR = np.tile([1.0] * 7 + [-1.0], 2)

mujoco.set_mju_user_warning(logging.getLogger("mujoco").info)  # else it writes a file into the working directory


class MujocoAloha:
    """Implements Robot in a benchmark scene `spec` changed into the arms of `profile`.

    cameras: (height, width) by name; the names the scene has are in `camera_names`. `unstable`: the physics broke down
    since the reset, and what was simulated after that means nothing.
    """

    def __init__(self, spec: mujoco.MjSpec, profile: Profile, cameras: Mapping[str, tuple[int, int]] = {}) -> None:
        profile.apply(spec)
        self.profile = profile
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.cameras = dict(cameras)
        self._camera_ids = {self.model.camera(i).name: i for i in range(self.model.ncam)}
        for name in cameras:
            self._camera_id(name)
        self._scene_key = scene_key(self.model) if cameras else ""
        self._index_joints()
        self.substeps = round(CONTROL_DT / self.model.opt.timestep)
        self._stamp_ns = 0
        self.unstable = False

    def _index_joints(self) -> None:
        """Where the 14 joints are in qpos and qvel, and the 16 actuators that move them in ctrl."""
        names = [f"vx300s_{side}/{joint}" for side in SIDES for joint in (*ARM_JOINTS, *FINGERS)]
        joints = [self.model.joint(name) for name in names]
        positions = np.array([joint.qposadr[0] for joint in joints])
        velocities = np.array([joint.dofadr[0] for joint in joints])
        actuators = {int(joint): i for i, joint in enumerate(self.model.actuator_trnid[:, 0])}
        self._ctrl = np.array([actuators[joint.id] for joint in joints])
        self._starts = positions
        measured = [i for i, name in enumerate(names) if not name.endswith("right_finger")]
        self._qpos, self._qvel, self._effort = positions[measured], velocities[measured], self._ctrl[measured]
        # measured = (finger - offset) * scale, so that a gripper reads 0 closed to 1 open.
        finger = ALOHA_1_FOLLOWER
        self._offset = np.tile([0.0] * 6 + [finger.closed], 2)
        self._span = np.tile([1.0] * 6 + [finger.span], 2)

    @property
    def limits(self) -> Limits:
        return self.profile.limits

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(self._camera_ids)

    @property
    def stamp_ns(self) -> int:
        return self._stamp_ns

    def reset(self, stamp_ns: int = 0) -> np.ndarray:
        """Both arms at the start pose, objects where the scene has them; returns the command that holds it (14,)."""
        mujoco.mj_resetData(self.model, self.data)
        start = np.tile([*START_ARM_POSE, START_FINGER, -START_FINGER], 2)
        self.data.qpos[self._starts] = start
        self.data.ctrl[self._ctrl] = start
        self._stamp_ns = stamp_ns
        self.unstable = False
        self.settle()
        return self._measured()

    def settle(self) -> None:
        """Bring everything derived (poses, contacts) in line with qpos, as the benchmark does: without actuation."""
        flags = self.model.opt.disableflags
        self.model.opt.disableflags = flags | mujoco.mjtDisableBit.mjDSBL_ACTUATION
        mujoco.mj_forward(self.model, self.data)
        self.model.opt.disableflags = flags

    def state(self) -> RobotState:
        return RobotState(self._stamp_ns, self._measured(), self.data.qvel.take(self._qvel) / self._span)

    def effort(self) -> np.ndarray:
        """Actuator torque of each arm joint [N m] and force of each gripper's left finger [N]: (14,)."""
        return self.data.actuator_force[self._effort].copy()

    def command(self, targets: np.ndarray) -> None:
        """Set (14,) targets; the simulator clips them to its control ranges. Raises InvalidInputError."""
        native = checked("command", targets, (NUM_JOINTS,)) * self._span + self._offset
        self.data.ctrl[self._ctrl] = native.take(_TARGET_OF_ACTUATOR) * _SIGN_OF_ACTUATOR

    def advance(self) -> None:
        """One control tick of physics. Poses and contacts are then those of the new positions."""
        before = self.data.time
        mujoco.mj_step2(self.model, self.data)
        mujoco.mj_step(self.model, self.data, self.substeps - 1)
        mujoco.mj_step1(self.model, self.data)
        self.unstable |= self.data.time < before  # where a number is no longer finite, MuJoCo starts the scene anew
        self._stamp_ns += CONTROL_DT_NS

    def render(self, camera: str, height: int, width: int) -> np.ndarray:
        """What `camera` sees: (height, width, 3) uint8 RGB. Raises UnknownNameError."""
        number = self._camera_id(camera)
        if not self._scene_key:
            self._scene_key = scene_key(self.model)
        renderer = shared_renderer(self._scene_key, self.model, height, width)
        return renderer.frame(self.model, self.data, number)

    def images(self) -> dict[str, np.ndarray]:
        """A frame of every camera asked for."""
        return {name: self.render(name, *size) for name, size in self.cameras.items()}

    def snapshot(self) -> np.ndarray:
        """The physical state now, for a SceneRenderer in another thread: (n,)."""
        kind = mujoco.mjtState.mjSTATE_FULLPHYSICS.value
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state

    def close(self) -> None:
        """Nothing to release: simulated arms hold by themselves."""

    def _measured(self) -> np.ndarray:
        """Arm joints [rad] and grippers, 0 closed to 1 open: (14,)."""
        return (self.data.qpos.take(self._qpos) - self._offset) / self._span

    def _camera_id(self, name: str) -> int:
        if name not in self._camera_ids:
            raise UnknownNameError("camera", name, self._camera_ids)
        return self._camera_ids[name]
