"""How fast a task runs where in its course, with key frames and the speed policy's values (Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speedtune_ros.report.figures import CYCLE, INK, STYLE, End, label_ends
from speedtune_ros.report.runs import ReportRun

MARKS = (0.05, 0.25, 0.45, 0.65, 0.85, 1.0)  # shares of the way at which key frames are shown
STEP = 0.05  # [s] of demonstration time between points of the curves
BAND = (10, 90)  # percentiles over episodes
GREY = "#8a919c"


def progress_figure(runs: Sequence[ReportRun], marks: Sequence[float] = MARKS) -> Figure:
    """Executed speed over demonstration time up to the first success: mean and spread over the runs of each mode.

    Above: frames of the last mode that has any, at the shares `marks` of its way, or of the longest successful one
    where it fails later. Below, where the policy gives them: the mean values Q(v) of the last such mode, against the
    best speed at that moment.
    """
    shown = next((run for run in reversed(runs) if run.frames), None)
    thinking = next((run.mode for run in reversed(runs) if any(d.values for d in run.choices)), None)
    rows = [("frames", 1.15)] * (shown is not None) + [("speed", 2.0)] + [("values", 1.0)] * (thinking is not None)
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 0.6 + 1.75 * sum(size for _, size in rows)), layout="constrained")
        grid = figure.add_gridspec(len(rows), 1, height_ratios=[size for _, size in rows])
        names = [name for name, _ in rows]
        axes = figure.add_subplot(grid[names.index("speed")])
        _speeds(axes, runs)
        if shown is not None:
            ends = [float(way[-1]) for way, _ in (executed(run) for run in runs if run.success) if len(way)]
            _key_frames(figure, grid[0], axes, shown, marks, max(ends, default=np.inf))
        if thinking is not None:
            below = figure.add_subplot(grid[-1], sharex=axes)
            _values(figure, below, [run for run in runs if run.mode == thinking])
        (axes if thinking is None else below).set_xlabel("task progress: demonstration time executed [s]")
    return figure


def executed(run: ReportRun) -> tuple[np.ndarray, np.ndarray]:
    """Progress (n,) [s], never falling, and executed `sdot` (n,) until the first success or the end."""
    moving = run.times < run.duration - 1e-9
    return np.maximum.accumulate(run.progress[moving]), run.speed[moving]


def speeds_over_progress(runs: Sequence[ReportRun]) -> tuple[np.ndarray, np.ndarray]:
    """Places (n,) [s] and each run's `sdot` there (runs, n), NaN where it did not come."""
    ways = [executed(run) for run in runs]
    end = max((way[-1] for way, _ in ways if len(way)), default=0.0)
    places = np.arange(0.0, end + STEP / 2, STEP)
    return places, np.array([_along(way, speed, places) for way, speed in ways])


def _along(way: np.ndarray, speed: np.ndarray, places: np.ndarray) -> np.ndarray:
    if not len(way):
        return np.full(len(places), np.nan)
    return np.interp(places, way, speed, right=np.nan)


def _speeds(axes: Axes, runs: Sequence[ReportRun]) -> None:
    ends: list[End] = []
    modes = list(dict.fromkeys(run.mode for run in runs))
    for mode, colour in zip(modes, CYCLE * len(modes)):
        own = [run for run in runs if run.mode == mode]
        places, speeds = speeds_over_progress(own)
        covered = np.isfinite(speeds).sum(0) > 0.5 * len(own)  # a mean over the few that go on misleads
        places, speeds = places[covered], speeds[:, covered]
        if not len(places):
            continue
        if len(own) > 1:
            axes.fill_between(places, *np.nanpercentile(speeds, BAND, axis=0), color=colour, alpha=0.18, lw=0)
        mean = np.nanmean(speeds, axis=0)
        axes.plot(places, mean, color=colour, lw=2.0)
        successes = sum(run.success for run in own)
        words = f"{mode}: {successes} of {len(own)}"
        ends.append((places[-1], mean[-1], words, colour))
    axes.axhline(1.0, color=GREY, lw=1.0, ls="--")
    axes.set(ylabel="executed speed [×]")
    axes.set_ylim(0.0, 1.1 * axes.get_ylim()[1])
    axes.set_xlim(0.0, 1.25 * axes.get_xlim()[1])
    label_ends(axes, ends)


def _key_frames(
    figure: Figure, cell: object, axes: Axes, run: ReportRun, marks: Sequence[float], longest: float
) -> None:
    """Frames of `run` in a row above, numbered as the lines they stand for; none from beyond `longest` [s]."""
    frames = [f for f in run.frames if f.time <= run.duration + STEP and run.at(f.time)[1] <= longest + STEP]
    frames = frames or list(run.frames)
    where = np.array([run.at(frame.time)[1] for frame in frames])
    row = cell.subgridspec(1, len(marks), wspace=0.03)  # type: ignore[attr-defined]
    for number, mark in enumerate(marks, 1):
        index = int(np.argmin(np.abs(where - mark * where[-1])))
        picture = figure.add_subplot(row[number - 1])
        picture.imshow(frames[index].pixels)
        picture.set_axis_off()
        picture.set_title(f"{number}: {where[index]:.1f} s", fontsize=9)
        axes.axvline(where[index], color=INK, lw=0.7, ls=":")
        axes.annotate(
            str(number), (where[index], 1.0), xycoords=("data", "axes fraction"), fontsize=9, ha="center", va="bottom"
        )


def _values(figure: Figure, axes: Axes, runs: Sequence[ReportRun]) -> None:
    """Mean Q(v) less the best one's, over progress in decisions' bins; what was chosen as dots."""
    end = axes.get_xlim()[1]
    decisions = [d for run in runs for d in run.choices if d.values and d.progress <= end]
    speeds = decisions[0].speeds
    bins = np.linspace(0.0, end, 41)
    at = np.clip(np.digitize([d.progress for d in decisions], bins) - 1, 0, len(bins) - 2)
    lost = np.array([np.array(d.values) - max(d.values) for d in decisions])
    mean = np.array([lost[at == b].mean(0) if (at == b).any() else np.full(len(speeds), np.nan) for b in range(40)])
    mesh = axes.pcolormesh(bins, np.arange(len(speeds) + 1) - 0.5, mean.T, cmap="cividis", shading="flat")
    chosen = [speeds.index(d.speed) for d in decisions]
    axes.plot([d.progress for d in decisions], chosen, ".", color=INK, ms=4, alpha=0.6)
    axes.set_yticks(range(len(speeds)), [f"{speed:g}×" for speed in speeds])
    axes.set(ylabel="speed to choose")
    axes.grid(False)
    figure.colorbar(mesh, ax=axes, label="Q(v) − max Q", pad=0.01)
