"""Labelled episodes as they end, one file each: what a resumed run learns again, and data for later ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speedtune_ros.errors import DataError
from speedtune_ros.speed.decider import Decisions
from speedtune_ros.training.state_file import read_tree, write_tree

_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class LabelledEpisode:
    """What is learned from one episode: its decisions, executed `sdot` by control step from the first one on (n,),
    the verdict -1 to 1, and control steps its time limit still had."""

    name: str
    seed: int
    decisions: Decisions
    speeds: np.ndarray
    label: float
    left: int


class Journal:
    """The episodes in a folder, numbered from 0."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        numbers = sorted(int(path.stem) for path in folder.glob(f"*{_SUFFIX}"))
        if numbers != list(range(len(numbers))):
            raise DataError(f"{folder}: expected episodes numbered from 0 without a gap, found {numbers}")
        self._count = len(numbers)

    def __len__(self) -> int:
        return self._count

    def append(self, episode: LabelledEpisode) -> None:
        """Whole and on disk before this returns."""
        tree = {
            "name": episode.name,
            "seed": episode.seed,
            "label": episode.label,
            "left": episode.left,
            "speeds": np.asarray(episode.speeds, np.float64),
            "features": episode.decisions.features,
            "actions": np.asarray(episode.decisions.actions, np.int64),
            "stamps": np.asarray(episode.decisions.stamps, np.int64),
        }
        write_tree(self._path(self._count), tree)
        self._count += 1

    def read(self, first: int = 0) -> Iterator[LabelledEpisode]:
        """From number `first` on. Raises CheckpointError for a damaged file."""
        for number in range(first, self._count):
            tree = read_tree(self._path(number))
            decisions = Decisions(tree["features"], tree["actions"], tree["stamps"])
            yield LabelledEpisode(
                tree["name"], tree["seed"], decisions, tree["speeds"], float(tree["label"]), tree["left"]
            )

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}{_SUFFIX}"
