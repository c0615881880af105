"""`speedtune train speed --live` and `speedtune sweep --live` on graphs of real processes, one killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from speedtune_ros.registry import companion, make_policy
from speedtune_ros.share import executable_path
from speedtune_ros.speed.checkpoint import load, read_speed_card

pytest.importorskip("torch")
pytestmark = pytest.mark.ros
LIVE = ("--live", "sim", "--lockstep", "--labels", "scripted")
SMALL = ("speeds=[2.0,4.0]", "guide.decisions=20", "agent.warm_up=15", "agent.batch=8", "agent.network.hidden=16")


def start(domain, out, *words):
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1"}
    command = [str(executable_path("speedtune")), *words, *LIVE, "--out", str(out)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, seconds=300.0):
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, said
    return said


def log(out):
    path = out / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_killed_learner_goes_on_with_the_episode_after_the_last_labelled_one(domain, tmp_path):
    out = tmp_path / "run"
    words = ("train", "speed", "--policy", "expert", "--set", *SMALL, "features.images=false")
    process = start(domain, out, *words, "live.episodes=50")
    deadline = time.monotonic() + 200.0
    while len(log(out)) < 2:
        assert process.poll() is None and time.monotonic() < deadline, "no two episodes"
        time.sleep(0.05)
    nodes = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in nodes):  # its graph ends with it
        assert time.monotonic() < deadline + 60.0, "processes were left behind"
        time.sleep(0.1)
    before = log(out)
    said = finish(start(domain, out, *words, f"live.episodes={len(before) + 2}", "--resume"))
    assert f"{len(before)} of them learned again" in said or f"{len(before) + 1} of them learned again" in said
    after = log(out)
    assert len(after) == len(before) + 2 and len({line["seed"] for line in after}) == len(after)
    for old, new in zip(before, after):
        assert {**old, "update_seconds": 0} == {**new, "update_seconds": 0}
    assert read_speed_card(out / "latest").training["learned_from"] == after[-1]["decisions"]


def test_one_that_sees_looks_before_it_learns(domain, act_checkpoint, tmp_path):
    settings = (*SMALL, "vision.samples=12", "vision.size=4", "live.episodes=1", "give_up=0.2")
    said = finish(
        start(domain, tmp_path / "run", "train", "speed", "--policy", str(act_checkpoint), "--set", *settings)
    )
    assert "looking: 12 of 12 observations" in said and "1 episodes" in said
    policy = load(tmp_path / "run" / "latest", companion(make_policy(str(act_checkpoint), "transfer_cube"), 10))
    assert set(policy.cameras) == {"top", "left_wrist"}


def test_a_live_sweep_from_the_command_line(domain, tmp_path):
    words = ("sweep", "--policy", "expert", "--speeds", "2", "--episodes", "1", "--seed", "9000")
    said = finish(start(domain, tmp_path / "sweep", *words))
    assert "constant:2, seed 9000: labelled 1" in said and (tmp_path / "sweep" / "sweep.png").is_file()
