"""`speedtune up` supervises real processes: starts, prefixes, stops all, says who died."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from speedtune_ros import cli, graph
from speedtune_ros.config import read_parameters
from speedtune_ros.errors import ConfigError, MissingDependencyError, UnknownNameError
from speedtune_ros.share import share_path

STAYS = "import time; print('ready', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('bye')"
SUPERVISE = (
    "import json, sys; from speedtune_ros.commands.up import supervise; sys.exit(supervise(json.loads(sys.argv[1])))"
)


def supervise(**codes: str) -> subprocess.Popen[str]:
    """`supervise` in a process of its own."""
    commands = {name: [sys.executable, "-c", code] for name, code in codes.items()}
    words = [sys.executable, "-c", SUPERVISE, json.dumps(commands)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], *wanted: str) -> None:
    """Read stdout until every wanted line has come."""
    missing = set(wanted)
    assert process.stdout is not None
    while missing:
        line = process.stdout.readline()
        assert line, f"ended before {missing}: {process.communicate()[1]}"
        missing.discard(line.rstrip("\n"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_cleanly(number: signal.Signals) -> None:
    process = supervise(one=STAYS, two=STAYS)
    read_until(process, "[one] ready", "[two] ready")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert sorted(out.splitlines()) == ["[one] bye", "[two] bye"]
    started, stopping = err.splitlines()
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    assert started == f"speedtune up: started one, two in ROS domain {domain}; Ctrl-C stops them"
    assert stopping == "speedtune up: stopping 2 processes"


def test_one_that_dies_ends_the_others_and_is_named() -> None:
    process = supervise(stays=STAYS, dies="import time; time.sleep(1); raise SystemExit(7)")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "[stays] bye" in out
    assert "speedtune up: dies ended with status 7; stopping the others" in err


def test_even_a_clean_early_end_is_a_failure() -> None:
    process = supervise(stays=STAYS, leaves="")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "leaves ended with status 0; stopping the others" in err


def test_the_shared_memory_profile_is_set_unless_the_user_chose() -> None:
    show = f"import os; print(os.environ['{graph.FASTDDS_VARIABLE}'])"
    out, _ = supervise(node=show).communicate(timeout=60)
    assert Path(out.split("[node] ")[1].strip()).name == "fastdds.xml"
    # Under whichever of its two names the user has chosen one, every Fast DDS reads it.
    mine = {graph.FASTDDS_3_VARIABLE: "mine.xml"}
    assert graph.environment(mine) == {graph.FASTDDS_VARIABLE: "mine.xml"}
    assert graph.environment({**mine, graph.FASTDDS_VARIABLE: "other.xml"}) == {}


def test_dry_run_prints_commands_that_parse(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dry-run", "--speed", "2", "--policy", "expert", "-p", "retimer.scheduler.k_skip:=5"]
    assert cli.run(["up", *arguments]) == 0
    lines = {line.split()[0].rpartition("/")[2]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"sim", "retimer", "speed_policy", "task_policy", "episode"}
    assert """-p 'speed:="2"'""" in lines["speed_policy"]
    assert "-p scheduler.k_skip:=5" in lines["retimer"]
    assert "-r __node:=sim" in lines["sim"]
    assert "-p lockstep:=false" in lines["sim"]


def test_bringup_and_enclaves_reach_the_command_lines(capsys: pytest.CaptureFixture[str]) -> None:
    real = "--robot real --policy rehearsal --cameras top --bringup all --enclave /speedtune"
    assert cli.run(["up", "--dry-run", *real.split()]) == 0
    first, second, third, driver, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("ros2 launch interbotix_xsarm_control xsarm_control.launch.py robot_model:=vx300s")
    assert "robot_name:=follower_right" in second
    assert third.startswith("ros2 launch realsense2_camera rs_launch.py camera_namespace:=cam_high")
    assert "--enclave /speedtune/arm_driver" in driver


def test_bringup_without_ros2_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="follower_left, follower_right start by `ros2 launch`"):
        cli.run(["up", "--robot", "real", "--policy", "rehearsal", "--cameras", "none", "--bringup", "arms"])


def test_the_example_in_the_help_names_a_parameter_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.run(["up", "--help"])
    example = re.search(r"as in (\w+)\.([\w.]+):=", " ".join(capsys.readouterr().out.split()))
    assert example is not None
    node, name = example.groups()
    value: Any = read_parameters(share_path(f"config/{node}.yaml"), node)
    for part in name.split("."):
        value = value[part]


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("retimer.k_skip=5", ConfigError, "--param: expected NODE.PARAM:=VALUE, got 'retimer.k_skip=5'"),
        ("retmer.k_skip:=5", UnknownNameError, "unknown node 'retmer'; .*Did you mean 'retimer'"),
    ],
)
def test_a_bad_parameter_setting_is_refused(setting: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cli.run(["up", "--dry-run", "-p", setting])


def wait_for_nodes(domain: int, wanted: set[str], process: subprocess.Popen[str], seconds: float = 120.0) -> None:
    """Wait until all of `wanted` are in the ROS graph of `domain`."""
    rclpy = pytest.importorskip("rclpy")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    watcher = rclpy.create_node("watcher", context=context)
    deadline = time.monotonic() + seconds
    try:
        while not wanted <= (found := set(watcher.get_node_names())):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"still missing: {wanted - found}"
            time.sleep(0.1)
    finally:
        watcher.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.ros
def test_the_real_graph_starts_and_stops(tmp_path: Path) -> None:
    pytest.importorskip("speedtune_msgs")
    domain = os.getpid() % 100 + 1
    words = [sys.executable, "-m", "speedtune_ros.cli", "up", "--policy", "expert", "--cameras", "none", "--lockstep"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(tmp_path)}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        wait_for_nodes(domain, {"sim", "retimer", "speed_policy", "task_policy", "episode"}, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, out + err
    assert "Traceback" not in out + err


def children(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """The node processes of `speedtune up` by their executables' names."""
    found = [c for c in psutil.Process(process.pid).children() if c.status() != psutil.STATUS_ZOMBIE]
    words = {child: [word for word in child.cmdline() if "/lib/speedtune_ros/" in word] for child in found}
    return {Path(named[0]).name: child for child, named in words.items() if named}  # not those still to be executed


@pytest.mark.ros
def test_a_policy_that_is_killed_starts_again_and_the_end_of_the_retimer_ends_all(tmp_path: Path) -> None:
    pytest.importorskip("speedtune_msgs")
    domain = os.getpid() % 100 + 101
    words = [sys.executable, "-m", "speedtune_ros.cli", "up", "--policy", "expert", "--cameras", "none"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(tmp_path)}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    nodes = {"sim", "retimer", "speed_policy", "task_policy", "episode"}
    try:
        wait_for_nodes(domain, nodes, process)
        before = children(process)
        before["task_policy"].kill()
        deadline = time.monotonic() + 60.0
        while children(process).get("task_policy") in (None, before["task_policy"]):
            assert time.monotonic() < deadline, "it did not start again"
            time.sleep(0.1)
        assert {name: before[name] for name in nodes - {"task_policy"}} == {
            name: child for name, child in children(process).items() if name != "task_policy"
        }
        before["retimer"].kill()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "task_policy was killed by SIGKILL; it starts again in 1 s" in err
    assert "retimer was killed by SIGKILL; stopping the others" in err
