"""What `speedtune sweep --live` and `speedtune train speed --live` do."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.live.arguments import live_options
from speedtune_ros.live.running import operator_says, running
from speedtune_ros.live.sweep import LiveSweep

if TYPE_CHECKING:
    from speedtune_ros.training.train_speed import TrainSpeedConfig


def sweep_live(
    args: argparse.Namespace, config: EvaluationConfig, specs: Sequence[str], seeds: Sequence[int], folder: Path
) -> list[dict[str, Any]]:
    """Measure `specs` over `seeds` into `folder`; the rows. Raises SpeedtuneError."""
    folder.mkdir(parents=True, exist_ok=True)
    launch = {
        "task": config.task,
        "policy": config.policy,
        "dynamics": config.dynamics,
        "retimer": config.retimer,
        "k_skip": config.k_skip,
    }
    options = live_options(args, folder / "graph.log", **launch)
    expected = {
        **_expected(config.task, config.policy, config.dynamics, config.k_skip),
        "retimer__retimer": config.retimer,
        "retimer__scheduler__inference": config.inference,
        "retimer__scheduler__ensemble": config.ensemble,
        "retimer__retiming__handover__method": config.handover,
    }
    with running(options, operator_says, **expected) as graph:
        graph.limit(options.speed_limit)
        sweep = LiveSweep(graph, config, folder, args.label_timeout, graph.attended, operator_says)
        return sweep.run(specs, seeds)


def train_live(args: argparse.Namespace, config: TrainSpeedConfig, command: str) -> dict[str, Any]:
    """Learn from a running graph into `args.out`; the log's last line. Raises SpeedtuneError."""
    from speedtune_ros.live.learner import LearnerFactory, allowed, episode_limits
    from speedtune_ros.live.train import LiveTraining
    from speedtune_ros.registry import make_policy

    out = Path(args.out)
    launch = {"task": config.task, "policy": config.policy, "dynamics": config.dynamics, "k_skip": config.k_skip}
    options = live_options(args, out / "graph.log", **launch, retimer=config.retimer)
    policy = make_policy(config.policy, config.task, config.dynamics)
    expected = _expected(config.task, config.policy, config.dynamics, config.k_skip)
    with running(options, operator_says, **expected, retimer__retimer=config.retimer) as graph:
        live = dataclasses.replace(config.live, label_timeout_s=args.label_timeout)
        config = dataclasses.replace(allowed(config, graph.limit(options.speed_limit)), live=live)
        limits = episode_limits(config, graph.episode_steps(config.task))
        training = LiveTraining(graph, out, config, limits, graph.attended, operator_says, command)
        training.begin(LearnerFactory(config, policy, limits), args.resume)
        return training.run()


def _expected(task: str, policy: str, profile: str, k_skip: int) -> dict[str, object]:
    """What the nodes of the graph must have been started with."""
    found: dict[str, object] = {"retimer__scheduler__k_skip": k_skip, "speed_policy__k_skip": k_skip}
    for node in ("task_policy", "speed_policy"):
        found |= {f"{node}__task": task, f"{node}__policy": policy, f"{node}__profile": profile}
    return found
