"""Presets as the nodes take them, and rehearsals on simulated Interbotix arms: judged and recorded."""

from __future__ import annotations

import signal
import subprocess

import pytest
import yaml

from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_msgs.srv import LabelEpisode
from speedtune_ros import config
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.nodes.arm_driver import ArmDriverConfig
from speedtune_ros.nodes.episode_config import EpisodeConfig, nominal
from speedtune_ros.nodes.recorder import RecorderConfig
from speedtune_ros.nodes.retimer import RetimerNodeConfig
from speedtune_ros.nodes.speed_policy import SpeedPolicyConfig
from speedtune_ros.nodes.teleop import TeleopConfig
from speedtune_ros.nodes.xs_sim import XsSimConfig
from speedtune_ros.presets import preset_names, preset_path
from speedtune_ros.share import executable_path, share_path

pytestmark = pytest.mark.ros
NODES = {
    "arm_driver": ArmDriverConfig,
    "episode": EpisodeConfig,
    "recorder": RecorderConfig,
    "retimer": RetimerNodeConfig,
    "speed_policy": SpeedPolicyConfig,
    "teleop": TeleopConfig,
    "xs_sim": XsSimConfig,
}
# On a busy machine nothing of this is about time.
PATIENT = {
    "arm_driver": {
        "episode_timeout_s": 20.0,
        "beat_timeout_s": 20.0,
        "interbotix": {"bring_up": {"timeout_s": 50.0}, "feedback": {"hold_s": 4.0, "fault_s": 15.0}},
    },
    # Shorter than an episode: a policy whose joint states came late does not answer, and is asked again.
    "retimer": {"answer_timeout_s": 3.0, "episode_timeout_s": 20.0},
    "episode": {"silence_timeout_s": 20.0, "stall_timeout_s": 20.0, "driver_timeout_s": 20.0},
}
ONE = "tea_bag_disposal"
REHEARSED = [pytest.param(name, marks=[] if name == ONE else pytest.mark.slow) for name in preset_names()]


@pytest.mark.parametrize("name", preset_names())
def test_its_blocks_are_parameters_of_their_nodes(name):
    path = preset_path(name)
    blocks = set(yaml.safe_load(path.read_text()))
    assert blocks - {"train_speed"} <= set(NODES)
    for node in blocks - {"train_speed"}:
        shipped = config.read_parameters(share_path(f"config/{node}.yaml"), node)
        config.build(NODES[node], config.merge(shipped, config.read_parameters(path, node)), str(path))


def test_an_episode_knows_a_task_by_its_parameters_or_by_its_scene():
    assert nominal(EpisodeConfig()) == ("pick up the red cube with the right arm and hand it to the left arm", 8.0)
    assert nominal(EpisodeConfig(demonstration_s=3.0))[1] == 3.0
    real = EpisodeConfig(robot="real", task="fold_towel", instruction="fold it", demonstration_s=20.0)
    assert nominal(real) == ("fold it", 20.0)
    with pytest.raises(ConfigError, match="task 'fold_towel' is no simulated one: expected its instruction and"):
        nominal(EpisodeConfig(robot="real", task="fold_towel"))
    with pytest.raises(UnknownNameError, match="unknown task 'fold_towel'"):
        nominal(EpisodeConfig(task="fold_towel", instruction="fold it", demonstration_s=20.0))


def up(graph, client, name, folder):
    """The preset's graph on simulated arms, as typed, and its bag; returns when the arms hold and policies listen."""
    pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")
    patient, bag = folder / "patient.yaml", folder / "bag"
    patient.write_text(yaml.safe_dump({node: {"ros__parameters": values} for node, values in PATIENT.items()}))
    typed = f"up --robot real --xs-sim --preset {name} --policy rehearsal --cameras top:48x64 --record --bag {bag}"
    words = [str(executable_path("speedtune")), *typed.split(), "--params", str(patient)]
    with open(folder / "up.log", "wb") as log:
        process = subprocess.Popen(words, env=graph.environment, stdout=log, stderr=subprocess.STDOUT)
    graph.processes[f"up {name}"] = process
    client.hear("driver_status", "episode_status", "/diagnostics")
    client.heard["driver_status"].clear()
    client.heard["episode_status"].clear()
    holding = lambda: client.heard["driver_status"] and state(client) == DriverStatus.HOLDING  # noqa: E731
    client.until(lambda: process.poll() is not None or holding(), "arms that hold", 120.0)
    assert process.poll() is None, (folder / "up.log").read_text()
    client.policies("task_policy", "speed_policy")
    return process, bag


def state(client):
    return client.heard["driver_status"][-1].state


def down(process, folder):
    process.send_signal(signal.SIGINT)
    assert process.wait(60.0) == 0, (folder / "up.log").read_text()


def judged(client, reward, progress, **goal):
    """The outcome of an episode that a person labels once it has come so far [s of demonstration]."""
    for _ in range(5):
        outcome = attempt(client, reward, progress, **goal)
        if "from the start pose" not in outcome.reason:  # on a busy machine the move to it may come too late
            break
    return outcome


def attempt(client, reward, progress, **goal):
    seen = len(client.heard["episode_status"])
    handle = client.send_goal(record=True, **goal)
    client.until(lambda: moving(client, progress) or over(client, seen), f"progress of {progress} s")
    if not over(client, seen):
        assert client.call(LabelEpisode, "episode/label", reward=reward).success
    return client.result(handle)


def moving(client, progress):
    return state(client) == DriverStatus.TRACKING and client.heard["driver_status"][-1].progress > progress


def over(client, seen):
    return any(status.phase == EpisodeStatus.ENDED and status.task for status in client.heard["episode_status"][seen:])


@pytest.mark.parametrize("name", REHEARSED)
def test_a_rehearsal_is_judged_and_recorded(unhurried, graph, client, name, tmp_path):
    process, bag = up(graph, client, name, tmp_path)
    first = judged(client, 1.0, 3.0, seed=1, speed_mode="constant:1")
    assert (first.success, first.reason) == (True, "success")
    second = judged(client, 0.0, 6.0, seed=2, speed_mode="constant:2")
    assert (second.success, second.reason) == (False, "labelled 0")
    assert first.bag == second.bag == str(bag)
    down(process, tmp_path)
    one, two = (series for series in series_of_bag(Bag(bag), images=False) if series.decisions)
    instruction = config.read_parameters(preset_path(name), "episode")["instruction"]
    for series in (one, two):
        assert (series.info.task, series.instruction) == (name, instruction)
    assert (one.info.success, two.info.success) == (True, False)
    slow, fast = (max(tick.speed for tick in series.ticks) for series in (one, two))
    assert slow == pytest.approx(1.0) and 1.5 < fast <= 2.0
