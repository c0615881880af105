"""One simulated ALOHA doing one task: a robot, its scene, the reward and sticky success."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from speedtune_ros.robots.mujoco_aloha import MujocoAloha
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.robot import Limits
from speedtune_ros.tasks.task import Task
from speedtune_ros.types import Episode, Observation


class Simulation:
    """Steps `task` with the arms of `profile`; `cameras` are (height, width) by name.

    After `reset`: `initial_command` (14,) holds the start pose; `steps` control ticks were run; `reward` is the
    present one, `max_reward` the largest so far, `success` whether that ever was the task's own maximum.
    Raises UnknownNameError for an unknown profile or camera.
    """

    def __init__(self, task: Task, profile: str = "act", cameras: Mapping[str, tuple[int, int]] = {}) -> None:
        self.task = task
        self.profile = make_profile(profile)
        self.robot = MujocoAloha(task.spec(), self.profile, cameras)
        self.initial_command = self.robot.reset()
        self.steps = 0
        self.reward = 0
        self.max_reward = 0

    @property
    def limits(self) -> Limits:
        return self.robot.limits

    @property
    def now_ns(self) -> int:
        return self.robot.stamp_ns

    @property
    def success(self) -> bool:
        return self.max_reward >= self.task.max_reward

    @property
    def trouble(self) -> str:
        """Why the episode cannot go on, else empty."""
        return "unstable physics" if self.robot.unstable else ""

    def reset(self, episode: Episode, stamp_ns: int = 0) -> None:
        """The scene of `episode.seed`, arms at the start pose, the clock at `stamp_ns`."""
        self.initial_command = self.robot.reset(stamp_ns)
        self.task.randomise(self.robot.model, self.robot.data, scene_generator(episode))
        self.robot.settle()
        self.steps = 0
        self.reward = self.max_reward = self.task.reward(self.robot.model, self.robot.data)

    def demonstration(self, episode: Episode) -> np.ndarray:
        """The scripted expert's commands (episode_steps, 14) for the scene just reset."""
        return self.task.demonstration(self.robot.model, self.robot.data, demonstration_generator(episode))

    def observe(self, images: bool = True) -> Observation:
        """The state now, and a frame of every camera unless `images` is False."""
        return Observation(self.robot.state(), self.robot.images() if images else {})

    def step(self, command: np.ndarray) -> None:
        """Run one control tick (20 ms) under `command` (14,). Raises InvalidInputError; nothing moves then."""
        self.robot.command(command)
        self.robot.advance()
        self.steps += 1
        self.reward = 0 if self.trouble else self.task.reward(self.robot.model, self.robot.data)
        self.max_reward = max(self.max_reward, self.reward)

    def close(self) -> None:
        self.robot.close()


def scene_generator(episode: Episode) -> np.random.Generator:
    return np.random.default_rng([episode.seed, 0])


def demonstration_generator(episode: Episode) -> np.random.Generator:
    return np.random.default_rng([episode.seed, 1])
