"""Episode files: the HDF5 layout of ALOHA, as the tools of ACT and Trossen read and write it.

Layout (https://github.com/tonyzhaozh/act, record_sim_episodes.py; https://github.com/Interbotix/aloha,
record_episodes.py), T steps, `ncam` cameras in alphabetical order:

    attrs: sim, compress
    /observations/qpos, qvel, effort   (T, 14)
    /observations/images/<camera>      (T, H, W, 3) uint8 RGB, or (T, padded) uint8 JPEG bytes
    /compress_len                      (ncam, T), only with JPEG
    /action                            (T, 14), the command issued on the observation of the same row

Beside it, where other tools do not look: /reached/qpos, qvel (T, 14), the state one step after each row, which
is what a policy of desired states imitates, and attrs that say where the episode came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.data.jpeg import decode, encode
from speedtune_ros.errors import DataError

# The name of each (T, 14) field of EpisodeData in the file, and whether other tools' files may lack it.
SERIES = {
    "qpos": ("/observations/qpos", False),
    "qvel": ("/observations/qvel", False),
    "effort": ("/observations/effort", True),
    "action": ("/action", False),
    "reached_qpos": ("/reached/qpos", True),
    "reached_qvel": ("/reached/qvel", True),
}
IMAGES = "/observations/images"


@dataclass(frozen=True)
class Origin:
    """Where an episode came from; empty where a file of another tool does not say.

    attempts: seeds tried until one succeeded; success_step: the first step [control steps] at full reward, -1 unknown;
    disturbance: spread of the noise [rad] added to `action` when it was executed.
    """

    task: str = ""
    profile: str = ""
    seed: int = -1
    attempts: int = 1
    success_step: int = -1
    instruction: str = ""
    disturbance: float = 0.0


@dataclass(frozen=True)
class EpisodeData:
    """One demonstration of T steps, rows at 50 Hz.

    qpos, qvel, effort, action: (T, 14); images by camera: (T, H, W, 3) uint8 RGB; reached_qpos, reached_qvel
    (T, 14): the state one step after each row; the optional ones are None where a file lacks them.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    action: np.ndarray
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    effort: np.ndarray | None = None
    reached_qpos: np.ndarray | None = None
    reached_qvel: np.ndarray | None = None
    origin: Origin = field(default_factory=Origin)
    simulated: bool = True

    @property
    def steps(self) -> int:
        return len(self.action)


def episode_path(folder: str | Path, index: int) -> Path:
    """The name ACT's loader expects: `episode_<index>.hdf5`."""
    return Path(folder) / f"episode_{index}.hdf5"


def episode_paths(folder: str | Path) -> list[Path]:
    """Every episode file of `folder`, by index. Raises DataError if there is none."""
    named = [(path.stem.removeprefix("episode_"), path) for path in Path(folder).glob("episode_*.hdf5")]
    found = sorted((int(index), path) for index, path in named if index.isdigit())
    if not found:
        raise DataError(f"{folder}: expected files episode_<index>.hdf5, found none")
    return [path for _, path in found]


