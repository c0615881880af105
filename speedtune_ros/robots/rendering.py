"""Fast off-screen frames: one OpenGL context a thread and size, shared by all robots of the same scene."""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from speedtune_ros.errors import MissingDependencyError

MAX_GEOMS = 2000

# Each costs more than the scene itself under software rendering, at any image size.
SLOW_FLAGS = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_SKYBOX)

_local = threading.local()  # an OpenGL context belongs to one thread
_open: weakref.WeakSet[FrameRenderer] = weakref.WeakSet()


class FrameRenderer:
    """Draws one scene at one size: (height, width, 3) uint8 RGB."""

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        visual = model.vis
        visual.global_.offheight = max(height, visual.global_.offheight)
        visual.global_.offwidth = max(width, visual.global_.offwidth)
        visual.quality.offsamples = 0  # as slow as shadows, see above
        self._gl = _make_gl(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        if not _open:
            atexit.register(_close_all)  # after the first context, so that it runs before EGL's own clean-up
        _open.add(self)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_GEOMS)
        for flag in SLOW_FLAGS:
            self._scene.flags[flag] = 0
        self._option = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def frame(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> np.ndarray:
        """What fixed camera number `camera` of `model` sees; the model has this scene's meshes and textures."""
        self._view.fixedcamid = camera
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, self._option, None, self._view, everything, self._scene)
        self._gl.make_current()
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        upside_down = np.empty((self._viewport.height, self._viewport.width, 3), np.uint8)
        mujoco.mjr_readPixels(upside_down, None, self._viewport, self._context)
        return np.ascontiguousarray(upside_down[::-1])

    def close(self) -> None:
        """Release the OpenGL context."""
        self._context.free()
        self._gl.free()


def _make_gl(width: int, height: int) -> Any:
    """An OpenGL context: EGL on Linux without a display, whenever MuJoCo was imported; else what MUJOCO_GL says."""
    headless = sys.platform == "linux" and not os.environ.get("DISPLAY")
    if os.environ.get("MUJOCO_GL", "egl" if headless else "") != "egl":
        return mujoco.GLContext(width, height)
    try:
        from mujoco.egl import GLContext
    except (ImportError, AttributeError) as error:  # PyOpenGL meets a missing library with either
        raise MissingDependencyError(f"rendering needs EGL: apt install libegl1 libgl1-mesa-dri ({error})") from error
    return GLContext(width, height)


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
