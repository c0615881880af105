"""speedtune bag: record, describe, repair and show bags."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HELP = "record bags (rosbag2, MCAP), say what is in them, recover damaged ones, turn them into a report"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    record = actions.add_parser("record", help="record the running graph until Ctrl-C")
    record.add_argument("bag", type=Path, metavar="BAG", help="folder to write, which must not exist")
    record.add_argument("--cameras", default="top", help="comma-separated cameras, or none (default: top)")
    info = actions.add_parser("info", help="duration, topics, counts, episodes and the embedded configuration")
    info.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder or .mcap file")
    report = actions.add_parser("report", help="one self-contained HTML page about the episodes")
    report.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder or .mcap file")
    report.add_argument("--out", type=Path, metavar="FILE", help="page to write (default: BAG.html)")
    recover = actions.add_parser("recover", help="copy the whole messages of a cut bag to a new one")
    recover.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder or .mcap file")
    recover.add_argument("out", type=Path, metavar="OUT", help="folder to write, which must not exist")


def run(args: argparse.Namespace) -> int:
    return {"record": _record, "info": _info, "report": _report, "recover": _recover}[args.action](args)


def _record(args: argparse.Namespace) -> int:
    """Becomes the recorder node, so that signals and exit status are its own."""
    import json

    from speedtune_ros.share import executable_path

    cameras = [] if args.cameras in ("", "none") else args.cameras.split(",")
    parameters = {"bag": str(args.bag), "cameras": cameras or [""]}
    words = [str(executable_path("recorder")), "--ros-args"]
    for name, value in parameters.items():
        words += ["-p", f"{name}:={json.dumps(value)}"]
    print(f"recording to {args.bag}; Ctrl-C ends", flush=True)
    os.execv(words[0], words)


def _info(args: argparse.Namespace) -> int:
    import yaml

    from speedtune_ros.data.bag_reader import Bag

    bag = Bag(args.bag)
    print(f"{bag.file}: {bag.duration:.1f} s, {bag.file.stat().st_size / 1e6:.1f} MB")
    width = max((len(name) for name in bag.topics), default=0)
    print("\ntopics")
    for topic in bag.topics.values():
        print(f"  {topic.name:<{width}}  {topic.count:>7}  {topic.type_name}")
    print("\nepisodes" if (episodes := bag.episodes()) else "\nno episodes")
    for episode in episodes:
        verdict = "success" if episode.success else f"no success ({episode.reason or 'the bag ends first'})"
        print(f"  {episode.id}  {episode.task}, seed {episode.seed}: {episode.elapsed:.2f} s, {verdict}")
    if bag.config is None:
        print("\nno embedded configuration")
    else:
        print("\nconfiguration\n" + _indented(yaml.safe_dump(bag.config, sort_keys=False)))
    return 0


def _report(args: argparse.Namespace) -> int:
    from speedtune_ros.data.bag_reader import Bag
    from speedtune_ros.report.summary import table_text
    from speedtune_ros.report.write import report_bag

    bag = Bag(args.bag)
    path = args.out or args.bag.with_name(f"{args.bag.name}.html")
    print(table_text(report_bag(bag, path, f"Bag {bag.path.name}", {})))
    print(f"written to {path}")
    return 0


def _recover(args: argparse.Namespace) -> int:
    from speedtune_ros.data.bag_reader import recover

    print(f"{recover(args.bag, args.out)} messages saved to {args.out}")
    return 0


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
