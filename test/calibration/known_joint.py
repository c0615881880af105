"""A joint whose true dead time, stiffness, friction and caps are known, for tests of what estimates them."""

from __future__ import annotations

import numpy as np

from speedtune_ros.calibration.motion import Motion
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import Response

STEP = 5e-4  # [s]
CONSTANT = 2.4  # [N m/A]


def play(
    motion: Motion,
    truth: Response,
    *,
    rest: float = 0.4,
    noise: float = 0.0,
    cap: float = np.inf,
    dry: float = 0.0,
    viscous: float = 0.0,
    gravity: float = 1.5,
    stiffness: float = 200.0,
    seed: int = 0,
) -> Recording:
    """What 100 Hz joint states would tell of `motion`, explicitly integrated; noise [rad] of positions.

    The friction is the gears': the servo pushes with stiffness * (goal - q - tau q'), and its current tells so.
    """
    times = np.arange(0.0, motion.duration + 0.6, STEP)
    sent = rest + np.interp(times - truth.delay, motion.times, motion.offsets)
    q, v, demand = rest, 0.0, rest
    rows = []
    inertia = truth.inertia * stiffness
    for goal in sent:
        demand += min(max(goal - demand, -cap * STEP), cap * STEP)
        push = stiffness * (demand - q) - stiffness * truth.time_constant * v
        force = push - viscous * v
        if abs(v) < 1e-4 and abs(force) < dry:
            v, force = 0.0, 0.0
        else:
            force -= dry * (np.sign(v) if abs(v) >= 1e-4 else np.sign(force))
        v += force / inertia * STEP
        q += v * STEP
        rows.append((q, v, push + gravity))
    q, v, torque = np.array(rows[:: round(0.01 / STEP)]).T
    t = times[:: round(0.01 / STEP)]
    random = np.random.default_rng(seed)
    q = q + noise * random.standard_normal(len(q))
    v = v + 10.0 * noise * random.standard_normal(len(v))
    ticks = np.arange(0.0, motion.duration, 0.02)
    commands = rest + np.interp(ticks, motion.times, motion.offsets)
    return Recording(motion, rest, t, q, v, 1e3 * torque / CONSTANT, ticks, commands)
