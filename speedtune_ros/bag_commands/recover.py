"""speedtune bag recover."""

from __future__ import annotations

import argparse
from pathlib import Path

from speedtune_ros.bag_commands import add_bag

HELP = "copy what is readable of a damaged bag to a new one that every tool opens"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, which must not exist")


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.data.bag_reader import recover

    count, loss = recover(args.bag, args.out)
    print(f"{count} messages saved to {args.out}")
    print("\n".join(f"lost: {text}" for text in loss) or "nothing is lost: the bag was whole")
    return 0
