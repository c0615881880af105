"""Settings of the episode node, and the poses it knows by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, NUM_JOINTS, start_pose
from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, InvalidInputError, UnknownNameError
from speedtune_ros.registry import make_task
from speedtune_ros.robots.interbotix import ASLEEP
from speedtune_ros.tasks.task import TASKS
from speedtune_ros.types import checked


@dataclass(frozen=True)
class EpisodeConfig:
    """When an episode ends, and how arms are moved between episodes."""

    robot: str = option("sim", "sim resets its scene; real moves the arms to the start pose", choices=("sim", "real"))
    task: str = option("transfer_cube", "the task the graph runs")
    instruction: str = option("", "what the policies are told; empty: as the simulated task has it")
    demonstration_s: float = option(
        0.0, "length of a demonstration; 0: as the simulated task has it", minimum=0.0, maximum=600.0
    )
    profile: str = option("act", "dynamics profile of the arms, for the record")
    margin_s: float = option(1.0, "time beyond the task's own before an episode ends", minimum=0.0, maximum=600.0)
    start_timeout_s: float = option(30.0, "longest wait for the first motion of an episode", minimum=0.1, maximum=600.0)
    stall_timeout_s: float = option(3.0, "an episode whose arms hold for so long ends", minimum=0.1, maximum=600.0)
    silence_timeout_s: float = option(2.0, "an episode whose driver is silent so long ends", minimum=0.1, maximum=600.0)
    driver_timeout_s: float = option(
        0.3, "the same for real arms, whose driver never waits", minimum=0.05, maximum=600.0
    )
    service_timeout_s: float = option(10.0, "longest wait for another node's service", minimum=0.1, maximum=600.0)
    start_tolerance_rad: float = option(
        0.1, "farther from it, a move to the start comes first", minimum=0.001, maximum=3.0
    )
    move_tolerance_rad: float = option(
        0.15, "a move succeeds within this distance of its goal", minimum=0.001, maximum=3.0
    )
    move_speed_rad_s: float = option(0.5, "joint speed of the move to the start pose", minimum=0.01, maximum=3.0)
    move_speed_max_rad_s: float = option(1.5, "largest joint speed a move may ask for", minimum=0.01, maximum=3.14)
    settle_s: float = option(0.3, "time after a move before its error is read", minimum=0.0, maximum=10.0)


def nominal(config: EpisodeConfig) -> tuple[str, float]:
    """Instruction and length of a demonstration [s] of the task: as configured, or as the simulated one has them.

    Raises ConfigError, UnknownNameError where there is neither.
    """
    real = config.robot == "real" and config.task not in TASKS
    if real and not (config.instruction and config.demonstration_s):
        raise ConfigError(
            f"task '{config.task}' is no simulated one: expected its instruction and demonstration_s, got "
            f"'{config.instruction}' and {config.demonstration_s:g}; simulated: {', '.join(sorted(TASKS))}"
        )
    if real:
        return config.instruction, config.demonstration_s
    task = make_task(config.task)
    return config.instruction or task.instruction, config.demonstration_s or task.episode_steps * CONTROL_DT


def named_pose(name: str, positions: Sequence[float] = (), sleep: Sequence[float] = ASLEEP) -> np.ndarray:
    """A pose (14,) by name, or `positions` where no name is given. sleep (14,): of these arms."""
    poses = {"start": start_pose(), "sleep": np.array(sleep), "open": start_pose(1.0)}
    if not name:
        return checked("positions", positions, (NUM_JOINTS,))
    if len(positions):
        raise InvalidInputError(f"move: expected a pose or positions, got '{name}' and {len(positions)} positions")
    if name not in poses:
        raise UnknownNameError("pose", name, poses)
    return poses[name]
