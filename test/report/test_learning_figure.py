"""Learning curves from a log."""

from __future__ import annotations

from speedtune_ros.report.learning_figure import learning_figure


def test_each_panel_has_its_values_and_gaps_where_there_are_none() -> None:
    keys = ("decisions", "evaluated", "success_rate", "acceleration", "training_return", "loss")
    rows = [dict(zip(keys, values)) for values in ((100, 10, 0.0, None, 5.0, None), (200, 10, 1.0, 3.5, 90.0, 2.0))]
    figure = learning_figure(rows, "tea_bag, act")
    lines = [axes.lines[0].get_ydata() for axes in figure.axes]
    assert [list(line)[1] for line in lines] == [1.0, 3.5, 90.0, 2.0]
    assert list(lines[1])[0] != list(lines[1])[0]  # NaN
    assert "tea_bag, act" in figure.axes[0].get_title(loc="left")
