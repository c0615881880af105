from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.evaluation.demo import camera_argument
from speedtune_ros.evaluation.demo_speeds import choose_speeds, parse_specs, shared_needs
from speedtune_ros.evaluation.isolation import DOMAINS, isolation
from speedtune_ros.speed.shipped import ShippedSpeed, write_shipped
from speedtune_ros.tasks.task import TASKS


@pytest.mark.ros
def test_the_demonstration_runs_records_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    command = ["demo", "--policy", "expert", "--speeds", "1,3", "--episodes", "1", "--lockstep", "--out", str(folder)]
    assert speedtune(command) == 0
    text = capsys.readouterr().out
    assert "episode 2 of 2, seed 100000 at constant:3: success" in text
    table = [line.split() for line in text.splitlines() if line.startswith("constant:")]
    assert [line[:4] for line in table] == [["constant:1", "1", "of", "1"], ["constant:3", "1", "of", "1"]]
    assert [episode.success for episode in Bag(folder / "bag").episodes()] == [True, True]
    page = (folder / "index.html").read_text()
    assert page.count("data:video/mp4;base64,") == 2
    assert "Speed over progress" in page and "constant:3: 1 of 1" in page
    assert page.count("data:image/png;base64,") >= 6  # key frames


@pytest.mark.ros
def test_a_graph_that_fails_is_reported_and_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    card = {"task": "transfer_cube", "profile": "act", "policy": "act", "kind": "command", "horizon": 100, "dt": 0.02}
    card |= {"cameras": {"top": [96, 96]}, "normalisers": {}, "config": {}}
    (checkpoint / "checkpoint.json").write_text(json.dumps(card))  # and no weights
    command = ["demo", "--policy", str(checkpoint), "--episodes", "1", "--out", str(tmp_path / "demo")]
    assert speedtune(command) == 1
    error = capsys.readouterr().err
    assert re.search("the graph failed: (task|speed)_policy ended with status 2", error)
    assert str(checkpoint) in error  # the node's own words


def test_speeds_are_constant_ones_or_policies() -> None:
    assert parse_specs("1,2.5") == ("constant:1", "constant:2.5")
    assert parse_specs("constant:1 phase:3,1.5 rainbow") == ("constant:1", "phase:3,1.5", "rainbow")


def test_what_is_shipped_is_demonstrated_and_what_is_not_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedtune_ros.registry.CHECKPOINTS", tmp_path)
    speeds, words = choose_speeds("act", "tea_bag")
    assert speeds == ("constant:1", "constant:2", "constant:3")
    assert "No learned speed policy is shipped for 'act' on 'tea_bag'" in words
    folder = tmp_path / "tea_bag" / "act" / "act"
    write_shipped(folder, "constant", ShippedSpeed("2.5"))
    write_shipped(folder, "phase", ShippedSpeed("3,1.5"))
    assert choose_speeds("act", "tea_bag")[0] == ("constant:1", "constant:2.5", "phase")
    (folder / "rainbow").mkdir()
    speeds, words = choose_speeds("act", "tea_bag")
    assert speeds == ("constant:1", "constant:2.5", "rainbow")
    assert words == "Speeds: 1x, the best constant speed (constant:2.5), and the learned speed policy."
    assert choose_speeds("act", "tea_bag", latency=True)[0] == speeds
    (folder / "rainbow_latency").mkdir()
    assert choose_speeds("act", "tea_bag")[0] == speeds
    assert choose_speeds("act", "tea_bag", latency=True)[0] == ("constant:1", "constant:2.5", "rainbow:latency")


def test_the_best_constant_speed_alone_brings_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedtune_ros.registry.CHECKPOINTS", tmp_path)
    speeds = ("constant:1", "constant:2.5")
    assert shared_needs(speeds, "act", "tea_bag") == {}
    folder = tmp_path / "tea_bag" / "act" / "act"
    write_shipped(folder, "constant", ShippedSpeed("2.5", k_skip=15, ensemble=True))
    assert shared_needs(speeds, "act", "tea_bag") == {"k_skip": 15, "ensemble": True}
    # A learned one is heard first; two that want different graphs are refused.
    (folder / "rainbow").mkdir()
    (folder / "rainbow" / "checkpoint.json").write_text('{"k_skip": 15}')
    assert shared_needs((*speeds, "rainbow"), "act", "tea_bag") == {"k_skip": 15, "ensemble": False}
    write_shipped(folder, "phase", ShippedSpeed("3,1.5", k_skip=15, ensemble=True))
    with pytest.raises(ConfigError, match="got k_skip 15 and ensemble False, k_skip 15 and ensemble True"):
        shared_needs(("rainbow", "phase"), "act", "tea_bag")


@pytest.mark.parametrize("policy", ["act", "expert"])
@pytest.mark.parametrize("task", TASKS)
def test_every_shipped_task_policy_has_its_best_constant_speed(policy: str, task: str) -> None:
    assert shared_needs(("constant:1",), policy, task)


def test_the_policys_cameras_come_first_and_one_for_the_report() -> None:
    assert camera_argument("expert", "transfer_cube") == "angle:360x480"


def test_a_report_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        speedtune(["demo", "--out", str(tmp_path)])


def test_the_graph_keeps_to_itself_unless_told_otherwise() -> None:
    chosen = isolation({})
    assert int(chosen["ROS_DOMAIN_ID"]) in DOMAINS
    assert chosen["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_DOMAIN_ID" not in isolation({"ROS_DOMAIN_ID": "5"})
