"""speedtune plot: the figures of SpeedTuning, of our own results."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.evaluation import arguments
from speedtune_ros.seeds import SELECTION, parse_seeds

HELP = "draw success against speed (pareto), speed over a task's course (speed), ablations, the tea bag's swing"
DPI = 160
FRAMES = ("angle", 360, 480)
AXES = ("acceleration", "realised_speed_mean", "demo_speedup")


def configure(parser: argparse.ArgumentParser) -> None:
    figures = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)
    pareto = _figure(figures, "pareto", "success against speed, a panel a task", _pareto)
    words = "file of eval, folder of sweep, or ablations.json; LABEL=RESULT names it"
    pareto.add_argument("results", nargs="+", metavar="RESULT", help=words)
    pareto.add_argument("--axis", choices=AXES, default=AXES[0], help=f"(default: {AXES[0]})")
    pareto.add_argument("--paper", action="store_true", help="also what SpeedTuning reports")
    speed = _figure(figures, "speed", "executed speed over task progress, key frames, values of the speeds", _speed)
    arguments.add_config(speed, leave_out=("speed",))
    words = "speed policies to compare; key frames are of the last (default: constant:1 rainbow)"
    speed.add_argument("--speed", nargs="+", default=["constant:1", "rainbow"], metavar="SPEED", help=words)
    speed.add_argument("--episodes", type=int, default=20, metavar="N", help="seeds S to S+N-1 (default: 20)")
    words = f"first seed (default: {SELECTION.first})"
    speed.add_argument("--seed", type=int, default=SELECTION.first, metavar="S", help=words)
    words = "shares of the way to show key frames at (default: 0.05,0.25,0.45,0.65,0.85,1)"
    speed.add_argument("--marks", metavar="SHARES", help=words)
    words = "key frames of the first episode that fails, not of one that succeeds"
    speed.add_argument("--failure", action="store_true", help=words)
    ablations = _figure(figures, "ablations", "success and acceleration of each variant", _ablations)
    ablations.add_argument("results", nargs="+", metavar="FILE", help="ablations.json of `speedtune ablate`")
    swing = _figure(figures, "swing", "the tea bag's swing against the speed of its carry", _swing)
    swing.add_argument("--speeds", default="1.0:4.5:0.25", help="of the carry (default: 1.0:4.5:0.25)")
    swing.add_argument("--dynamics", default="act", help="dynamics profile (default: act)")
    swing.add_argument("--episodes", type=int, default=30, metavar="N", help="seeds S to S+N-1 (default: 30)")
    words = f"first seed (default: {SELECTION.first})"
    swing.add_argument("--seed", type=int, default=SELECTION.first, metavar="S", help=words)
    cores = len(os.sched_getaffinity(0))
    swing.add_argument(
        "--workers", type=arguments.count, default=cores, metavar="W", help=f"processes (default: {cores})"
    )


def run(args: argparse.Namespace) -> int:
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(args.draw(args))
    print(f"written to {args.out}")
    return 0


def _figure(figures: argparse._SubParsersAction, name: str, words: str, draw: object) -> argparse.ArgumentParser:
    parser = figures.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    default = Path(f"{name}.png")
    parser.add_argument("--out", type=Path, default=default, metavar="FILE", help=f".png or .svg (default: {default})")
    parser.set_defaults(draw=draw)
    return parser


def _pareto(args: argparse.Namespace) -> str:
    from speedtune_ros.evaluation.results import read_labelled
    from speedtune_ros.report.pareto_figure import pareto_figure

    labelled = read_labelled(args.results)
    pareto_figure(labelled, args.axis, args.paper).savefig(args.out, dpi=DPI)
    return ", ".join(dict.fromkeys(label for label, _ in labelled))


def _speed(args: argparse.Namespace) -> str:
    from speedtune_ros.evaluation.evaluate import check_names
    from speedtune_ros.evaluation.traces import runs_with_key_frames, traced_runs
    from speedtune_ros.report.progress_figure import MARKS, progress_figure

    marks = MARKS if args.marks is None else _shares(args.marks)
    seeds = parse_seeds(args.seed, args.episodes)
    configs = [arguments.config_of(args, speed=speed) for speed in args.speed]
    for config in configs:
        check_names(config)
    runs = [run for config in configs[:-1] for run in traced_runs(config, seeds)]
    runs += runs_with_key_frames(configs[-1], seeds, FRAMES, success=not args.failure)
    progress_figure(runs, marks).savefig(args.out, dpi=DPI)
    shown = next(run for run in runs if run.frames)
    outcome = "succeeds" if shown.success else "fails"
    if shown.success == args.failure:
        outcome += f" like all {len(seeds)}"
    return (
        f"seeds {seeds[0]} to {seeds[-1]} at {', '.join(config.speed for config in configs)}; "
        f"key frames: seed {shown.seed}, which {outcome}"
    )


def _ablations(args: argparse.Namespace) -> str:
    from speedtune_ros.evaluation.results import read_rows
    from speedtune_ros.report.ablation_figure import ablation_figure

    rows = [row for path in args.results for row in read_rows(Path(path))]
    unnamed = [row for row in rows if "group" not in row or "name" not in row]
    if unnamed:
        raise DataError(f"{', '.join(args.results)}: expected what `speedtune ablate` writes, rows with group and name")
    ablation_figure(rows).savefig(args.out, dpi=DPI)
    return f"{len(rows)} evaluations"


def _swing(args: argparse.Namespace) -> str:
    from speedtune_ros.evaluation.sweep import parse_speeds
    from speedtune_ros.evaluation.swing import swing_study
    from speedtune_ros.report.swing_figure import swing_figure

    speeds, seeds = parse_speeds(args.speeds), parse_seeds(args.seed, args.episodes)
    study = swing_study(speeds, seeds, args.dynamics, args.workers)
    args.out.with_suffix(".json").write_text(json.dumps({"seeds": [seeds[0], seeds[-1]], **study}, indent=1) + "\n")
    swing_figure(study).savefig(args.out, dpi=DPI)
    lines = [
        f"carry at {row['speed']:g}: success {row['success_rate']:.2f}, angle at most "
        f"{57.29578 * row['peak']:.0f} deg, {57.29578 * row['at_dip']:.0f} deg at the dip"
        for row in study["rows"]
    ]
    return "\n".join([*lines, f"figures in {args.out.with_suffix('.json')}"])


def _shares(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigError(f"marks: expected shares of the way as 0.1,0.5,1, got '{text}'") from error
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise ConfigError(f"marks: expected shares between 0 and 1, got '{text}'")
    return shares
