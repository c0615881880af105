"""Pages about a replay against its recording, and about two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from speedtune_ros.inspection.comparison import Comparison
from speedtune_ros.report.figures import BLUE, GREEN, STYLE, VERMILION, svg
from speedtune_ros.report.page import document, facts_list, table

COLUMNS = ("Episode", "Compared", "Chunk p50 / max", "Command p50 / max", "Same speed", "Same limit", "Mean sdot")
_ROW = ("Request", "Time", "Speed", "Bound by", "Mean sdot", "Chunk max", "Inference", "Note")


def replay_page(title: str, facts: Mapping[str, Any], comparisons: Sequence[Comparison]) -> str:
    """A self-contained page: a row an episode, then its figure and its decisions."""
    rows = [_summary(comparison) for comparison in comparisons]
    sections = "\n".join(_section(comparison) for comparison in comparisons)
    lead = "Recorded observations, asked again: what today's stages say, against what was recorded."
    body = f"{table(COLUMNS, rows)}\n<h2>Episodes</h2>\n{sections}\n<h2>What ran</h2>\n"
    return document(title, lead, body + facts_list({key: str(value) for key, value in facts.items()}))


def _summary(comparison: Comparison) -> tuple[str, ...]:
    found = comparison.figures()
    n = found["compared"]
    return (
        comparison.episode,
        f"{n} of {found['decisions']}",
        f"{found['chunk_rad']['p50']:.2g} / {found['chunk_rad']['max']:.2g} rad",
        f"{found['command_rad']['p50']:.2g} / {found['command_rad']['max']:.2g} rad",
        f"{found['same_speed']} of {n}",
        f"{found['same_limit']} of {n}",
        f"{found['mean_sdot_recorded']:.2f} → {found['mean_sdot_now']:.2f}",
    )


def _section(comparison: Comparison) -> str:
    drawing = svg(replay_figure(comparison), "speeds, chunk and command differences over time")
    rows = [
        (
            str(pair.sequence),
            f"{pair.time_s:.2f} s",
            f"{pair.speed[0]:g} → {pair.speed[1]:g}",
            f"{pair.bound_by[0] or '–'} → {pair.bound_by[1] or '–'}",
            f"{pair.mean_sdot[0]:.2f} → {pair.mean_sdot[1]:.2f}",
            f"{pair.chunk_rad:.2g} rad",
            f"{1e3 * pair.inference_s[0]:.1f} → {1e3 * pair.inference_s[1]:.1f} ms",
            pair.note,
        )
        for pair in comparison.pairs
    ]
    decisions = f"<details><summary>Every decision</summary>{table(_ROW, rows)}</details>"
    head = table(("Episode",), [(comparison.episode,)])
    return f'<section class="run">{head}<div class="figure">{drawing}</div>{decisions}</section>'


def replay_figure(comparison: Comparison) -> Figure:
    """Speed chosen then and now, and how far chunks and commands are apart."""
    times = [pair.time_s for pair in comparison.pairs]
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 4.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        for index, (name, colour) in enumerate((("recorded", VERMILION), ("now", BLUE))):
            speeds = [pair.mean_sdot[index] for pair in comparison.pairs]
            upper.step(times, speeds, where="post", color=colour, label=name, ls=("-", "--")[index])
        upper.set(ylabel="sdot after re-timing", ylim=(0.0, None))
        lower.plot(times, [pair.chunk_rad for pair in comparison.pairs], "o", ms=4, color=GREEN, label="chunk")
        lower.plot(comparison.ticks_s, comparison.command_rad, color=BLUE, lw=1.2, label="command")
        lower.set(xlabel="time [s]", ylabel="difference [rad]")
        lower.set_yscale("symlog", linthresh=1e-3)
        for axes in (upper, lower):
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1, fontsize=9)
    return figure
