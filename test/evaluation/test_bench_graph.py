"""The graph's bench: its figures from messages made by hand, and a short run of the whole."""

from __future__ import annotations

import argparse
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("speedtune_msgs", reason="speedtune_msgs is not built: run `make setup`")

from rclpy.serialization import serialize_message

from speedtune_msgs.msg import ActionChunk, DriverStatus
from speedtune_ros.aloha import CAMERAS
from speedtune_ros.evaluation import bench_graph
from speedtune_ros.nodes.conversions import joints_to_message, to_stamp
from speedtune_ros.nodes.graph_monitor import Heard

TICK_NS = 20_000_000


def heard_by_hand() -> Heard:
    """Tick n is observed at n*20 ms and commanded 1 ms later; request 1 is of tick 10 and plays from tick 12 on."""
    heard = Heard()
    for n in range(1, 15):
        stamp, start = n * TICK_NS, n * TICK_NS + 7
        heard.messages["joint_states"].append((start, serialize_message(joints_to_message(stamp, np.zeros(14)))))
        heard.messages["command"].append((start + 10**6, serialize_message(joints_to_message(stamp, np.zeros(14)))))
        status = DriverStatus(episode_id="e", trajectory=int(n >= 12))
        status.header.stamp = to_stamp(stamp)
        heard.messages["driver_status"].append((start, serialize_message(status)))
    for sequence, tick in ((0, 1), (1, 10), (2, 14)):
        chunk = ActionChunk(episode_id="e", sequence=sequence, inference_latency=0.015)
        chunk.header.stamp = to_stamp(tick * TICK_NS)
        heard.messages["action_chunk"].append((0, serialize_message(chunk)))
    return heard


def test_observation_to_command_leaves_the_inference_out():
    """Tick 10 to the command of tick 12: 40 + 1 - 15 ms. Request 0 is not told from rest, request 2 was not played."""
    assert bench_graph.observation_to_command(heard_by_hand()) == pytest.approx([26.0])


def test_floor_is_measured_at_the_control_rate():
    begun = time.monotonic()
    lateness = bench_graph.floor_lateness(0.2)
    assert len(lateness) == 10 and min(lateness) >= 0.0
    assert time.monotonic() - begun == pytest.approx(0.2, abs=0.15)


def test_recorded_frames(tmp_path):
    folder = bench_graph.record_frames(tmp_path / "frames")
    assert sorted(path.name for path in folder.iterdir()) == sorted(CAMERAS)
    assert all(len(list((folder / name).glob("*.jpg"))) == 12 for name in CAMERAS)


@pytest.mark.ros
@pytest.mark.slow
def test_the_whole(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")
    result = bench_graph.run(argparse.Namespace(seconds=3.0, speed=3.0, frames=None))
    assert 0.0 < result["frames_delivered_fraction"] <= 1.0
    assert 0.0 <= result["missed_tick_fraction"] <= 1.0
    assert result["observation_to_command_ms_p50"] >= 19.0
    assert set(result["cpu_cores_by_process"]) >= {"sim", "retimer", "task_policy", "camera_top"}
    assert len(result["samples"]["tick_lateness_ms"]) >= 50
