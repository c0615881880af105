"""Reports on disk: from a bag to a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from speedtune_ros import __version__
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.evaluation.metrics import Run
from speedtune_ros.report.bag_runs import runs_of_bag
from speedtune_ros.report.page import page
from speedtune_ros.report.summary import TableRow, summarise

CAMERA = "angle"  # shown if the bag has it: it sees both arms and the table


def report_bag(
    bag: Bag, path: Path, title: str, facts: Mapping[str, str], demonstrations: Sequence[Run] = ()
) -> list[TableRow]:
    """Write the page about a bag's episodes to `path`; the rows of its table. Raises DataError."""
    camera = CAMERA if any(f"/{CAMERA}/" in topic for topic in bag.topics) else ""
    runs = runs_of_bag(bag, camera)
    rows = summarise(runs, demonstrations)
    text = page(title, {**facts, "bag": bag.path.name, **machine()}, rows, runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return rows


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0))
    return {
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        "software": f"speedtune_ros {__version__}, Python {platform.python_version()}",
    }
