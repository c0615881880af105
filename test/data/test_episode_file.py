"""Episode files: round trips, what ACT's own reader makes of them, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from speedtune_ros.data.episode_file import (
    EpisodeData,
    Origin,
    episode_path,
    episode_paths,
    read_episode,
    read_origin,
    write_episode,
)
from speedtune_ros.errors import DataError

STEPS = 6


def make_episode(cameras: tuple[str, ...] = ("top", "angle"), steps: int = STEPS) -> EpisodeData:
    rng = np.random.default_rng(0)
    series = rng.normal(size=(6, steps, 14))
    rows, columns = np.mgrid[0:24, 0:32]
    # Smooth pictures that differ by step, camera and channel: JPEG keeps them nearly as they are.
    image = np.stack([4 * rows, 4 * columns, 255 - 4 * rows], -1).astype(np.uint8)
    images = {
        camera: np.stack([np.roll(image, shift=step + 7 * i, axis=0) // (1 + i) for step in range(steps)])
        for i, camera in enumerate(cameras)
    }
    origin = Origin("transfer_cube", "act", 17, 2, 289, "move the cube")
    return EpisodeData(*series[:2], series[2], images, *series[3:], origin=origin)


def test_raw_round_trip_is_exact(tmp_path: Path) -> None:
    episode = make_episode()
    write_episode(tmp_path / "episode_0.hdf5", episode)
    read = read_episode(tmp_path / "episode_0.hdf5")
    for name in ("qpos", "qvel", "action", "effort", "reached_qpos", "reached_qvel"):
        np.testing.assert_array_equal(getattr(read, name), getattr(episode, name))
    for camera in episode.images:
        np.testing.assert_array_equal(read.images[camera], episode.images[camera])
    assert (read.origin, read.simulated, read.steps) == (episode.origin, True, STEPS)
    assert read_origin(tmp_path / "episode_0.hdf5").seed == 17


def test_jpeg_round_trip_keeps_colours(tmp_path: Path) -> None:
    episode = make_episode()
    write_episode(tmp_path / "episode_0.hdf5", episode, jpeg_quality=95)
    read = read_episode(tmp_path / "episode_0.hdf5")
    for camera in episode.images:
        assert read.images[camera].shape == episode.images[camera].shape
        error = np.abs(read.images[camera].astype(int) - episode.images[camera])
        assert error.mean() < 4.0  # swapped channels would be off by tens


@pytest.mark.parametrize("quality", [None, 90])
def test_act_and_trossen_read_it(tmp_path: Path, quality: int | None) -> None:
    """What the readers of github.com/tonyzhaozh/act (utils.py) and github.com/Interbotix/aloha do, step by step."""
    import cv2

    episode = make_episode()
    write_episode(episode_path(tmp_path, 0), episode, quality)
    with h5py.File(tmp_path / "episode_0.hdf5", "r") as root:
        assert bool(root.attrs["sim"])
        assert bool(root.attrs.get("compress", False)) == (quality is not None)
        start, length = 2, root["/action"].shape[0]
        padded = np.zeros(root["/action"].shape, dtype=np.float32)
        padded[: length - start] = root["/action"][start:]
        np.testing.assert_allclose(padded[: length - start], episode.action[start:], rtol=1e-6)
        for name, expected in (("qpos", episode.qpos), ("qvel", episode.qvel), ("effort", episode.effort)):
            np.testing.assert_array_equal(root[f"/observations/{name}"][()], expected)
        cameras = list(root["/observations/images/"].keys())
        assert cameras == ["angle", "top"]
        for number, camera in enumerate(cameras):
            stored = root[f"/observations/images/{camera}"]
            if quality is None:
                assert stored.shape == (STEPS, 24, 32, 3)
                continue
            size = int(root["/compress_len"][number, start])
            assert not stored[start][size:].any()
            np.testing.assert_array_equal(cv2.imdecode(stored[start], 1), cv2.imdecode(stored[start][:size], 1))


def test_never_overwrites(tmp_path: Path) -> None:
    path = episode_path(tmp_path, 0)
    write_episode(path, make_episode())
    before = path.read_bytes()
    with pytest.raises(DataError, match="episode_0.hdf5: exists already"):
        write_episode(path, make_episode())
    assert path.read_bytes() == before


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_episode(episode_path(tmp_path, 0), make_episode())
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = episode_path(tmp_path, 0)
    write_episode(path, make_episode())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"episode_0.hdf5: truncated or not HDF5"):
        read_episode(path)


def test_paths_are_in_order_of_index(tmp_path: Path) -> None:
    for index in (10, 2, 0):
        write_episode(episode_path(tmp_path, index), make_episode(steps=2))
    (tmp_path / "episode_3.hdf5.partial").touch()
    assert [path.name for path in episode_paths(tmp_path)] == ["episode_0.hdf5", "episode_2.hdf5", "episode_10.hdf5"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected files episode_<index>.hdf5, found none"):
        episode_paths(tmp_path)


def replaced(path: Path, dataset: str, data: np.ndarray | None) -> None:
    with h5py.File(path, "a") as file:
        del file[dataset]
        if data is not None:
            file[dataset] = data


NAN = np.zeros((STEPS, 14))
NAN[3, 5] = np.nan


@pytest.mark.parametrize(
    ("dataset", "data", "message"),
    [
        ("/observations/qpos", np.zeros((STEPS, 13)), r"/observations/qpos: expected shape \(6, 14\), got \(6, 13\)"),
        (
            "/observations/qvel",
            np.zeros((STEPS - 1, 14)),
            r"/observations/qvel: expected shape \(6, 14\), got \(5, 14\)",
        ),
        ("/action", NAN, r"/action: expected finite values, got nan at \[3, 5\]"),
        ("/action", np.zeros((0, 14)), r"expected shape \(T, 14\), got \("),
        ("/observations/qpos", None, r"/observations/qpos: expected shape \(T, 14\), found no such dataset"),
        ("/observations/images/top", np.zeros((STEPS, 24, 32), np.uint8), r"images/top: expected shape \(T, H, W, 3\)"),
        (
            "/observations/images/top",
            np.zeros((STEPS, 20, 32, 3), np.uint8),
            r"images/top: expected shape \(6, 24, 32, 3\) uint8, got \(6, 20, 32, 3\) uint8",
        ),
        (
            "/observations/images/top",
            np.zeros((STEPS, 24, 32, 3)),
            r"images/top: expected shape \(6, 24, 32, 3\) uint8, got \(6, 24, 32, 3\) float64",
        ),
    ],
)
def test_damage_is_refused_with_path_dataset_and_shapes(
    tmp_path: Path, dataset: str, data: np.ndarray | None, message: str
) -> None:
    path = episode_path(tmp_path, 0)
    write_episode(path, make_episode())
    replaced(path, dataset, data)
    with pytest.raises(DataError, match=f"{path}: .*{message}"):
        read_episode(path, ["top"], (24, 32))


def test_a_missing_camera_is_named(tmp_path: Path) -> None:
    path = episode_path(tmp_path, 0)
    write_episode(path, make_episode())
    with pytest.raises(
        DataError, match=f"{path}: /observations/images: expected camera 'left_wrist', found angle, top"
    ):
        read_episode(path, ["left_wrist"])


def test_a_broken_jpeg_is_refused(tmp_path: Path) -> None:
    path = episode_path(tmp_path, 0)
    write_episode(path, make_episode(), jpeg_quality=90)
    with h5py.File(path, "a") as file:
        file["/observations/images/top"][2] = 0
    with pytest.raises(DataError, match=f"{path}: /observations/images/top: expected a JPEG image .* in row 2"):
        read_episode(path)


def test_bad_arrays_are_not_written(tmp_path: Path) -> None:
    episode = make_episode()
    with pytest.raises(DataError, match=r"/observations/effort: expected shape \(6, 14\), got \(6, 3\)"):
        write_episode(tmp_path / "episode_0.hdf5", replace(episode, effort=np.zeros((STEPS, 3))))
    assert list(tmp_path.iterdir()) == []


def test_files_of_other_tools_lack_our_extras(tmp_path: Path) -> None:
    path = episode_path(tmp_path, 0)
    write_episode(path, replace(make_episode(), effort=None, reached_qpos=None, reached_qvel=None, origin=Origin()))
    with h5py.File(path, "a") as file:
        for name in ("task", "profile", "seed", "attempts", "success_step", "instruction", "compress"):
            del file.attrs[name]
    read = read_episode(path)
    assert read.effort is None
    assert read.reached_qpos is None
    assert read.origin == Origin()
