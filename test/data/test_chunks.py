"""The chunk dataset against slices taken by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speedtune_ros.data.chunks import ChunkDataset, StepSampler
from speedtune_ros.data.episode_file import EpisodeData, Origin, episode_path, episode_paths, write_episode
from speedtune_ros.data.normaliser import Normaliser
from speedtune_ros.data.shrink import shrink
from speedtune_ros.errors import DataError
from speedtune_ros.types import TargetKind

LENGTHS = (5, 7, 3)


def counting_episode(index: int, length: int) -> EpisodeData:
    """Action at step t of episode e is 100 e + t in every joint; reached states lie 1000 above."""
    action = np.tile(100.0 * index + np.arange(length)[:, None], (1, 14))
    image = np.full((length, 4, 6, 3), index, np.uint8)
    return EpisodeData(
        action - 0.5, action, action, {"top": image}, action, action + 1000, action, Origin("cube", "act", index)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, length in enumerate(LENGTHS):
        write_episode(episode_path(tmp_path, index), counting_episode(index, length))
    return tmp_path


def test_a_chunk_holds_the_last_target_beyond_the_end(folder: Path) -> None:
    data = ChunkDataset(episode_paths(folder), ["top"], horizon=4)
    assert len(data) == sum(LENGTHS)
    assert (data.task, data.profile, data.image_size) == ("cube", "act", (4, 6))
    batch = data.batch(torch.tensor([0, 3, 5, 14]))  # episode 0 steps 0 and 3, episode 1 step 0, episode 2's last
    expected = [[0, 1, 2, 3], [3, 4, 4, 4], [100, 101, 102, 103], [202, 202, 202, 202]]
    assert batch.targets[:, :, 7].tolist() == expected
    assert batch.mask.tolist() == [[True] * 4, [True, True, False, False], [True] * 4, [True, False, False, False]]
    assert batch.qpos[:, 0].tolist() == [-0.5, 2.5, 99.5, 201.5]
    assert batch.images.shape == (4, 1, 4, 6, 3)
    assert batch.images[:, 0, 0, 0, 0].tolist() == [0, 0, 1, 2]


def test_images_are_shrunk_on_reading(folder: Path) -> None:
    data = ChunkDataset(episode_paths(folder), ["top"], 2, shrinking=2)
    assert data.images.shape == (sum(LENGTHS), 1, 2, 3, 3)
    assert data.image_size == (4, 6)


def test_shrinking_averages_squares() -> None:
    image = np.zeros((2, 2, 4, 3), np.uint8)
    image[1, :, 0] = 100  # half of the first square
    image[1, 0, 2] = 255  # a quarter of the second
    assert shrink(image, 2)[..., 0].tolist() == [[[0, 0]], [[50, 64]]]
    assert shrink(image, 1) is image
    with pytest.raises(DataError, match="expected height and width to be multiples of 3, got 2x4"):
        shrink(image, 3)


def test_states_are_the_reached_ones(folder: Path) -> None:
    data = ChunkDataset(episode_paths(folder), ["top"], 2, TargetKind.STATE)
    assert data.batch(torch.tensor([0])).targets[0, :, 0].tolist() == [1000.0, 1001.0]


def test_states_need_reached_states(tmp_path: Path) -> None:
    write_episode(episode_path(tmp_path, 0), replace(counting_episode(0, 3), reached_qpos=None, reached_qvel=None))
    with pytest.raises(DataError, match="/reached/qpos: expected shape .* to train on states, found none"):
        ChunkDataset(episode_paths(tmp_path), ["top"], 2, TargetKind.STATE)


def test_normalising_the_set_normalises_its_batches(folder: Path) -> None:
    data = ChunkDataset(episode_paths(folder), ["top"], 3)
    before = data.batch(torch.arange(len(data)))
    states, targets = data.normalisers()
    data.normalise(states, targets)
    after = data.batch(torch.arange(len(data)))
    np.testing.assert_allclose(after.targets, targets.normalise(before.targets.numpy()), atol=1e-6)
    np.testing.assert_allclose(after.qpos.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(after.qpos.std(0, correction=0), 1.0, atol=1e-5)


def test_another_tasks_episode_is_refused(folder: Path) -> None:
    write_episode(episode_path(folder, 3), replace(counting_episode(3, 4), origin=Origin("peg", "act", 3)))
    with pytest.raises(DataError, match="episode_3.hdf5: expected task 'cube' and profile 'act' .* found 'peg'"):
        ChunkDataset(episode_paths(folder), ["top"], 3)


def test_another_image_size_is_refused(folder: Path) -> None:
    other = replace(counting_episode(3, 4), images={"top": np.zeros((4, 8, 8, 3), np.uint8)})
    write_episode(episode_path(folder, 3), other)
    with pytest.raises(DataError, match=r"episode_3.hdf5: .*/top: expected shape \(4, 4, 6, 3\) uint8, got \(4, 8, 8"):
        ChunkDataset(episode_paths(folder), ["top"], 3)


def test_early_steps_are_drawn_as_often_as_asked(folder: Path) -> None:
    data = ChunkDataset(episode_paths(folder), ["top"], 3)
    sampler = StepSampler(data, early_steps=2, early_weight=3.0, device=torch.device("cpu"))
    drawn = sampler.draw(40_000, torch.Generator().manual_seed(0))
    early = (data.steps[drawn] < 2).float().mean().item()
    assert early == pytest.approx(3 * 6 / (3 * 6 + 9), abs=0.01)  # 6 early steps of weight 3, 9 others
    assert set(drawn.tolist()) == set(range(len(data)))


def test_normaliser_floors_still_joints_and_inverts() -> None:
    values = np.zeros((3, 14))
    values[:, 0] = [1.0, 2.0, 3.0]
    normaliser = Normaliser.fit(values)
    assert normaliser.mean[0] == 2.0
    assert normaliser.std[0] == pytest.approx(np.sqrt(2 / 3))
    assert normaliser.std[1] == pytest.approx(1e-2)
    np.testing.assert_allclose(normaliser.restore(normaliser.normalise(values)), values, atol=1e-6)
    assert Normaliser.from_dict(normaliser.to_dict()).to_dict() == normaliser.to_dict()


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (np.zeros(13), np.ones(14), r"normaliser mean: expected 14 finite values, got shape \(13,\)"),
        (np.zeros(14), np.zeros(14), "normaliser std: expected values above 0, got 0.0"),
        (np.full(14, np.nan), np.ones(14), "normaliser mean: expected 14 finite values"),
    ],
)
def test_a_bad_normaliser_is_refused(mean: np.ndarray, std: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Normaliser(mean, std)
