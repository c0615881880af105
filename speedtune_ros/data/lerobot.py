"""Writes LeRobot datasets, layout v3.0, without LeRobot.

Layout (https://github.com/huggingface/lerobot, src/lerobot/datasets/dataset_metadata.py and dataset_writer.py):

    meta/info.json, meta/stats.json, meta/tasks.parquet
    meta/episodes/chunk-000/file-000.parquet    one row an episode: where its frames are, its statistics
    data/chunk-000/file-000.parquet             one row a frame
    videos/<camera key>/chunk-000/file-000.mp4  here one file an episode
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, JOINT_NAMES
from speedtune_ros.data.bag_rows import Rows
from speedtune_ros.errors import DataError, MissingDependencyError

VERSION = "v3.0"
FPS = round(1.0 / CONTROL_DT)
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
CHUNK = 1000  # files a folder
QUANTILES = {"q01": 1, "q10": 10, "q50": 50, "q90": 90, "q99": 99}
_VECTORS = {"observation.state": "qpos", "observation.velocity": "qvel", "action": "action"}
_INDICES = ("frame_index", "episode_index", "index", "task_index")
_PIXEL_STEP = 10  # every so many frames are looked at for statistics


def write_dataset(folder: Path, episodes: Iterable[Rows], robot_type: str = "aloha") -> dict[str, Any]:
    """Write `episodes` as a new dataset; its info. Raises DataError if `folder` exists or they do not fit together."""
    if folder.exists():
        raise DataError(f"{folder}: exists already; datasets are never overwritten")
    writer = _Writer(folder)
    for rows in episodes:
        writer.add(rows)
    return writer.finish(robot_type)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._parquet = _pyarrow()
        self._folder = folder
        self._frames: list[dict[str, np.ndarray]] = []
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[dict[str, dict[str, np.ndarray]]] = []
        self._tasks: list[str] = []
        self._sizes: dict[str, tuple[int, int]] = {}
        self._total = 0

    def add(self, rows: Rows) -> None:
        number, length = len(self._episodes), len(rows.stamps)
        self._check_cameras(rows)
        task = rows.series.instruction or rows.series.info.task
        if task not in self._tasks:
            self._tasks.append(task)
        frames: dict[str, np.ndarray] = {
            **{key: getattr(rows, name).astype(np.float32) for key, name in _VECTORS.items()},
            "timestamp": (np.arange(length) / FPS).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, number),
            "index": np.arange(self._total, self._total + length),
            "task_index": np.full(length, self._tasks.index(task)),
        }
        stats = {key: _statistics(values.reshape(length, -1)) for key, values in frames.items()}
        videos: dict[str, Any] = {}
        for camera in rows.images:
            key = f"observation.images.{camera}"
            pixels = rows.pixels(camera)
            self._check_size(key, pixels.shape[1:3])
            place = {"chunk_index": number // CHUNK, "file_index": number % CHUNK}
            _write_video(self._folder / VIDEO_PATH.format(video_key=key, **place), pixels)
            times = {"from_timestamp": 0.0, "to_timestamp": length / FPS}
            videos |= {f"videos/{key}/{name}": value for name, value in {**place, **times}.items()}
            stats[key] = _pixel_statistics(pixels)
        self._frames.append(frames)
        self._stats.append(stats)
        self._episodes.append(
            {
                "episode_index": number,
                "tasks": [task],
                "length": length,
                "data/chunk_index": 0,
                "data/file_index": 0,
                "dataset_from_index": self._total,
                "dataset_to_index": self._total + length,
                **videos,
                **{f"stats/{k}/{name}": v.tolist() for k, found in stats.items() for name, v in found.items()},
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self._total += length

    def finish(self, robot_type: str) -> dict[str, Any]:
        if not self._episodes:
            raise DataError(f"{self._folder}: no episode to write")
        first = {"chunk_index": 0, "file_index": 0}
        joined = {key: np.concatenate([frames[key] for frames in self._frames]) for key in self._frames[0]}
        self._write(DATA_PATH.format(**first), {key: self._column(values) for key, values in joined.items()})
        columns = {key: [episode[key] for episode in self._episodes] for key in self._episodes[0]}
        self._write(EPISODES_PATH.format(**first), columns)
        self._write_tasks()
        info = self._info(robot_type)
        self._json("meta/info.json", info)
        self._json("meta/stats.json", _pooled(self._stats, joined))
        return info

    def _check_cameras(self, rows: Rows) -> None:
        keys = {f"observation.images.{camera}" for camera in rows.images}
        if self._episodes and keys != set(self._sizes):
            expected, found = (", ".join(sorted(some)) or "none" for some in (self._sizes, keys))
            raise DataError(f"episode '{rows.series.info.id}': expected cameras {expected}, found {found}")

    def _check_size(self, key: str, size: tuple[int, ...]) -> None:
        height, width = size
        if height % 2 or width % 2:
            raise DataError(f"{key}: expected an even height and width for video, got {height}x{width}")
        if self._sizes.setdefault(key, (height, width)) != (height, width):
            before = "x".join(map(str, self._sizes[key]))
            raise DataError(f"{key}: expected images of {before} as in the first episode, got {height}x{width}")

    def _column(self, values: np.ndarray) -> Any:
        arrow = self._parquet[0]
        if values.ndim == 1:
            return arrow.array(values)
        return arrow.FixedSizeListArray.from_arrays(arrow.array(values.ravel()), values.shape[1])

    def _write(self, path: str, columns: Mapping[str, Any], metadata: Mapping[bytes, bytes] | None = None) -> None:
        arrow, parquet = self._parquet
        table = arrow.table(dict(columns))
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table.replace_schema_metadata(metadata) if metadata else table, self._folder / path)

    def _write_tasks(self) -> None:
        """As pandas would: the task's text is the index, which readers look it up by."""
        columns = [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
            {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
        ]
        pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.2.0"}
        for column in columns:
            column["metadata"] = None  # type: ignore[assignment]
        values = {"task_index": list(range(len(self._tasks))), "task": self._tasks}
        self._write("meta/tasks.parquet", values, {b"pandas": json.dumps(pandas).encode()})

    def _info(self, robot_type: str) -> dict[str, Any]:
        joints = {"dtype": "float32", "shape": [len(JOINT_NAMES)], "names": list(JOINT_NAMES)}
        features: dict[str, Any] = {key: joints for key in _VECTORS}
        features |= {key: _video_feature(size) for key, size in self._sizes.items()}
        features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
        features |= {key: {"dtype": "int64", "shape": [1], "names": None} for key in _INDICES}
        return {
            "codebase_version": VERSION,
            "robot_type": robot_type,
            "total_episodes": len(self._episodes),
            "total_frames": self._total,
            "total_tasks": len(self._tasks),
            "chunks_size": CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": FPS,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._sizes else None,
            "features": features,
        }

    def _json(self, path: str, values: Any) -> None:
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / path).write_text(json.dumps(values, indent=4) + "\n")


