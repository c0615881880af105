"""With what a bag is replayed: as it was recorded, or with something changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speedtune_ros.config import build, merge
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_series import EpisodeSeries, Health
from speedtune_ros.errors import DataError
from speedtune_ros.retiming.linear import RetimerConfig
from speedtune_ros.retiming.scheduler import SchedulerConfig
from speedtune_ros.speed.speed_policy import split_spec

NODES = ("task_policy", "speed_policy", "retimer")
_EXPLORING = ", exploring"  # as the node marks a learned policy that tries speeds out
RETIMER_KEYS = ("scheduler", "retiming")  # what `--set` may change


@dataclass(frozen=True)
class WhatIf:
    """What is to differ from the recording; empty or None is as recorded.

    latency: observation to hand-over [s]; operator_limit: on `sdot`; max_velocity: of arm joints [rad/s];
    dynamics: profile of limits and lag; settings: nested values of `scheduler` and `retiming`.
    """

    policy: str = ""
    speed: str = ""
    retimer: str = ""
    dynamics: str = ""
    latency: float | None = None
    operator_limit: float | None = None
    max_velocity: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """What is changed, by name."""
        return {name: value for name, value in vars(self).items() if value not in ("", None, {})}


@dataclass(frozen=True)
class ReplayConfig:
    """What replays an episode, resolved. digest: of the checkpoint it was recorded with, "" where not recorded."""

    task: str
    policy: str
    speed: str
    profile: str
    retimer: str
    scheduler: SchedulerConfig
    retiming: RetimerConfig
    lockstep: bool
    threads: int = 1  # of one inference: another number rounds differently
    max_velocity: float | None = None
    operator_limit: float | None = None
    digest: str = ""


def replay_config(bag: Bag, series: EpisodeSeries, what_if: WhatIf = WhatIf()) -> ReplayConfig:
    """As the bag's nodes were configured, `what_if` on top. Raises ConfigError, and DataError if no task is known."""
    task_policy, speed_policy, retimer = (node_config(bag, name) for name in NODES)
    scheduler, retiming = dict(retimer.get("scheduler", {})), dict(retimer.get("retiming", {}))
    scheduler = merge(scheduler, what_if.settings.get("scheduler", {}))
    retiming = merge(retiming, what_if.settings.get("retiming", {}))
    if what_if.latency is not None:
        scheduler |= {"latency": what_if.latency, "measure_latency": False}
    task = series.info.task or task_policy.get("task", "")
    if not task:
        raise DataError(f"{bag.path}: no episode and no configuration says which task it is: nothing can be replayed")
    provenance = (bag.provenance or {}).get("task_policy", {})
    return ReplayConfig(
        task=task,
        policy=what_if.policy or task_policy.get("policy", "act"),
        speed=what_if.speed or recorded_speed(series, str(speed_policy.get("speed", "constant:1"))),
        profile=what_if.dynamics or retimer.get("profile", "act"),
        retimer=what_if.retimer or retimer.get("retimer", "linear"),
        scheduler=build(SchedulerConfig, scheduler, "retimer.scheduler"),
        retiming=build(RetimerConfig, retiming, "retimer.retiming"),
        lockstep=bool(retimer.get("lockstep", False)),
        threads=int(task_policy.get("threads", 1)),
        max_velocity=what_if.max_velocity,
        operator_limit=what_if.operator_limit,
        digest="" if what_if.policy else str(provenance.get("checkpoint", "")),
    )


def node_config(bag: Bag, name: str) -> dict[str, Any]:
    """The embedded configuration of a node, in whatever namespace it ran; empty if there is none."""
    found = [values for node, values in (bag.config or {}).items() if node.rpartition("/")[2] == name]
    return dict(found[-1]) if found and isinstance(found[-1], Mapping) else {}


def recorded_speed(series: EpisodeSeries, configured: str) -> str:
    """The speed policy an episode ran with, by its choices or its node: modes are exchanged while nodes run."""
    source = next((decision.choice.source for decision in series.decisions if decision.choice is not None), "")
    said = [health.values["mode"] for health in series.health if _is_speed_policy(health)]
    modes = [configured, *(mode.removesuffix(_EXPLORING) for mode in said)]
    if not source or split_spec(source)[0] == "constant":
        return source or configured
    same = [mode for mode in modes if split_spec(mode)[0] == split_spec(source)[0]]
    return same[-1] if same else source


def _is_speed_policy(health: Health) -> bool:
    return health.node.rpartition("/")[2] == "speed_policy" and "mode" in health.values