def write_episode(path: str | Path, episode: EpisodeData, jpeg_quality: int | None = None) -> None:
    """Write `episode`, images raw or as JPEG. Atomic: the name appears once the file is whole.

    Raises DataError if `path` exists or the episode's arrays do not belong together.
    """
    path = Path(path)
    if path.exists():
        raise DataError(f"{path}: exists already; episode files are never overwritten")
    check(episode, str(path))
    partial = path.with_name(path.name + ".partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(file, episode, jpeg_quality)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        os.rename(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write(file: h5py.File, episode: EpisodeData, jpeg_quality: int | None) -> None:
    file.attrs["sim"] = episode.simulated
    file.attrs["compress"] = jpeg_quality is not None
    for name, value in asdict(episode.origin).items():
        file.attrs[name] = value
    for name, (dataset, _) in SERIES.items():
        if (array := getattr(episode, name)) is not None:
            file.create_dataset(dataset, data=array)
    lengths = []
    for camera in sorted(episode.images):
        frames = episode.images[camera]
        if jpeg_quality is not None:
            frames, length = encode(frames, jpeg_quality)
            lengths.append(length)
        stored = file.create_dataset(f"{IMAGES}/{camera}", frames.shape, frames.dtype, chunks=(1, *frames.shape[1:]))
        for index, frame in enumerate(frames):  # which may be decoded as they come
            stored[index] = frame
    if lengths:
        file.create_dataset("/compress_len", data=np.array(lengths))


def read_origin(path: str | Path) -> Origin:
    """Where the episode of `path` came from, without reading its arrays. Raises DataError."""
    with _opened(Path(path)) as file:
        return _origin(file)


def read_episode(
    path: str | Path, cameras: Sequence[str] | None = None, image_size: tuple[int, int] | None = None
) -> EpisodeData:
    """Read an episode and the images of `cameras` (all there are by default), each of `image_size` if given.

    Raises DataError, naming path, dataset, expected and found, if the file is truncated, lacks a dataset or a
    camera, or holds a wrong shape or a value that is not finite.
    """
    path = Path(path)
    with _opened(path) as file:
        try:
            series = {name: _series(file, dataset, optional, path) for name, (dataset, optional) in SERIES.items()}
            images = {camera: _images(file, camera, path) for camera in _cameras(file, cameras, path)}
        except OSError as error:
            raise DataError(f"{path}: truncated or damaged: {error}") from error
        origin, simulated = _origin(file), bool(file.attrs.get("sim", True))
    episode = EpisodeData(images=images, origin=origin, simulated=simulated, **series)  # type: ignore[arg-type]
    check(episode, str(path), image_size)
    return episode


def check(episode: EpisodeData, source: str, image_size: tuple[int, int] | None = None) -> None:
    """Raise DataError unless all arrays have the episode's length, their own shape, and are finite."""
    steps = len(episode.action) if np.ndim(episode.action) else 0
    for name, (dataset, optional) in SERIES.items():
        array = getattr(episode, name)
        if array is None and optional:
            continue
        if steps == 0 or np.shape(array) != (steps, NUM_JOINTS):
            raise DataError(
                f"{source}: {dataset}: expected shape ({steps or 'T'}, {NUM_JOINTS}), got {np.shape(array)}"
            )
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0].tolist()
            raise DataError(
                f"{source}: {dataset}: expected finite values, got {array[row, column]} at [{row}, {column}]"
            )
    for camera, frames in episode.images.items():
        height, width = image_size or frames.shape[1:3]
        if frames.shape != (steps, height, width, 3) or frames.dtype != np.uint8:
            expected = f"shape ({steps}, {height}, {width}, 3) uint8"
            raise DataError(f"{source}: {IMAGES}/{camera}: expected {expected}, got {frames.shape} {frames.dtype}")


def _opened(path: Path) -> h5py.File:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: truncated or not HDF5: {error}") from error


def _origin(file: h5py.File) -> Origin:
    found: dict[str, Any] = {}
    for item in fields(Origin):
        if item.name in file.attrs:
            value = file.attrs[item.name]
            found[item.name] = value if isinstance(value, str) else value.item()
    return Origin(**found)


def _series(file: h5py.File, dataset: str, optional: bool, path: Path) -> np.ndarray | None:
    if dataset not in file:
        if optional:
            return None
        raise DataError(f"{path}: {dataset}: expected shape (T, {NUM_JOINTS}), found no such dataset")
    return np.asarray(file[dataset][()], np.float64)


def _cameras(file: h5py.File, wanted: Sequence[str] | None, path: Path) -> list[str]:
    present = list(file[IMAGES]) if IMAGES in file else []
    missing = [camera for camera in wanted or () if camera not in present]
    if missing:
        raise DataError(f"{path}: {IMAGES}: expected camera '{missing[0]}', found {', '.join(present) or 'none'}")
    return list(present if wanted is None else wanted)


def _images(file: h5py.File, camera: str, path: Path) -> np.ndarray:
    name = f"{IMAGES}/{camera}"
    stored = file[name]
    if not file.attrs.get("compress", False):
        if stored.ndim != 4:
            raise DataError(f"{path}: {name}: expected shape (T, H, W, 3), got {stored.shape}")
        return stored[()]
    if stored.ndim != 2:
        raise DataError(f"{path}: {name}: expected shape (T, bytes) of padded JPEG, got {stored.shape}")
    return decode(stored[()], f"{path}: {name}")
