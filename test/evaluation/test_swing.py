from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.evaluation.swing import measure, swing_angle
from speedtune_ros.report.swing_figure import swing_figure


def test_angles_are_from_straight_down() -> None:
    tag = np.zeros((3, 3))
    bag = np.array([[0.0, 0.0, -0.2], [0.0, 0.2, -0.2], [0.2, 0.0, 0.0]])
    np.testing.assert_allclose(swing_angle(tag, bag), np.deg2rad([0.0, 45.0, 90.0]))


def test_a_fast_carry_swings_the_bag_past_the_cup() -> None:
    (slow,), (fast,) = (list(measure(speed, [9_000])) for speed in (1.0, 4.5))
    assert slow.success and not fast.success
    assert fast.peak > 1.5 * slow.peak and fast.at_dip > 2.0 * slow.at_dip
    assert slow.aside < 0.02 < fast.aside  # [m]


def test_the_figure_shows_angle_distance_and_success(tmp_path: Path) -> None:
    carries = [
        {"seed": s, "speed": v, "peak": 0.2 * v, "at_dip": 0.1 * v, "aside": 0.01 * v, "success": v < 3}
        for v in (1.0, 4.0)
        for s in range(3)
    ]
    rows = [
        {"speed": v, "episodes": 3, "success_rate": float(v < 3), "wilson_low": 0.0, "wilson_high": 1.0}
        for v in (1.0, 4.0)
    ]
    angle, aside, success = swing_figure({"rows": rows, "carries": carries}).axes
    assert {"largest in the carry", "when the dip begins"} <= {text.get_text() for text in angle.texts}
    assert {"cup's wall", "bag clears the wall"} <= {text.get_text() for text in aside.texts}
    assert list(angle.lines[0].get_ydata()) == pytest.approx(np.rad2deg([0.2, 0.8]))
    assert list(success.lines[0].get_ydata()) == [1.0, 0.0]


@pytest.mark.slow
def test_the_command_measures_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "swing.png"
    assert speedtune(["plot", "swing", "--speeds", "1,4.5", "--episodes", "10", "--out", str(out)]) == 0
    slow, fast = json.loads(out.with_suffix(".json").read_text())["rows"]
    assert slow["success_rate"] >= 0.9 and fast["success_rate"] <= 0.3
    assert "carry at 4.5" in capsys.readouterr().out
