"""Recording the expert: what is in the files, resuming, refusing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speedtune_ros.data.episode_file import EpisodeData, episode_path, read_episode, read_origin
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.registry import make_simulation
from speedtune_ros.training.demonstrations import RETRY_STRIDE, Recording, demonstrate, record, smooth_noise
from speedtune_ros.types import Episode

CAMERAS = (("top", (24, 32)),)


def recording(folder: Path, **changes: object) -> Recording:
    values = {"task": "transfer_cube", "profile": "act", "episodes": 2, "seed": 3, "cameras": CAMERAS, "folder": folder}
    return Recording(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos")
    assert dict(record(recording(folder), workers=2)) == {0: 0, 1: 0}
    return folder


def test_a_file_is_one_closed_loop_episode(recorded: Path) -> None:
    """Playing the file's actions again gives its states, its images and its success."""
    episode = read_episode(episode_path(recorded, 1))
    simulation = make_simulation("transfer_cube", "act", dict(CAMERAS))
    simulation.reset(Episode("again", "transfer_cube", episode.origin.seed))
    for step in range(episode.steps):
        observation = simulation.observe(images=step % 100 == 0)
        np.testing.assert_array_equal(observation.state.qpos, episode.qpos[step])
        np.testing.assert_array_equal(observation.state.qvel, episode.qvel[step])
        if observation.images:
            np.testing.assert_array_equal(observation.images["top"], episode.images["top"][step])
        simulation.step(episode.action[step])
        np.testing.assert_array_equal(simulation.observe(images=False).state.qpos, episode.reached_qpos[step])
        assert simulation.success == (step + 1 >= episode.origin.success_step)
    assert episode.steps == simulation.task.episode_steps
    assert (episode.origin.task, episode.origin.profile, episode.origin.seed) == ("transfer_cube", "act", 4)
    assert np.abs(episode.effort).max() > 0.1


def test_recording_again_keeps_what_is_there(recorded: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in recorded.iterdir()}
    assert dict(record(recording(recorded))) == {0: 0, 1: 0}
    assert {path.name: path.stat().st_mtime_ns for path in recorded.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 9}, r"disturbance \('transfer_cube', 'act', 0.0\) and seed 9, found \(.*\) and seed 3"),
        ({"disturbance": 0.01}, r"disturbance \('transfer_cube', 'act', 0.01\) and seed 3, found"),
        ({"profile": "identified"}, r"disturbance \('transfer_cube', 'identified', 0.0\) and seed 3, found"),
    ],
)
def test_another_recordings_episode_is_not_overwritten(
    recorded: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=f"episode_0.hdf5: exists already and is not overwritten: .*{message}"):
        list(record(recording(recorded, **changes)))


def test_a_failed_seed_is_counted_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {3, 3 + RETRY_STRIDE}

    def sometimes(simulation: Any, episode: Episode, *rest: Any) -> EpisodeData | None:
        return None if episode.seed in failing else demonstrate(simulation, episode, *rest)

    monkeypatch.setattr("speedtune_ros.training.demonstrations.demonstrate", sometimes)
    assert dict(record(recording(tmp_path, episodes=1))) == {0: 2}
    origin = read_origin(episode_path(tmp_path, 0))
    assert (origin.seed, origin.attempts) == (3 + 2 * RETRY_STRIDE, 3)
    assert dict(record(recording(tmp_path, episodes=1))) == {0: 2}  # found again, with its failures


def test_seeds_kept_for_selection_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seeds 8999 to 9000: demonstrations take seeds from 0 to 8999"):
        recording(tmp_path, seed=8999)
    with pytest.raises(ConfigError, match="seeds -1 to 0"):
        recording(tmp_path, seed=-1)


def test_a_disturbance_moves_the_arms_but_not_the_labels() -> None:
    simulation = make_simulation("transfer_cube", "act", dict(CAMERAS))
    episode = Episode("e", "transfer_cube", 3)
    plain, disturbed = demonstrate(simulation, episode), demonstrate(simulation, episode, disturbance=0.01)
    assert plain is not None
    assert disturbed is not None
    np.testing.assert_array_equal(disturbed.action, plain.action)
    moved = np.abs(disturbed.qpos - plain.qpos)
    assert 0.005 < moved.max() < 0.1
    assert disturbed.origin.disturbance == 0.01


def test_the_noise_has_unit_spread_starts_at_zero_and_is_smooth() -> None:
    noise = smooth_noise(20_000, np.random.default_rng(0))
    assert noise.shape == (20_000, 14)
    assert not noise[0].any()
    assert not noise[:, [6, 13]].any()
    assert noise[:, 0].std() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(noise[:-25, 0], noise[25:, 0])[0, 1] == pytest.approx(np.exp(-1.0), abs=0.1)  # after 0.5 s


def test_a_wild_disturbance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"disturbance: expected between 0 and 0.1 \[rad\], got nan"):
        recording(tmp_path, disturbance=float("nan"))
