"""The options with which `train speed` and `sweep` work on a running graph."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from speedtune_ros.errors import ConfigError
from speedtune_ros.live.options import ATTACH, SIMULATED, SOURCES, WHERE, LiveOptions

_NUMBERS = ("label_timeout", "pause", "speed_limit")
LIVE_EPISODES, LIVE_SPEEDS = 20, "1.0:4.5:0.25"  # a sweep on real robots (SpeedTuning's protocol)


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """`--live` and what it needs; `live_options` and `refuse_without_live` read them."""
    group = parser.add_argument_group("on a running graph (docs/live.md)")
    words = f"`{ATTACH}` (also without a word): the graph that runs; `{SIMULATED}`: start one in simulation"
    group.add_argument("--live", nargs="?", const=ATTACH, choices=WHERE, help=words)
    words = (
        "where verdicts on episodes come from besides the service episode/label: `keys` in this terminal, `service` "
        "alone, or in simulation `scripted`, its own success (default: keys in a terminal, else service)"
    )
    group.add_argument("--labels", choices=SOURCES, help=words)
    words = "an episode without a verdict so long after its end is discarded (default: as configured, else 120)"
    group.add_argument("--label-timeout", type=float, metavar="S", help=words)
    words = "before each episode, where no key starts it (default: 0)"
    group.add_argument("--pause", type=float, metavar="S", help=words)
    words = "the operator's limit, set in the graph; higher speeds are not tried (default: as the graph has it)"
    group.add_argument("--speed-limit", type=float, metavar="V", help=words)
    words = f"with --live {SIMULATED}: simulated time waits for the stages, and is not held to real time"
    group.add_argument("--lockstep", action="store_true", help=words)


def refuse_without_live(args: argparse.Namespace) -> None:
    """Raises ConfigError for an option that only a running graph heeds."""
    for name in ("labels", *_NUMBERS, "lockstep"):
        if getattr(args, name) not in (None, False):
            raise ConfigError(f"--{name.replace('_', '-')}: belongs to a running graph; expected --live as well")


def live_options(args: argparse.Namespace, log: Path, **launch: Any) -> LiveOptions:
    """What `args` ask for; launch: launch arguments of a graph that is started. Raises ConfigError."""
    for name in _NUMBERS:
        value = getattr(args, name)
        if value is not None and not 0.0 <= value < float("inf"):  # False for NaN
            raise ConfigError(f"--{name.replace('_', '-')}: expected a number of at least 0, got {value}")
    if args.speed_limit == 0.0:
        raise ConfigError("--speed-limit: expected a number above 0, got 0; without it the graph's limit stays")
    if args.lockstep and args.live != SIMULATED:
        raise ConfigError(f"--lockstep: only a graph started here can be asked to wait; expected --live {SIMULATED}")
    labels = args.labels or ("keys" if sys.stdin.isatty() else "service")
    given = {**{key: str(value) for key, value in launch.items()}, "lockstep": str(args.lockstep).lower()}
    return LiveOptions(args.live, labels, args.pause or 0.0, args.speed_limit or 0.0, given, log)
