"""speedtune sweep: success against speed, as CSV, JSON and a picture."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from speedtune_ros.evaluation.arguments import Bar, add_arguments, config_of
from speedtune_ros.evaluation.evaluate import parse_seeds
from speedtune_ros.evaluation.sweep import parse_speeds, sweep

HELP = "measure success against constant speeds: CSV, JSON and a picture; continues where it was interrupted"
HEADER = f"{'speed':>6} {'success':>8} {'Wilson 95 %':>15} {'realised':>9} {'acceleration':>13} {'demo_speedup':>13}"


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, leave_out=("speed",))
    words = "first:last:step, or a list as 1,1.5,3 (default: 1.0:4.5:0.5)"
    parser.add_argument("--speeds", default="1.0:4.5:0.5", metavar="SPEEDS", help=words)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results (default: under runs/sweep)")


def run(args: argparse.Namespace) -> int:
    config_of(args)  # refused before anything runs
    folder = args.out or Path("runs/sweep", f"{args.task}_{Path(args.policy).name}_{args.dynamics}_{args.retimer}")
    speeds, seeds = parse_speeds(args.speeds), parse_seeds(args.seed, args.episodes)
    folder.mkdir(parents=True, exist_ok=True)
    make = partial(config_of, args)
    with Bar() as bar:
        rows = sweep(make, speeds, seeds, folder, args.workers, args.slots, bar, not args.no_baselines)
    print(HEADER)
    for row in rows:
        interval = f"[{row['wilson_low']:.3f}, {row['wilson_high']:.3f}]"
        cells = (row["realised_speed_mean"], row["acceleration"], row["demo_speedup"])
        realised, acceleration, speedup = ("-" if cell is None else f"{cell:.2f}" for cell in cells)
        speed = row["speed"].partition(":")[2]
        print(f"{speed:>6} {row['success_rate']:>8.3f} {interval:>15} {realised:>9} {acceleration:>13} {speedup:>13}")
    print(f"written to {folder}: sweep.csv, sweep.json, sweep.png")
    return 0
