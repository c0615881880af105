"""speedtune record-demos: the scripted expert's episodes as ALOHA HDF5 files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from speedtune_ros.errors import ConfigError

HELP = "record demonstrations of the scripted expert as ALOHA HDF5 files"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="which task, such as transfer_cube")
    parser.add_argument("--episodes", required=True, type=int, metavar="N", help="how many successful episodes")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where; episodes already there are kept")
    parser.add_argument("--dynamics", default="act", metavar="PROFILE", help="dynamics profile (default: act)")
    parser.add_argument("--seed", default=0, type=int, metavar="S", help="seed of the first episode (default: 0)")
    parser.add_argument("--cameras", default=["top"], nargs="+", metavar="NAME", help="cameras (default: top)")
    parser.add_argument(
        "--size", default="192x192", metavar="HxW", help="height x width of the images (default: 192x192)"
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--raw", action="store_true", help="store images as they are (the default)")
    images.add_argument("--jpeg", nargs="?", type=int, const=95, metavar="QUALITY", help="store JPEG (quality 95)")
    parser.add_argument(
        "--disturbance", default=0.0, type=float, metavar="RAD", help="smooth noise on what is executed (default: 0)"
    )
    parser.add_argument(
        "--workers", default=os.cpu_count(), type=int, metavar="W", help="processes (default: one a core)"
    )


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from speedtune_ros.training.demonstrations import Recording, record

    cameras = tuple((name, image_size(args.size)) for name in args.cameras)
    recording = Recording(
        args.task, args.dynamics, args.episodes, args.seed, cameras, args.out, args.jpeg, args.disturbance
    )
    failures = 0
    with tqdm(total=args.episodes, desc=f"record {args.task}", unit="ep") as bar:
        for _, failed in record(recording, args.workers):
            failures += failed
            bar.set_postfix(failed=failures)
            bar.update()
    print(
        f"{args.episodes} episodes of {args.task} ({args.dynamics} dynamics) in {args.out}; {failures} attempts failed"
    )
    return 0


def image_size(text: str) -> tuple[int, int]:
    """`96x96` or `480x640`: (height, width)."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"image size: expected HEIGHTxWIDTH such as 480x640, got '{text}'")
    return int(parts[0]), int(parts[1])
