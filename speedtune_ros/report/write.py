"""Reports on disk: from a bag, or from an evaluation, to a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from speedtune_ros import __version__
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.metrics import Run
from speedtune_ros.evaluation.provenance import resolved
from speedtune_ros.evaluation.rollouts import build_pipeline
from speedtune_ros.report.bag_runs import runs_of_bag
from speedtune_ros.report.page import page
from speedtune_ros.report.summary import TableRow, summarise
from speedtune_ros.report.trace_runs import run_of_result
from speedtune_ros.types import Episode

CAMERA = "angle"  # shown if the bag has it: it sees both arms and the table
FRAME_SIZE = (360, 480)  # height, width


def report_bag(
    bag: Bag,
    path: Path,
    title: str,
    facts: Mapping[str, str],
    demonstrations: Sequence[Run] = (),
    notes: Sequence[str] = (),
) -> list[TableRow]:
    """Write the page about a bag's episodes, `notes` first, to `path`; the rows of its table. Raises DataError."""
    camera = CAMERA if any(f"/{CAMERA}/" in topic for topic in bag.topics) else ""
    runs = runs_of_bag(bag, camera)
    rows = summarise(runs, demonstrations)
    text = page(title, {**facts, "bag": bag.path.name, **machine()}, rows, runs, notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return rows


def report_evaluation(
    config: EvaluationConfig,
    seeds: Sequence[int],
    path: Path,
    demonstrations: Sequence[Run] = (),
    baseline: Sequence[Run] = (),
) -> list[TableRow]:
    """Run `seeds` once more, every tick and frame kept, and write the page about them to `path`."""
    pipeline = build_pipeline(config, len(seeds), (CAMERA, *FRAME_SIZE))
    episodes = [Episode(f"Scene {seed}", config.task, seed) for seed in seeds]
    results = sorted(pipeline.run(episodes, trace=True), key=lambda result: result.episode.seed)
    pipeline.close()
    runs = [run_of_result(result, config.speed) for result in results]
    rows = summarise(runs, demonstrations, baseline)
    facts = {key: str(value) for key, value in resolved(config).items()}
    title = f"{config.task.replace('_', ' ').capitalize()} at {config.speed}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(title, {**facts, **machine()}, rows, runs), encoding="utf-8")
    return rows


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0))
    return {
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        "software": f"speedtune_ros {__version__}, Python {platform.python_version()}",
    }
