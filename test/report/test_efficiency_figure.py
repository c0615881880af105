from __future__ import annotations

import numpy as np

from speedtune_ros.report.efficiency_figure import efficiency_figure


def row(decisions: int, success: float, acceleration: float | None) -> dict[str, float | None]:
    return {"decisions": decisions, "success_rate": success, "acceleration": acceleration}


def test_a_dot_for_each_seed_and_a_line_through_their_means() -> None:
    rows = [row(2_000, 0.5, 2.0), row(2_000, 0.7, None), row(5_000, 0.9, 3.0), row(5_000, 0.8, 4.0)]
    success, acceleration = efficiency_figure(rows).axes
    dots, line = success.lines
    np.testing.assert_allclose(dots.get_ydata(), [0.5, 0.7, 0.9, 0.8])
    np.testing.assert_allclose(line.get_xydata(), [[2_000, 0.6], [5_000, 0.85]])
    assert [label.get_text() for label in success.get_xticklabels()] == ["2k", "5k"]
    # Where nothing succeeded there is no acceleration, rather than one of 0.
    np.testing.assert_allclose(acceleration.lines[1].get_xydata(), [[2_000, 2.0], [5_000, 3.5]])


def test_nothing_yet_is_drawn_as_nothing() -> None:
    assert len(efficiency_figure([]).axes) == 2
