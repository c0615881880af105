"""Presets: the files of all shipped ones, and what a launch makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtune_ros import cli, graph
from speedtune_ros.aloha import CAMERAS, CONTROL_DT
from speedtune_ros.commands.train import speed_config
from speedtune_ros.config import read_parameters
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.paper import paper_figure
from speedtune_ros.evaluation.provenance import resolved
from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint
from speedtune_ros.presets import preset_names, preset_path, read_preset
from speedtune_ros.registry import make_policy, make_task
from speedtune_ros.tasks.task import TASKS

ROOT = Path(__file__).resolve().parent.parent
REAL = {"robot": "real", "policy": "rehearsal"}


def running(**given: str) -> dict[str, graph.Process]:
    return {process.name: process for process in graph.processes(given)}


def checkpoint(folder: Path, task: str) -> Path:
    cameras = {"top": (96, 128), "angle": (480, 640)}
    card = CheckpointCard(task, "hardware", "act", "command", 100, 0.02, cameras, {}, {})
    write_checkpoint(folder, card, {})
    return folder


def test_the_paper_s_three_real_tasks_are_there() -> None:
    assert preset_names() == ["almond_pouring", "food_preparation", "tea_bag_disposal"]


@pytest.fixture(params=preset_names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_preset_is_its_task_with_known_cameras_and_a_page(name: str) -> None:
    preset = read_preset(name)
    assert (preset.task, preset.path.name) == (name, f"{name}.yaml")
    assert [camera for camera, _ in graph.cameras(",".join(preset.cameras))] == list(CAMERAS)
    assert name not in TASKS and paper_figure("act", name) is not None
    page = (ROOT / "docs" / "tasks" / f"{name}.md").read_text()
    assert f"--preset {name}" in page and f"docs/tasks/{name}.md" in preset.path.read_text()


def test_it_is_laid_over_every_node_s_own_file(name: str) -> None:
    found = running(**REAL, preset=name, record="true")
    for process in found.values():
        assert [Path(path).name for path in process.parameter_files][1:] == [f"{name}.yaml"]
        assert process.parameters.get("task", name) == name
    assert {f"camera_{camera}" for camera in CAMERAS} < set(found)
    assert found["recorder"].parameters["cameras"][0] == "top:480x640"  # type: ignore[index]
    with_own = running(**REAL, preset=name, params=str(preset_path(name)))["retimer"]
    assert len(with_own.parameter_files) == 3


def test_simulated_arms_keep_a_scene_they_have(name: str) -> None:
    parameters = running(**REAL, preset=name, xs_sim="true")["xs_sim"].parameters
    assert "task" not in parameters
    assert read_parameters(preset_path(name), "xs_sim")["task"] in TASKS


def test_speeds_limits_and_reward_agree(name: str) -> None:
    config = speed_config(None, [], name)
    nodes = ("retimer", "episode", "speed_policy")
    retimer, episode, speed_policy = (read_parameters(preset_path(name), node) for node in nodes)
    steps = episode["demonstration_s"] / CONTROL_DT
    assert (config.task, config.dynamics) == (name, "hardware")
    assert config.speeds[-1] == retimer["operator_limit_max"] >= retimer["scheduler"]["operator_limit"]
    assert config.k_skip == retimer["scheduler"]["k_skip"] == speed_policy["k_skip"]
    assert config.ensemble == retimer["scheduler"].get("ensemble", False) == speed_policy.get("ensemble", False)
    assert config.reward.alpha * steps == pytest.approx(6.0) and config.reward.forfeit
    assert config.agent == speed_config(None, []).agent  # what the preset leaves out is the shipped file's


def test_a_checkpoint_of_its_task_is_found_and_sees_what_it_was_trained_on(name: str, tmp_path: Path) -> None:
    policy = str(checkpoint(tmp_path, name))
    found = running(robot="real", preset=name, policy=policy)
    assert found["task_policy"].parameters["policy"] == policy
    sizes = {key: (p.parameters["height"], p.parameters["width"]) for key, p in found.items() if "camera_" in key}
    assert (sizes["camera_top"], sizes["camera_left_wrist"]) == ((96, 128), (480, 640))
    kept = resolved(EvaluationConfig(name, policy, dynamics="hardware"))  # as live sweeps keep it
    assert (kept["task"], kept["scene"]) == (name, "") and kept["checkpoint"]


def test_the_rehearsal_needs_no_scene_and_the_expert_does(name: str) -> None:
    assert make_policy("rehearsal", name, "hardware").info.task == name
    assert resolved(EvaluationConfig(name, "rehearsal", dynamics="hardware"))["checkpoint"] == ""
    with pytest.raises(ConfigError, match=f"task '{name}' is one of real arms .* expected a simulated task: insertion"):
        make_policy("expert", name, "hardware")


@pytest.mark.parametrize("typed", ["eval --episodes 1", "record-demos --episodes 1 --out {out}", "bench rollout"])
def test_what_needs_a_scene_refuses_it(typed: str, name: str, tmp_path: Path) -> None:
    words = [*typed.format(out=tmp_path / "demos").split(), "--task", name]
    with pytest.raises(ConfigError, match=f"task '{name}' is one of real arms .*: it has no scene, no scripted expert"):
        cli.run(words)


def test_simulation_refuses_it(name: str) -> None:
    with pytest.raises(ConfigError, match=f"task '{name}' has no scene to simulate; expected robot real, got sim"):
        running(preset=name, policy="rehearsal")


def test_unknown_presets_name_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="unknown preset, and no such file 'tea_bag'; available: almond_p"):
        running(**REAL, preset="tea_bag")
    with pytest.raises(ConfigError, match="no parameters for 'tea_bag'; found: .*paper"):
        speed_config(None, [], "tea_bag")


def test_another_task_than_the_preset_s_is_refused() -> None:
    with pytest.raises(ConfigError, match="the preset's is 'food_preparation', got 'tea_bag'; leave one of them out"):
        running(**REAL, preset="food_preparation", task="tea_bag")


OWN = """
episode: {ros__parameters: {task: fold_towel, instruction: fold the towel, demonstration_s: 20.0}}
recorder: {ros__parameters: {cameras: [top]}}
train_speed: {ros__parameters: {task: fold_towel, dynamics: hardware, speeds: [1.0, 2.0]}}
"""


def test_a_preset_of_one_s_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN)
    found = running(**REAL, preset=str(path))
    assert found["episode"].parameters["task"] == "fold_towel" and set(found) >= {"camera_top", "arm_driver"}
    assert speed_config(None, [], str(path)).speeds == (1.0, 2.0)
    with pytest.raises(UnknownNameError, match="unknown task 'fold_towel'; available: insertion"):
        make_task("fold_towel")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("task: fold_towel, inst", "inst", "episode.task: expected the task's name, got ''"),
        ("cameras: [top]", "cameras: top", "recorder.cameras: expected a list of names, got 'top'"),
        ("episode:", "episodes:", "no parameters for 'episode'; found: episodes"),
    ],
)
def test_a_bad_preset_is_refused_by_its_path(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(ConfigError, match=f"{path}.*{message}"):
        read_preset(str(path))


def test_a_preset_may_be_of_a_simulated_task(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN.replace("fold_towel", "tea_bag"))
    assert running(preset=str(path), policy="expert")["sim"].parameters["task"] == "tea_bag"
