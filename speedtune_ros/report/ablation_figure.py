"""Ablations: success and acceleration of each variant beside the full method's, with intervals (Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speedtune_ros.report.figures import BLUE, STYLE, VERMILION

Row = Mapping[str, Any]
ROW_HEIGHT, GAP = 0.27, 0.8  # [inch] a variant; lines between groups
GREY = "#8a919c"


def ablation_figure(rows: Sequence[Row]) -> Figure:
    """One line a variant, under its group's name; dots are training seeds, their mean is the bold one.

    rows: results of `evaluate` with `group`, `name` and `reference` (true for the full method, dashed throughout).
    """
    lines = _lines(rows)
    height = 1.1 + ROW_HEIGHT * (max(place for place, _, _ in lines) + 1 if lines else 1)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, height), layout="constrained")
        success, acceleration = figure.subplots(1, 2, sharey=True)
        _panel(success, lines, "success_rate")
        success.set(xlabel="success rate, Wilson 95 %", xlim=(-0.02, 1.02))
        _panel(acceleration, lines, "acceleration")
        acceleration.set(xlabel="acceleration (× as fast to success as at 1×)")
        success.set_yticks([place for place, _, _ in lines], [name for _, name, _ in lines])
        success.invert_yaxis()
        for place, group in _headings(rows):
            style: dict[str, Any] = {"fontweight": "bold", "fontsize": 10, "va": "center", "ha": "left"}
            success.annotate(group, (0.0, place), xycoords=("axes fraction", "data"), **style)
    return figure


def _groups(rows: Sequence[Row]) -> dict[str, dict[str, list[Row]]]:
    """Rows by group and name, the reference first of all."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: not row.get("reference")):
        group = "" if row.get("reference") else str(row["group"])
        found.setdefault(group, {}).setdefault(str(row["name"]), []).append(row)
    return found


def _lines(rows: Sequence[Row]) -> list[tuple[float, str, list[Row]]]:
    """(place from the top, name, its training seeds) of each variant."""
    lines, place = [], 0.0
    for group, names in _groups(rows).items():
        place += GAP + 0.4 if group else 0.0
        for name, found in names.items():
            lines.append((place, name, found))
            place += 1.0
    return lines


def _headings(rows: Sequence[Row]) -> list[tuple[float, str]]:
    lines = {name: place for place, name, _ in reversed(_lines(rows))}
    firsts = {group: next(iter(names)) for group, names in _groups(rows).items() if group}
    return [(lines[name] - 0.85, group) for group, name in firsts.items()]


def _panel(axes: Axes, lines: Sequence[tuple[float, str, list[Row]]], key: str) -> None:
    for place, _, found in lines:
        values = [row[key] for row in found if row[key] is not None]
        colour = VERMILION if found[0].get("reference") else BLUE
        if not values:
            axes.annotate("no success", (0.0, place), color=GREY, va="center", fontsize=8)
            continue
        mean = float(np.mean(values))
        if found[0].get("reference"):
            axes.axvline(mean, color=VERMILION, ls="--", lw=1.0, zorder=0)
        if key == "success_rate":
            low, high = (float(np.mean([row[end] for row in found])) for end in ("wilson_low", "wilson_high"))
            axes.plot((low, high), (place, place), color=colour, lw=3, alpha=0.35, solid_capstyle="butt")
        axes.plot(values, [place] * len(values), "o", color=colour, ms=4, alpha=0.5)
        axes.plot(mean, place, "o", color=colour, ms=7, mec="white", mew=0.8)
        axes.annotate(f"{mean:.2f}", (mean, place), xytext=(6, 4), textcoords="offset points", fontsize=8, color=colour)
