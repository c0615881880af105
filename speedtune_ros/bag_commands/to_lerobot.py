"""speedtune bag to-lerobot."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from speedtune_ros.bag_commands import add_bag, add_selection, open_bag, selected

if TYPE_CHECKING:
    from speedtune_ros.data.bag_reader import Bag
    from speedtune_ros.data.bag_rows import Rows

HELP = "episodes as a LeRobot dataset (v3.0), every row as of its tick and never from the future, with a lag report"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)
    parser.add_argument("out", type=Path, metavar="DIR", help="folder to write, which must not exist")
    add_selection(parser)


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.data.lerobot import write_dataset

    info = write_dataset(args.out, _said(open_bag(args.bag), args))
    print(f"{info['total_episodes']} episodes, {info['total_frames']} frames at {info['fps']} a second in {args.out}")
    return 0


def _said(bag: Bag, args: argparse.Namespace) -> Iterator[Rows]:
    from speedtune_ros.data.bag_rows import lag_text

    for rows in selected(bag, args):
        dropped = f", {rows.dropped} ticks before the first image or state left out" if rows.dropped else ""
        print(f"{rows.series.info.id}: {len(rows.stamps)} rows{dropped}\n{lag_text(rows.lags)}")
        yield rows
