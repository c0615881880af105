"""What `speedtune bag` does: one module an action, `to_hdf5.py` being `speedtune bag to-hdf5`.

As in commands/: `HELP`, `configure(parser)`, `run(arguments) -> exit status`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from speedtune_ros.data.bag_reader import Bag
    from speedtune_ros.data.bag_rows import Rows
    from speedtune_ros.data.bag_series import EpisodeSeries


def add_bag(parser: argparse.ArgumentParser, name: str = "bag") -> None:
    """The bag an action is about."""
    parser.add_argument(name, type=Path, metavar=name.upper(), help="rosbag2 folder or .mcap file")


def open_bag(path: Path) -> Bag:
    """The bag, with what it lacks said on standard error."""
    from speedtune_ros.data.bag_reader import Bag

    bag = Bag(path)
    for text in bag.loss:
        print(f"{path}: damaged: {text}", file=sys.stderr)
    for text in bag.absences:
        print(f"{path}: {text}", file=sys.stderr)
    return bag


def episode(episodes: Sequence[EpisodeSeries], word: str) -> EpisodeSeries:
    """The episode of that id, or of that number in the bag from 1. Raises DataError naming those there are."""
    from speedtune_ros.errors import DataError

    by_name = {name: series for series in episodes for name in (str(series.number), series.info.id)}
    if word not in by_name:
        known = ", ".join(f"{series.number} ({series.info.id})" for series in episodes)
        raise DataError(f"no episode '{word}' in the bag; expected one of {known or 'none'}")
    return by_name[word]


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which episodes and cameras to convert."""
    parser.add_argument("--episode", metavar="N", help="only this one: its number in the bag, from 1, or its id")
    parser.add_argument("--successful", action="store_true", help="only episodes that succeeded")
    parser.add_argument("--cameras", metavar="NAMES", help="comma-separated, or none (default: all in the bag)")


def selected(bag: Bag, args: argparse.Namespace) -> Iterator[Rows]:
    """The rows of the chosen episodes. Raises DataError if there are none."""
    from speedtune_ros.data.bag_rows import rows_of_series
    from speedtune_ros.data.series_of_bag import series_of_bag
    from speedtune_ros.errors import DataError

    cameras = None if args.cameras is None else [name for name in args.cameras.split(",") if name not in ("", "none")]
    episodes = series_of_bag(bag)
    chosen = episodes if args.episode is None else [episode(episodes, args.episode)]
    chosen = [series for series in chosen if series.info.success or not args.successful]
    if not chosen:
        raise DataError(f"{bag.path}: no episode{' that succeeded' if args.successful else ''} to convert")
    for series in chosen:
        yield rows_of_series(series, cameras)


def write_json(path: Path, values: Any) -> None:
    """JSON with null for what is not a number: JSON knows neither NaN nor infinity."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(values), indent=1) + "\n")


def plain(value: Any) -> Any:
    """Nested values as JSON takes them."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
