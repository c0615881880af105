"""How long it takes to re-time one chunk: hand-over, equations, limits, stop, trajectory and report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, NUM_JOINTS
from speedtune_ros.registry import make_retimer
from speedtune_ros.retiming.linear import RetimerConfig
from speedtune_ros.retiming.retimer import Ceiling, Splice
from speedtune_ros.types import Chunk

HELP = "re-time one chunk of 100 targets of 14 joints"
_HORIZON = 100
_LAG = 0.05  # [s]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--retimer", default="linear", help="retimer (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=3.0, help="speed (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=2000, help="chunks re-timed (default: %(default)s)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Medians and 99th percentiles [ms] under the ViperX velocity limit, beside the floor and the peer."""
    retimer = make_retimer(args.retimer, RetimerConfig(), np.full(NUM_JOINTS, np.pi))
    chunk, splice = example(np.random.default_rng(0), args.speed)
    ceiling = Ceiling(args.speed)
    path = chunk.targets[0].astype(np.float64)
    samples = _time(lambda: retimer.retime(chunk, splice, ceiling), args.repetitions)
    floor = _time(lambda: _copy(path, args.speed), args.repetitions)
    peer = _time(lambda: interp(path, args.speed), args.repetitions)
    return {
        "retime_ms_median": _percentile(samples, 50),
        "retime_ms_p99": _percentile(samples, 99),
        "floor": "copy the targets at the commands' knots: the memory traffic alone",
        "floor_ms_median": _percentile(floor, 50),
        "peer": "numpy.interp joint by joint: equations 9 to 11 without hand-over, limits, velocities and stop",
        "peer_ms_median": _percentile(peer, 50),
        "bar_ms": 0.1,
        "retimer": args.retimer,
        "speed": args.speed,
        "samples": {"retime_ms": samples, "floor_ms": floor, "peer_ms": peer},
    }


def example(rng: np.random.Generator, speed: float) -> tuple[Chunk, Splice]:
    """A smooth chunk, and motion at `speed` one period of 10 ticks into it, slightly off its path."""
    s = CONTROL_DT * np.arange(_HORIZON)[:, None]
    path = 0.25 * np.sin(s * rng.uniform(0.5, 2.0, NUM_JOINTS) + rng.uniform(0.0, 6.0, NUM_JOINTS))
    position = path[10] + 1e-3
    velocity = np.zeros(NUM_JOINTS)
    velocity[list(ARMS)] = 0.1
    return Chunk(0, path, CONTROL_DT), Splice(0, position, velocity, speed, 1.0, 10 * CONTROL_DT, _LAG)


def interp(path: np.ndarray, speed: float) -> np.ndarray:
    """The obvious version: one numpy.interp per joint."""
    knots = np.arange(len(path))
    x = np.arange(0.0, len(path) - 1 + 1e-9, speed)
    return np.stack([np.interp(x, knots, path[:, joint]) for joint in range(NUM_JOINTS)], axis=1)


def _copy(path: np.ndarray, speed: float) -> np.ndarray:
    return path[np.arange(0.0, len(path) - 1, speed).astype(np.intp)]


def _time(call: Callable[[], object], repetitions: int) -> list[float]:
    """How long each call takes [ms], after some to warm up."""
    samples = []
    for i in range(repetitions + 50):
        start = time.perf_counter()
        call()
        if i >= 50:
            samples.append(round((time.perf_counter() - start) * 1e3, 6))
    return samples


def _percentile(samples: list[float], percentile: float) -> float:
    return round(float(np.percentile(samples, percentile)), 5)
