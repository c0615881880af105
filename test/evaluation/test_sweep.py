from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.config import load
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.evaluate import evaluate
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.sweep import parse_speeds, sweep
from speedtune_ros.registry import CHECKPOINTS
from speedtune_ros.speed.shipped import ShippedSpeed, write_shipped


@pytest.mark.parametrize(
    ("text", "speeds"),
    [
        ("1.0:4.5:0.5", [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]),
        ("0.1:0.3:0.1", [0.1, 0.2, 0.3]),
        ("1:2:0.4", [1.0, 1.4, 1.8]),
        ("1,2.5,3", [1.0, 2.5, 3.0]),
        ("2", [2.0]),
    ],
)
def test_speeds_are_a_range_or_a_list(text: str, speeds: list[float]) -> None:
    assert parse_speeds(text) == speeds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fast", "expected numbers as 1.0:4.5:0.5 or 1,2,3, got 'fast'"),
        ("1:2", "expected first:last:step"),
        ("3:1:0.5", "last >= first"),
        ("1:2:0", "step above 0"),
        ("0,1", "finite numbers above 0"),
        ("1,nan", "finite numbers above 0"),
    ],
)
def test_bad_speeds_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_speeds(text)


def test_a_sweep_writes_a_table_a_picture_and_its_samples(tmp_path: Path) -> None:
    make = partial(EvaluationConfig, policy="expert")
    run = partial(evaluate, seeds=[100_000], slots=1)
    sweep(make, ["constant:1", "constant:3"], tmp_path, run)
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["speed"] for row in rows] == ["1", "3"]
    assert float(rows[0]["acceleration"]) == 1.0
    assert float(rows[1]["realised_speed_mean"]) > 2.5
    evaluations = json.loads((tmp_path / "sweep.json").read_text())["evaluations"]
    assert [len(evaluation["samples"]) for evaluation in evaluations] == [1, 1]
    assert (tmp_path / "sweep.png").read_bytes()[:4] == b"\x89PNG"
    # A second sweep over more speeds runs only what is new.
    ran: list[str] = []
    run = partial(run, progress=lambda label, s, n: s or ran.append(label))
    again = sweep(make, ["constant:1", "constant:2"], tmp_path, run)
    assert ran == ["constant:2"]
    assert again[0] == evaluations[0]


def test_the_commands_print_what_they_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--policy", "expert", "--episodes", "1", "--workers", "1", "--slots", "1", "--no-baselines"]
    files = ["--json", str(tmp_path / "a.json"), "--report", str(tmp_path / "a.html")]
    assert speedtune(["eval", *common, "--speed", "constant:3", *files]) == 0
    text = capsys.readouterr().out
    assert "transfer_cube, expert, act dynamics, linear constant:3, seeds 100000 to 100000" in text
    assert "Wilson 95 %" in text
    assert json.loads((tmp_path / "a.json").read_text())["acceleration"] is None
    assert "data:video/mp4;base64," in (tmp_path / "a.html").read_text()
    assert speedtune(["sweep", *common, "--speeds", "3", "--out", str(tmp_path / "sweep")]) == 0
    assert "sweep.csv, sweep.json, sweep.png" in capsys.readouterr().out


def test_the_paper_protocol_has_36_speeds() -> None:
    assert parse_speeds("1.0:4.5:0.1")[::35] == [1.0, 4.5]
    assert len(parse_speeds("1.0:4.5:0.1")) == 36


def test_phase_tables_are_swept_and_one_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedtune_ros.registry.CHECKPOINTS", tmp_path / "shipped")
    common = ["--policy", "expert", "--episodes", "1", "--seed", "9000", "--workers", "1", "--slots", "1"]
    common += ["--baselines", str(tmp_path / "baselines")]
    grid = ["--fast", "2,3", "--slow", "1.5", "--holding", "2", "--ship"]
    assert speedtune(["sweep", *common, *grid, "--out", str(tmp_path / "tables")]) == 0
    names = [row["speed"] for row in json.loads((tmp_path / "tables" / "sweep.json").read_text())["evaluations"]]
    assert names == ["phase:2,1.5,holding=2", "phase:3,1.5,holding=2"]
    # The fastest that still succeeds; `--speed phase` is that table now, for this task policy only.
    file = tmp_path / "a.json"
    assert speedtune(["eval", *common, "--speed", "phase", "--json", str(file)]) == 0
    faster = json.loads((tmp_path / "tables" / "phase-3,1.5,holding=2.json").read_text())
    assert json.loads(file.read_text())["acceleration"] == faster["acceleration"] > 1.5
    assert speedtune(["sweep", *common, "--speeds", "2,2.5", "--ship", "--out", str(tmp_path / "constant")]) == 0
    shipped = load(ShippedSpeed, tmp_path / "shipped" / "transfer_cube" / "act" / "expert" / "constant.yaml")
    assert (shipped.argument, shipped.success_rate, shipped.first_seed) == ("2.5", 1.0, 9_000)
    with pytest.raises(ConfigError, match="none is shipped for 'expert' on task 'insertion', profile 'act'"):
        speedtune(["eval", *common, "--task", "insertion", "--speed", "phase", "--json", str(file)])


def test_tolerances_of_a_learned_speed_are_swept_and_one_is_shipped(tmp_path: Path, monkeypatch) -> None:
    learned = CHECKPOINTS / "tea_bag" / "act" / "expert" / "rainbow"
    shipped = tmp_path / "shipped" / "tea_bag" / "act" / "expert"
    shutil.copytree(learned, shipped / "rainbow")
    monkeypatch.setattr("speedtune_ros.registry.CHECKPOINTS", tmp_path / "shipped")
    common = ["--task", "tea_bag", "--policy", "expert", "--episodes", "1", "--seed", "9000", "--workers", "1"]
    common += ["--slots", "1", "--baselines", str(tmp_path / "baselines")]
    assert speedtune(["sweep", *common, "--tolerances", "0,0.5", "--ship", "--out", str(tmp_path / "own")]) == 0
    rows = json.loads((tmp_path / "own" / "sweep.json").read_text())["evaluations"]
    assert [row["speed"] for row in rows] == ["rainbow:tolerance=0", "rainbow:tolerance=0.5"]
    chosen = load(ShippedSpeed, shipped / "rainbow.yaml")
    best = max(rows, key=lambda row: row["acceleration"])
    assert (f"rainbow:{chosen.argument}", chosen.acceleration) == (best["speed"], best["acceleration"])
    # `rainbow` is that one now, and its samples are not those of another tolerance.
    file = tmp_path / "a.json"
    assert speedtune(["eval", *common, "--speed", "rainbow", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["acceleration"] == best["acceleration"]
    write_shipped(shipped, "rainbow", ShippedSpeed("tolerance=2"))
    with pytest.raises(ConfigError, match="holds another evaluation"):
        speedtune(["eval", *common, "--speed", "rainbow", "--json", str(file)])
    # One that is not shipped is swept by its folder.
    other = ["--tolerances", "1", "--learned", str(learned), "--out", str(tmp_path / "other")]
    assert speedtune(["sweep", *common, *other]) == 0
    (row,) = json.loads((tmp_path / "other" / "sweep.json").read_text())["evaluations"]
    assert row["speed"] == f"rainbow:{learned},tolerance=1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tolerances", "0,inf"], "tolerances: expected finite numbers, got '0,inf'"),
        (["--tolerances", "1", "--speeds", "2"], "expected neither --speeds nor --fast"),
        (["--tolerances", "1", "--learned", "runs/a", "--ship"], "no --ship, which is for the shipped policy"),
        (["--learned", "runs/a"], "expected --tolerances with it"),
        (["--keep", "0"], "--keep: expected a share above 0 and at most 1, got 0.0"),
        (["--slow", "2"], "expected --fast as well"),
        (["--fast", "2"], "expected --fast and --slow"),
        (["--fast", "2", "--slow", "2"], "expected a slow speed below a fast one"),
        (["--fast", "2", "--slow", "1", "--ship", "--no-baselines"], "leave --no-baselines out"),
    ],
)
def test_bad_phase_grids_are_refused(options: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        speedtune(["sweep", "--policy", "expert", *options])


def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    """kill -9 in the middle, workers and all; what was done is kept, and the same command gives the same figures."""
    command = [sys.executable, "-m", "speedtune_ros.cli", "sweep", "--policy", "expert", "--speeds", "3,4"]
    command += ["--episodes", "6", "--workers", "2", "--slots", "1", "--no-baselines", "--out"]
    folder = tmp_path / "killed"
    process = subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples = folder / "constant-3.jsonl"
    deadline = time.monotonic() + 120
    while not (samples.exists() and samples.read_text().count("\n") > 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.wait()
    done = [json.loads(line)["seed"] for line in samples.read_text().splitlines()[1:] if line.endswith("}")]
    assert 2 <= len(done) < 6
    while any(running(child) for child in children):  # nobody computes for a dead sweep
        assert time.monotonic() < deadline
        time.sleep(0.02)
    subprocess.run([*command, str(folder)], check=True, capture_output=True)
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    resumed, whole = ((tmp_path / name / "sweep.json").read_text() for name in ("killed", "whole"))
    assert json.loads(resumed) == json.loads(whole)
    kept = [json.loads(line)["seed"] for line in samples.read_text().splitlines()[1:]]
    assert kept[: len(done)] == done and sorted(kept) == list(range(100_000, 100_006))


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
