"""Two runs side by side, aligned by progress: at the same point of the demonstration, what was different?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from speedtune_ros.aloha import ARMS, JOINT_NAMES, NUM_JOINTS
from speedtune_ros.data.bag_series import EpisodeSeries
from speedtune_ros.errors import DataError

_ARMS = np.array(ARMS)
STEP = 0.1  # [s] of demonstration between rows
DIVERGED = 0.05  # [rad]
NAN = float("nan")


@dataclass(frozen=True)
class Run:
    """One run at each row's progress: times (n,) [s] from its first tick, speeds (n,), commands and reached (n, 14),
    bounds: which limit bound."""

    episode: str
    mode: str
    seed: int
    success: bool
    reason: str
    duration: float
    times: np.ndarray
    speeds: np.ndarray
    commands: np.ndarray
    reached: np.ndarray
    bounds: tuple[str, ...]
    limits: dict[str, int]


@dataclass(frozen=True)
class Difference:
    """Two runs at the same progress (n,) [s]; largest differences (n,) [rad] over arm joints, and whose they are."""

    a: Run
    b: Run
    progress: np.ndarray
    command_rad: np.ndarray
    reached_rad: np.ndarray
    joints: tuple[str, ...]

    @property
    def diverged_at(self) -> float | None:
        """Progress at which the commands first differ by more than `DIVERGED` [s]; None if they never do."""
        where = np.flatnonzero(self.command_rad > DIVERGED)
        return float(self.progress[where[0]]) if len(where) else None

    def to_dict(self) -> dict[str, Any]:
        """All of it, plain."""
        both = {name: _run_dict(run) for name, run in (("a", self.a), ("b", self.b))}
        return {
            **both,
            "diverged_at_s": self.diverged_at,
            "progress_s": self.progress,
            "command_rad": self.command_rad,
            "reached_rad": self.reached_rad,
            "joints": self.joints,
        }


def difference(a: EpisodeSeries, b: EpisodeSeries) -> Difference:
    """Compare two runs as far as both got. Raises DataError if one tells of no progress."""
    reach = min(_progress(series)[-1] for series in (a, b))
    grid = np.arange(0.0, reach + 1e-9, STEP)
    one, other = _run(a, grid), _run(b, grid)
    commands = np.abs(one.commands - other.commands)[:, _ARMS]
    reached = np.abs(one.reached - other.reached)[:, _ARMS]
    joints = tuple(JOINT_NAMES[_ARMS[i]] for i in commands.argmax(axis=1))
    return Difference(one, other, grid, commands.max(axis=1), reached.max(axis=1), joints)


def _progress(series: EpisodeSeries) -> np.ndarray:
    """(T,) [s], never falling: a new trajectory may report a little less."""
    progress = np.array([tick.progress for tick in series.ticks])
    if not len(progress) or not np.isfinite(progress).all():
        raise DataError(f"episode '{series.info.id}': no progress recorded; expected driver status in the bag")
    return np.maximum.accumulate(progress)


def _run(series: EpisodeSeries, grid: np.ndarray) -> Run:
    """The run on the first tick that had got as far as each of `grid`."""
    index = np.minimum(np.searchsorted(_progress(series), grid - 1e-9), len(series.ticks) - 1)
    ticks = [series.ticks[i] for i in index]
    states = [series.state_at(tick.stamp_ns) for tick in ticks]
    unknown = np.full(NUM_JOINTS, NAN)
    reports = {d.sequence: d.report for d in series.decisions if d.report is not None}
    bounds = [reports[t.trajectory].binding_limit if t.trajectory in reports else "" for t in ticks]
    end_ns = series.success_ns or series.end_ns
    sources = [d.choice.source for d in series.decisions if d.choice is not None]
    return Run(
        episode=series.info.id,
        mode=sources[-1] if sources else "",
        seed=series.info.seed,
        success=series.info.success,
        reason=series.info.reason or "the bag ends first",
        duration=(end_ns - series.start_ns) * 1e-9,
        times=np.array([(tick.stamp_ns - series.start_ns) * 1e-9 for tick in ticks]),
        speeds=np.array([tick.speed for tick in ticks]),
        commands=np.array([tick.command for tick in ticks]),
        reached=np.array([unknown if state is None else state.qpos for state in states]),
        bounds=tuple(bounds),
        limits=dict(Counter(report.binding_limit or "refused" for report in reports.values())),
    )


def _run_dict(run: Run) -> dict[str, Any]:
    names = ("episode", "mode", "seed", "success", "reason", "duration", "limits", "times", "speeds", "bounds")
    return {name: getattr(run, name) for name in names}


def text(found: Difference, rows: int = 24) -> str:
    """Both outcomes, where they part, and some rows in between."""
    lines = []
    for name, run in (("A", found.a), ("B", found.b)):
        outcome = "success" if run.success else f"no success ({run.reason})"
        limits = ", ".join(f"{limit} {count}" for limit, count in run.limits.items())
        lines.append(
            f"{name}  {run.episode}  seed {run.seed}, {run.mode}: {outcome} after {run.duration:.2f} s; {limits}"
        )
    if found.a.seed != found.b.seed:
        lines.append("these are different scenes: the same progress need not mean the same place")
    at = found.diverged_at
    apart = f"{DIVERGED:g} rad between commands"
    lines.append(f"never more than {apart}" if at is None else f"first more than {apart} at progress {at:.1f} s")
    head = ("progress", "t A", "t B", "sdot A", "sdot B", "command", "reached")
    lines.append("".join(f"{word:>10}" for word in head) + _words("joint", "bound A", "bound B"))
    step = max(1, len(found.progress) // rows)
    for i in range(0, len(found.progress), step):
        numbers = (found.progress[i], found.a.times[i], found.b.times[i], found.a.speeds[i], found.b.speeds[i])
        apart_now = (found.command_rad[i], found.reached_rad[i])
        lines.append(
            "".join(f"{number:>10.2f}" for number in numbers)
            + "".join(f"{number:>10.4f}" for number in apart_now)
            + _words(found.joints[i], found.a.bounds[i], found.b.bounds[i])
        )
    return "\n".join(lines)


def _words(joint: str, bound: str, other: str) -> str:
    """The last columns of a row."""
    return f"  {joint or '-':<19}{bound or '-':<12}{other or '-'}"
