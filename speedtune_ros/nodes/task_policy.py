"""The task policy node: one chunk of joint targets for each request."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from speedtune_msgs.msg import ActionChunk
from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.nodes.conversions import chunk_to_message
from speedtune_ros.nodes.node import run
from speedtune_ros.nodes.policy_node import PolicyNode, PolicyNodeConfig
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.registry import make_policy
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState


@dataclass(frozen=True)
class TaskPolicyConfig(PolicyNodeConfig):
    """Which policy, for which task and arms."""

    task: str = option("transfer_cube", "the task it must have been trained for")
    profile: str = option("act", "the dynamics profile it must have been trained for")
    policy: str = option("expert", "expert, act (the shipped checkpoint), rehearsal, or a checkpoint's path")
    cameras: tuple[str, ...] = option(
        ("",), "cameras whose images it waits for besides those the policy sees; an empty text for none"
    )
    candidates: int = option(1, "candidate chunks for each request", minimum=1, maximum=64)
    threads: int = option(1, "threads of one inference", minimum=1, maximum=256)


class TaskPolicyNode(PolicyNode[TaskPolicyConfig]):
    """Observation in, chunk out."""

    def __init__(self) -> None:
        super().__init__("task_policy", TaskPolicyConfig)
        config = self.config
        self._policy = make_policy(config.policy, config.task, config.profile)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(config.threads)
        self._chunks = self.publisher("action_chunk")
        self.start({*self._policy.info.cameras, *filter(None, config.cameras)})

    def warm_up(self) -> None:
        """The first inference takes seconds on a busy machine: have it before anybody waits for it."""
        still = np.zeros(NUM_JOINTS)
        images = {name: np.zeros((*size, 3), np.uint8) for name, size in self._policy.info.cameras.items()}
        self._policy.reset(Episode("warm-up", self.config.task))
        query = Query(Observation(RobotState(0, still, still), images), InferenceRequest(0, 0))
        self._policy.infer({0: query}, self.config.candidates)

    def begin(self, episode: Episode) -> None:
        if episode.task != self.config.task:
            raise Refused("other_task", f"episode of task '{episode.task}', this policy is for '{self.config.task}'")
        self._policy.reset(episode)

    def answer(self, query: Query, episode: Episode) -> ActionChunk:
        check_sizes(query.observation.images, self._policy.info.cameras)
        begun = time.perf_counter()
        chunk = self._policy.infer({0: query}, self.config.candidates)[0]
        chunk = dataclasses.replace(chunk, latency=time.perf_counter() - begun)
        message = chunk_to_message(chunk, episode.id, query.request.sequence)
        self._chunks.publish(message)
        return message

    def repeat(self, answer: ActionChunk) -> None:
        self._chunks.publish(answer)

    def diagnose(self) -> dict[str, object]:
        digest = self._policy.info.digest
        return {**super().diagnose(), **({"checkpoint": digest} if digest else {})}


def check_sizes(images: Mapping[str, np.ndarray], sizes: Mapping[str, tuple[int, int]]) -> None:
    """Raise Refused unless each image has the (height, width) its policy declares."""
    for name, size in sizes.items():
        if images[name].shape[:2] != tuple(size):
            height, width = images[name].shape[:2]
            expected = "x".join(map(str, size))
            raise Refused("image_size", f"camera '{name}': expected {expected} as in training, got {height}x{width}")


def main() -> int:
    return run(TaskPolicyNode)


if __name__ == "__main__":
    raise SystemExit(main())
