"""speedtune record-demos: episodes of the scripted expert, or of an operator's leader arms, as ALOHA HDF5 files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from speedtune_ros.errors import ConfigError
from speedtune_ros.live.marks import MARKS
from speedtune_ros.live.options import ATTACH, SIMULATED, WHERE

HELP = "record demonstrations as ALOHA HDF5 files: the scripted expert's, or with --live an operator's"
_SIZE = "192x192"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", help="which task, such as transfer_cube")
    words = "how many successful episodes (with --live: until Ctrl-C, if not given)"
    parser.add_argument("--episodes", type=int, metavar="N", help=words)
    words = "where; episodes already there are kept (with --live by default runs/demos/<task>_live)"
    parser.add_argument("--out", type=Path, metavar="DIR", help=words)
    parser.add_argument("--dynamics", default="act", metavar="PROFILE", help="dynamics profile (default: act)")
    parser.add_argument("--seed", default=0, type=int, metavar="S", help="seed of the first episode (default: 0)")
    words = "cameras (default: top; with --live: all that the graph has)"
    parser.add_argument("--cameras", nargs="+", metavar="NAME", help=words)
    words = f"height x width of the images, where they are rendered here (default: {_SIZE})"
    parser.add_argument("--size", default=_SIZE, metavar="HxW", help=words)
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--raw", action="store_true", help="store images as they are (the default without --live)")
    words = "store JPEG (quality 95; the default with --live)"
    images.add_argument("--jpeg", nargs="?", type=int, const=95, metavar="QUALITY", help=words)
    parser.add_argument(
        "--disturbance", default=0.0, type=float, metavar="RAD", help="smooth noise on what is executed (default: 0)"
    )
    parser.add_argument(
        "--workers", default=os.cpu_count(), type=int, metavar="W", help="processes (default: one a core)"
    )


    live = parser.add_argument_group("on a running graph (docs/teleoperation.md)")
    words = f"`{ATTACH}` (also without a word): the graph that runs; `{SIMULATED}`: start one in simulation"
    live.add_argument("--live", nargs="?", const=ATTACH, choices=WHERE, help=words)
    words = f"other keys or pedals, as start=a,success=b,discard=c; there are {', '.join(MARKS)}"
    live.add_argument("--keys", default="", metavar="MARK=KEY,...", help=words)


def run(args: argparse.Namespace) -> int:
    if args.episodes is not None and args.episodes < 1:
        raise ConfigError(f"episodes: expected at least 1, got {args.episodes}")
    if args.live:
        from speedtune_ros.live.demonstrations import record_live

        image_size(args.size)
        return record_live(args)
    if args.keys:
        raise ConfigError("--keys: an operator's marks need a running graph; expected --live")
    missing = [f"--{name}" for name in ("task", "episodes", "out") if getattr(args, name) is None]
    if missing:
        raise ConfigError(f"missing {', '.join(missing)}: without --live the scripted expert is recorded")
    return _record_expert(args)


def _record_expert(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from speedtune_ros.training.demonstrations import Recording, record

    cameras = tuple((name, image_size(args.size)) for name in args.cameras or ["top"])
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
