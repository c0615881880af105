"""Report runs from a bag: what the graph did, with the times it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_series import EpisodeSeries
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.report.runs import Choice, Frame, ReportRun

LONGEST_PERIOD = 0.5  # [s]; a longer silence lies between two episodes, and is no jitter


def runs_of_bag(bag: Bag, camera: str = "") -> list[ReportRun]:
    """The episodes of a bag, tick by tick, with frames of `camera` (the first by name if empty, if there is any).

    A bag that tells of no episode is one run. Raises DataError if the bag tells nothing of the arms.
    """
    return [run_of_series(series, camera) for series in series_of_bag(bag)]


def run_of_series(series: EpisodeSeries, camera: str = "") -> ReportRun:
    """One episode, with frames of `camera` as above."""
    start, end, info = series.start_ns, series.end_ns, series.info
    stamps = series.tick_stamps if series.ticks else np.array(series.state_stamps, np.int64)
    last = end if series.success_ns is None else series.success_ns
    reports = [d.report for d in series.decisions if d.report is not None]
    choices = [d.choice for d in series.decisions if d.choice is not None]
    qpos = {state.stamp_ns: state.qpos for state in series.states}
    unknown = np.full(NUM_JOINTS, np.nan)
    commands = [tick.command for tick in series.ticks] or [unknown] * len(stamps)
    nan = [float("nan")] * len(stamps)
    return ReportRun(
        title=f"Scene {info.seed}" if info.id else "All of the bag",
        mode=choices[-1].source if choices else "",
        seed=info.seed,
        success=info.success or series.success_ns is not None,  # the last status may not have been recorded
        duration=1e-9 * (last - start),
        reason=info.reason,
        times=(stamps - start) * 1e-9,
        commands=np.array(commands).reshape(-1, NUM_JOINTS),
        reached=np.array([qpos.get(stamp, unknown) for stamp in stamps.tolist()]).reshape(-1, NUM_JOINTS),
        progress=np.array([tick.progress for tick in series.ticks] or nan),
        speed=np.array([tick.speed for tick in series.ticks] or nan),
        ceiling=_held([(choice.stamp_ns, choice.speed) for choice in choices], stamps),
        reward=_held(series.rewards, stamps),
        slip=sum(report.slip for report in reports if report.stamp_ns < last),
        frames=_frames(series, camera),
        latencies=_latencies(series),
        periods=_periods([times.publish_ns for times in series.command_times.values()]),
        binding_limits=dict(Counter(report.binding_limit for report in reports if report.binding_limit)),
        choices=_choices(series),
    )


def _choices(series: EpisodeSeries) -> tuple[Choice, ...]:
    """At the progress that the driver had reached when the speed policy was asked."""
    made = [d.choice for d in series.decisions if d.choice is not None]
    progress = _held([(tick.stamp_ns, tick.progress) for tick in series.ticks], np.array([c.stamp_ns for c in made]))
    return tuple(Choice(float(at), c.speed, tuple(c.speeds), tuple(c.values)) for at, c in zip(progress, made))


def _latencies(series: EpisodeSeries) -> dict[str, np.ndarray]:
    commanded = series.command_times
    both = [(s.stamp_ns, times) for s, times in zip(series.states, series.state_times) if s.stamp_ns in commanded]
    return {
        "inference": np.array([d.chunk.latency for d in series.decisions if d.chunk is not None]),
        "re-timing": np.array([d.report.solve_time for d in series.decisions if d.report is not None]),
        "observation to command": np.array([1e-9 * (commanded[t].publish_ns - seen.publish_ns) for t, seen in both]),
    }


def _frames(series: EpisodeSeries, camera: str) -> tuple[Frame, ...]:
    shown = camera or next(iter(series.cameras), "")
    return tuple(Frame((f.stamp_ns - series.start_ns) * 1e-9, f.pixels) for f in series.images.get(shown, ()))


def _periods(published_ns: Sequence[int]) -> np.ndarray:
    """Time between commands [s], in the order they were published."""
    periods = 1e-9 * np.diff(np.array(sorted(published_ns), np.int64))
    return periods[periods < LONGEST_PERIOD]


def _held(samples: Sequence[tuple[int, float]], stamps: np.ndarray) -> np.ndarray:
    """The latest of (stamp, value) `samples` at each of `stamps`; the first before any, 0 without samples."""
    if not samples:
        return np.zeros(len(stamps))
    times, values = np.array([s for s, _ in samples]), np.array([v for _, v in samples], float)
    return values[np.maximum(np.searchsorted(times, stamps, side="right") - 1, 0)]
