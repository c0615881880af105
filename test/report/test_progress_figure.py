from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.report.progress_figure import progress_figure, speeds_over_progress
from speedtune_ros.report.runs import Choice, Frame, ReportRun


def run(mode: str, speed: float, success: bool = True, **more: object) -> ReportRun:
    """Two seconds of demonstration at `speed`."""
    ticks = round(2.0 / speed / 0.02)
    times = 0.02 * np.arange(ticks)
    joints, ones = np.zeros((ticks, 14)), np.ones(ticks)
    values = (joints, joints, speed * times, speed * ones, speed * ones, ones)
    return ReportRun("Scene 1", mode, 1, success, 0.02 * ticks, "", times, *values, **more)  # type: ignore[arg-type]


def test_speed_is_averaged_where_in_the_task_it_was_not_when() -> None:
    places, speeds = speeds_over_progress([run("a", 1.0), run("a", 2.0)])
    np.testing.assert_allclose(np.diff(places), 0.05)
    both = np.isfinite(speeds).all(0)
    assert both.sum() > 30
    np.testing.assert_allclose(speeds[:, both].mean(0), 1.5)


def test_a_run_that_ended_early_does_not_count_beyond() -> None:
    short = run("a", 1.0)
    places, speeds = speeds_over_progress([short, run("a", 4.0)])
    assert np.isnan(speeds[0, places > short.progress[-1]]).all()


def test_frames_curves_and_values_are_drawn() -> None:
    frames = tuple(Frame(t, np.full((4, 6, 3), 40 * i, np.uint8)) for i, t in enumerate((0.0, 0.25, 0.49)))
    choices = tuple(Choice(p, 2.0, (1.0, 2.0, 4.0), (0.5, 1.0, 0.2)) for p in (0.0, 0.8, 1.6))
    runs = [run("constant:1", 1.0), run("rainbow", 4.0, frames=frames, choices=choices), run("rainbow", 2.0, False)]
    figure = progress_figure(runs, marks=(0.0, 0.5, 1.0))
    speed, *pictures, values, bar = figure.axes
    words = [text.get_text() for text in speed.texts]
    assert "constant:1: 1 of 1" in words and "rainbow: 1 of 2" in words
    assert [axes.get_title() for axes in pictures] == ["1: 0.0 s", "2: 1.0 s", "3: 1.9 s"]
    assert [axes.images[0].get_array()[0, 0, 0] for axes in pictures] == [0, 40, 80]
    assert [label.get_text() for label in values.get_yticklabels()] == ["1×", "2×", "4×"]
    lost = values.collections[0].get_array()
    assert np.nanmax(lost) == 0.0 and np.nanmin(lost) == pytest.approx(-0.8)
    assert "Q(v)" in bar.get_ylabel() and "progress" in values.get_xlabel()


def test_without_frames_or_values_the_curves_stand_alone() -> None:
    assert len(progress_figure([run("constant:2", 2.0)]).axes) == 1
