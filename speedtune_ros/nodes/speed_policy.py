"""The speed policy node: a ceiling on the speed for each request."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from speedtune_msgs.msg import SpeedCommand
from speedtune_msgs.srv import LoadSpeedPolicy, SetSpeedMode
from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.errors import Refused, SpeedtuneError
from speedtune_ros.nodes.conversions import choice_to_message
from speedtune_ros.nodes.node import run
from speedtune_ros.nodes.policy_node import PolicyNode, PolicyNodeConfig
from speedtune_ros.nodes.task_policy import check_sizes
from speedtune_ros.policies.policy import Policy
from speedtune_ros.registry import make_policy, make_speed_policy
from speedtune_ros.speed.shipped import LEARNED
from speedtune_ros.speed.speed_policy import SpeedPolicy, stands_alone
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState


@dataclass(frozen=True)
class SpeedPolicyConfig(PolicyNodeConfig):
    """Which speed policy, and beside which task policy it runs."""

    speed: str = option("constant:1.0", "a speed policy and its argument, as in constant:2")
    task: str = option("transfer_cube", "the task a learned one must have been trained for")
    profile: str = option("act", "the dynamics profile a learned one must have been trained for")
    policy: str = option("expert", "the task policy a learned one runs beside; it sees through this one's eyes")
    k_skip: int = option(10, "control ticks between requests, as the retimer has it", minimum=1, maximum=1000)
    ensemble: bool = option(False, "whether chunks are blended, as the retimer has it")
    threads: int = option(1, "threads of one inference", minimum=1, maximum=256)


class SpeedPolicyNode(PolicyNode[SpeedPolicyConfig]):
    """The task policy's observation in, the largest sdot out, with the values of all speeds.

    `speed_policy/set_mode` exchanges the policy, `speed_policy/load` loads a learned one between episodes. One that
    sees images does so through an own copy of the task policy's encoder: this is another process.
    """

    def __init__(self) -> None:
        super().__init__("speed_policy", SpeedPolicyConfig)
        self._beside: Policy | None = None
        self._mode = self.config.speed
        self._policy = self._make(self._mode)
        self._commands = self.publisher("speed_command")
        self.create_service(SetSpeedMode, "speed_policy/set_mode", self._set_mode)
        self.create_service(LoadSpeedPolicy, "speed_policy/load", self._load)
        self.start(getattr(self._policy, "cameras", {}))

    def warm_up(self) -> None:
        """The first inference takes long: have it before anybody waits for it."""
        self._try(self._policy)

    def begin(self, episode: Episode) -> None:
        self._policy.reset(episode)

    def answer(self, query: Query, episode: Episode) -> SpeedCommand:
        policy = self._policy
        check_sizes(query.observation.images, getattr(policy, "cameras", {}))
        choice = policy.choose({0: query})[0]
        message = choice_to_message(choice, episode.id, query.request.sequence)
        self._commands.publish(message)
        return message

    def repeat(self, answer: SpeedCommand) -> None:
        self._commands.publish(answer)

    def _make(self, mode: str) -> SpeedPolicy:
        """The policy of `mode`; the task policy is loaded once, for those that need it."""
        if stands_alone(mode):
            return make_speed_policy(mode)
        config = self.config
        if self._beside is None:
            self._beside = make_policy(config.policy, config.task, config.profile)
        policy = make_speed_policy(mode, self._beside, config.k_skip, config.ensemble)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(config.threads)
        return policy

    def _try(self, policy: SpeedPolicy) -> None:
        still = np.zeros(NUM_JOINTS)
        images = {name: np.zeros((*size, 3), np.uint8) for name, size in getattr(policy, "cameras", {}).items()}
        policy.reset(Episode("warm-up", self.config.task))
        policy.choose({0: Query(Observation(RobotState(0, still, still), images), InferenceRequest(0, 0))})

    def _set_mode(self, request: SetSpeedMode.Request, response: SetSpeedMode.Response) -> SetSpeedMode.Response:
        """Another policy from the next request on."""
        if request.mode == self._mode:
            response.success, response.message = True, f"speed policy is {self._mode}"
        else:
            response.success, response.message = self._exchange(request.mode, lambda: self._make(request.mode))
        return response

    def _load(self, request: LoadSpeedPolicy.Request, response: LoadSpeedPolicy.Response) -> LoadSpeedPolicy.Response:
        """A learned policy from a folder, read again even if it is the present one."""
        mode = f"{LEARNED}:{request.path}" if request.path else LEARNED

        def make() -> SpeedPolicy:
            if self.running:
                raise Refused("episode_runs", f"{mode}: loaded between episodes only, and '{self.running}' runs")
            policy = self._make(mode)
            if request.explore:
                policy.try_out(request.seed)  # type: ignore[attr-defined]
            return policy

        label = f"{mode}, exploring" if request.explore else mode
        response.success, response.message = self._exchange(label, make)
        return response

    def _exchange(self, mode: str, make: Callable[[], SpeedPolicy]) -> tuple[bool, str]:
        """Take over what `make` returns from the next request on; where it raises, nothing changes."""
        try:
            policy = make()
            self._try(policy)
            if self._episode is not None:
                policy.reset(self._episode)
        except Refused as error:
            self.refuse(error)
            return False, str(error)
        except SpeedtuneError as error:
            self.fail("bad_speed_policy", str(error))
            return False, str(error)
        self._observer.watch(getattr(policy, "cameras", {}))
        self._policy, self._mode = policy, mode
        return True, f"speed policy is {mode}"

    def diagnose(self) -> dict[str, object]:
        digest = getattr(self._policy, "digest", "")
        return {**super().diagnose(), "mode": self._mode, **({"checkpoint": digest} if digest else {})}


def main() -> int:
    return run(SpeedPolicyNode)


if __name__ == "__main__":
    raise SystemExit(main())
