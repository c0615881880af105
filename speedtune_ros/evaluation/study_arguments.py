"""The command-line options that studies share."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.evaluation.arguments import FIRST_SEED, Bar, count

if TYPE_CHECKING:
    from speedtune_ros.evaluation.study import Study


def add_arguments(parser: argparse.ArgumentParser, name: str, training_seeds: str) -> None:
    """What is trained, what it is evaluated on, where it all goes."""
    trained = parser.add_argument_group("what is trained")
    trained.add_argument("--task", default="tea_bag", help="task (default: tea_bag)")
    trained.add_argument("--policy", default="act", help="task policy of the full method (default: act)")
    words = "ROS parameter YAML of the full method (default: config/train_speed.yaml)"
    trained.add_argument("--train-config", type=Path, metavar="FILE", help=words)
    trained.add_argument("--preset", default="", help="a block of that file whose values go on top, such as paper")
    trained.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="single parameters of it")
    words = f"seeds of training, one run each (default: {training_seeds})"
    trained.add_argument("--training-seeds", default=training_seeds, metavar="N,N,..", help=words)
    words = "threads of a training (default: as `train speed`); 1 where several processes share the study"
    trained.add_argument("--threads", type=count, metavar="N", help=words)
    evaluated = parser.add_argument_group("what it is evaluated on")
    evaluated.add_argument("--episodes", type=int, default=200, metavar="N", help="seeds S to S+N-1 (default: 200)")
    evaluated.add_argument("--seed", type=int, default=FIRST_SEED, metavar="S", help=f"first (default: {FIRST_SEED})")
    cores = len(os.sched_getaffinity(0))
    evaluated.add_argument("--workers", type=count, default=cores, metavar="W", help=f"processes (default: {cores})")
    evaluated.add_argument("--slots", type=count, default=4, metavar="M", help="episodes batched in each (default: 4)")
    words = f"folder of the study; what is done there is not done again (default: runs/{name}/TASK)"
    parser.add_argument("--out", type=Path, metavar="DIR", help=words)


def study_of(args: argparse.Namespace, name: str, bar: Bar | None = None, **overrides: Any) -> Study:
    """The study that `args` describe. Raises ConfigError."""
    from speedtune_ros.commands.train import speed_config
    from speedtune_ros.evaluation.study import Study
    from speedtune_ros.seeds import parse_seeds

    named = {"task": args.task, "policy": args.policy, **overrides}
    settings = [*(f"{key}={value}" for key, value in named.items()), *args.set]
    return Study(
        config=speed_config(args.train_config, settings, args.preset),
        out=args.out or Path("runs", name, args.task),
        seeds=parse_seeds(args.seed, args.episodes),
        training_seeds=numbers(args.training_seeds, "--training-seeds"),
        workers=args.workers,
        slots=args.slots,
        threads=args.threads or 0,
        command=shlex.join(["speedtune", *sys.argv[1:]]),
        progress=bar,
    )


def numbers(text: str, flag: str) -> tuple[int, ...]:
    """Whole numbers of at least 0 with commas between them. Raises ConfigError."""
    from speedtune_ros.errors import ConfigError

    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"{flag}: expected whole numbers with commas between them, got '{text}'")
    return tuple(int(part) for part in parts)


def write_results(folder: Path, name: str, content: Mapping[str, Any], table: str, figure: Any) -> list[Path]:
    """NAME.json, NAME.md and NAME.png; what was written."""
    paths = [folder / f"{name}.{kind}" for kind in ("json", "md", "png")]
    folder.mkdir(parents=True, exist_ok=True)
    paths[0].write_text(json.dumps(content, indent=1) + "\n")
    paths[1].write_text(table)
    figure.savefig(paths[2], dpi=160)
    return paths
