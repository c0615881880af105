"""Which speeds the demonstration compares: as demonstrated, the best constant one, and the learned one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speedtune_ros.config import load
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.sweep import parse_speeds

DEMONSTRATED = "constant:1"
WITHOUT = ("constant:2", "constant:3")  # where nothing is shipped


def parse_specs(text: str) -> tuple[str, ...]:
    """Constant speeds as 1,2,3 or 1:3:1, or speed policies separated by spaces. Raises ConfigError."""
    if any(letter.isalpha() for letter in text):
        return tuple(EvaluationConfig(speed=word).speed for word in text.split())
    return tuple(f"constant:{speed:g}" for speed in parse_speeds(text))


def shared_needs(speeds: Sequence[str], policy: str, task: str, profile: str = "act") -> dict[str, Any]:
    """The `k_skip` and `ensemble` of the speed policies that mind, else of the shipped best constant speed.

    Raises ConfigError where they differ: one graph runs all.
    """
    from speedtune_ros.registry import execution_needs, shipped_speeds
    from speedtune_ros.speed.shipped import ShippedSpeed, shipped_needs, shipped_path

    found = [needs for needs in (execution_needs(speed, policy, task, profile) for speed in speeds) if needs]
    path = shipped_path(shipped_speeds(policy, task, profile), "constant")
    if not found and path.is_file():
        found = [shipped_needs(load(ShippedSpeed, path))]
    if any(needs != found[0] for needs in found):
        distinct = dict.fromkeys(" and ".join(f"{key} {value}" for key, value in needs.items()) for needs in found)
        words = ", ".join(distinct)
        raise ConfigError(f"speeds: expected speed policies of one k_skip and ensembling, got {words}")
    return found[0] if found else {}


def choose_speeds(policy: str, task: str, profile: str = "act", latency: bool = False) -> tuple[tuple[str, ...], str]:
    """1x, the best constant speed and the learned one of a task policy; and what to tell the user about them.

    latency: prefer a speed policy that learned with latency, as a graph in real time has it. What is not shipped is
    replaced: the learned speed by the phase table, either by constant speeds.
    """
    from speedtune_ros.registry import shipped_speeds
    from speedtune_ros.speed.shipped import LATENCY, LEARNED, find_learned, read_shipped, shipped_path
    from speedtune_ros.speed.speed_policy import Companion

    folder = shipped_speeds(policy, task, profile)
    beside = Companion(task, profile, folder.name, shipped=folder)
    found = shipped_path(folder, "constant").is_file()
    best = [f"constant:{read_shipped('constant', beside).argument}"] if found else []
    words = f"the best constant speed ({best[0]})" if best else "constant speeds, for no best one is shipped"
    if latency and find_learned(LATENCY, folder)[0].is_dir():
        learned = f"{LEARNED}:{LATENCY}"
        words = f"Speeds: 1x, {words}, and the speed policy that was learned with latency, as this graph has it."
        return (DEMONSTRATED, *(best or WITHOUT[:1]), learned), words
    if (folder / LEARNED).is_dir():
        return (DEMONSTRATED, *(best or WITHOUT[:1]), LEARNED), f"Speeds: 1x, {words}, and the learned speed policy."
    missing = f"No learned speed policy is shipped for '{policy}' on '{task}'"
    if shipped_path(folder, "phase").is_file():
        return (DEMONSTRATED, *(best or WITHOUT[:1]), "phase"), f"{missing}; speeds: 1x, {words}, and the phase table."
    return (DEMONSTRATED, *(best or WITHOUT)), f"{missing}; speeds: 1x and {words}."
