"""Success and acceleration against the decisions that a speed policy learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speedtune_ros.report.figures import BLUE, STYLE, VERMILION

Row = Mapping[str, Any]


def efficiency_figure(rows: Sequence[Row]) -> Figure:
    """A panel each; a dot for every training seed, a line through their means.

    rows: `decisions`, `success_rate` and `acceleration` (None where nothing succeeded) each.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 3.4), layout="constrained")
        success, acceleration = figure.subplots(1, 2)
        _panel(success, rows, "success_rate", BLUE)
        success.set(ylabel="success rate", ylim=(-0.02, 1.02))
        _panel(acceleration, rows, "acceleration", VERMILION)
        acceleration.set(ylabel="acceleration")
    return figure


def _panel(axes: Axes, rows: Sequence[Row], key: str, colour: str) -> None:
    known = [row for row in rows if row[key] is not None]
    marks = sorted({row["decisions"] for row in known})
    axes.plot([row["decisions"] for row in known], [row[key] for row in known], "o", color=colour, alpha=0.45, ms=5)
    means = [np.mean([row[key] for row in known if row["decisions"] == mark]) for mark in marks]
    axes.plot(marks, means, "-", color=colour)
    axes.set(xlabel="decisions learned from", xscale="log")
    axes.set_xticks(marks, [_short(mark) for mark in marks])
    axes.minorticks_off()


def _short(decisions: int) -> str:
    return f"{decisions // 1000}k" if decisions % 1000 == 0 else str(decisions)
