"""A page about two runs aligned by progress."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.figure import Figure

from speedtune_ros.inspection.difference import DIVERGED, Difference, Run
from speedtune_ros.report.figures import BLUE, GREEN, PURPLE, STYLE, VERMILION, svg
from speedtune_ros.report.page import document, table

_COLUMNS = ("Run", "Episode", "Seed", "Speed mode", "Outcome", "Time", "Limits")


def difference_page(title: str, found: Difference) -> str:
    """A self-contained page: both outcomes, and speeds, times and differences against progress."""
    rows = [_row(name, run) for name, run in (("A", found.a), ("B", found.b))]
    at = found.diverged_at
    apart = f"commands differ by more than {DIVERGED:g} rad"
    lead = f"At no progress do {apart}." if at is None else f"From progress {at:.1f} s on, {apart}."
    drawing = svg(difference_figure(found), "speeds, times and differences against progress")
    return document(
        title, lead, f'{table(_COLUMNS, rows)}\n<h2>By progress</h2>\n<div class="figure wide">{drawing}</div>'
    )


def _row(name: str, run: Run) -> tuple[str, ...]:
    outcome = "success" if run.success else run.reason
    limits = ", ".join(f"{limit} {count}" for limit, count in run.limits.items())
    return name, run.episode, str(run.seed), run.mode, outcome, f"{run.duration:.2f} s", limits


def difference_figure(found: Difference) -> Figure:
    """Executed speed and elapsed time of both, and how far apart they are, over demonstration time."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 6.6), layout="constrained")
        speed, time, apart = figure.subplots(3, 1, sharex=True)
        for name, run, colour in (("A", found.a, VERMILION), ("B", found.b, BLUE)):
            speed.plot(found.progress, run.speeds, color=colour, label=name)
            time.plot(found.progress, run.times, color=colour, label=name)
        apart.plot(found.progress, found.command_rad, color=GREEN, label="commanded")
        apart.plot(found.progress, found.reached_rad, color=PURPLE, label="reached")
        apart.axhline(DIVERGED, color="#8a919c", ls="--", lw=1.0)
        speed.set(ylabel="executed sdot", ylim=(0.0, None))
        time.set(ylabel="elapsed [s]")
        apart.set(ylabel="difference [rad]", xlabel="progress: demonstration time [s]")
        for axes in (speed, time, apart):
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1, fontsize=9)
    return figure
