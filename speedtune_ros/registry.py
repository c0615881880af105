"""Composition root: stages by name, for nodes, commands, evaluation and tests alike.

Modules are imported when one of their stages is asked for: the retimer's process never loads MuJoCo or PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtune_ros.errors import CheckpointError, ConfigError, UnknownNameError

if TYPE_CHECKING:
    from speedtune_ros.policies.policy import Policy
    from speedtune_ros.retiming.linear import RetimerConfig
    from speedtune_ros.retiming.retimer import Retimer
    from speedtune_ros.simulation import Simulation
    from speedtune_ros.speed.speed_policy import Companion, SpeedPolicy
    from speedtune_ros.tasks.task import Task

# Shipped checkpoints lie in CHECKPOINTS/<task>/<profile>/<policy>.
CHECKPOINTS = Path(__file__).parent / "checkpoints"
SCRIPTED = ("expert", "rehearsal")  # policies without a checkpoint


def make_task(name: str) -> Task:
    """The simulated task called `name`. Raises ConfigError for a task of real arms, else UnknownNameError."""
    from speedtune_ros.presets import preset_names
    from speedtune_ros.tasks.task import TASKS

    if name not in TASKS and name in preset_names():
        raise ConfigError(
            f"task '{name}' is one of real arms (config/presets/{name}.yaml): it has no scene, no scripted expert and "
            f"no reward; expected a simulated task: {', '.join(sorted(TASKS))}"
        )
    return _named("task", name, TASKS)()


def make_policy(spec: str, task: Task | str, profile: str = "act") -> Policy:
    """`expert`, `rehearsal`, a shipped policy (`act`) or the path of a checkpoint, for `task` in `profile`.

    The expert alone needs a simulated task. Raises UnknownNameError, ConfigError, and CheckpointError if the checkpoint
    is of another task or profile.
    """
    from speedtune_ros.policies.checkpoint import read_card
    from speedtune_ros.policies.policy import LOADERS
    from speedtune_ros.robots.profiles import make_profile

    make_profile(profile)  # an unknown profile has no checkpoint either, but deserves its own message
    if spec == "expert":
        from speedtune_ros.expert import ExpertPolicy

        return ExpertPolicy(make_task(task) if isinstance(task, str) else task, profile)
    name = task if isinstance(task, str) else task.name
    if spec == "rehearsal":
        from speedtune_ros.rehearsal import rehearsal

        return rehearsal(name, profile)
    folder = checkpoint_folder(spec, name, profile)
    loader = spec if spec in LOADERS else read_card(folder).policy
    return _named("policy", loader, LOADERS)(folder, name, profile)


def checkpoint_folder(spec: str, task: str, profile: str) -> Path:
    """Where the checkpoint is that `spec` names, shipped or by its path. Raises UnknownNameError, CheckpointError."""
    from speedtune_ros.policies.policy import LOADERS

    if spec in LOADERS:
        return shipped_checkpoint(spec, task, profile)
    if Path(spec).is_dir():
        return Path(spec)
    raise UnknownNameError("policy, and no such checkpoint folder", spec, [*SCRIPTED, *LOADERS])


def policy_cameras(spec: str, task: str, profile: str) -> dict[str, tuple[int, int]]:
    """The (height, width) of each camera the policy sees, from its card alone; none for a scripted one.

    Raises UnknownNameError, CheckpointError.
    """
    from speedtune_ros.policies.checkpoint import read_card

    return {} if spec in SCRIPTED else dict(read_card(checkpoint_folder(spec, task, profile)).cameras)


def shipped_checkpoint(policy: str, task: str, profile: str) -> Path:
    """The folder of a shipped checkpoint. Raises CheckpointError naming those that exist."""
    folder = CHECKPOINTS / task / profile / policy
    if folder.is_dir():
        return folder
    shipped = sorted(str(card.parent.relative_to(CHECKPOINTS)) for card in CHECKPOINTS.glob("*/*/*/checkpoint.json"))
    raise CheckpointError(
        f"no checkpoint of '{policy}' is shipped for task '{task}' and profile '{profile}'; "
        f"shipped: {', '.join(shipped) or 'none'}"
    )


def make_speed_policy(
    spec: str, policy: Policy | None = None, k_skip: int = 0, ensemble: bool | None = None
) -> SpeedPolicy:
    """A speed policy from its name and argument, as `constant:2`; a plain number is a constant speed.

    policy: the task policy it runs beside, asked every `k_skip` control steps (0: not known), its chunks blended if
    `ensemble` (None: not known); a learned speed policy is refused beside another one, or none.
    Raises UnknownNameError, ConfigError, CheckpointError, and InvalidInputError for a speed that is not finite and
    above 0.
    """
    from speedtune_ros.speed.speed_policy import FACTORIES, split_spec

    name, argument = split_spec(spec)
    beside = companion(policy, k_skip, ensemble) if policy else None
    return _named("speed policy", name, FACTORIES)(argument, beside)


def execution_needs(speed: str, policy: str, task: str, profile: str = "act") -> dict[str, Any]:
    """The `k_skip` and `ensemble` that the speed policy `speed` was learned or chosen at; empty if it does not mind.

    Raises UnknownNameError and CheckpointError for a task policy that is not there.
    """
    from speedtune_ros.speed import shipped
    from speedtune_ros.speed.speed_policy import stands_alone

    return {} if stands_alone(speed) else shipped.execution_needs(speed, shipped_speeds(policy, task, profile))


def shipped_speeds(policy: str, task: str, profile: str = "act") -> Path:
    """The folder of the speed policies shipped for a task policy. Raises UnknownNameError, CheckpointError."""
    from speedtune_ros.policies.checkpoint import read_card
    from speedtune_ros.policies.policy import LOADERS

    scripted = policy in (*SCRIPTED, *LOADERS)
    name = policy if scripted else read_card(checkpoint_folder(policy, task, profile)).policy
    return CHECKPOINTS / task / profile / name


def companion(policy: Policy, k_skip: int = 0, ensemble: bool | None = None) -> Companion:
    """What a learned speed policy needs to know of the task policy it runs beside."""
    from speedtune_ros.speed.speed_policy import Companion

    info = policy.info
    shipped = CHECKPOINTS / info.task / info.profile / info.name
    see = getattr(policy, "see", None)
    return Companion(info.task, info.profile, info.name, info.digest, see, info.cameras, k_skip, ensemble, shipped)


def make_retimer(
    name: str = "linear", config: RetimerConfig | None = None, velocity: np.ndarray | None = None
) -> Retimer:
    """The retimer called `name` under velocity limits (14,) [rad/s; gripper 1/s]. Raises UnknownNameError."""
    from speedtune_ros.retiming.retimer import FACTORIES

    return _named("retimer", name, FACTORIES)(config, velocity)


def make_simulation(
    task: Task | str, profile: str = "act", cameras: Mapping[str, tuple[int, int]] | None = None
) -> Simulation:
    """A simulated ALOHA doing `task` in `profile`, with cameras (height, width) by name."""
    from speedtune_ros.simulation import Simulation

    return Simulation(make_task(task) if isinstance(task, str) else task, profile, cameras or {})


def _named(what: str, name: str, registry: Mapping[str, str]) -> Any:
    """The object that `registry` has under `name` as "module:attribute"."""
    if name not in registry:
        raise UnknownNameError(what, name, registry)
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
