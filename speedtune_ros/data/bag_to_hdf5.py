"""Bags to ALOHA HDF5 episode files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_rows import Rows
from speedtune_ros.data.episode_file import EpisodeData, Origin, write_episode


def to_hdf5(bag: Bag, rows: Rows, path: Path, jpeg_quality: int | None = None) -> EpisodeData:
    """Write one episode; images raw, or as JPEG of `jpeg_quality`. Raises DataError if the file exists."""
    series = rows.series
    reached = np.minimum(np.arange(len(rows.stamps)) + 1, len(rows.stamps) - 1)
    success = -1 if series.success_ns is None else int(np.searchsorted(rows.stamps, series.success_ns))
    if success < 0 and series.info.success:
        success = len(rows.stamps)  # an operator's verdict, which ends the episode
    config = bag.config or {}
    profile = next((str(values["profile"]) for values in config.values() if "profile" in values), "")
    origin = Origin(
        task=series.info.task,
        profile=profile,
        seed=series.info.seed,
        success_step=success,
        instruction=series.instruction,
    )
    data = EpisodeData(
        qpos=rows.qpos,
        qvel=rows.qvel,
        action=rows.action,
        images={camera: rows.film(camera) for camera in rows.images},  # type: ignore[misc]  # as much of an array as is used
        reached_qpos=rows.qpos[reached],
        reached_qvel=rows.qvel[reached],
        origin=origin,
        simulated=bool({"sim", "xs_sim"} & {node.rpartition("/")[2] for node in config}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_episode(path, data, jpeg_quality)
    return data
