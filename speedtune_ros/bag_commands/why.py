"""speedtune bag why."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from speedtune_ros.bag_commands import add_bag, episode, open_bag, plain

if TYPE_CHECKING:
    from speedtune_ros.data.bag_series import EpisodeSeries

HELP = "the state of every stage at one instant: what was seen, chosen, bound, commanded, reached, refused"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)
    words = "seconds after the bag's first message or, with --episode, after the episode's first tick"
    parser.add_argument("--at", type=float, required=True, metavar="T", help=words)
    parser.add_argument("--episode", metavar="N", help="number of the episode in the bag, from 1, or its id")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.data.series_of_bag import series_of_bag
    from speedtune_ros.errors import DataError
    from speedtune_ros.inspection.why import text, why

    bag = open_bag(args.bag)
    episodes = series_of_bag(bag)
    if args.episode is not None:
        series = episode(episodes, args.episode)
        log_ns = _log_ns(series, args.at)
    else:
        log_ns = bag.start_ns + round(args.at * 1e9)
        begun = [series for series in episodes if series.ticks and series.ticks[0].times.log_ns <= log_ns]
        if not 0.0 <= args.at <= bag.duration or not begun:
            spans = ", ".join(f"{series.number}: {_span(series, bag.start_ns)}" for series in episodes)
            raise DataError(f"--at {args.at:g}: no episode runs then; {bag.duration:.2f} s in all, episodes {spans}")
        series = begun[-1]
    found = why(series, log_ns, bag.start_ns)
    print(json.dumps(plain(found), indent=1) if args.json else text(found))
    return 0


def _log_ns(series: EpisodeSeries, at: float) -> int:
    """When the last tick up to `at` seconds into the episode was received."""
    from speedtune_ros.errors import DataError

    length = (series.end_ns - series.start_ns) * 1e-9
    stamp_ns = series.start_ns + round(at * 1e9)
    ticks = [tick for tick in series.ticks if tick.stamp_ns <= stamp_ns]
    if not ticks or at > length + 1e-9:
        raise DataError(f"--at {at:g}: expected 0 to {length:.2f} s, the length of episode {series.info.id}")
    return ticks[-1].times.log_ns


def _span(series: EpisodeSeries, start_ns: int) -> str:
    logs = [(tick.times.log_ns - start_ns) * 1e-9 for tick in series.ticks]
    return f"{logs[0]:.2f} to {logs[-1]:.2f} s" if logs else "no ticks"
