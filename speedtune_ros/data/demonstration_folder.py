"""A folder of demonstrations that are recorded live: each an episode file, made of the bag that lies beside it.

    episode_<index>.hdf5   there once it is whole: the demonstration is kept
    episode_<index>/       its bag; alone: being recorded, or left behind by a recorder that was killed
    unfinished/<number>/   a bag without a verdict, or of which no episode file could be made; nothing is lost
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_rows import rows_of_series
from speedtune_ros.data.bag_to_hdf5 import to_hdf5
from speedtune_ros.data.episode_file import episode_path
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import DataError, SpeedtuneError

DISCARDED = "discarded"  # EpisodeStatus.reason of what an operator does not want


class DemonstrationFolder:
    """jpeg_quality: of images in episode files, None stores them raw."""

    def __init__(self, path: Path, jpeg_quality: int | None) -> None:
        self.path = path
        self._quality = jpeg_quality
        path.mkdir(parents=True, exist_ok=True)

    def bag(self, index: int) -> Path:
        """Where the bag of a demonstration lies."""
        return self.path / f"episode_{index}"

    def next_index(self) -> int:
        """The first that is free, so that a file taken away is recorded anew."""
        index = 0
        while self.bag(index).exists() or episode_path(self.path, index).exists():
            index += 1
        return index

    def kept(self) -> int:
        """How many demonstrations there are."""
        return len(list(self.path.glob("episode_*.hdf5")))

    def keep(self, index: int) -> str:
        """Make the episode file of a bag; what is to be said. Raises DataError, the bag untouched."""
        bag = Bag(self.bag(index))
        succeeded = [series for series in series_of_bag(bag) if series.info.success]
        if not succeeded:
            raise DataError(f"{self.bag(index)}: expected an episode that succeeded")
        rows = rows_of_series(succeeded[-1])
        path = episode_path(self.path, index)
        to_hdf5(bag, rows, path, self._quality)
        cameras = ", ".join(sorted(rows.images)) or "no camera"
        return f"kept {path}: {len(rows.stamps)} rows with {cameras}; its bag beside it"

    def drop(self, index: int) -> str:
        """Delete the bag of a demonstration that is not wanted."""
        shutil.rmtree(self.bag(index))
        return f"discarded {self.bag(index)}"

    def set_aside(self, index: int, why: str) -> str:
        """Keep a bag from which no demonstration came."""
        place = self.path / "unfinished"
        number = 0
        while (target := place / f"{number}").exists():
            number += 1
        place.mkdir(exist_ok=True)
        self.bag(index).rename(target)
        return f"no demonstration ({why}): its bag is {target}; `speedtune bag to-hdf5` makes one of it all the same"

    def recover(self) -> Iterator[str]:
        """Deal with what a killed recorder left behind; what is to be said of it."""
        for stale in self.path.glob("episode_*.hdf5.partial"):
            stale.unlink()
        for index in self._alone():
            yield f"{self.bag(index)} was left behind: {self.settle(index)}"

    def settle(self, index: int) -> str:
        """Keep, drop or set aside a bag as its own last word on the episode says; what is to be said of it."""
        try:
            verdict = _verdict(self.bag(index))
            if verdict == DISCARDED:
                return self.drop(index)
            return self.set_aside(index, verdict) if verdict else self.keep(index)
        except (SpeedtuneError, OSError) as error:
            return self.set_aside(index, str(error))

    def _alone(self) -> list[int]:
        """Of bags without an episode file."""
        named = (re.fullmatch(r"episode_(\d+)", folder.name) for folder in self.path.iterdir() if folder.is_dir())
        found = sorted(int(match[1]) for match in named if match)
        return [index for index in found if not episode_path(self.path, index).exists()]


def _verdict(path: Path) -> str:
    """Why a bag is no demonstration; empty if it is one."""
    episodes = Bag(path).episodes()
    if not episodes:
        return "nothing was recorded"
    last = episodes[-1]
    return "" if last.success else last.reason or "it has no verdict"
