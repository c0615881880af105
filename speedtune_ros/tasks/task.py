"""The task interface: one scene, one reward, one scripted expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the registry below is read where MuJoCo is not needed
    import mujoco
    import numpy as np


class Task(Protocol):
    """A simulated task. Stateless: everything that varies is in the model's data and the generator."""

    name: str
    instruction: str
    episode_steps: int  # nominal length at demonstrated speed, control steps
    max_reward: int  # reward of success; success is sticky

    def spec(self) -> mujoco.MjSpec:
        """The scene with both arms, as the benchmark has it; dynamics profiles are applied by the robot."""

    def randomise(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Draw the episode's initial scene into `data` (objects only, arms are at the start pose)."""

    def reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> int:
        """The reward of the present contacts and poses, 0 to `max_reward`."""

    def demonstration(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        """The scripted expert's commands for the scene in `data`: (episode_steps, 14)."""


# Where each task's class is. A new task adds its line here.
TASKS: dict[str, str] = {
    "insertion": "speedtune_ros.tasks.insertion:Insertion",
    "tea_bag": "speedtune_ros.tasks.tea_bag:TeaBag",
    "transfer_cube": "speedtune_ros.tasks.transfer_cube:TransferCube",
}
