"""Success against speed: one evaluation a speed, as CSV, JSON and a picture."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig, file_words

COLUMNS = (
    "speed",
    "episodes",
    "success_rate",
    "wilson_low",
    "wilson_high",
    "realised_speed_mean",
    "acceleration",
    "demo_speedup",
    "mean_success_duration_s",
    "successes_per_minute",
    "tracking_error_rad_rms",
    "handover_jump_rad_p99",
)


def parse_speeds(text: str) -> list[float]:
    """`1.0:4.5:0.5` (first, last, step; last included) or `1,2,3.5`, all above 0. Raises ConfigError."""
    speeds = _numbers(text, "speeds")
    if not all(0.0 < speed < float("inf") for speed in speeds):
        raise ConfigError(f"speeds: expected finite numbers above 0, got '{text}'")
    return speeds


def parse_tolerances(text: str) -> list[float]:
    """The same for tolerances of a learned speed policy, of either sign. Raises ConfigError."""
    tolerances = _numbers(text, "tolerances")
    if not all(math.isfinite(value) for value in tolerances):
        raise ConfigError(f"tolerances: expected finite numbers, got '{text}'")
    return tolerances


def _numbers(text: str, what: str) -> list[float]:
    try:
        parts = [float(part) for part in text.replace(":", ",").split(",")]
    except ValueError as error:
        raise ConfigError(f"{what}: expected numbers as 1.0:4.5:0.5 or 1,2,3, got '{text}'") from error
    if ":" in text:
        if len(parts) != 3 or parts[2] <= 0.0 or parts[1] < parts[0]:
            raise ConfigError(f"{what}: expected first:last:step with step above 0 and last >= first, got '{text}'")
        first, last, step = parts
        parts = [round(first + i * step, 9) for i in range(int((last - first) / step + 1e-9) + 1)]
    return parts


def sweep(
    make_config: Callable[..., EvaluationConfig], specs: Sequence[str], folder: Path, run: Callable[..., dict[str, Any]]
) -> list[dict[str, Any]]:
    """`run(config, path=...)` with `make_config(speed=...)` for each of `specs`; sweep.csv, .json, .png after each.

    run: `evaluate` with all else given. Each speed keeps its own samples in `folder`, so an interrupted sweep continues
    and may be extended; the folder appears with its first result.
    """
    rows: list[dict[str, Any]] = []
    for spec in specs:
        config = make_config(speed=spec)
        rows.append(run(config, path=folder / f"{file_words(config.speed)}.json"))
        write(rows, folder)
    return rows


def write(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """sweep.csv, sweep.json (with the samples) and sweep.png from the evaluations' results."""
    with (folder / "sweep.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "speed": row["speed"].removeprefix("constant:")} for row in rows)
    (folder / "sweep.json").write_text(json.dumps({"evaluations": list(rows)}, indent=1) + "\n")
    from speedtune_ros.report.figures import sweep_figure

    words = f"{rows[0]['policy']}, {rows[0]['retimer']}, {rows[0]['dynamics']} dynamics"
    sweep_figure({words: rows}).savefig(folder / "sweep.png", dpi=150)
