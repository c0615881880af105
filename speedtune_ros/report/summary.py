"""The table of a report: what each speed mode achieved, from its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.evaluation import metrics
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.report.runs import ReportRun

DEMONSTRATED = "constant:1"


@dataclass(frozen=True)
class TableRow:
    """The figures of one speed mode; NaN where one cannot be computed."""

    mode: str
    episodes: int
    successes: int
    wilson: metrics.Interval
    duration: float  # [s], mean to first success
    acceleration: float
    demo_speedup: float
    realised_speed: float


COLUMNS = ("Speed mode", "Success", "Wilson 95 %", "Time to success", "acceleration", "demo_speedup", "Realised speed")


def summarise(
    runs: Sequence[ReportRun], demonstrations: Sequence[metrics.Run] = (), baseline: Sequence[metrics.Run] = ()
) -> list[TableRow]:
    """One row a speed mode, in the order they ran.

    `acceleration` is against `baseline`, the same policy and scenes at 1x; without it, the runs at `constant:1`.
    """
    samples = {mode: [to_sample(r) for r in runs if r.mode == mode] for mode in dict.fromkeys(r.mode for r in runs)}
    baseline = baseline or samples.get(DEMONSTRATED, [])
    return [_row(mode, group, runs, baseline, demonstrations) for mode, group in samples.items()]


def to_sample(run: ReportRun) -> EpisodeSample:
    """A run as the evaluation counts it, in control steps."""
    steps = round(run.duration / CONTROL_DT)
    return EpisodeSample(run.seed, steps, steps if run.success else None)


def cells(row: TableRow) -> tuple[str, ...]:
    """The row as text, column by column."""
    return (
        row.mode,
        f"{row.successes} of {row.episodes}",
        f"{row.wilson.low:.2f} to {row.wilson.high:.2f}",
        number(row.duration, " s"),
        number(row.acceleration, "×"),
        number(row.demo_speedup, "×"),
        number(row.realised_speed, "×"),
    )


def table_text(rows: Sequence[TableRow]) -> str:
    """The table for a terminal."""
    lines = [COLUMNS, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])


def number(value: float, unit: str) -> str:
    """Two decimals and a unit; a dash for NaN."""
    return f"{value:.2f}{unit}" if value == value else "–"


def _row(
    mode: str,
    group: Sequence[EpisodeSample],
    runs: Sequence[ReportRun],
    baseline: Sequence[metrics.Run],
    demonstrations: Sequence[metrics.Run],
) -> TableRow:
    successes = sum(sample.success for sample in group)
    return TableRow(
        mode=mode,
        episodes=len(group),
        successes=successes,
        wilson=metrics.wilson(successes, len(group)),
        duration=metrics.mean(metrics.steps_to_success(group)) * CONTROL_DT,
        acceleration=metrics.acceleration(baseline, group),
        demo_speedup=metrics.demo_speedup(demonstrations, group),
        realised_speed=metrics.mean([run.realised_speed for run in runs if run.mode == mode]),
    )
