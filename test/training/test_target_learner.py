"""Reinforcement learning from scratch, and an own image encoder, in the loop that trains speed policies."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from speedtune_ros.commands.train import speed_config
from speedtune_ros.data.checkpoint_folder import read_content
from speedtune_ros.errors import CheckpointError, ConfigError
from speedtune_ros.from_scratch import TargetPolicy
from speedtune_ros.registry import make_policy, make_speed_policy
from speedtune_ros.training.train_speed import SpeedTrainer, TrainSpeedConfig, train_speed

torch.set_num_threads(1)
SETTINGS = (
    "speeds=[4.5, 6.0]", "decisions=20", "evaluate_every=20", "evaluation_episodes=1", "slots=1", "agent.batch=4",
    "agent.warm_up=10", "agent.updates_per_decision=0.5", "agent.replay.capacity=500", "confirm_episodes=0",
    "give_up=0.5",
    "vision.encoder=own",
    "agent.network={hidden: 8, layers: 1, atoms: 11, encoder: {widths: [4, 4, 4], size: 3}}",
)  # fmt: skip


def config(*settings: str) -> TrainSpeedConfig:
    return speed_config(None, [*SETTINGS, *settings])


def test_from_scratch_learns_resumes_and_leaves_a_task_policy(tmp_path: Path) -> None:
    train_speed(config("chooses=targets"), tmp_path, "a command", threads=1)
    trainer = SpeedTrainer(config("chooses=targets", "decisions=40"), tmp_path, resume=True, threads=1)
    assert trainer.decisions >= 20 and isinstance(trainer.learner.policy, TargetPolicy)
    assert trainer.learner.policy.guide is None and trainer.learner.agent.updates > 0
    trainer.rollout.close()
    card = read_content(tmp_path)
    assert (card["policy"], card["command"], card["cameras"]) == (
        "from_scratch",
        "a command",
        {},
    )  # the expert sees none
    assert card["training"]["learned_from"] == trainer.decisions and card["training"]["seeds"]["selection"] == [
        9000,
        9000,
    ]
    loaded = make_policy(str(tmp_path), "transfer_cube")
    assert isinstance(loaded, TargetPolicy) and loaded.config == trainer.learner.policy.config
    with pytest.raises(CheckpointError):
        make_speed_policy(f"rainbow:{tmp_path}", loaded, 10)


def test_from_scratch_shares_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vision.encoder: expected 'own' .* from scratch, got 'task_policy'"):
        train_speed(config("policy=act", "chooses=targets", "vision.encoder=task_policy"), tmp_path, threads=1)


def test_an_own_encoder_learns_from_the_task_policys_cameras(tmp_path: Path) -> None:
    train_speed(config("policy=act"), tmp_path, threads=1)
    card = read_content(tmp_path)
    assert card["network"]["encoder"]["shape"] == [1, 48, 48] and card["features"]["images"] is True
    policy = make_speed_policy(f"rainbow:{tmp_path}", make_policy("act", "transfer_cube"), 10)
    assert policy.cameras == {"top": (192, 192)}
    trainer = SpeedTrainer(config("policy=act", "decisions=40"), tmp_path, resume=True, threads=1)
    pixels = trainer.learner.get_state()["agent"]["replay"]["columns"]["pixels"]
    assert pixels.shape[1] == 48 * 48 * 3 and pixels.max() > 100
    trainer.rollout.close()