def _video_feature(size: tuple[int, int]) -> dict[str, Any]:
    height, width = size
    video = {"height": height, "width": width, "codec": "h264", "pix_fmt": "yuv420p", "fps": FPS, "channels": 3}
    info = {**{f"video.{name}": value for name, value in video.items()}, "is_depth_map": False, "has_audio": False}
    return {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"], "info": info}


def _write_video(path: Path, pixels: np.ndarray) -> None:
    """(T, H, W, 3) uint8 RGB as H.264, a key frame every other frame so that any is quickly found."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise MissingDependencyError("videos need ffmpeg: pip install imageio-ffmpeg") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape[1:3]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=FPS,
        codec="libx264",
        pix_fmt_out="yuv420p",
        macro_block_size=2,
        output_params=["-crf", "18", "-g", "2", "-preset", "veryfast", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    writer.send(None)
    for frame in pixels:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


def _statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """Of values (T, n), each (n,)."""
    numbers = values.astype(np.float64)
    found = {name: getattr(numbers, name)(axis=0) for name in ("min", "max", "mean", "std")}
    found |= {name: np.percentile(numbers, share, axis=0) for name, share in QUANTILES.items()}
    return {**found, "count": np.array([len(values)])}


def _pixel_statistics(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """By colour, of pixels scaled to 0 to 1: each (3, 1, 1), as LeRobot broadcasts them."""
    some = pixels[::_PIXEL_STEP]
    found = _statistics(some.reshape(-1, 3) / 255.0)
    shaped = {name: value.reshape(3, 1, 1) for name, value in found.items() if name != "count"}
    return {**shaped, "count": np.array([len(some)])}


def _pooled(stats: list[dict[str, dict[str, np.ndarray]]], joined: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Of the whole dataset: of vectors exactly; of images from the episodes', weighted by their frames."""
    pooled: dict[str, Any] = {key: _statistics(v.reshape(len(v), -1)) for key, v in joined.items()}
    for key in stats[0].keys() - joined.keys():
        each = [episode[key] for episode in stats]
        weights = np.array([found["count"][0] for found in each], float)
        mean = _weighted([found["mean"] for found in each], weights)
        square = _weighted([found["std"] ** 2 + (found["mean"] - mean) ** 2 for found in each], weights)
        pooled[key] = {
            "min": np.min([found["min"] for found in each], axis=0),
            "max": np.max([found["max"] for found in each], axis=0),
            "mean": mean,
            "std": np.sqrt(square),
            **{name: _weighted([found[name] for found in each], weights) for name in QUANTILES},
            "count": np.array([int(weights.sum())]),
        }
    return {key: {name: value.tolist() for name, value in found.items()} for key, found in pooled.items()}


def _weighted(values: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.average(np.stack(values), axis=0, weights=weights))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("LeRobot datasets need pyarrow: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet
