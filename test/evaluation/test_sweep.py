from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.evaluation.evaluate import EvaluationConfig
from speedtune_ros.evaluation.sweep import parse_speeds, sweep


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
    sweep(make, [1.0, 3.0], [100_000], tmp_path, slots=1)
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
    again = sweep(make, [1.0, 2.0], [100_000], tmp_path, slots=1, progress=lambda label, s, n: s or ran.append(label))
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


def test_sweeps_are_drawn_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"realised_speed_mean": 1.0, "success_rate": 1.0, "wilson_low": 0.9, "wilson_high": 1.0}
    row |= {"policy": "act", "retimer": "linear", "dynamics": "act"}
    (tmp_path / "sweep.json").write_text(json.dumps({"evaluations": [row]}))
    out = tmp_path / "both.svg"
    assert speedtune(["plot", str(tmp_path), f"again={tmp_path}", "--out", str(out)]) == 0
    assert "act, linear, act dynamics, again" in capsys.readouterr().out
    assert "again" in out.read_text()
    with pytest.raises(DataError, match="nowhere/sweep.json: expected what `speedtune sweep` writes"):
        speedtune(["plot", str(tmp_path / "nowhere")])
