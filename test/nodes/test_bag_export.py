"""Bags as datasets: rows as of their tick, never from the future."""

from __future__ import annotations

import json
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_rows import rows_of_series
from speedtune_ros.data.bag_series import EpisodeSeries, Frame, Tick, Times
from speedtune_ros.data.episode_file import read_episode
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import DataError
from speedtune_ros.types import RobotState

pytestmark = pytest.mark.ros
TICK = 20_000_000


def made(series: EpisodeSeries, image_stamps: list[int], state_stamps: list[int]) -> EpisodeSeries:
    """A series of five ticks with images and states at these stamps, each marked by its number."""
    times = Times(0, 0)
    ticks = [Tick(i * TICK, times, np.full(14, float(i)), "tracking", (), 0, 0.0, 1.0, 0.0, 0, 0, 0) for i in range(5)]
    states = [RobotState(stamp, np.full(14, float(n)), np.zeros(14)) for n, stamp in enumerate(state_stamps)]
    frames = [Frame(stamp, Times(stamp, stamp), np.array([n])) for n, stamp in enumerate(image_stamps)]
    return EpisodeSeries(series.info, "", 0, 4 * TICK, states, [times] * len(states), [], ticks, images={"top": frames})


def test_a_row_holds_what_was_newest_then(lockstep_bag: Path) -> None:
    """Worked by hand: images at 5, 33 and 61 ms, states at every tick but one and one a nanosecond late."""
    first = series_of_bag(Bag(lockstep_bag), images=False)[0]
    series = made(first, [5_000_000, 33_000_000, 61_000_000], [0, TICK, 2 * TICK + 1, 4 * TICK])
    rows = rows_of_series(series)
    assert rows.dropped == 1  # the tick at 0 had seen no image
    assert rows.stamps.tolist() == [TICK, 2 * TICK, 3 * TICK, 4 * TICK]
    assert [int(frame.coded[0]) for frame in rows.images["top"]] == [0, 1, 1, 2]
    assert rows.qpos[:, 0].tolist() == [1.0, 1.0, 2.0, 3.0]
    assert rows.action[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    state, top = rows.lags
    assert top.age_max == pytest.approx(0.027) and state.age_max == pytest.approx(0.02)


def test_no_row_is_from_the_future(lockstep_bag: Path) -> None:
    for series in series_of_bag(Bag(lockstep_bag)):
        rows = rows_of_series(series)
        assert all(frame.stamp_ns <= stamp for frame, stamp in zip(rows.images["top"], rows.stamps))
        assert len(rows.stamps) + rows.dropped == len(series.ticks)
    with pytest.raises(DataError, match="camera 'angle' is not in the bag; it has top"):
        rows_of_series(series, ["angle"])


def test_to_hdf5_is_what_our_training_reads(
    lockstep_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speedtune(["bag", "to-hdf5", str(lockstep_bag), str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "camera top" in out and "joint_states" in out and "age p50" in out
    bag = Bag(lockstep_bag)
    for number, series in enumerate(series_of_bag(bag)):
        episode = read_episode(tmp_path / f"episode_{number}.hdf5")
        np.testing.assert_array_equal(episode.action, [tick.command for tick in series.ticks])
        np.testing.assert_array_equal(episode.qpos, [state.qpos for state in series.states])
        np.testing.assert_array_equal(episode.reached_qpos[:-1], episode.qpos[1:])
        np.testing.assert_array_equal(episode.images["top"][0], series.images["top"][0].pixels)
        assert episode.origin.task == "transfer_cube" and episode.origin.seed == 9003 and episode.simulated
        assert series.success_ns == next(stamp for stamp, reward in series.rewards if reward == 4.0)  # full reward
        first_after = series.ticks[episode.origin.success_step :][:1]  # none where the tick that succeeded is the last
        assert all(tick.stamp_ns >= series.success_ns for tick in first_after)
        assert series.ticks[episode.origin.success_step - 1].stamp_ns < series.success_ns
    assert speedtune(["bag", "to-hdf5", str(lockstep_bag), str(tmp_path), "--episode", "1", "--cameras", "none"]) == 0
    assert not read_episode(tmp_path / "episode_2.hdf5").images


def test_to_lerobot_has_its_layout(lockstep_bag: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "set"
    assert speedtune(["bag", "to-lerobot", str(lockstep_bag), str(folder)]) == 0
    episodes = series_of_bag(Bag(lockstep_bag))
    lengths = [len(series.ticks) for series in episodes]
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"]) == ("v3.0", 50)
    assert (info["total_episodes"], info["total_frames"]) == (2, sum(lengths))
    data = parquet.read_table(folder / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(data.column_names) == {key for key, f in info["features"].items() if f["dtype"] != "video"}
    np.testing.assert_allclose(np.array(data["action"].to_pylist())[5], episodes[0].ticks[5].command, atol=1e-6)
    assert data["index"].to_pylist() == list(range(sum(lengths)))
    assert data["frame_index"].to_pylist() == [*range(lengths[0]), *range(lengths[1])]
    rows = parquet.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["dataset_to_index"] for row in rows] == [lengths[0], sum(lengths)]
    key = "observation.images.top"
    for row, length in zip(rows, lengths):
        place = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
        frames, seconds = imageio_ffmpeg.count_frames_and_secs(
            str(folder / info["video_path"].format(video_key=key, **place))
        )
        assert frames == length and seconds == pytest.approx(row[f"videos/{key}/to_timestamp"], abs=0.03)
        assert np.shape(row[f"stats/{key}/mean"]) == (3, 1, 1)
    stats = json.loads((folder / "meta/stats.json").read_text())
    commands = np.concatenate([[tick.command for tick in series.ticks] for series in episodes])
    np.testing.assert_allclose(stats["action"]["mean"], commands.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stats["action"]["std"], commands.std(axis=0), atol=1e-6)
    assert 0.0 < stats[key]["mean"][0][0][0] < 1.0 and stats[key]["min"][0][0][0] >= 0.0
    tasks = parquet.read_table(folder / "meta/tasks.parquet")
    assert tasks["task_index"].to_pylist() == [0] and b"pandas" in tasks.schema.metadata
    with pytest.raises(DataError, match="never overwritten"):
        speedtune(["bag", "to-lerobot", str(lockstep_bag), str(folder)])
    with pytest.raises(DataError, match="no episode '5'"):
        speedtune(["bag", "to-lerobot", str(lockstep_bag), str(tmp_path / "other"), "--episode", "5"])
