from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import DataError
from speedtune_ros.evaluation.results import read_labelled, read_rows
from speedtune_ros.report.pareto_figure import pareto_figure


def row(speed: str, acceleration: float | None, rate: float, task: str = "tea_bag", **more: Any) -> dict[str, Any]:
    found = {"task": task, "policy": "act", "speed": speed, "success_rate": rate, "acceleration": acceleration}
    found |= {"wilson_low": max(0.0, rate - 0.1), "wilson_high": min(1.0, rate + 0.1), "realised_speed_mean": 3.9}
    return found | more


CURVE = [row("constant:1", 1.0, 1.0), row("constant:3", 2.7, 0.5), row("constant:4", None, 0.0)]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_panel_a_task_with_curve_table_and_learned_policy_named() -> None:
    learned = row("rainbow", 3.2, 0.91, samples=[{"success_step": 100}, {"success_step": None}])
    learned["baseline_samples"] = [{"success_step": 320}, {"success_step": 320}]
    labelled = [("constant", r) for r in CURVE] + [("table", row("phase:4,2", 2.9, 0.8)), ("ours", learned)]
    labelled.append(("constant", row("constant:1", 1.0, 1.0, "insertion")))
    figure = pareto_figure(labelled, paper=True)
    tea, insertion = figure.axes
    assert (tea.get_title("left"), insertion.get_title("left")) == ("tea bag", "insertion")
    assert {"constant", "table\n2.90×, 80.0 %", "ours\n3.20×, 91.0 %"} <= set(texts(tea))
    assert "SpeedTuning\n2.99×, 74.2 %" in texts(tea) and "SpeedTuning\n2.42×, 62.2 %" in texts(insertion)
    curve = next(line for line in tea.lines if len(line.get_xdata()) == 3)
    assert list(curve.get_ydata()) == [1.0, 0.5, 0.0]
    spread = next(line for line in tea.lines if line.get_linewidth() == 5)
    assert list(spread.get_xdata()) == [3.2, 3.2]  # of the one episode that succeeded
    assert "acceleration" in tea.get_xlabel() and "Wilson" in tea.get_ylabel()


def test_a_speed_at_which_nothing_succeeds_stays_in_the_picture() -> None:
    axes = pareto_figure([("constant", r) for r in CURVE]).axes[0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow] == [(3.9, 0.0)]
    axes = pareto_figure([("constant", r) for r in CURVE], "realised_speed_mean").axes[0]
    assert "realised speed" in axes.get_xlabel()


def test_labels_of_curves_do_not_overlap() -> None:
    labelled = [(name, row("constant:4", 3.0, 0.5)) for name in ("a", "b", "c")]
    places = [text.xy[1] for text in pareto_figure(labelled).axes[0].texts]
    assert places == pytest.approx([0.5, 0.44501, 0.39002])


def test_labels_of_points_neither_overlap_nor_cover_a_point() -> None:
    close = [("a", row("rainbow", 3.0, 0.9)), ("b", row("phase:3,2", 3.05, 0.9)), ("c", row("rainbow:x", 3.1, 0.88))]
    axes = pareto_figure([("slow", row("constant:1", 1.0, 1.0)), *close], paper=True).axes[0]
    extents = [text.get_window_extent() for text in axes.texts]
    assert len(extents) == 5  # the curve's, three points', the paper's
    assert not any(a.overlaps(b) for a, b in itertools.combinations(extents, 2))
    points = axes.transData.transform([(r["acceleration"], r["success_rate"]) for _, r in close])
    assert not any(extent.contains(*point) for extent in extents for point in points)


def test_results_are_read_from_sweeps_evaluations_and_studies(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"evaluations": CURVE}))
    (tmp_path / "one.json").write_text(json.dumps(row("rainbow:runs/x=1", 3.0, 0.9)))
    (tmp_path / "ablations.json").write_text(json.dumps({"ablations": [row("rainbow", 3.0, 0.8)]}))
    paths = [str(tmp_path), f"ours={tmp_path / 'one.json'}", str(tmp_path / "ablations.json")]
    labels = [label for label, _ in read_labelled(paths)]
    assert labels == ["ACT, constant speed"] * 3 + ["ours", "ACT, learned speed"]


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    for given, file in (("nowhere", "sweep.json"), ("nowhere.json", "nowhere.json")):
        with pytest.raises(DataError, match=f"{given}: expected results of `speedtune eval`.*, no {file} there"):
            read_rows(tmp_path / given)
    (tmp_path / "a.json").write_text('{"task": "tea_bag"}')
    with pytest.raises(DataError, match="evaluations with acceleration, policy, speed"):
        read_rows(tmp_path / "a.json")


def test_the_command_draws_what_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"evaluations": CURVE}))
    out = tmp_path / "figures" / "pareto.svg"
    assert speedtune(["plot", "pareto", f"baseline={tmp_path}", "--paper", "--out", str(out)]) == 0
    assert f"baseline\nwritten to {out}" in capsys.readouterr().out
    assert out.read_text().startswith("<?xml")


def test_a_speed_without_success_is_never_left_of_slower_ones() -> None:
    rows = [row("constant:3", 2.7, 0.9), row("constant:4", None, 0.0, realised_speed_mean=2.2)]
    axes = pareto_figure([("ACT", each) for each in rows]).axes[0]
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 2)
    assert list(curve.get_xdata()) == [2.7, 2.7]
