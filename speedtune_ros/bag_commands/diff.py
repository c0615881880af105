"""speedtune bag diff."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speedtune_ros.bag_commands import add_bag, episode, open_bag, write_json

if TYPE_CHECKING:
    from speedtune_ros.data.bag_series import EpisodeSeries

HELP = "two runs aligned by progress: where, in demonstration time, they part"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser, "a")
    add_bag(parser, "b")
    words = "the episode of A and that of B, by number or id (default: the first pair of the same scene)"
    parser.add_argument("--episodes", nargs=2, metavar=("N", "M"), help=words)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a page (HTML)")


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.data.series_of_bag import series_of_bag
    from speedtune_ros.inspection.difference import difference, text

    one, other = (series_of_bag(open_bag(path), images=False) for path in (args.a, args.b))
    if args.episodes:
        pair = episode(one, args.episodes[0]), episode(other, args.episodes[1])
    else:
        pair = _same_scene(one, other)
    found = difference(*pair)
    print(text(found))
    if args.json is not None:
        write_json(args.json, found.to_dict())
        print(f"written to {args.json}")
    if args.out is not None:
        from speedtune_ros.report.difference_page import difference_page

        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(difference_page(f"{args.a.name} against {args.b.name}", found), encoding="utf-8")
        print(f"written to {args.out}")
    return 0


def _same_scene(one: list[EpisodeSeries], other: list[EpisodeSeries]) -> tuple[EpisodeSeries, EpisodeSeries]:
    """The first two different runs of one task and seed. Raises DataError if there are none."""
    from speedtune_ros.errors import DataError

    for a in one:
        for b in other:
            if (a.info.task, a.info.seed) == (b.info.task, b.info.seed) and a.info.id != b.info.id:
                return a, b
    if one and other and one[0].info.id == other[0].info.id:
        return one[0], other[0]  # a bag against its own replay
    known = [", ".join(f"{i} (seed {s.info.seed})" for i, s in enumerate(found, 1)) or "none" for found in (one, other)]
    raise DataError(f"no scene is in both bags; A has {known[0]}; B has {known[1]}; choose with --episodes N M")
