"""speedtune sweep: success against speed, as CSV, JSON and a picture."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.arguments import Bar, add_arguments, compared, config_of
from speedtune_ros.evaluation.baselines import KEEP, choose, phase_specs, ship, tolerance_specs
from speedtune_ros.evaluation.evaluate import evaluate
from speedtune_ros.evaluation.sweep import parse_speeds, parse_tolerances, sweep
from speedtune_ros.live.arguments import LIVE_EPISODES, LIVE_SPEEDS, add_live_arguments, refuse_without_live
from speedtune_ros.seeds import parse_seeds, warning

HELP = "measure success against speeds, phase tables or tolerances: CSV, JSON, a picture; continues where interrupted"
CELLS = ("success_rate", "realised_speed_mean", "acceleration", "demo_speedup", "successes_per_minute")
HEADER = f"{'speed':<26} {'success':>8} {'Wilson 95 %':>15} {'realised':>9} {'accel.':>7} {'demo':>6} {'per min':>8}"


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, leave_out=("task", "speed"))
    words = "task, or several separated by commas, one after another (default: transfer_cube)"
    parser.add_argument("--task", default="transfer_cube", help=words)
    words = "constant speeds: first:last:step, or a list as 1,1.5,3 (default: 1.0:4.5:0.5; the paper's 1.0:4.5:0.1)"
    parser.add_argument("--speeds", metavar="SPEEDS", help=words)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results (default: under runs/sweep)")
    words = "keep the fastest that is as sure as --keep asks where `--speed` and the demonstration find it"
    parser.add_argument("--ship", action="store_true", help=words)
    words = f"least share of the success at 1x (default: {KEEP})"
    parser.add_argument("--keep", type=float, default=KEEP, metavar="SHARE", help=words)
    group = parser.add_argument_group("phase tables, all combinations of these speeds, instead of constant ones")
    group.add_argument("--fast", metavar="SPEEDS", help="of free motion")
    group.add_argument("--slow", metavar="SPEEDS", help="while a gripper moves on something")
    group.add_argument("--open", metavar="SPEEDS", help="while a gripper is open (default: as fast)")
    group.add_argument("--holding", metavar="SPEEDS", help="while a gripper holds something (default: as fast)")
    group = parser.add_argument_group("a learned speed policy, instead of constant speeds")
    words = "value it gives up for speed, or below 0 for caution, as --tolerances=-0.5,0,0.5 (success pays 100)"
    group.add_argument("--tolerances", metavar="VALUES", help=words)
    words = "its folder (default: the one shipped for the task policy, which --ship gives the tolerance)"
    group.add_argument("--learned", type=Path, metavar="DIR", help=words)
    add_live_arguments(parser)
    parser.set_defaults(episodes=None)  # fewer where a person judges them


def run(args: argparse.Namespace) -> int:
    episodes = args.episodes or (LIVE_EPISODES if args.live else 50)
    specs, seeds = speeds_of(args), parse_seeds(args.seed, episodes)
    if not args.live:
        refuse_without_live(args)
    tasks = args.task.split(",")
    for task in tasks:
        config_of(args, task=task)  # refused before anything runs
    for task in tasks:
        folder = args.out or Path("runs/sweep", f"{task}_{Path(args.policy).name}_{args.dynamics}_{args.retimer}")
        folder = folder / task if args.out and len(tasks) > 1 else folder
        if args.live:
            from speedtune_ros.live.run import sweep_live

            rows = sweep_live(args, config_of(args, task=task, speed=specs[0]), specs, seeds, folder)
            print("\n".join([task, *table(rows), f"written to {folder}: sweep.csv, sweep.json, sweep.png"]))
            continue
        with Bar() as bar:
            ways = (args.workers, args.slots, bar, compared(args), args.baselines)
            measure = partial(evaluate, seeds=seeds, **dict(zip(WAYS, ways)))
            rows = sweep(partial(config_of, args, task=task), specs, folder, measure)
        print("\n".join([task, *table(rows)]))
        if warning(seeds):
            print(f"note: {warning(seeds)}")
        print(f"written to {folder}: sweep.csv, sweep.json, sweep.png")
        if args.fast or args.tolerances or args.ship:
            _report_choice(rows, args.keep, args.ship)
    return 0


WAYS = ("workers", "slots", "progress", "baselines", "store")


def speeds_of(args: argparse.Namespace) -> list[str]:
    """The speed policies asked for. Raises ConfigError."""
    if not 0.0 < args.keep <= 1.0:
        raise ConfigError(f"--keep: expected a share above 0 and at most 1, got {args.keep}")
    if args.ship and args.no_baselines:
        raise ConfigError("--ship: what is shipped is chosen by its acceleration; leave --no-baselines out")
    if args.learned and (args.ship or not args.tolerances):
        raise ConfigError("--learned: expected --tolerances with it, and no --ship, which is for the shipped policy")
    if args.tolerances and (args.fast or args.speeds):
        raise ConfigError("--tolerances: expected neither --speeds nor --fast with it")
    if args.tolerances:
        return tolerance_specs(parse_tolerances(args.tolerances), args.learned)
    if not args.fast:
        given = [name for name in ("slow", "open", "holding") if getattr(args, name)]
        if given:
            raise ConfigError(f"--{given[0]}: belongs to phase tables; expected --fast as well")
        default = LIVE_SPEEDS if args.live else "1.0:4.5:0.5"
        return [f"constant:{speed:g}" for speed in parse_speeds(default if args.speeds is None else args.speeds)]
    if args.speeds or not args.slow:
        raise ConfigError("phase tables: expected --fast and --slow, and no --speeds")
    grid = [parse_speeds(text) if text else [] for text in (args.fast, args.slow, args.open, args.holding)]
    specs = phase_specs(*grid)
    if not specs:
        raise ConfigError(f"phase tables: expected a slow speed below a fast one, got {args.slow} and {args.fast}")
    return specs


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line an evaluation, below a header."""
    lines = [HEADER]
    for row in rows:
        interval = f"[{row['wilson_low']:.3f}, {row['wilson_high']:.3f}]"
        rate, realised, acceleration, speedup, rhythm = (_cell(row[key]) for key in CELLS)
        name = row["speed"].removeprefix("constant:")
        line = f"{name:<26} {rate:>8} {interval:>15} {realised:>9} {acceleration:>7} {speedup:>6} {rhythm:>8}"
        lines.append(line)
    return lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value <= 1.0 else f"{value:.2f}"


def _report_choice(rows: Sequence[dict[str, Any]], keep: float, shipped: bool) -> None:
    if not rows[0]["baseline_samples"]:
        return
    chosen = choose(rows, keep)
    if chosen is None:
        print(f"none keeps {keep:.1%} of the success at 1x")
        return
    words = f"success {chosen['success_rate']:.3f}, acceleration {chosen['acceleration']:.2f}"
    print(f"fastest that keeps {keep:.1%} of the success at 1x: {chosen['speed']} ({words})")
    if shipped:
        print(f"written to {ship(chosen, 'speedtune ' + shlex.join(sys.argv[1:]))}")
