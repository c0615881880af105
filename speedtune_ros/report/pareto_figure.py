"""Success against speed, a panel a task: constant speeds as a curve, phase tables, learned policies (Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from speedtune_ros.evaluation.paper import paper_figure
from speedtune_ros.evaluation.results import kind
from speedtune_ros.report.figures import BLUE, GREEN, HALO, ORANGE, PURPLE, SKY, STYLE, VERMILION, End, label_ends
from speedtune_ros.speed.speed_policy import split_spec

Row = Mapping[str, Any]


class Label(NamedTuple):
    """Words beside a point."""

    at: tuple[float, float]
    words: str
    colour: str
    bold: bool = False


AXES = {
    "acceleration": "acceleration (mean time to success at 1× / at this speed)",
    "realised_speed_mean": "realised speed (mean executed sdot; 1 = as demonstrated)",
    "demo_speedup": "demo_speedup (mean demonstration / mean time to success)",
}
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = {"constant": "o", "phase": "D"}  # all others are learned
GREY = "#7a828e"
PLACES = ((9, 7), (-9, 9), (9, -28), (-9, -28), (9, -50), (-9, -50), (9, -72), (-9, -72))  # of a label [points]


def pareto_figure(labelled: Sequence[tuple[str, Row]], axis: str = "acceleration", paper: bool = False) -> Figure:
    """One panel a task of `labelled` evaluations; bands and bars are Wilson 95 % intervals.

    axis: a key of AXES; paper: also what SpeedTuning reports for that task. A speed at which nothing succeeded has no
    acceleration: it is drawn hollow at its realised speed, so that no failure disappears.
    """
    tasks = list(dict.fromkeys(row["task"] for _, row in labelled))
    with rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 5.0 * len(tasks), 4.6), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(tasks), sharey=True))
        colours = dict(zip(dict.fromkeys(label for label, _ in labelled), COLOURS * len(labelled)))
        labels = []
        for axes, task in zip(panels, tasks):
            own = [pair for pair in labelled if pair[1]["task"] == task]
            labels.append(_panel(axes, own, axis, colours, paper))
            axes.set_title(task.replace("_", " "), loc="left", fontsize=12, fontweight="bold")
            axes.set(xlabel=AXES[axis], yticks=np.linspace(0.0, 1.0, 6))
        panels[0].set_ylabel("success rate, Wilson 95 %")
        figure.draw_without_rendering()  # only then is known how large anything is
        for axes, found in zip(panels, labels):
            _place(axes, found)
    return figure


def _panel(
    axes: Axes, labelled: Sequence[tuple[str, Row]], axis: str, colours: Mapping[str, str], paper: bool
) -> list[Label]:
    """Draws all but the words beside single points, which are returned: where they fit shows when all is drawn."""
    ends: list[End] = []
    labels: list[Label] = []
    axes.set_ylim(-0.03, 1.14)
    for label in dict.fromkeys(label for label, _ in labelled):
        rows = [row for found, row in labelled if found == label]
        curve = sorted((row for row in rows if kind(row) == "constant"), key=_commanded)
        if curve:
            end = _curve(axes, curve, axis, colours[label])
            ends.append((*end, label, colours[label]))
        points = sorted((row for row in rows if kind(row) != "constant"), key=lambda row: _x(row, axis))
        for row in points:
            labels += _point(axes, row, axis, colours[label], label if row is points[-1] else "")
    if paper:
        labels += _paper(axes, [row for _, row in labelled])
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.3 * (high - low))  # room for the labels
    label_ends(axes, ends)
    return labels


def _curve(axes: Axes, rows: Sequence[Row], axis: str, colour: str) -> tuple[float, float]:
    """Draws constant speeds, slowest first; where the last is."""
    x, rates = _places(rows, axis), [row["success_rate"] for row in rows]
    low, high = [row["wilson_low"] for row in rows], [row["wilson_high"] for row in rows]
    axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    axes.plot(x, rates, "-", color=colour, lw=1.8)
    for row, place in zip(rows, x):
        fill = colour if row[axis] is not None else "white"
        axes.plot(place, row["success_rate"], MARKERS["constant"], color=colour, mfc=fill, ms=4)
    return x[-1], rates[-1]


def _places(rows: Sequence[Row], axis: str) -> list[float]:
    """Of constant speeds, slowest first. One without success is never left of slower ones, however slow it went."""
    places: list[float] = []
    for row in rows:
        places.append(_x(row, axis) if row[axis] is not None else max([_x(row, axis), *places]))
    return places


def _point(axes: Axes, row: Row, axis: str, colour: str, label: str) -> list[Label]:
    """A policy that changes its speed: Wilson bar, spread of single episodes (5 to 95 %); its figures, to be placed."""
    learned = kind(row) not in MARKERS
    x, rate = _x(row, axis), row["success_rate"]
    bar = [[rate - row["wilson_low"]], [row["wilson_high"] - rate]]
    axes.errorbar(x, rate, yerr=bar, color=colour, capsize=3, lw=1.2)
    spread = _spread(row) if learned and axis == "acceleration" else None
    if spread is not None:
        axes.plot(spread, [rate, rate], color=colour, lw=5, alpha=0.22, solid_capstyle="butt")
    marker, size = ("*", 15) if learned else (MARKERS[kind(row)], 7)
    axes.plot(x, rate, marker, color=colour, ms=size, mec="white", mew=0.8, zorder=5)
    return [Label((x, rate), f"{label}\n{x:.2f}×, {100 * rate:.1f} %", colour, learned)] if label else []


def _paper(axes: Axes, rows: Sequence[Row]) -> list[Label]:
    labels = []
    for policy in dict.fromkeys("expert" if row["policy"] == "expert" else "act" for row in rows):
        figure = paper_figure(policy, rows[0]["task"])
        if figure is not None:
            axes.plot(*figure, "*", color=GREY, mfc="white", ms=13, zorder=4)
            words = f"SpeedTuning{' (scripted)' if policy == 'expert' else ''}\n{figure.speed}×, "
            labels.append(Label((figure.speed, figure.success_rate), f"{words}{100 * figure.success_rate:.1f} %", GREY))
    return labels


def _place(axes: Axes, labels: Sequence[Label]) -> None:
    """Each label beside its point, at the first of PLACES where it covers neither another label nor a point."""
    taken = [text.get_window_extent() for text in axes.texts]
    for label in labels:
        x, y = axes.transData.transform(label.at)
        taken.append(Bbox.from_bounds(x - 9, y - 9, 18, 18))
    for label in labels:
        text = axes.annotate(label.words, label.at, PLACES[0], textcoords="offset points", color=label.colour, zorder=6)
        text.set(size=9 if label.bold else 8, weight="bold" if label.bold else "normal", path_effects=HALO)
        text.set_in_layout(False)  # which has been made
        for x, y in (*PLACES, PLACES[0]):
            text.set_position((x, y))
            text.set_horizontalalignment("left" if x > 0 else "right")
            extent = text.get_window_extent()
            if not any(extent.overlaps(other) for other in taken) and axes.bbox.x0 < extent.x0:
                break
        taken.append(extent)


def _commanded(row: Row) -> float:
    return float(split_spec(row["speed"])[1])


def _x(row: Row, axis: str) -> float:
    return float(row[axis] if row[axis] is not None else row["realised_speed_mean"] or 0.0)


def _spread(row: Row) -> tuple[float, float] | None:
    """The acceleration of single successful episodes, 5th and 95th percentile; None without samples."""
    baseline = [s["success_step"] for s in row.get("baseline_samples") or () if s["success_step"]]
    steps = [s["success_step"] for s in row.get("samples") or () if s["success_step"]]
    if not baseline or not steps:
        return None
    low, high = np.percentile(np.mean(baseline) / np.array(steps), (5, 95))
    return float(low), float(high)
