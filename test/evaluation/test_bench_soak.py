"""The soak: its refusal, and a short run of the whole."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("speedtune_msgs", reason="speedtune_msgs is not built: run `make setup`")
pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation import bench_soak


def arguments(minutes: float, path: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(minutes=minutes, speed=2.0, frames=None, json=path)


def test_no_time_is_refused():
    with pytest.raises(ConfigError, match="--minutes: expected above 0, got 0"):
        bench_soak.run(arguments(0.0))


@pytest.mark.ros
@pytest.mark.slow
def test_a_short_run(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "99")
    result = bench_soak.run(arguments(0.1, tmp_path / "soak.json"))
    assert result["episodes"] >= 1 and 0.0 <= result["missed_tick_fraction"] <= 1.0
    assert set(result["memory_growth"]) >= {"arm_driver", "retimer", "task_policy", "camera_top"}
    assert all(hold["duration_s"] >= 0.0 for hold in result["holds"])
    written = json.loads((tmp_path / "soak.json").read_text())
    assert written["episodes"] == result["episodes"]
