"""speedtune demo: the whole pipeline, seen once."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from speedtune_ros.seeds import EVALUATION

HELP = "run a few simulated episodes at demonstrated speed and faster, over the real ROS 2 graph, and report"
FIRST_SEED = EVALUATION.first


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="transfer_cube", help="task (default: transfer_cube)")
    parser.add_argument(
        "--policy", help="expert, act or a checkpoint's path (default: act if it is shipped, else expert)"
    )
    words = "constant speeds as 1,2,3, or speed policies as 'constant:1 rainbow' (default: 1x, best constant, learned)"
    parser.add_argument("--speeds", help=words)
    parser.add_argument(
        "--episodes", type=int, default=3, metavar="N", help="scenes, each run at each speed (default: 3)"
    )
    parser.add_argument(
        "--seed", type=int, default=FIRST_SEED, metavar="S", help=f"first scene (default: {FIRST_SEED})"
    )
    words = "simulated time waits for the stages: repeatable, and for machines too slow for real time"
    parser.add_argument("--lockstep", action="store_true", help=words)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the report (default: runs/demo-<time>)")


def run(args: argparse.Namespace) -> int:
    """0, or 1 with the reason if the graph or an episode fails; a policy that does not succeed is no failure."""
    from speedtune_ros.errors import DataError, SpeedtuneError
    from speedtune_ros.evaluation.demo import DemoConfig, choose_policy, demonstrate
    from speedtune_ros.evaluation.demo_speeds import choose_speeds, parse_specs
    from speedtune_ros.report.summary import table_text
    from speedtune_ros.seeds import parse_seeds

    folder = args.out or Path("runs", time.strftime("demo-%Y%m%d-%H%M%S"))
    if folder.exists():
        raise DataError(f"{folder}: exists already, a report is never overwritten")
    policy, words = (args.policy, f"Policy: {args.policy}.") if args.policy else choose_policy(args.task)
    if args.speeds:
        speeds, told = parse_specs(args.speeds), ""
    else:
        speeds, told = choose_speeds(policy, args.task, latency=not args.lockstep)
    seeds = tuple(parse_seeds(args.seed, args.episodes))
    print("\n".join(filter(None, (words, told))), flush=True)
    start = time.monotonic()
    config = DemoConfig(args.task, policy, speeds, seeds, folder, args.lockstep)
    try:
        rows, troubles = demonstrate(config)
    except SpeedtuneError as error:
        print(f"speedtune demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nspeedtune demo: interrupted; the graph is stopped, what there is lies in {folder}", file=sys.stderr)
        return 130
    print(f"\n{table_text(rows)}\n")
    print(f"Report: {config.page}   Bag: {config.bag}   ({time.monotonic() - start:.0f} s)")
    for trouble in troubles:
        print(f"speedtune demo: {trouble}", file=sys.stderr)
    return 1 if troubles else 0
