"""One self-contained HTML page about some runs: nothing is fetched, so it can be mailed or archived."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np

from speedtune_ros.report import figures
from speedtune_ros.report.progress_figure import progress_figure
from speedtune_ros.report.runs import ReportRun
from speedtune_ros.report.summary import COLUMNS, TableRow, cells, number
from speedtune_ros.report.video import video_element

_PROGRESS = (
    "Executed speed until the first success: mean and 10 to 90 % of the episodes at each speed mode. Numbered lines "
    "are the moments of the pictures, which are of the last mode."
)
_VALUES = (
    " Below: what each speed is worth to the learned policy, against the best one at that moment; dots are its choices."
)


def page(
    title: str,
    facts: Mapping[str, str],
    rows: Sequence[TableRow],
    runs: Sequence[ReportRun],
    notes: Sequence[str] = (),
) -> str:
    """The page: `notes`, a table over the modes, one section a run, latencies and jitter over all runs, and `facts`."""
    sections = "\n".join(_section(run) for run in runs)
    told = "".join(f'<p class="note">{_text(note)}</p>\n' for note in notes)
    body = f"""{told}{_table(rows)}
{_progress(runs)}<h2>Runs</h2>
{sections}
<h2>Timing, all runs</h2>
{_timing(runs)}
<h2>What ran</h2>
{facts_list(facts)}"""
    return document(title, _lead(rows), body)


def document(title: str, lead: str, body: str) -> str:
    """A whole page with a headline and a sentence under it; `body` is HTML."""
    style = files("speedtune_ros.report").joinpath("page.css").read_text()
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>
{style}
</style>
</head>
<body>
<main>
<header>
<h1>{_text(title)}</h1>
<p class="lead">{_text(lead)}</p>
</header>
{body}
</main>
</body>
</html>
"""


def _lead(rows: Sequence[TableRow]) -> str:
    if not rows:
        return "No episode was run."
    best = max(rows, key=lambda row: row.acceleration if math.isfinite(row.acceleration) else 0.0)
    words = f"{sum(row.successes for row in rows)} of {sum(row.episodes for row in rows)} episodes succeeded"
    if math.isfinite(best.acceleration) and best.acceleration > 1.0:
        words += f"; {best.mode} reached success {best.acceleration:.2f} times as soon as at 1×"
    return words + "."


def _table(rows: Sequence[TableRow]) -> str:
    return table(COLUMNS, [cells(row) for row in rows])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of texts."""
    head = "".join(f"<th>{_text(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>'


def _section(run: ReportRun) -> str:
    outcome = "success" if run.success else "failure"
    limits = ", ".join(f"{name} {count}" for name, count in run.binding_limits.items())
    facts = [
        f"{run.duration:.2f} s to {'first success' if run.success else 'the end'}",
        f"realised speed {number(run.realised_speed, '×')}",
        f"binding limits: {limits}" if limits else "",
        "" if run.success else f"ended: {run.reason or 'recording ends first'}",
    ]
    return f"""<section class="run">
<h3>{_text(run.title)} <span class="mode">{_text(run.mode)}</span> <span class="{outcome}">{outcome}</span></h3>
<p class="facts">{" · ".join(_text(fact) for fact in facts if fact)}</p>
<div class="pair">
<div class="video">{video_element(run)}</div>
<div class="figure">{figures.svg(figures.timeline_figure(run), "speed and progress over time")}</div>
</div>
<details><summary>Commanded against reached joints</summary>
<div class="figure">{figures.svg(figures.joints_figure(run), "commanded and reached joint positions over time")}</div>
</details>
</section>"""


def _progress(runs: Sequence[ReportRun]) -> str:
    """Speed over the task's course, of the runs that tell their progress."""
    known = [run for run in runs if np.isfinite(run.progress).all() and len(run.times)]
    if not known:
        return ""
    drawing = figures.svg(progress_figure(known), "speed over task progress, with key frames")
    words = _PROGRESS + (_VALUES if any(choice.values for run in known for choice in run.choices) else "")
    return f'<h2>Speed over progress</h2>\n<p class="facts">{words}</p>\n<div class="figure wide">{drawing}</div>\n'


def _timing(runs: Sequence[ReportRun]) -> str:
    names = dict.fromkeys(name for run in runs for name in run.latencies)
    pooled = {name: _joined([run.latencies.get(name, np.empty(0)) for run in runs]) for name in names}
    periods = _joined([run.periods for run in runs])
    if not len(periods) and not any(len(samples) for samples in pooled.values()):
        return '<p class="none">No timing was recorded.</p>'
    drawing = figures.svg(figures.histograms_figure(pooled, periods), "latency and jitter histograms")
    return f'<div class="figure wide">{drawing}</div>'


def facts_list(facts: Mapping[str, str]) -> str:
    """An HTML list of names and texts."""
    items = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>\n" for key, value in facts.items())
    return f"<dl>\n{items}</dl>"


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(part, float) for part in parts]) if parts else np.empty(0)


def _text(text: str) -> str:
    return html.escape(text)
