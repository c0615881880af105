"""How a speed policy learned: success, acceleration and return over decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from speedtune_ros.evaluation.metrics import wilson
from speedtune_ros.report.figures import BLUE, GREEN, PURPLE, STYLE, VERMILION


def learning_figure(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """From the lines of a training's log: what each greedy evaluation reached, and what training episodes returned."""
    decisions = [row["decisions"] for row in rows]
    panels = (
        ("success_rate", "success", BLUE),
        ("acceleration", "acceleration", VERMILION),
        ("training_return", "return while exploring", GREEN),
        ("loss", "loss", PURPLE),
    )
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 7.0), layout="constrained")
        grid = figure.subplots(len(panels), sharex=True)
        for axes, (key, label, colour) in zip(grid, panels):
            values = [np.nan if row[key] is None else row[key] for row in rows]
            axes.plot(decisions, values, "o-", color=colour, ms=4)
            axes.set_ylabel(label)
        for row in rows:
            interval = wilson(round(row["success_rate"] * row["evaluated"]), row["evaluated"])
            grid[0].vlines(row["decisions"], *interval, color=BLUE, alpha=0.4, lw=2)
        grid[0].set_ylim(-0.02, 1.02)
        grid[0].set_title(f"{title}: greedy evaluations, Wilson 95 %", loc="left", fontsize=11, fontweight="bold")
        grid[-1].set_xlabel("decisions")
    return figure
