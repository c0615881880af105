"""Run chunk-predicting policies on the bimanual ALOHA faster than they were demonstrated."""

import os
import sys

__version__ = "0.1.0"

# MuJoCo chooses its OpenGL when it is first imported; without a display only EGL draws.
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")
