"""What `speedtune sweep --live` and `speedtune train speed --live` do."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.execution import ExecutionConfig
from speedtune_ros.live.arguments import live_options
from speedtune_ros.live.config import LiveConfig
from speedtune_ros.live.running import operator_says, running
from speedtune_ros.live.sweep import LiveSweep
from speedtune_ros.speed.speed_policy import split_spec

if TYPE_CHECKING:
    from speedtune_ros.training.train_speed import TrainSpeedConfig


def sweep_live(
    args: argparse.Namespace, config: EvaluationConfig, specs: Sequence[str], seeds: Sequence[int], folder: Path
) -> list[dict[str, Any]]:
    """Measure `specs` over `seeds` into `folder`; the rows. Raises SpeedtuneError."""
    folder.mkdir(parents=True, exist_ok=True)
    options = live_options(args, folder / "graph.log", **_launch(config))
    timeout = LiveConfig().label_timeout_s if args.label_timeout is None else args.label_timeout
    with running(options, operator_says, **_expected(config)) as graph:
        tried = within(specs, graph.limit(options.speed_limit), operator_says)
        sweep = LiveSweep(graph, config, folder, timeout, graph.attended, operator_says)
        return sweep.run(tried, seeds)


def train_live(args: argparse.Namespace, config: TrainSpeedConfig, command: str) -> dict[str, Any]:
    """Learn from a running graph into `args.out`; the log's last line. Raises SpeedtuneError."""
    from speedtune_ros.live.learner import LearnerFactory, allowed, episode_limits
    from speedtune_ros.live.train import LiveTraining
    from speedtune_ros.registry import make_policy

    if config.chooses != "speeds" or config.latencies:
        raise ConfigError(
            "--live: learns speeds, at the latency the graph has; expected chooses=speeds and no latencies"
        )
    out = Path(args.out)
    options = live_options(args, out / "graph.log", **_launch(config))
    policy = make_policy(config.policy, config.task, config.dynamics)
    if args.label_timeout is not None:
        config = dataclasses.replace(config, live=dataclasses.replace(config.live, label_timeout_s=args.label_timeout))
    with running(options, operator_says, **_expected(config)) as graph:
        config = allowed(config, graph.limit(options.speed_limit))
        limits = episode_limits(config, graph.episode_steps(config.task))
        training = LiveTraining(graph, out, config, limits, graph.attended, operator_says, command)
        training.begin(LearnerFactory(config, policy, limits), args.resume)
        return training.run(60.0 * args.minutes)


def within(specs: Sequence[str], limit: float, say: Callable[[str], None]) -> list[str]:
    """Those of `specs` that are no constant speed above the operator's `limit`; the others would run at the limit, and
    be filed under another name. Raises ConfigError if none is left."""
    found = [spec for spec in specs if _constant(spec) <= limit]
    if not found:
        raise ConfigError(f"speeds {', '.join(specs)}: the operator's limit is {limit:g}, below all of them")
    if len(found) < len(specs):
        say(f"above the operator's limit of {limit:g}, not tried: {', '.join(s for s in specs if s not in found)}")
    return found


def _constant(spec: str) -> float:
    name, argument = split_spec(spec)
    return float(argument or 1.0) if name == "constant" else 0.0


def _launch(config: ExecutionConfig) -> dict[str, object]:
    """Launch arguments of a graph that is started for it."""
    given = {key: getattr(config, key) for key in ("task", "policy", "dynamics", "retimer", "k_skip")}
    return {**given, "ensemble": str(config.ensemble).lower()}


def _expected(config: ExecutionConfig) -> dict[str, object]:
    """What the nodes of the graph must have been started with."""
    found: dict[str, object] = {
        "retimer__retimer": config.retimer,
        "retimer__scheduler__k_skip": config.k_skip,
        "retimer__scheduler__inference": config.inference,
        "retimer__scheduler__ensemble": config.ensemble,
        "retimer__retiming__handover__method": config.handover,
        "speed_policy__k_skip": config.k_skip,
        "speed_policy__ensemble": config.ensemble,
    }
    for node in ("task_policy", "speed_policy"):
        found |= {
            f"{node}__task": config.task,
            f"{node}__policy": config.policy,
            f"{node}__profile": config.dynamics,
        }
    return found
