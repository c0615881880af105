"""`speedtune bench`: measure one part against its floor and its peer; each part's bench is in evaluation/."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import speedtune_ros
from speedtune_ros import evaluation
from speedtune_ros.config import flat
from speedtune_ros.errors import ConfigError

HELP = "measure one part of the pipeline against its floor and its peer"
PREFIX = "bench_"
REQUIRED = ("floor", "peer", "samples")


def bench_names() -> list[str]:
    """Every bench, alphabetically."""
    modules = (module.name for module in pkgutil.iter_modules(evaluation.__path__))
    return sorted(name.removeprefix(PREFIX) for name in modules if name.startswith(PREFIX))


def configure(parser: argparse.ArgumentParser) -> None:
    """A subcommand for each bench, all with --json."""
    subparsers = parser.add_subparsers(dest="bench", metavar="NAME", required=True)
    for name in bench_names():
        module = importlib.import_module(f"{evaluation.__name__}.{PREFIX}{name}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        subparser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and the raw samples here")
        module.configure(subparser)
        subparser.set_defaults(measure=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the figures, write them all with the machine they were measured on."""
    if arguments.json is not None and not arguments.json.resolve().parent.is_dir():
        raise ConfigError(f"--json: no such folder {arguments.json.resolve().parent}")
    result = dict(arguments.measure(arguments))
    missing = [key for key in REQUIRED if key not in result]
    if missing:
        raise ConfigError(f"bench {arguments.bench}: its result lacks {', '.join(missing)}")
    print(table(result))
    if arguments.json is not None:
        complete = {"bench": arguments.bench, **result, "machine": machine()}
        arguments.json.write_text(json.dumps(complete, indent=1, default=_plain) + "\n")
    return 0


def table(result: Mapping[str, Any]) -> str:
    """The figures in two columns, raw samples left out."""
    rows = {key: _text(value) for key, value in flat(result).items() if key.split(".")[0] != "samples"}
    width = max(len(key) for key in rows)
    return "\n".join(f"{key:<{width}}  {text}" for key, text in rows.items())


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "speedtune_ros": speedtune_ros.__version__,
    }


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{len(value)} values" if isinstance(value, (list, tuple)) and len(value) > 8 else str(value)


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as JSON takes them."""
    return value.tolist()
