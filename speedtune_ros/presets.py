"""Presets: what a task of real arms needs, as one ROS parameter file laid over those of the nodes.

A preset names its task in `episode.task` and its cameras in `recorder.cameras`; the launch arguments take both from it.
A block `train_speed` is for `speedtune train speed --preset`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speedtune_ros.config import check_parameters, read_parameters
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.share import share_path
from speedtune_ros.tasks.task import TASKS

FOLDER = "config/presets"
DEFAULT_TASK = "transfer_cube"


@dataclass(frozen=True)
class Preset:
    """path: its file; task: its name; cameras: each name or name:HEIGHTxWIDTH."""

    path: Path
    task: str
    cameras: tuple[str, ...]


def preset_names() -> list[str]:
    """The shipped ones."""
    return sorted(path.stem for path in share_path(FOLDER).glob("*.yaml"))


def preset_path(spec: str) -> Path:
    """The file of a shipped preset by its name, or of one's own by its path. Raises UnknownNameError."""
    if spec in preset_names():
        return share_path(f"{FOLDER}/{spec}.yaml")
    if Path(spec).is_file():
        return Path(spec)
    raise UnknownNameError("preset, and no such file", spec, preset_names())


def read_preset(spec: str) -> Preset:
    """The preset called `spec`, or at that path. Raises UnknownNameError, ConfigError."""
    path = preset_path(spec)
    check_parameters(path)
    task = read_parameters(path, "episode").get("task", "")
    cameras = read_parameters(path, "recorder").get("cameras", [])
    if not isinstance(task, str) or not task.isidentifier():
        raise ConfigError(f"{path}: episode.task: expected the task's name, got {task!r}")
    if not isinstance(cameras, list) or not all(isinstance(camera, str) for camera in cameras):
        raise ConfigError(f"{path}: recorder.cameras: expected a list of names, got {cameras!r}")
    return Preset(path, task, tuple(filter(None, cameras)))


def task_arguments(values: Mapping[str, str], preset: Preset | None) -> dict[str, str]:
    """The launch arguments `task` and `preset` resolved, and `scene`, that of simulated arms: the task's own, or empty,
    as the parameter files have it, where the task is one of real arms.

    Raises ConfigError for another task than the preset's, or one without a scene in simulation.
    """
    if preset is None:
        task = DEFAULT_TASK if values["task"] == "auto" else values["task"]
        return {"task": task, "scene": task}
    if values["task"] not in ("auto", preset.task):
        raise ConfigError(f"task: the preset's is '{preset.task}', got '{values['task']}'; leave one of them out")
    simulated = preset.task in TASKS
    if values["robot"] == "sim" and not simulated:
        raise ConfigError(
            f"preset: task '{preset.task}' has no scene to simulate; expected robot real, got sim (xs_sim simulates "
            "the arms)"
        )
    return {"task": preset.task, "preset": str(preset.path), "scene": preset.task if simulated else ""}
