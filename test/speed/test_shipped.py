"""The speeds that ship with task policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.aloha import NUM_JOINTS, start_pose
from speedtune_ros.config import load
from speedtune_ros.errors import CheckpointError, ConfigError
from speedtune_ros.registry import CHECKPOINTS, make_policy, make_speed_policy, shipped_checkpoint
from speedtune_ros.seeds import SELECTION, SPEED_TRAINING, range_of
from speedtune_ros.speed.checkpoint import read_speed_card
from speedtune_ros.speed.shipped import ShippedSpeed, execution_needs, find_learned, read_shipped, write_shipped
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.tasks.task import TASKS
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

SHIPPED = sorted(path for kind in ("constant", "phase", "rainbow") for path in CHECKPOINTS.glob(f"*/*/*/{kind}.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(CHECKPOINTS)))
def test_what_is_shipped_runs_and_was_chosen_on_selection_seeds(path: Path) -> None:
    speed = load(ShippedSpeed, path)
    task, _, policy = path.parent.relative_to(CHECKPOINTS).parts
    made = make_speed_policy(f"{path.stem}:{speed.argument}", make_policy(policy, task), speed.k_skip)
    if path.stem == "rainbow":  # and without saying so
        assert make_speed_policy("rainbow", make_policy(policy, task), speed.k_skip).tolerance == made.tolerance
    assert range_of(speed.first_seed) == range_of(speed.first_seed + speed.episodes - 1) == SELECTION
    assert speed.success_rate > 0.5 and speed.acceleration > 1.3
    assert "speedtune sweep" in speed.command and "--ship" in speed.command


def test_the_expert_moves_cubes_by_its_own_table() -> None:
    policy = make_speed_policy("phase", make_policy("expert", "transfer_cube"))
    assert policy is not None
    with pytest.raises(ConfigError, match="where no task policy is known"):
        make_speed_policy("phase")


def test_a_speed_survives_its_file_and_another_policy_has_none(tmp_path: Path) -> None:
    speed = ShippedSpeed("3,1.5", 0.9, 2.5, 40, 9_000, 20, True, "speedtune sweep --ship")
    write_shipped(tmp_path, "phase", speed)
    beside = Companion("tea_bag", "act", "act", shipped=tmp_path)
    assert read_shipped("phase", beside) == speed
    assert execution_needs("phase", tmp_path) == {"k_skip": 20, "ensemble": True}
    with pytest.raises(ConfigError, match="constant: none is shipped for 'act' on task 'tea_bag', profile 'act'"):
        read_shipped("constant", beside)


def test_a_learned_one_says_how_its_task_policy_is_run(tmp_path: Path) -> None:
    (tmp_path / "rainbow").mkdir()
    (tmp_path / "rainbow" / "checkpoint.json").write_text('{"k_skip": 20}')
    needs = {"k_skip": 20, "ensemble": False}
    assert execution_needs("rainbow", tmp_path) == execution_needs(f"rainbow:{tmp_path / 'rainbow'}", Path()) == needs
    # Those that do not mind, and those that are refused where they are made.
    for spec in ("constant:2", "2", "phase:3,1", "phase", "rainbow:nowhere"):
        assert execution_needs(spec, tmp_path) == {}


def test_a_learned_one_may_be_told_to_give_up_value_for_speed_or_caution(tmp_path: Path) -> None:
    shipped = tmp_path / "rainbow"
    assert find_learned("", tmp_path) == (shipped, 0.0)
    assert find_learned("tolerance=0.5", tmp_path) == (shipped, 0.5)
    assert find_learned("runs/a,tolerance=2", tmp_path) == (Path("runs/a"), 2.0)
    assert find_learned("runs/tolerance=2", tmp_path) == (Path("runs/tolerance=2"), 0.0)
    write_shipped(tmp_path, "rainbow", ShippedSpeed("tolerance=0.35"))
    assert find_learned("", tmp_path) == (shipped, 0.35)
    assert find_learned("tolerance=0", tmp_path) == (shipped, 0.0)  # what is asked for goes before what is shipped
    assert find_learned("runs/a", tmp_path) == (Path("runs/a"), 0.0)
    assert find_learned("tolerance=-0.5", tmp_path) == (shipped, -0.5)
    assert find_learned("latency", tmp_path) == (tmp_path / "rainbow_latency", 0.0)
    assert find_learned("latency,tolerance=1", tmp_path) == (tmp_path / "rainbow_latency", 1.0)
    for text in ("nan", "inf", "fast"):
        with pytest.raises(ConfigError, match=f"tolerance: expected a finite number, got '{text}'"):
            find_learned(f"tolerance={text}", tmp_path)
    with pytest.raises(CheckpointError, match="no speed policy learned with latency is shipped for task 'tea_bag'"):
        make_speed_policy("rainbow:latency", make_policy("expert", "tea_bag"), 10)
    beside = make_policy("expert", "tea_bag")
    policies = [make_speed_policy(f"rainbow:tolerance={text}", beside, 10) for text in ("0", "1e6", "-1e6")]
    still = Observation(RobotState(0, start_pose(), np.zeros(NUM_JOINTS)), {})
    chosen, episode = [], Episode("a", "tea_bag")
    for policy in policies:
        policy.reset(episode)
        chosen.append(policy.choose({0: Query(still, InferenceRequest(0, 0))})[0])
    assert chosen[0].values == chosen[1].values == chosen[2].values
    assert chosen[0].speed == chosen[0].speeds[int(np.argmax(chosen[0].values))]
    assert [chosen[1].speed, chosen[2].speed] == [chosen[1].speeds[-1], chosen[1].speeds[0]]
    assert policies[1].decisions(episode).actions.tolist() == [len(chosen[1].speeds) - 1]  # what was done


LEARNED = sorted(path.parent for path in CHECKPOINTS.glob("*/*/*/rainbow*/checkpoint.json"))


@pytest.mark.parametrize("folder", LEARNED, ids=lambda path: str(path.relative_to(CHECKPOINTS)))
def test_a_learned_one_fits_the_policy_it_ships_with_and_says_how_it_was_made(folder: Path) -> None:
    task, _, policy, _ = folder.relative_to(CHECKPOINTS).parts
    card = read_speed_card(folder)
    make_speed_policy(folder.name.replace("_", ":"), make_policy(policy, task), card.k_skip)
    assert card.features.get("latency", False) == (folder.name == "rainbow_latency")
    assert (
        card.command.startswith(("speedtune train speed", "speedtune sample-efficiency"))
        and f"--task {task}" in card.command
    )
    assert [range_of(seed) for seed in card.seeds["training"]] == [SPEED_TRAINING] * 2
    assert [range_of(seed) for seed in card.seeds["selection"]] == [SELECTION] * 2
    assert card.figures["success_rate"] > 0.75 and card.figures["acceleration"] > 1.5


def test_all_tasks_ship_what_the_readme_promises() -> None:
    found = {path.relative_to(CHECKPOINTS).parts[:3] for path in LEARNED}
    assert found == {(task, "act", policy) for task in TASKS for policy in ("act", "expert")}
    for task in TASKS:
        assert shipped_checkpoint("act", task, "act").is_dir()
