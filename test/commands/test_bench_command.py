"""`speedtune bench`: figures printed, everything written, with the machine they were measured on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speedtune_ros.commands import bench
from speedtune_ros.errors import ConfigError

RESULT = {
    "floor": "nothing at all",
    "peer": "NumPy's own",
    "ms": {"p50": 1.23456, "p99": np.float64(2.0)},
    "samples": np.array([1.0, 2.0, 3.0]),
    "long": list(range(20)),
}


def arguments(result: dict[str, Any], path: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(bench="thing", json=path, measure=lambda _: result)


def test_the_table_leaves_samples_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(arguments(RESULT)) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert {key.strip(): text.strip() for key, text in rows.items()} == {
        "floor": "nothing at all",
        "peer": "NumPy's own",
        "ms.p50": "1.235",
        "ms.p99": "2",
        "long": "20 values",
    }


def test_the_file_keeps_samples_and_names_the_machine(tmp_path: Path) -> None:
    bench.run(arguments(RESULT, tmp_path / "a.json"))
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["samples"] == [1.0, 2.0, 3.0]
    assert written["bench"] == "thing"
    assert written["machine"]["cores"] >= 1


def test_a_bench_without_floor_or_peer_is_refused() -> None:
    with pytest.raises(ConfigError, match="bench thing: its result lacks floor, samples"):
        bench.run(arguments({"peer": "somebody"}))


def test_a_missing_folder_is_refused_before_measuring(tmp_path: Path) -> None:
    def never(_: object) -> dict[str, Any]:
        raise AssertionError("measured")

    with pytest.raises(ConfigError, match="--json: no such folder"):
        bench.run(argparse.Namespace(bench="thing", json=tmp_path / "none" / "a.json", measure=never))


def test_every_bench_takes_json() -> None:
    parser = argparse.ArgumentParser()
    bench.configure(parser)
    for name in bench.bench_names():
        assert parser.parse_args([name, "--json", "a.json"]).json == Path("a.json")
