"""speedtune plot: several sweeps in one picture."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from speedtune_ros.errors import DataError

HELP = "draw success against realised speed for one or more sweeps"


def configure(parser: argparse.ArgumentParser) -> None:
    words = "folder of a sweep, LABEL=FOLDER to name its curve"
    parser.add_argument("sweeps", nargs="+", metavar="SWEEP", help=words)
    words = "picture to write, .png or .svg (default: sweeps.png)"
    parser.add_argument("--out", type=Path, default=Path("sweeps.png"), metavar="FILE", help=words)


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.report.figures import sweep_figure

    curves = dict(read_sweep(text) for text in args.sweeps)
    sweep_figure(curves).savefig(args.out, dpi=160)
    print(f"written to {args.out}: {', '.join(curves)}")
    return 0


def read_sweep(text: str) -> tuple[str, list[dict[str, Any]]]:
    """The label and the evaluations of `[LABEL=]FOLDER`. Raises DataError."""
    label, _, folder = text.rpartition("=")
    path = Path(folder, "sweep.json")
    try:
        rows = json.loads(path.read_text())["evaluations"]
        return label or f"{rows[0]['policy']}, {rows[0]['retimer']}, {rows[0]['dynamics']} dynamics", rows
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: expected what `speedtune sweep` writes: {error}") from error
