"""What samples were taken of: the configuration, and digests of all that it names but does not hold."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from speedtune_ros.config import to_dict
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.speed.speed_policy import split_spec


def resolved(config: EvaluationConfig) -> dict[str, Any]:
    """The configuration as it is kept with results: with the digests of its checkpoint and of its scene.

    Samples of a retrained policy or of a changed scene are then not mixed with the old ones.
    """
    values = {
        **to_dict(config),
        "checkpoint": fingerprint(config),
        "scene": scene(config.task, config.dynamics, config.policy == "expert"),
    }
    speed = speed_fingerprint(config)
    return {**values, "speed_checkpoint": speed} if speed else values


def fingerprint(config: EvaluationConfig) -> str:
    """A digest of the checkpoint's two files, not of what else lies in its folder; empty for a scripted one.

    Raises CheckpointError if a shipped one is missing.
    """
    from speedtune_ros import registry

    if config.policy in registry.SCRIPTED:
        return ""
    return digest(registry.checkpoint_folder(config.policy, config.task, config.dynamics))


def speed_fingerprint(config: EvaluationConfig) -> str:
    """A digest of what the speed policy reads from files, empty where its name says all.

    Raises CheckpointError if the task policy's checkpoint is missing.
    """
    from speedtune_ros import registry
    from speedtune_ros.speed.shipped import LEARNED, find_learned, shipped_path

    kind, argument = split_spec(config.speed)
    if kind == "constant" or (kind == "phase" and argument):
        return ""
    shipped = registry.shipped_speeds(config.policy, config.task, config.dynamics)
    if kind == LEARNED:
        folder, tolerance = find_learned(argument, shipped)
        return digest(folder) + (f",tolerance={tolerance:g}" if tolerance and not argument else "")
    table = shipped_path(shipped, kind)
    return hashlib.sha256(table.read_bytes()).hexdigest()[:16] if table.is_file() else ""


def digest(folder: Path) -> str:
    """Of a checkpoint's card and weights."""
    from speedtune_ros.data.checkpoint_folder import CARD, WEIGHTS

    content = hashlib.sha256()
    for name in (CARD, WEIGHTS):
        if (folder / name).is_file():
            content.update(name.encode() + (folder / name).read_bytes())
    return content.hexdigest()[:16]


@cache
def scene(task: str, dynamics: str, expert: bool) -> str:
    """A digest of the compiled scene, of how it is randomised and, for the expert, of what it does.

    Empty for a task of real arms, which has none.
    """
    import mujoco
    import numpy as np

    from speedtune_ros.registry import make_simulation
    from speedtune_ros.tasks.task import TASKS
    from speedtune_ros.types import Episode

    if task not in TASKS:
        return ""
    episode = Episode("scene", task, 0)
    simulation = make_simulation(task, dynamics)
    simulation.reset(episode)
    model = simulation.robot.model
    buffer = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    content = hashlib.sha256(buffer.tobytes() + simulation.robot.data.qpos.tobytes())
    if expert:
        content.update(simulation.demonstration(episode).tobytes())
    simulation.close()
    return content.hexdigest()[:16]
