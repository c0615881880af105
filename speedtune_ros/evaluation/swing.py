"""How far the tea bag swings when it is carried fast: bag angle and success against the speed of the carry alone.

Everything else runs as demonstrated, so what is seen is the swing's doing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.evaluation import metrics
from speedtune_ros.types import Episode, Query, SpeedChoice

TASK = "tea_bag"


@dataclass(frozen=True)
class Carry:
    """One episode: the angle of tag to bag from the vertical [rad], its peak in the carry and when the dip begins.

    aside: horizontal distance of the bag's centre from the cup's axis when it passes the rim (or ends) [m].
    """

    seed: int
    speed: float
    peak: float
    at_dip: float
    aside: float
    success: bool


class CarrySpeed:
    """Implements SpeedPolicy: `speed` between the two demonstration times of the carry [s], 1 elsewhere."""

    def __init__(self, speed: float, begin: float, end: float) -> None:
        self._speed, self._begin, self._end = speed, begin, end

    def reset(self, episode: Episode, slot: int = 0) -> None:
        pass

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        return {slot: SpeedChoice(q.request.stamp_ns, self._at(q.request.progress)) for slot, q in queries.items()}

    def _at(self, progress: float) -> float:
        return self._speed if self._begin <= progress < self._end else 1.0


def measure(speed: float, seeds: Sequence[int], dynamics: str = "act") -> Iterator[Carry]:
    """The expert's episodes of `seeds` with its carry at `speed`."""
    from speedtune_ros.pipeline import Pipeline, PipelineConfig
    from speedtune_ros.registry import make_policy, make_simulation
    from speedtune_ros.tasks.tea_bag import CARRY_STEPS

    begin, end = (step * CONTROL_DT for step in CARRY_STEPS)
    simulation = make_simulation(TASK, dynamics)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    step = simulation.step

    def watched(command: np.ndarray) -> None:
        step(command)
        data = simulation.robot.data
        seen.append((data.body("tag").xpos.copy(), data.body("bag").xpos.copy()))

    simulation.step = watched  # type: ignore[method-assign]
    policy = make_policy("expert", TASK, dynamics)
    pipeline = Pipeline([simulation], policy, CarrySpeed(speed, begin, end), PipelineConfig(workers=1))
    for seed in seeds:
        seen.clear()
        result = next(iter(pipeline.run([Episode(f"{TASK}-{seed}", TASK, seed)], trace=True)))
        assert result.trace is not None
        yield _carry(result, np.array(seen), speed, (begin, end))


def _carry(result: Any, bodies: np.ndarray, speed: float, window: tuple[float, float]) -> Carry:
    """bodies (n, 2, 3): tag and bag after each of the n ticks [m]."""
    from speedtune_ros.tasks.tea_bag import BAG_HALF, CUP, CUP_HEIGHT

    progress = result.trace.progress
    angle = swing_angle(bodies[:, 0], bodies[:, 1])
    carried = (progress >= window[0]) & (progress < window[1])
    dip = int(np.searchsorted(np.maximum.accumulate(progress), window[1]))
    after = np.arange(min(dip, len(bodies) - 1), len(bodies))
    low = after[bodies[after, 1, 2] - BAG_HALF < CUP_HEIGHT]
    rim = int(low[0]) if len(low) else int(after[-1])
    aside = float(np.hypot(*(bodies[rim, 1, :2] - CUP[:2])))
    peak = float(angle[carried].max()) if carried.any() else math.nan
    return Carry(result.episode.seed, speed, peak, float(angle[after[0]]), aside, bool(result.success))


def swing_angle(tag: np.ndarray, bag: np.ndarray) -> np.ndarray:
    """From the vertical, of the line from tag to bag, both (n, 3) [m]: (n,) [rad], 0 straight down."""
    line = bag - tag
    return np.arctan2(np.hypot(line[:, 0], line[:, 1]), -line[:, 2])


def swing_study(speeds: Sequence[float], seeds: Sequence[int], dynamics: str, workers: int) -> dict[str, Any]:
    """All speeds over all seeds, as plain values: `carries` (one an episode) and `rows` (one a speed)."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        found = pool.map(partial(_list, list(seeds), dynamics), speeds)
        groups = [(speed, list(carries)) for speed, carries in zip(speeds, found)]
    rows = [_row(speed, carries) for speed, carries in groups]
    carries = [asdict(carry) for _, group in groups for carry in group]
    return {"task": TASK, "dynamics": dynamics, "rows": rows, "carries": carries}


def _list(seeds: list[int], dynamics: str, speed: float) -> list[Carry]:
    return list(measure(speed, seeds, dynamics))


def _row(speed: float, carries: Sequence[Carry]) -> dict[str, Any]:
    successes = sum(carry.success for carry in carries)
    low, high = metrics.wilson(successes, len(carries))
    return {
        "speed": speed,
        "episodes": len(carries),
        "success_rate": successes / len(carries),
        "wilson_low": low,
        "wilson_high": high,
        **{key: metrics.mean([getattr(carry, key) for carry in carries]) for key in ("peak", "at_dip", "aside")},
    }
