"""The command-line options that `eval` and `sweep` share, and how they show progress."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from speedtune_ros.config import build
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.metrics import wilson
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.registry import execution_needs
from speedtune_ros.seeds import EVALUATION

FIRST_SEED = EVALUATION.first
BASELINES = Path("runs/baselines")
LEFT_TO_SPEED = ("k_skip", "ensemble")  # as the speed policy needs them, where no option says


def add_arguments(parser: argparse.ArgumentParser, leave_out: Sequence[str] = ()) -> None:
    """The options that say what is evaluated, over which seeds, on how many processes."""
    add_config(parser, leave_out)
    group = parser.add_argument_group("how many")
    group.add_argument("--episodes", type=int, default=50, metavar="N", help="seeds S to S+N-1 (default: 50)")
    words = f"first seed; those below {FIRST_SEED} are for training and selection (default: {FIRST_SEED})"
    group.add_argument("--seed", type=int, default=FIRST_SEED, metavar="S", help=words)
    cores = len(os.sched_getaffinity(0))
    group.add_argument("--workers", type=count, default=cores, metavar="W", help=f"processes (default: {cores})")
    group.add_argument("--slots", type=count, default=4, metavar="M", help="episodes batched in a process (default: 4)")
    words = f"folder in which the runs at 1x are kept and shared (default: {BASELINES})"
    group.add_argument("--baselines", type=Path, default=BASELINES, metavar="DIR", help=words)
    words = "run only the first N seeds at 1x: the mean time to success they give hardly changes (default: all)"
    group.add_argument("--baseline-episodes", type=count, metavar="N", help=words)
    group.add_argument("--no-baselines", action="store_true", help="leave out acceleration and demo_speedup")


def count(text: str) -> int:
    """An option's whole number of at least 1, as argparse takes its `type`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got '{text}'")
    return int(text)


def compared(args: argparse.Namespace) -> int | None:
    """How many seeds run at 1x too, as `evaluate` takes it."""
    return 0 if args.no_baselines else args.baseline_episodes


def add_config(parser: argparse.ArgumentParser, leave_out: Sequence[str] = ()) -> None:
    """The options that say what is evaluated: those of EvaluationConfig."""
    hints = typing.get_type_hints(EvaluationConfig)
    for field in dataclasses.fields(EvaluationConfig):
        if field.name not in leave_out:
            _add(parser, field, hints[field.name])


def config_of(args: argparse.Namespace, **overrides: Any) -> EvaluationConfig:
    """The evaluation `args` describe. Raises ConfigError."""
    names = [field.name for field in dataclasses.fields(EvaluationConfig)]
    given = {name: getattr(args, name) for name in names if hasattr(args, name)}
    values = {**given, **overrides}
    speed = values.get("speed", EvaluationConfig.speed)
    needs = execution_needs(speed, values["policy"], values["task"], values["dynamics"])
    chosen = {name: value for name, value in values.items() if value is not None}
    return build(EvaluationConfig, {**needs, **chosen}, "command line")


class Bar:
    """A progress bar on stderr that follows whichever evaluation is running; a context that closes it.

    Left by Ctrl-C, it says that nothing is lost.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._label = ""

    def __call__(self, label: str, samples: Sequence[EpisodeSample], total: int) -> None:
        from tqdm import tqdm

        if self._bar is None or label != self._label:
            self.close()
            self._label = label
            every = 0.1 if sys.stderr.isatty() else 60.0  # [s]; in a file each is a line
            rhythm = {"mininterval": every, "maxinterval": max(every, 10.0)}
            first = len(samples)
            self._bar = tqdm(total=total, initial=first, desc=label, unit="episode", dynamic_ncols=True, **rhythm)
        self._bar.set_postfix_str(_rate(samples), refresh=False)
        self._bar.update(len(samples) - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is KeyboardInterrupt:
            print("interrupted; what is done is kept, and the same command continues", file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _rate(samples: Sequence[EpisodeSample]) -> str:
    successes = sum(sample.success for sample in samples)
    low, high = wilson(successes, len(samples))
    return f"success {successes}/{len(samples)} [{low:.2f}, {high:.2f}]"


def _add(parser: argparse.ArgumentParser, field: dataclasses.Field, hint: type) -> None:
    left = field.name in LEFT_TO_SPEED
    flag, default = "--" + field.name.replace("_", "-"), None if left else field.default
    first = "as the speed policy needs it, else " if left else ""
    words = f"{field.metadata['doc']} (default: {first}{field.default})"
    if hint is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=words)
        return
    parser.add_argument(flag, type=hint, default=default, choices=field.metadata["choices"] or None, help=words)
