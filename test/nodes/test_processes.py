"""Every executable: clean exits, one-line complaints about its configuration, and what it needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from speedtune_ros.share import share_path

pytestmark = pytest.mark.ros

BAD = {
    "sim: unknown key": (("sim", {"real_time_facto": 1.0}), "did you mean 'real_time_factor'?"),
    "sim: unknown task": (("sim", {"task": "juggle"}), "unknown task 'juggle'; available: "),
    "sim: camera size": (("sim", {"cameras": ["top:96"]}), "expected name or name:HEIGHTxWIDTH"),
    "sim: unknown camera": (("sim", {"cameras": ["ceiling:96x96"]}), "unknown camera 'ceiling'"),
    "retimer: nested key": (("retimer", {"scheduler__kskip": 5}), "did you mean 'k_skip'?"),
    "retimer: type": (("retimer", {"scheduler__k_skip": "often"}), "expected int, got str 'often'"),
    "retimer: range": (("retimer", {"scheduler__k_skip": 0}), "expected between 1 and 1000, got 0"),
    "retimer: choice": (("retimer", {"scheduler__inference": "later"}), "expected one of async, sync, got 'later'"),
    "speed_policy: speed": (("speed_policy", {"speed": "constant:-2"}), "expected a finite number above 0, got -2"),
    "task_policy: no such": (("task_policy", {"policy": "/nowhere"}), "unknown policy"),
    "arm_driver: no limits": (("arm_driver", {"profile": "act"}), "real arms need one that has, such as hardware"),
    "arm_driver: rate": (("arm_driver", {"backend": "mujoco", "rate_hz": 100.0}), "simulated arms take 50, got 100"),
    "camera: size": (("camera", {"width": 640}), "expected both width and height"),
    "episode: robot": (("episode", {"robot": "cat"}), "expected one of sim, real"),
}


def test_bad_parameters_end_with_2_and_one_line(graph):
    """All at once: starting Python is what takes time."""
    for label, ((node, parameters), _) in BAD.items():
        graph.start(node, label.replace(": ", "_").replace(" ", "_"), **parameters)
    for label, (_, message) in BAD.items():
        name = label.replace(": ", "_").replace(" ", "_")
        assert graph.wait(name, 120.0) == 2, label
        text = graph.log(name).strip()
        assert message in text and "Traceback" not in text and len(text.splitlines()) == 1, (label, text)


def test_unknown_key_in_a_file_is_an_error(graph, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("/**:\n  ros__parameters:\n    speeds: 2.0\n")
    command = [sys.executable, "-m", "speedtune_ros.nodes.speed_policy", "--ros-args", "--params-file", str(path)]
    done = subprocess.run(command, env=graph.environment, capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 2 and "did you mean 'speed'?" in done.stderr


def test_a_parameter_file_that_ros_cannot_read_is_one_line_and_2(graph, tmp_path):
    (tmp_path / "broken.yaml").write_text("{a: [1\n")
    for path, message in ((tmp_path / "none.yaml", "Error opening YAML file"), (tmp_path / "broken.yaml", "line 1")):
        command = [sys.executable, "-m", "speedtune_ros.nodes.speed_policy", "--ros-args", "--params-file", str(path)]
        done = subprocess.run(command, env=graph.environment, capture_output=True, text=True, timeout=60.0)
        *ros_own, last = done.stderr.strip().splitlines()
        assert done.returncode == 2 and str(path) in last and message in last
        assert all("[rcl]" in line for line in ros_own)


def test_signals_end_every_node_cleanly(graph, client, tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))
    graph.start("sim", cameras=["top:48x64"])
    graph.start("retimer")
    graph.start("task_policy", policy="expert")
    graph.start("speed_policy")
    graph.start("episode")
    graph.start("camera", "camera_folder", source=tmp_path)
    graph.start("recorder", bag=tmp_path / "bag", cameras=["top"])
    graph.start("arm_driver", "arms", backend="mujoco")
    names = ("sim", "retimer", "task_policy", "speed_policy", "episode", "camera_folder", "recorder", "arms")
    client.hear("/diagnostics")
    for name in names:
        client.until(lambda name=name: client.diagnostics(name), f"diagnostics of {name}", 60.0)
    for i, name in enumerate(names):
        graph.processes[name].send_signal(signal.SIGTERM if i % 2 else signal.SIGINT)
    for name in names:
        assert graph.wait(name) == 0, graph.log(name)
        assert "Traceback" not in graph.log(name), graph.log(name)


HANGING = """
import ctypes, sys, threading
from dataclasses import dataclass
from speedtune_ros.nodes.node import StageNode, run

@dataclass(frozen=True)
class Config:
    pass

class Hanging(StageNode):
    def __init__(self):
        super().__init__("hanging", Config)
        self.every(0.1, lambda: print("runs", flush=True))

    def {where}(self):
        {hangs}

