"""speedtune ablate: the speed policy with each of its parts left out or changed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from speedtune_ros.evaluation.arguments import Bar
from speedtune_ros.evaluation.study_arguments import add_arguments, study_of, write_results

HELP = "train and evaluate variants of the speed policy: a table, JSON and a picture; continues where it was killed"
NAME = "ablations"


def configure(parser: argparse.ArgumentParser) -> None:
    words = "ablations to run, 'beta' for instance (default: all); the full method is always among them"
    parser.add_argument("groups", nargs="*", metavar="ABLATION", help=words)
    words = "which ablations there are (default: config/ablations.yaml)"
    parser.add_argument("--config", type=Path, metavar="FILE", help=words)
    parser.add_argument("--list", action="store_true", help="show the ablations and their variants, and run nothing")
    parser.add_argument("--decisions", type=int, default=20_000, metavar="N", help="of each training (default: 20000)")
    add_arguments(parser, NAME, training_seeds="0")


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.evaluation.study import ablate
    from speedtune_ros.evaluation.variants import read_variants, select
    from speedtune_ros.share import share_path

    variants = read_variants(args.config or share_path("config/ablations.yaml"))
    chosen = select(variants, args.groups)
    if args.list:
        print("\n".join(map(described, chosen)))
        return 0
    with Bar() as bar:
        study = study_of(args, NAME, bar, decisions=args.decisions)
        for line in ablate(study, chosen):
            bar.close()
            print(line, flush=True)
            write(study, variants)
    print(f"written to {study.out}: {NAME}.json, {NAME}.md, {NAME}.png")
    return 0


def described(variant: Any) -> str:
    """A line of the list. Raises ConfigError where a parameter is unknown."""
    from speedtune_ros.config import flat
    from speedtune_ros.evaluation.variants import changed
    from speedtune_ros.training.train_speed import TrainSpeedConfig

    changed(TrainSpeedConfig(), variant)
    changes = ", ".join(f"{key}={value}" for key, value in flat(variant.changes).items())
    return f"{variant.group or '-':<16} {variant.name:<28} {changes}"


def write(study: Any, variants: Any) -> None:
    """All rows that are done, of this command and of those before it in the same folder."""
    from speedtune_ros.evaluation.study import rows
    from speedtune_ros.evaluation.study_table import ablation_table
    from speedtune_ros.report.ablation_figure import ablation_figure

    found = rows(study, variants)
    about = {key: getattr(study.config, key) for key in ("task", "policy", "decisions")}
    write_results(study.out, NAME, {**about, NAME: found}, ablation_table(found), ablation_figure(found))
