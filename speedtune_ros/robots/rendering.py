"""Fast off-screen frames: one OpenGL context a thread and size, shared by all robots of the same scene."""

from __future__ import annotations

import atexit
import hashlib
import threading
import weakref
from collections.abc import Mapping

import mujoco
import numpy as np

# Each costs more than the scene itself under software rendering, at any image size.
SLOW_FLAGS = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_SKYBOX)

_local = threading.local()  # an OpenGL context belongs to one thread
_open: weakref.WeakSet[mujoco.Renderer] = weakref.WeakSet()


class FrameRenderer:
    """Draws one scene at one size: (height, width, 3) uint8 RGB."""

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        model.vis.global_.offheight = max(height, model.vis.global_.offheight)
        model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
        model.vis.quality.offsamples = 0  # as slow as shadows, see above
        self._renderer = mujoco.Renderer(model, height, width)
        if not _open:
            atexit.register(_close_all)  # after the first context, so that it runs before EGL's own clean-up
        _open.add(self._renderer)
        for flag in SLOW_FLAGS:
            self._renderer.scene.flags[flag] = 0
        self._option = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def frame(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> np.ndarray:
        """What fixed camera number `camera` of `model` sees; the model has this scene's meshes and textures."""
        self._view.fixedcamid = camera
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, self._option, None, self._view, everything, self._renderer.scene)
        return self._renderer.render()


class SceneRenderer:
    """Draws snapshots of a robot in the thread that calls it, while another thread steps the physics.

    model: the robot's; cameras: (height, width) by name.
    """

    def __init__(self, model: mujoco.MjModel, cameras: Mapping[str, tuple[int, int]]) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._cameras = {name: (model.camera(name).id, *size) for name, size in cameras.items()}
        self._key = scene_key(model)

    def render(self, snapshot: np.ndarray) -> dict[str, np.ndarray]:
        """A frame of each camera for a state from `MujocoAloha.snapshot`."""
        model, data = self._model, self._data
        mujoco.mj_setState(model, data, snapshot, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        return {
            name: shared_renderer(self._key, model, height, width).frame(model, data, number)
            for name, (number, height, width) in self._cameras.items()
        }


def scene_key(model: mujoco.MjModel) -> str:
    """Equal for models that can share a context: the same meshes and textures."""
    digest = hashlib.sha1()
    for array in (model.mesh_vert, model.mesh_face, model.mesh_vertadr, model.tex_data):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def shared_renderer(key: str, model: mujoco.MjModel, height: int, width: int) -> FrameRenderer:
    """This thread's renderer for the scene `key` at this size, made on first use."""
    cache: dict[tuple[str, int, int], FrameRenderer] = _local.__dict__.setdefault("renderers", {})
    if (key, height, width) not in cache:
        cache[key, height, width] = FrameRenderer(model, height, width)
    return cache[key, height, width]


def _close_all() -> None:
    for renderer in list(_open):
        renderer.close()
    _open.clear()
