"""speedtune train: task policies from demonstrations."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

HELP = "train a task policy from recorded demonstrations"


def configure(parser: argparse.ArgumentParser) -> None:
    policies = parser.add_subparsers(dest="policy", metavar="POLICY", required=True)
    act = policies.add_parser("act", help="action chunking with transformers", description="Train ACT.")
    act.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of episode_<i>.hdf5 files")
    act.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the checkpoint and the log go")
    act.add_argument("--config", type=Path, metavar="FILE", help="ROS parameter YAML (default: config/train_act.yaml)")
    act.add_argument("--preset", default="small", help="sizes: small (the shipped one) or paper")
    act.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="single parameters, such as steps=2000")
    act.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to train (default: auto)")
    act.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: one a core)")
    act.add_argument(
        "--minutes", type=float, default=float("inf"), metavar="M", help="stop after this time; --resume goes on"
    )
    act.add_argument("--resume", action="store_true", help="go on exactly where the run in --out stands")


def run(args: argparse.Namespace) -> int:
    import torch

    from speedtune_ros.training.train_act import ActTrainer, train

    if args.threads:
        torch.set_num_threads(args.threads)
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    config = train_config(args.preset, args.config, args.set)
    trainer = ActTrainer(config, args.data, device, progress=True)
    command = shlex.join(["speedtune", *sys.argv[1:]])
    validation = train(trainer, args.out, command, args.resume, progress=True, seconds=60.0 * args.minutes)
    print(f"step {trainer.step} of {config.steps}, validation L1 {validation:.4f}; checkpoint in {args.out}")
    return 0


def train_config(preset: str, path: Path | None, settings: list[str]) -> Any:
    """The ActTrainConfig of a file, with the preset's sizes and then single settings on top. Raises ConfigError."""
    import yaml

    from speedtune_ros.config import build, merge, read_parameters
    from speedtune_ros.errors import ConfigError, UnknownNameError
    from speedtune_ros.share import share_path
    from speedtune_ros.training.train_act import PRESETS, ActTrainConfig

    if preset not in PRESETS:
        raise UnknownNameError("preset", preset, PRESETS)
    path = path or share_path("config/train_act.yaml")
    values = dict(merge(read_parameters(path, "train_act"), PRESETS[preset]))
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set: expected KEY=VALUE, got '{setting}'")
        values[key] = yaml.safe_load(value)
    return build(ActTrainConfig, values, str(path))
