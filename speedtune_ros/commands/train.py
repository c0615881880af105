"""speedtune train: task policies from demonstrations, speed policies from episodes in simulation."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speedtune_ros.evaluation.arguments import count
from speedtune_ros.live.arguments import add_live_arguments, refuse_without_live
from speedtune_ros.presets import preset_names, preset_path

HELP = "train a task policy from demonstrations, or a speed policy for one"


def configure(parser: argparse.ArgumentParser) -> None:
    policies = parser.add_subparsers(dest="trained", metavar="POLICY", required=True)
    act = policies.add_parser("act", help="action chunking with transformers", description="Train ACT.")
    act.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of episode_<i>.hdf5 files")
    act.add_argument("--preset", default="", help="sizes: small (the shipped one, the default) or paper")
    act.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to train (default: auto)")
    _add_common(act, "config/train_act.yaml", "steps=2000", "CPU threads (default: one a core)")
    words = "Train a speed policy for a task policy, which stays as it is (docs/speed.md)."
    speed = policies.add_parser("speed", help="Rainbow, for the speed of a task policy", description=words)
    speed.add_argument("--task", help="task (default: as configured)")
    speed.add_argument("--policy", help="task policy: expert, act (the shipped one) or a checkpoint's path")
    speed.add_argument("--dynamics", help="dynamics profile (default: as configured)")
    words = f"what goes on top: a block of the file, such as paper, or a task's preset: {', '.join(preset_names())}"
    speed.add_argument("--preset", default="", help=words)
    words = "CPU threads (default: one for the networks, one a core for physics)"
    _add_common(speed, "config/train_speed.yaml", "reward.alpha=0.02", words)
    add_live_arguments(speed)


def run(args: argparse.Namespace) -> int:
    # A speed policy's network is so small that more threads than one wait for each other, above all on a busy machine.
    threads = args.threads or (1 if args.trained == "speed" else 0)
    if threads:
        import torch

        torch.set_num_threads(threads)
    return _train_act(args) if args.trained == "act" else _train_speed(args)


def train_config(preset: str, path: Path | None, settings: list[str]) -> Any:
    """The ActTrainConfig of a file, with the preset's sizes and then single settings on top. Raises ConfigError."""
    from speedtune_ros.config import build, merge, read_parameters
    from speedtune_ros.errors import UnknownNameError
    from speedtune_ros.share import share_path
    from speedtune_ros.training.train_act import PRESETS, ActTrainConfig

    preset = preset or "small"
    if preset not in PRESETS:
        raise UnknownNameError("preset", preset, PRESETS)
    path = path or share_path("config/train_act.yaml")
    values = merge(read_parameters(path, "train_act"), PRESETS[preset])
    return build(ActTrainConfig, {**values, **_parsed(settings)}, str(path))


def speed_config(path: Path | None, settings: Sequence[str], preset: str = "") -> Any:
    """The TrainSpeedConfig of a file, with the preset's block and then single settings on top. Raises ConfigError.

    preset: a block of that file, or the name or path of a task's preset.
    """
    from speedtune_ros.config import build, merge, read_parameters
    from speedtune_ros.share import share_path
    from speedtune_ros.training.train_speed import TrainSpeedConfig

    path = path or share_path("config/train_speed.yaml")
    values = read_parameters(path, "train_speed")
    if preset:
        of_task = preset in preset_names() or Path(preset).is_file()
        over = read_parameters(preset_path(preset), "train_speed") if of_task else read_parameters(path, preset)
        values = merge(values, over)
    return build(TrainSpeedConfig, {**values, **_parsed(settings)}, str(path))


def _train_act(args: argparse.Namespace) -> int:
    import torch

    from speedtune_ros.training.train_act import ActTrainer, train

    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    config = train_config(args.preset, _file(args), args.set)
    trainer = ActTrainer(config, args.data, device, progress=True)
    validation = train(trainer, args.out, _command(), args.resume, progress=True, seconds=60.0 * args.minutes)
    print(f"step {trainer.step} of {config.steps}, validation L1 {validation:.4f}; checkpoint in {args.out}")
    return 0


def _train_speed(args: argparse.Namespace) -> int:
    from speedtune_ros.training.train_speed import describe, train_speed

    named = {"task": args.task, "policy": args.policy, "dynamics": args.dynamics}
    settings = [*(f"{key}={value}" for key, value in named.items() if value), *args.set]
    config = speed_config(_file(args), settings, args.preset)
    if args.live:
        from speedtune_ros.live.run import train_live

        last = train_live(args, config, _command())
        print(f"{last['episodes']} episodes, {last['decisions']} decisions" if last else "no episode was learned from")
        print(f"run it with --speed rainbow:{args.out / 'latest'}; curves in {args.out / 'curves.png'}")
        return 0
    refuse_without_live(args)
    last = train_speed(config, args.out, _command(), args.resume, True, 60.0 * args.minutes, args.threads or 0)
    print("\n".join(describe(last)))
    options = f"--speed rainbow:{args.out}" if config.chooses == "speeds" else f"--policy {args.out} --speed 1"
    print(f"the best policy is in {args.out}: run it with {options}")
    return 0


def _add_common(parser: argparse.ArgumentParser, config: str, example: str, threads: str) -> None:
    """What every training takes."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the checkpoint and the log go")
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"ROS parameter YAML (default: {config})")
    words = f"single parameters, such as {example}"
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help=words)
    parser.add_argument("--threads", type=count, metavar="N", help=threads)
    words = "stop after this time; --resume goes on"
    parser.add_argument("--minutes", type=_minutes, default=math.inf, metavar="M", help=words)
    words = "go on exactly where the run in --out stands, with its settings"
    parser.add_argument("--resume", action="store_true", help=words)


def _file(args: argparse.Namespace) -> Path | None:
    """The parameters that `--set` goes on top of: a run's own where it is resumed and no others are named."""
    own = args.out / "training" / "config.yaml"
    return own if args.resume and not args.config and not args.preset and own.exists() else args.config


def _minutes(text: str) -> float:
    minutes = float(text)
    if not minutes > 0.0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
    return minutes


def _parsed(settings: Sequence[str]) -> dict[str, Any]:
    """The KEY=VALUE of --set. Raises ConfigError."""
    import yaml

    from speedtune_ros.errors import ConfigError

    values = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set: expected KEY=VALUE, got '{setting}'")
        values[key] = yaml.safe_load(value)
    return values


def _command() -> str:
    return shlex.join(["speedtune", *sys.argv[1:]])
