"""speedtune compare: learned speed policies beside constant speeds and phase tables, as a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "compare evaluations with constant speeds and phase tables at the same acceleration: Markdown and JSON"


def configure(parser: argparse.ArgumentParser) -> None:
    words = "of `speedtune eval`: the policies that are compared"
    parser.add_argument("results", nargs="+", metavar="RESULT", help=words)
    words = "folders of `speedtune sweep`, files of `eval`: constant speeds and phase tables of the same task policies"
    parser.add_argument("--against", nargs="+", required=True, metavar="RESULT", help=words)
    words = "also write FILE and, beside it, the same as .json"
    parser.add_argument("--out", type=Path, metavar="FILE.md", help=words)


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.evaluation.compare import compare, markdown
    from speedtune_ros.evaluation.results import read_rows

    others = [row for path in args.against for row in read_rows(Path(path))]
    compared = [compare(row, others) for path in args.results for row in read_rows(Path(path))]
    text = markdown(compared)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")
        args.out.with_suffix(".json").write_text(json.dumps({"compared": compared}, indent=1) + "\n")
        print(f"written to {args.out} and {args.out.with_suffix('.json')}")
    return 0
