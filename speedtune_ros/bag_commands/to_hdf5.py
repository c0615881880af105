"""speedtune bag to-hdf5."""

from __future__ import annotations

import argparse
from pathlib import Path

from speedtune_ros.bag_commands import add_bag, add_selection, open_bag, selected

HELP = "episodes as ALOHA HDF5 files, every row as of its tick and never from the future, with a lag report"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)
    parser.add_argument("out", type=Path, metavar="DIR", help="folder for episode_<n>.hdf5; existing files stay")
    parser.add_argument("--jpeg", type=int, metavar="QUALITY", help="store images as JPEG (default: raw)")
    add_selection(parser)


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.data.bag_rows import lag_text
    from speedtune_ros.data.bag_to_hdf5 import to_hdf5
    from speedtune_ros.data.episode_file import episode_path

    bag = open_bag(args.bag)
    index = 0
    for rows in selected(bag, args):
        while episode_path(args.out, index).exists():
            index += 1
        path = episode_path(args.out, index)
        to_hdf5(bag, rows, path, args.jpeg)
        dropped = f", {rows.dropped} ticks before the first image or state left out" if rows.dropped else ""
        print(f"{rows.series.info.id}: {len(rows.stamps)} rows in {path}{dropped}\n{lag_text(rows.lags)}")
    return 0
