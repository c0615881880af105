"""Replay in one process: today's stages give a lock-step bag's commands, and other settings give others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.inspection.comparison import compare
from speedtune_ros.inspection.replay import make_stages, replay
from speedtune_ros.inspection.replay_config import WhatIf, replay_config

pytestmark = pytest.mark.ros
AS_RECORDED = WhatIf()


def replayed(bag: Bag, number: int = 0, what_if: WhatIf = AS_RECORDED, free: bool = False):
    series = series_of_bag(bag)[number]
    config = replay_config(bag, series, what_if)
    found = replay(series, config, make_stages(config), free)
    return compare(series, found.series, found.notes), found


@pytest.mark.parametrize("free", [False, True], ids=["anchored", "free"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_lockstep_bag_gives_the_recorded_commands(lockstep_bag: Path, number: int, free: bool) -> None:
    """Bag-to-live parity: images, chunks, speeds, trajectories and guarded commands."""
    comparison, found = replayed(Bag(lockstep_bag), number, free=free)
    assert found.notes == {} and len(comparison.pairs) >= 8
    assert len(comparison.command_rad) == len(series_of_bag(Bag(lockstep_bag))[number].ticks) >= 90
    assert comparison.command_rad.max() < 1e-6
    assert max(pair.chunk_rad for pair in comparison.pairs) < 1e-6
    assert not any(pair.differs for pair in comparison.pairs)


def test_the_comparison_notices_a_single_wrong_command(lockstep_bag: Path) -> None:
    series = series_of_bag(Bag(lockstep_bag))[0]
    config = replay_config(Bag(lockstep_bag), series)
    now = replay(series, config, make_stages(config)).series
    tick = now.ticks[40]
    now.ticks[40] = tick._replace(command=tick.command + np.eye(14)[3] * 1e-3)
    assert compare(series, now).command_rad[40] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("what_if", "limit", "sdot"),
    [
        (WhatIf(speed="constant:4"), "none", 4.0),
        (WhatIf(operator_limit=1.5), "operator", 1.5),
        (WhatIf(speed="constant:8", latency=0.4), "latency", None),
        (WhatIf(speed="constant:6", max_velocity=1.0), "firmware", None),
        (WhatIf(speed="constant:2", settings={"scheduler": {"operator_limit": 100.0}}), "none", 2.0),
    ],
)
def test_what_if_names_the_limit_that_would_bind(
    lockstep_bag: Path, what_if: WhatIf, limit: str, sdot: float | None
) -> None:
    comparison, _ = replayed(Bag(lockstep_bag), 0, what_if)
    limits = comparison.figures()["limits_now"]
    assert limits[limit] >= 0.6 * len(comparison.pairs), limits
    if sdot is not None:
        assert comparison.figures()["mean_sdot_now"] == pytest.approx(sdot, rel=0.05)
    assert comparison.figures()["limits_recorded"]["none"] == len(comparison.pairs)


def test_other_settings_change_what_is_commanded(lockstep_bag: Path) -> None:
    same, _ = replayed(Bag(lockstep_bag), 0, WhatIf(speed="constant:2"))
    ensemble, _ = replayed(Bag(lockstep_bag), 0, WhatIf(settings={"scheduler": {"ensemble": True}}))
    assert same.command_rad.max() < 1e-6 < ensemble.command_rad.max()
    expert, _ = replayed(Bag(lockstep_bag), 0, WhatIf(policy="expert"))
    assert expert.figures()["chunk_rad"]["p50"] > 1e-4


def test_the_command_writes_figures_and_a_page(
    lockstep_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "a.json"), "--out", str(tmp_path / "a.html")]
    assert speedtune(["bag", "replay", str(lockstep_bag), "--episode", "2", *files]) == 0
    out = capsys.readouterr().out
    assert "the checkpoint it was recorded with" in out and "speed constant:3" in out
    figures = json.loads((tmp_path / "a.json").read_text())
    (episode,) = figures["episodes"]
    assert episode["same_speed"] == episode["compared"] == len(episode["pairs"])
    assert max(episode["command_rad_samples"]) < 1e-6
    assert "<svg" in (tmp_path / "a.html").read_text()


def test_a_cut_bag_is_replayed_as_far_as_it_goes(lockstep_bag: Path, tmp_path: Path) -> None:
    shutil.copytree(lockstep_bag, tmp_path / "cut")
    file = tmp_path / "cut" / "bag.mcap"
    file.write_bytes(file.read_bytes()[: round(0.6 * file.stat().st_size)])
    bag = Bag(tmp_path / "cut")
    assert bag.loss
    comparison, _ = replayed(bag)
    assert len(comparison.command_rad) > 50 and comparison.command_rad.max() < 1e-6


def test_what_cannot_be_replayed_is_refused(lockstep_bag: Path) -> None:
    bag = Bag(lockstep_bag)
    series = series_of_bag(bag, images=False)[0]
    config = replay_config(bag, series)
    with pytest.raises(DataError, match="no images of camera 'top', which act sees; it has none"):
        replay(series, config, make_stages(config))
    with pytest.raises(ConfigError, match="--set: expected scheduler.KEY=VALUE"):
        speedtune(["bag", "replay", str(lockstep_bag), "--set", "speed=3"])
