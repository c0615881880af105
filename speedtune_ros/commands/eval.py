"""speedtune eval: success and speed of one configuration over many seeds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from speedtune_ros.evaluation.arguments import Bar, add_arguments, compared, config_of
from speedtune_ros.evaluation.evaluate import evaluate
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig, file_words
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.seeds import parse_seeds, warning

REPORTED = 3
HELP = "measure success and speed over many seeds; continues where it was interrupted"


def configure(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    words = "where to write figures and samples (default: under runs/eval)"
    parser.add_argument("--json", type=Path, metavar="FILE", help=words)
    words = "also write a page with videos and timelines of the first three episodes"
    parser.add_argument("--report", type=Path, metavar="FILE", help=words)


def run(args: argparse.Namespace) -> int:
    config = config_of(args)
    path = args.json or default_path(config)
    seeds = parse_seeds(args.seed, args.episodes)
    with Bar() as bar:
        result = evaluate(config, seeds, path, args.workers, args.slots, bar, compared(args), args.baselines)
    print("\n".join(lines(result)))
    if warning(seeds):
        print(f"note: {warning(seeds)}")
    print(f"written to {path}")
    if args.report:
        from speedtune_ros.report.write import report_evaluation

        shown = seeds[:REPORTED]
        demonstrations, baseline = (
            [EpisodeSample(**sample) for sample in result[key] or () if sample["seed"] in shown]
            for key in ("demonstration_samples", "baseline_samples")
        )
        report_evaluation(config, shown, args.report, demonstrations, baseline)
        print(f"report of the first {len(shown)} episodes in {args.report}")
    return 0


def default_path(config: EvaluationConfig) -> Path:
    """A file under runs/eval named after what is evaluated."""
    words = (config.task, Path(config.policy).name, config.dynamics, config.retimer, file_words(config.speed))
    return Path("runs/eval", "_".join(words) + ".json")


def lines(result: dict[str, Any]) -> list[str]:
    """The figures, one a line."""
    first, last = result["seed"], result["seed"] + result["episodes"] - 1
    what = f"{result['task']}, {result['policy']}, {result['dynamics']} dynamics, {result['retimer']} {result['speed']}"
    rate = f"{result['success_rate']:.3f}  [{result['wilson_low']:.3f}, {result['wilson_high']:.3f}] Wilson 95 %"
    named = {
        f"success_rate, {result['episodes']} episodes": rate,
        **{key: _number(result[key], unit) for key, unit in UNITS.items()},
    }
    named |= {f"episodes ended by {trouble}": str(count) for trouble, count in result.get("troubles", {}).items()}
    return [f"{what}, seeds {first} to {last}", *(f"  {key:<34} {value}" for key, value in named.items())]


UNITS = {
    "acceleration": "x",
    "demo_speedup": "x",
    "mean_success_duration_s": "s",
    "successes_per_minute": "/min",
    "realised_speed_mean": "x",
    "tracking_error_rad_rms": "rad",
    "handover_jump_rad_p99": "rad",
}


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g} {unit}"
