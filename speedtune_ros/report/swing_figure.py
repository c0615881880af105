"""The tea bag's swing against the speed of its carry: why a fast carry misses the cup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speedtune_ros.report.figures import BLUE, GREEN, PAPER, STYLE, VERMILION
from speedtune_ros.tasks.tea_bag import BAG_HALF, CUP_RADIUS

BAND = (10, 90)  # percentiles over episodes


def swing_figure(study: Mapping[str, Any]) -> Figure:
    """Angle in the carry and at the dip, distance from the cup's axis at its rim, and success; see evaluation.swing."""
    rows, carries = study["rows"], study["carries"]
    episodes = rows[0]["episodes"]
    with rc_context(STYLE):
        figure = Figure(figsize=(12.0, 3.8), layout="constrained")
        angle, aside, success = figure.subplots(1, 3)
        _band(angle, carries, "peak", VERMILION, "largest in the carry", 180.0 / np.pi, 26)
        _band(angle, carries, "at_dip", BLUE, "when the dip begins", 180.0 / np.pi, -20)
        angle.set(ylabel="bag's angle from the vertical [°]", ylim=(0.0, None))
        _band(aside, carries, "aside", GREEN, "bag at the rim", 1000.0)
        for radius, words in ((CUP_RADIUS, "cup's wall"), (CUP_RADIUS - BAG_HALF, "bag clears the wall")):
            aside.axhline(1000.0 * radius, color="#8a919c", ls="--", lw=1.0)
            aside.annotate(words, (0.02, 1000.0 * radius), xycoords=("axes fraction", "data"), va="bottom", fontsize=9)
        aside.set(ylabel="distance from the cup's axis [mm]", ylim=(0.0, None))
        speeds = [row["speed"] for row in rows]
        success.fill_between(
            speeds,
            [row["wilson_low"] for row in rows],
            [row["wilson_high"] for row in rows],
            color=BLUE,
            alpha=0.15,
            lw=0,
        )
        success.plot(speeds, [row["success_rate"] for row in rows], "o-", color=BLUE, ms=4)
        success.set(ylabel=f"success rate, Wilson 95 %, {episodes} episodes", ylim=(-0.03, 1.05))
        for axes in (angle, aside, success):
            axes.set_xlabel("speed of the carry (all else as demonstrated)")
    return figure


def _band(axes: Axes, carries: Any, key: str, colour: str, label: str, unit: float, lift: int = 8) -> None:
    """Mean and spread of `key` times `unit` over the episodes at each speed; `label` is `lift` points above."""
    speeds = sorted({carry["speed"] for carry in carries})
    groups = [unit * np.array([carry[key] for carry in carries if carry["speed"] == speed]) for speed in speeds]
    low, high = np.array([np.nanpercentile(group, BAND) for group in groups]).T
    mean = [float(np.nanmean(group)) for group in groups]
    axes.fill_between(speeds, low, high, color=colour, alpha=0.16, lw=0)
    axes.plot(speeds, mean, "o-", color=colour, ms=4)
    place: dict[str, Any] = {"xytext": (0, lift), "textcoords": "offset points", "bbox": PAPER}
    axes.annotate(label, (speeds[0], mean[0]), color=colour, **place)
