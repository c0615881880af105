"""`speedtune bag why` on a real bag."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import DataError
from speedtune_ros.inspection.why import why

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def series(lockstep_bag: Path):
    return series_of_bag(Bag(lockstep_bag))


def test_every_stage_is_told(lockstep_bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speedtune(["bag", "why", str(lockstep_bag), "--episode", "1", "--at", "1.01", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["instant"]["episode_time_s"] == pytest.approx(1.0)
    assert found["chunk"]["sequence"] == 5 and found["chunk"]["policy"] == "act"
    assert found["chunk"]["observation_age_s"] == pytest.approx(0.0)
    assert found["chunk"]["top_age_then_s"] == pytest.approx(0.0)
    assert found["observation"] == {"joint_state_age_s": 0.0, "top_age_s": 0.0}
    assert found["speed"] == {"v": 2.0, "source": "constant:2", "choices": [2.0], "q_values": None}
    assert found["retiming"]["executed_sdot"] == 2.0 and found["retiming"]["bound_by"] == "none"
    assert found["driver"]["state"] == "tracking"
    assert found["driver"]["refused"] == {"in_episode": 0, "last_s": 0}
    assert found["command"]["command_minus_trajectory_rad"] == pytest.approx(0.0, abs=1e-9)
    assert len(found["command"]["joints"]) == 14
    assert 0.0 < found["command"]["worst_error_rad"] < 0.3
    assert speedtune(["bag", "why", str(lockstep_bag), "--episode", "2", "--at", "1.01"]) == 0
    text = capsys.readouterr().out
    assert "constant:3" in text and "left_waist" in text


def test_between_requests_ages_grow(series) -> None:
    tick = next(tick for tick in series[0].ticks if tick.stamp_ns == series[0].start_ns + 1_100_000_000)
    found = why(series[0], tick.times.log_ns)
    assert found["chunk"]["observation_age_s"] == pytest.approx(0.1)
    assert found["observation"]["top_age_s"] == pytest.approx(0.1)
    assert found["command"]["progress_s"] == pytest.approx(tick.progress)
    np.testing.assert_allclose([pair["command"] for pair in found["command"]["joints"].values()], tick.command)


def test_without_an_episode_time_counts_from_the_bag_s_start(
    lockstep_bag: Path, series, capsys: pytest.CaptureFixture[str]
) -> None:
    at = (series[1].ticks[30].times.log_ns - Bag(lockstep_bag).start_ns) * 1e-9
    assert speedtune(["bag", "why", str(lockstep_bag), "--at", f"{at + 1e-6:.9f}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["instant"]["episode"] == series[1].info.id
    assert found["instant"]["episode_time_s"] >= 0.6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "1e4"], "no episode runs then; .* episodes 1: "),
        (["--at", "99", "--episode", "1"], "expected 0 to .* s, the length of episode"),
        (["--at", "1", "--episode", "7"], r"no episode '7' in the bag; expected one of 1 \(transfer_cube-9003"),
    ],
)
def test_an_instant_outside_is_refused(lockstep_bag: Path, words: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        speedtune(["bag", "why", str(lockstep_bag), *words])
