"""speedtune bag report."""

from __future__ import annotations

import argparse
from pathlib import Path

from speedtune_ros.bag_commands import add_bag, open_bag

HELP = "one self-contained HTML page about the episodes, or about all of a bag that tells of none"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write (default: BAG.html)")


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.report.summary import table_text
    from speedtune_ros.report.write import report_bag

    bag = open_bag(args.bag)
    path = args.out or args.bag.with_name(f"{args.bag.name}.html")
    facts = {"damaged": "; ".join(bag.loss), "not in the bag": "; ".join(bag.absences)}
    facts |= {node: ", ".join(f"{k} {v}" for k, v in ran.items()) for node, ran in (bag.provenance or {}).items()}
    rows = report_bag(bag, path, f"Bag {bag.path.name}", {name: text for name, text in facts.items() if text})
    print(table_text(rows))
    print(f"written to {path}")
    return 0