sys.exit(run(Hanging))
"""
WAITS = "threading.Event().wait()"
WITH_PYTHONS_LOCK = "ctypes.PyDLL(None).sleep(600)"


@pytest.mark.parametrize(
    ("where", "hangs", "words", "status"),
    [
        ("destroy_node", WAITS, "the middleware does not end", 0),
        ("destroy_node", WITH_PYTHONS_LOCK, "Timeout (0:00:03)", 1),
        ("close", WAITS, "Timeout (0:00:04)", -signal.SIGKILL),
    ],
)
def test_a_node_that_does_not_end_says_where_it_stands(graph, where, hangs, words, status):
    """And ends all the same, once it has let go of what it held."""
    command = [sys.executable, "-c", HANGING.format(where=where, hangs=hangs)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = graph.processes["hanging"] = subprocess.Popen(command, env=graph.environment, **pipes)
    assert process.stdout.readline() == "runs\n"
    process.send_signal(signal.SIGINT)
    said = ""
    while f"in {where}" not in said:
        assert (line := process.stderr.readline()), said
        said += line
    if where == "close":
        process.kill()
    assert graph.wait("hanging") == status
    assert words in said


def test_parameters_have_descriptions_and_are_read_only(graph, client):
    from rcl_interfaces.srv import DescribeParameters, ListParameters

    graph.start("retimer", "described")
    names = client.call(ListParameters, "described/list_parameters").result.names
    ours = [name for name in names if not name.startswith(("use_sim_time", "start_type_description", "qos_"))]
    assert {"retimer", "scheduler.k_skip", "retiming.handover.method"} <= set(ours)
    descriptors = client.call(DescribeParameters, "described/describe_parameters", names=ours).descriptors
    assert all(descriptor.description and descriptor.read_only for descriptor in descriptors)
    k_skip = descriptors[ours.index("scheduler.k_skip")]
    assert (k_skip.integer_range[0].from_value, k_skip.integer_range[0].to_value) == (1, 1000)


def test_missing_messages_are_said_with_the_command(tmp_path):
    """As on a machine where speedtune_msgs was never built."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'speedtune_msgs' else find(name, *rest)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", "import speedtune_ros.nodes.sim"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "make setup" in done.stderr and "colcon build --base-paths . msg" in done.stderr


def test_arms_without_interbotix_s_messages_say_where_they_come_from(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'interbotix_xs_msgs' else find(name, *rest)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", "import speedtune_ros.nodes.interbotix_link"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "Interbotix's own installation brings it" in done.stderr and "make xs_sim" in done.stderr


def test_fast_dds_reads_the_profile(graph):
    """Under a name of the variable that it does not know it keeps 512 KB, and half of all VGA frames are lost."""
    code = (
        "import json, os, rclpy, time\nold = set(os.listdir('/dev/shm'))\nrclpy.init()\n"
        "node = rclpy.create_node('segment')\ntime.sleep(0.5)\n"
        "new = [f for f in set(os.listdir('/dev/shm')) - old if f.startswith('fastrtps_') and 'port' not in f]\n"
        "print(json.dumps(max(os.path.getsize(f'/dev/shm/{f}') for f in new)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=graph.environment, capture_output=True, timeout=60.0)
    assert json.loads(done.stdout) > 32 * 2**20


@pytest.mark.parametrize(
    "node",
    ["sim", "retimer", "task_policy", "speed_policy", "episode", "recorder", "arm_driver", "xs_sim", "teleop"]
    + ["leader_script"],
)
def test_shipped_parameter_files_are_complete(node):
    """Each file lists every parameter of its node and nothing else."""
    from speedtune_ros import config

    cls = _config_class(node)
    values = config.read_parameters(share_path(f"config/{node}.yaml"), node)
    config.build(cls, values)
    given = set(_dotted(values))
    assert given == {name for name, _, _ in config.leaves(cls)}


def _config_class(node):
    from speedtune_ros.nodes import (
        arm_driver,
        episode,
        leader_script,
        recorder,
        retimer,
        sim,
        speed_policy,
        task_policy,
        teleop,
        xs_sim,
    )

    return {
        "sim": sim.SimConfig,
        "retimer": retimer.RetimerNodeConfig,
        "task_policy": task_policy.TaskPolicyConfig,
        "speed_policy": speed_policy.SpeedPolicyConfig,
        "episode": episode.EpisodeConfig,
        "recorder": recorder.RecorderConfig,
        "arm_driver": arm_driver.ArmDriverConfig,
        "xs_sim": xs_sim.XsSimConfig,
        "teleop": teleop.TeleopConfig,
        "leader_script": leader_script.LeaderScriptConfig,
    }[node]


def _dotted(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key
