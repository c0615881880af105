"""What an operator watches while a speed policy learns: success and speed of the last episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

WINDOW = 20  # episodes a mean is taken over


def write_curves(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A PNG of the log: success, executed speed and return of each episode over decisions, and their running means."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from speedtune_ros.report.figures import CYCLE, STYLE

    decisions = [line["decisions"] for line in lines]
    rows = (("success", "success"), ("realised_speed", "executed speed"), ("return", "return"))
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 6.5), layout="constrained")
        for colour, axes, (key, label) in zip(CYCLE, figure.subplots(len(rows), sharex=True), rows):
            values = np.array([float(line[key]) for line in lines])
            axes.plot(decisions, values, ".", color=colour, alpha=0.35, ms=4)
            axes.plot(decisions, running_mean(values), color=colour)
            axes.set_ylabel(label)
        axes.set_xlabel(f"decisions in {len(lines)} labelled episodes; lines: mean of the last {WINDOW} episodes")
    figure.savefig(path, dpi=150)


def running_mean(values: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """The mean of the last `window` values (n,) at each of them, of fewer at the beginning."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    return (sums[last] - sums[first]) / (last - first)
