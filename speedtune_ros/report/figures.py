"""The report's figures, in colours told apart by everyone (Okabe and Ito, https://jfly.uni-koeln.de/color/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from speedtune_ros.aloha import CONTROL_DT, GRIPPERS, JOINT_NAMES
from speedtune_ros.report.runs import ReportRun

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SMALLEST_RANGE = 0.05  # [rad]; less would make a still joint look restless
INK, GRID = "#2b2f36", "#e4e7ec"
HALO = [withStroke(linewidth=3, foreground="white")]  # text stays readable on curves
PAPER = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1}  # the same where text must stay text (SVG)
LEAST_GAP = 0.047  # of two labels at the ends of curves, as a share of the axis

End = tuple[float, float, str, str]  # x, y, label, colour of a curve's end

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: sharp, small, and in the page's own font
    "svg.hashsalt": "speedtune",  # the same figure gives the same bytes
    "text.color": INK,
    "axes.edgecolor": "#9aa1ab",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def sweep_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Success against realised speed, one curve a name, with Wilson 95 % bands."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        axes = figure.subplots()
        for colour, (name, rows) in zip(CYCLE * len(curves), curves.items()):
            rows = sorted(rows, key=lambda row: row["realised_speed_mean"] or 0.0)
            speeds = [row["realised_speed_mean"] for row in rows]
            low, high = [row["wilson_low"] for row in rows], [row["wilson_high"] for row in rows]
            axes.fill_between(speeds, low, high, color=colour, alpha=0.16, lw=0)
            axes.plot(speeds, [row["success_rate"] for row in rows], "o-", color=colour, label=name, ms=5)
        axes.set(xlabel="realised speed (1 = as demonstrated)", ylabel="success rate", ylim=(-0.02, 1.02))
        axes.set_title("Success against speed, Wilson 95 % intervals", loc="left", fontsize=11, fontweight="bold")
        if any(curves):
            axes.legend(loc="lower left")
    return figure


def timeline_figure(run: ReportRun) -> Figure:
    """Executed speed under its ceiling, and demonstration time against the clock."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.7), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.step(run.times, run.ceiling, where="post", color="#8a919c", ls="--", lw=1.2, label="ceiling")
        upper.plot(run.times, run.speed, color=BLUE, label="executed")
        upper.set(ylabel="speed [×]", ylim=(0.0, 1.25 * max(1.0, float(np.max(run.ceiling, initial=1.0)))))
        lower.plot(run.times, run.times, color="#8a919c", ls="--", lw=1.2, label="as demonstrated")
        lower.plot(run.times, run.progress, color=GREEN, label="executed")
        lower.set(xlabel="time [s]", ylabel="demonstration\ntime [s]")
        for axes in (upper, lower):
            if run.success:
                axes.axvline(run.duration, color=VERMILION, lw=1.2, label="first success")
            _legend_above(axes)
    return figure


def joints_figure(run: ReportRun) -> Figure:
    """Commanded against reached, one panel a joint, left arm on the left."""
    with rc_context({**STYLE, "font.size": 9}):
        figure = Figure(figsize=(10.0, 9.6))
        figure.subplots_adjust(0.06, 0.05, 0.99, 0.94, wspace=0.14, hspace=0.42)  # a solved layout takes seconds here
        panels = figure.subplots(7, 2, sharex=True)
        for joint, name in enumerate(JOINT_NAMES):
            axes = panels[joint % 7, joint // 7]
            axes.plot(run.times, run.commands[:, joint], color=VERMILION, lw=1.2, label="commanded")
            axes.plot(run.times, run.reached[:, joint], color=BLUE, lw=1.2, label="reached")
            _widen(axes, SMALLEST_RANGE)
            unit = "0 to 1" if joint in GRIPPERS else "rad"
            axes.set_title(f"{name.replace('_', ' ')} [{unit}]", loc="left", fontsize=9)
        for axes in panels[-1]:
            axes.set_xlabel("time [s]")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper right", ncols=2)
    return figure


def histograms_figure(latencies: Mapping[str, np.ndarray], periods: np.ndarray) -> Figure:
    """How long each stage took, and how regular the commands were [ms], all runs together."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 3.3), layout="constrained")
        series = {name: samples for name, samples in latencies.items() if len(samples)}
        panels = np.atleast_1d(figure.subplots(1, len(series) + 1))
        for axes, (name, samples) in zip(panels, series.items()):
            _histogram(axes, 1e3 * np.asarray(samples), name, BLUE)
        jitter = 1e3 * (np.asarray(periods) - CONTROL_DT)
        _histogram(panels[-1], jitter, "command period − 20 ms", GREEN)
        panels[0].set_ylabel("samples")
    return figure


def svg(figure: Figure, label: str) -> str:
    """The figure as an <svg> element that scales with the page and tells screen readers what it is."""
    with rc_context(STYLE):
        buffer = StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def label_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Each curve's name right of its last point, moved down where two would overlap."""
    low, high = axes.get_ylim()
    below = np.inf
    for x, y, label, colour in sorted(ends, key=lambda end: -end[1]):
        below = min(y, below - LEAST_GAP * (high - low))
        place: dict[str, Any] = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "bbox": PAPER}
        axes.annotate(label, (x, below), color=colour, **place)


def _histogram(axes: Axes, values: np.ndarray, title: str, colour: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("ms")
    if not len(values):
        axes.text(0.5, 0.5, "no samples", ha="center", va="center", transform=axes.transAxes)
        return
    low, high = np.percentile(values, (0.2, 99.8))
    axes.hist(np.clip(values, low, high), bins=40, color=colour, alpha=0.85)
    p50, p99 = np.percentile(values, (50, 99))
    words = f"p50 {p50:.2f}   p99 {p99:.2f}   max {values.max():.1f}   n {len(values)}"
    axes.set_title(f"{title}\n{words}", loc="left", fontsize=9)


def _widen(axes: Axes, least: float) -> None:
    """Let the vertical axis span at least `least`, about its middle."""
    low, high = axes.get_ylim()
    if high - low < least:
        middle = 0.5 * (low + high)
        axes.set_ylim(middle - 0.5 * least, middle + 0.5 * least)
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1, fontsize=9)
