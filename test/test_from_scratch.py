"""Reinforcement learning from scratch: what it can do, and that it runs where other policies run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from speedtune_ros import from_scratch, registry
from speedtune_ros.aloha import GRIPPERS, NUM_JOINTS, start_pose
from speedtune_ros.config import build
from speedtune_ros.errors import CheckpointError, ConfigError
from speedtune_ros.from_scratch import FromScratchConfig, TargetConfig, TargetPolicy
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.retiming.scheduler import SchedulerConfig
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.speed.rainbow import RainbowConfig
from speedtune_ros.speed.replay import ReplayConfig
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

torch.set_num_threads(1)
EPISODE = Episode("a", "transfer_cube", 9_000)
BLIND = {"features": {"images": False}, "network": {"hidden": 16, "atoms": 11}}
CAMERAS = {"top": (16, 16)}


def policy(cameras: Mapping[str, tuple[int, int]] = {}, **values: object) -> TargetPolicy:
    config = build(FromScratchConfig, {**BLIND, **values})
    learning = RainbowConfig(replay=ReplayConfig(capacity=100))
    return from_scratch.make(config, from_scratch.info_of("transfer_cube", "act", cameras), learning)


def query(step: int = 0, **images: np.ndarray) -> Query:
    state = RobotState(step, start_pose(), np.zeros(NUM_JOINTS))
    return Query(Observation(state, images), InferenceRequest(step, step))


def test_every_single_motion_is_there_once() -> None:
    rows = TargetConfig((0.1, 0.3)).displacements()
    assert len(rows) == 1 + 12 * 4 + 2 * 2 == len(np.unique(rows, axis=0))
    assert not rows[0].any() and (np.count_nonzero(rows[1:], axis=1) == 1).all()
    np.testing.assert_allclose(np.unique(rows[:, 3]), [-0.3, -0.1, 0.0, 0.1, 0.3])
    np.testing.assert_allclose(np.unique(rows[:, GRIPPERS[0]]), [-1.0, 0.0, 1.0])


def test_any_pose_can_be_reached_within_half_a_step() -> None:
    rows, limits = TargetConfig((0.1, 0.3)).displacements(), make_profile("hardware").limits
    goal = np.random.default_rng(0).uniform(limits.lower, limits.upper)
    goal[list(GRIPPERS)] = 1.0
    pose = start_pose()
    for _ in range(200):
        reached = np.clip(pose + rows, limits.lower, limits.upper)
        pose = reached[np.argmin(np.abs(reached - goal).sum(1))]
    assert np.abs(pose - goal).max() <= 0.05 + 1e-9


def test_a_chunk_leads_from_the_last_targets_to_the_new_ones() -> None:
    found = policy(k_skip=4)
    found.reset(EPISODE, 3)
    before = start_pose()
    for step in range(3):
        chunk = found.infer({3: query(step)}, candidates=2)[3]
        assert chunk.targets.shape == (2, from_scratch.HORIZON, NUM_JOINTS) and chunk.policy == "from_scratch"
        action = found.decisions(EPISODE).actions[step]
        move = found.config.targets.displacements()[action]
        after = np.clip(before + move, *(getattr(make_profile("hardware").limits, end) for end in ("lower", "upper")))
        np.testing.assert_allclose(
            chunk.targets[1, [0, 1, 4, 99]], [before, (3 * before + after) / 4, after, after], atol=1e-6
        )
        before = after
    assert found.choose({3: query(7)})[3].speed == 1.0


def test_it_runs_in_the_loop_and_learns_from_it() -> None:
    found = policy(k_skip=10)
    found.try_out(seed=1)
    simulation = registry.make_simulation("transfer_cube")
    config = PipelineConfig(scheduler=SchedulerConfig(k_skip=10), time_limit_steps=60, workers=1)
    (result,) = Pipeline([simulation], found, found, config).run([EPISODE], trace=True)
    simulation.close()
    decisions = found.decisions(EPISODE)
    assert len(decisions.actions) == 6 and len(set(decisions.actions)) > 1
    assert result.refused == 0 and max(result.handover_jumps[1:]) < 1e-6  # each chunk begins where the last one led


def test_a_checkpoint_is_a_task_policy_like_any_other(tmp_path: Path) -> None:
    shape = {"encoder": {"shape": [1, 8, 8], "widths": [4, 4, 4], "size": 3}, "hidden": 16, "atoms": 11}
    made = policy(CAMERAS, features={"images": True, "k_stack": 2}, network=shape)
    from_scratch.write(tmp_path, made, {"decisions": 0}, "a command")
    loaded = registry.make_policy(str(tmp_path), "transfer_cube")
    assert loaded.info == dataclasses.replace(made.info, digest=loaded.info.digest) and loaded.info.digest
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for one in (made, loaded):
        one.reset(EPISODE)
    chunks = [one.infer({0: query(0, top=image)})[0].targets for one in (made, loaded)]
    np.testing.assert_array_equal(*chunks)
    with pytest.raises(
        CheckpointError, match="expected a checkpoint of task 'insertion', this one is of 'transfer_cube'"
    ):
        registry.make_policy(str(tmp_path), "insertion")


def test_images_need_an_encoder_of_its_own() -> None:
    with pytest.raises(ConfigError, match="no task policy whose encoder it could use"):
        policy(CAMERAS, features={"images": True})
