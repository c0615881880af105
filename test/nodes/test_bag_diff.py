"""`speedtune bag diff` on a real bag: the same scene at 2x and 3x."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import DataError
from speedtune_ros.inspection.difference import difference

pytestmark = pytest.mark.ros


def test_runs_are_aligned_by_progress_not_by_time(lockstep_bag: Path) -> None:
    slow, fast = series_of_bag(Bag(lockstep_bag), images=False)
    found = difference(slow, fast)
    assert len(found.progress) > 30
    middle = slice(5, 25)
    ratio = found.a.times[middle] / found.b.times[middle]
    assert 1.3 < np.median(ratio) < 1.6  # 3x against 2x
    assert found.a.speeds[15] == pytest.approx(2.0) and found.b.speeds[15] == pytest.approx(3.0)
    assert np.median(found.command_rad) < 0.1  # the same motion, though at other times
    by_time = [np.abs(a.command - b.command).max() for a, b in zip(slow.ticks, fast.ticks)]
    assert np.median(found.command_rad) < 0.5 * np.median(by_time)


def test_a_run_against_itself_has_no_difference(lockstep_bag: Path) -> None:
    series = series_of_bag(Bag(lockstep_bag), images=False)[0]
    found = difference(series, series)
    assert not found.command_rad.any() and not found.reached_rad.any() and found.diverged_at is None
    moved = [tick._replace(command=tick.command + 0.2 * (tick.progress > 2.0)) for tick in series.ticks]

    assert difference(series, dataclasses.replace(series, ticks=moved)).diverged_at == pytest.approx(2.1, abs=0.11)


def test_the_command_pairs_scenes_and_writes_a_page(
    lockstep_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "d.json"), "--out", str(tmp_path / "d.html")]
    assert speedtune(["bag", "diff", str(lockstep_bag), str(lockstep_bag), *files]) == 0
    text = capsys.readouterr().out
    assert "constant:2" in text and "constant:3" in text and "progress" in text
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["a"]["seed"] == found["b"]["seed"] == 9003
    assert len(found["progress_s"]) == len(found["command_rad"]) == len(found["a"]["bounds"])
    assert "<svg" in (tmp_path / "d.html").read_text()
    assert speedtune(["bag", "diff", str(lockstep_bag), str(lockstep_bag), "--episodes", "2", "2"]) == 0
    assert "never more than 0.05 rad" in capsys.readouterr().out
    with pytest.raises(DataError, match="no episode '9'"):
        speedtune(["bag", "diff", str(lockstep_bag), str(lockstep_bag), "--episodes", "9", "1"])
