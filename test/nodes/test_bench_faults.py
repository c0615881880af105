"""The fault matrix on the real graph: three faults always, all of them on a machine with time."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("speedtune_msgs", reason="speedtune_msgs is not built: run `make setup`")
pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.evaluation import bench_faults
from speedtune_ros.evaluation.fault_matrix import FAULTS

QUICK = ("overload follower_right", "kill retimer", "operator stop")


def parsed(*typed: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    bench_faults.configure(parser)
    return parser.parse_args(typed)


def test_refusals():
    with pytest.raises(ConfigError, match="--repeat: expected at least 1, got 0"):
        bench_faults.run(parsed("--repeat", "0"))
    with pytest.raises(UnknownNameError, match="unknown fault 'earthquake'"):
        bench_faults.run(parsed("--only", "earthquake"))


def run(domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> list[dict]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    path = tmp_path / "faults.json"
    only = [word for name in names for word in ("--only", name)]
    result = bench_faults.run(parsed("--json", str(path), "--bags", str(tmp_path / "bags"), *only))
    assert json.loads(path.read_text())["faults"] == result["faults"]
    return result["faults"]


@pytest.mark.ros
def test_three_faults(unhurried, domain, tmp_path, monkeypatch):
    """What happens, not how soon: other work on this machine must not fail it."""
    rows = run(domain, tmp_path, monkeypatch, QUICK)
    assert [row["fault"] for row in rows] == list(QUICK)
    for row, fault in zip(rows, (fault for name in QUICK for fault in FAULTS if fault.name == name)):
        assert row["ends"].startswith(fault.expected.ends) and fault.expected.says in row["observed"], row
        assert row["resumed"], row
        assert row["hold_ms"] is not None and row["hold_ms"] < 10_000.0
        assert Bag(row["bag"]).topics["/driver_status"].count > 0


@pytest.mark.ros
@pytest.mark.slow
def test_every_fault(unhurried, domain, tmp_path, monkeypatch):
    rows = run(domain, tmp_path, monkeypatch, ())
    assert len(rows) == len(FAULTS)
    assert [row for row in rows if not row["passed"]] == []
