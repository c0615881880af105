"""speedtune bag replay."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.bag_commands import add_bag, episode, open_bag, write_json

if TYPE_CHECKING:
    from speedtune_ros.data.bag_reader import Bag
    from speedtune_ros.data.bag_series import EpisodeSeries
    from speedtune_ros.inspection.comparison import Comparison
    from speedtune_ros.inspection.replay_config import ReplayConfig, WhatIf

HELP = "recorded observations through today's task policy, speed policy and retimer, and what they say differently"


def configure(parser: argparse.ArgumentParser) -> None:
    add_bag(parser)
    parser.add_argument("--episode", metavar="N", help="only this one: its number in the bag, from 1, or its id")
    parser.add_argument("--graph", action="store_true", help="through the ROS graph of replay.launch.py, in /replay")
    parser.add_argument("--clock", action="store_true", help="with --graph: publish /clock from the bag")
    words = "continue each trajectory from the replay's own last one instead of the recorded one"
    parser.add_argument("--free", action="store_true", help=words)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every decision's figures")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a page (HTML)")
    what_if = parser.add_argument_group("what if", "something other than recorded")
    what_if.add_argument("--policy", default="", help="task policy: act, expert or a checkpoint's path")
    what_if.add_argument("--speed", default="", help="speed policy, as constant:3")
    what_if.add_argument("--retimer", default="", help="retimer")
    what_if.add_argument("--dynamics", default="", help="profile of joint limits and lag: act, identified, hardware")
    what_if.add_argument("--latency", type=float, metavar="S", help="observation to hand-over [s]")
    what_if.add_argument("--operator-limit", type=float, metavar="V", help="the operator's ceiling on speed")
    what_if.add_argument("--max-velocity", type=float, metavar="RAD_S", help="limit of every arm joint [rad/s]")
    words = "a setting of the retimer node, as retiming.brake_time=0.2 or scheduler.ensemble=true; may be repeated"
    what_if.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=words)


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.data.series_of_bag import series_of_bag
    from speedtune_ros.errors import DataError
    from speedtune_ros.inspection.comparison import text
    from speedtune_ros.report.replay_page import replay_page

    bag = open_bag(args.bag)
    episodes = series_of_bag(bag)
    chosen = episodes if args.episode is None else [episode(episodes, args.episode)]
    chosen = [series for series in chosen if any(decision.request for decision in series.decisions)]
    if not chosen:
        raise DataError(f"{bag.path}: nothing to replay: no policy was asked for anything, as in teleoperation")
    what_if = _what_if(args)
    found, facts = _through_graph(args, bag, chosen, what_if) if args.graph else _in_process(args, bag, chosen, what_if)
    for comparison in found:
        print(text(comparison))
    if args.json is not None:
        write_json(args.json, {**facts, "episodes": [comparison.to_dict() for comparison in found]})
        print(f"written to {args.json}")
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(replay_page(f"Replay of {bag.path.name}", facts, found), encoding="utf-8")
        print(f"written to {args.out}")
    return 0


def _in_process(
    args: argparse.Namespace, bag: Bag, chosen: list[EpisodeSeries], what_if: WhatIf
) -> tuple[list[Comparison], dict[str, Any]]:
    from speedtune_ros.inspection.comparison import compare
    from speedtune_ros.inspection.replay import Stages, make_stages, replay
    from speedtune_ros.inspection.replay_config import replay_config

    stages: dict[ReplayConfig, Stages] = {}
    found, facts = [], {"bag": str(bag.path), "what if": what_if.said() or "as recorded"}
    for series in chosen:
        config = replay_config(bag, series, what_if)
        if config not in stages:
            stages[config] = make_stages(config)
            facts |= _ran(config, stages[config])
        replayed = replay(series, config, stages[config], args.free)
        found.append(compare(series, replayed.series, replayed.notes))
    return found, facts


def _ran(config: ReplayConfig, stages: Any) -> dict[str, str]:
    """What answers now, said on the terminal too."""
    digest = stages.policy.info.digest
    same = "checkpoint not recorded" if not config.digest else f"the checkpoint it was recorded with ({digest[:12]})"
    if config.digest and config.digest != digest:
        same = f"ANOTHER checkpoint than recorded: {config.digest[:12]} then, {digest[:12] or 'none'} now"
    ran = {"task policy": f"{config.policy}: {same}", "retimer": f"{config.retimer}, {config.profile} dynamics"}
    print(f"{config.task}, {ran['task policy']}; speed {config.speed}; {ran['retimer']}")
    return ran


def _through_graph(
    args: argparse.Namespace, bag: Bag, chosen: list[EpisodeSeries], what_if: WhatIf
) -> tuple[list[Comparison], dict[str, Any]]:
    from speedtune_ros.inspection.graph_replay import replay_through_graph

    number = args.episode if args.episode is not None else ""
    return replay_through_graph(bag, chosen, what_if, number, args.clock)


def _what_if(args: argparse.Namespace) -> WhatIf:
    import yaml

    from speedtune_ros.config import merge
    from speedtune_ros.errors import ConfigError
    from speedtune_ros.inspection.replay_config import RETIMER_KEYS, WhatIf

    settings: dict[str, Any] = {}
    for text in args.set:
        key, separator, value = text.partition("=")
        parts = key.split(".")
        if not separator or parts[0] not in RETIMER_KEYS or len(parts) < 2:
            raise ConfigError(f"--set: expected scheduler.KEY=VALUE or retiming.KEY=VALUE, got '{text}'")
        nested: Any = yaml.safe_load(value)
        for part in reversed(parts):
            nested = {part: nested}
        settings = merge(settings, nested)
    names = ("policy", "speed", "retimer", "dynamics", "latency", "operator_limit", "max_velocity")
    return WhatIf(**{name: getattr(args, name) for name in names}, settings=settings)
