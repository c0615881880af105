"""speedtune bag record."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

HELP = "record the running graph until Ctrl-C"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder to write, which must not exist")
    parser.add_argument("--cameras", default="top", help="comma-separated cameras, or none (default: top)")
    parser.add_argument("--lossless", action="store_true", help="images as PNG: larger, but replay sees every pixel")


def run(args: argparse.Namespace) -> int:
    """Becomes the recorder node, so that signals and exit status are its own."""
    from speedtune_ros.share import executable_path

    cameras = [] if args.cameras in ("", "none") else args.cameras.split(",")
    parameters = {"bag": str(args.bag), "cameras": cameras or [""], "lossless": args.lossless}
    words = [str(executable_path("recorder")), "--ros-args"]
    for name, value in parameters.items():
        words += ["-p", f"{name}:={json.dumps(value)}"]
    print(f"recording to {args.bag}; Ctrl-C ends", flush=True)
    os.execv(words[0], words)
