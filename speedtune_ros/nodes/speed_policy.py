"""The speed policy node: a ceiling on the speed for each request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from speedtune_msgs.msg import SpeedCommand
from speedtune_msgs.srv import LoadSpeedPolicy, SetSpeedMode
from speedtune_ros.config import option
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.nodes.conversions import choice_to_message
from speedtune_ros.nodes.node import run
from speedtune_ros.nodes.policy_node import PolicyNode, PolicyNodeConfig
from speedtune_ros.registry import make_speed_policy
from speedtune_ros.speed.speed_policy import FACTORIES
from speedtune_ros.types import Episode, Query


@dataclass(frozen=True)
class SpeedPolicyConfig(PolicyNodeConfig):
    """Which speed policy."""

    speed: str = option("constant:1.0", "a speed policy and its argument, as in constant:2")


class SpeedPolicyNode(PolicyNode[SpeedPolicyConfig]):
    """The task policy's observation in, the largest sdot out. `speed_policy/set_mode` exchanges the policy."""

    def __init__(self) -> None:
        super().__init__("speed_policy", SpeedPolicyConfig)
        self._mode = self.config.speed
        self._policy = make_speed_policy(self._mode)
        self._commands = self.publisher("speed_command")
        self.create_service(SetSpeedMode, "speed_policy/set_mode", self._set_mode)
        self.create_service(LoadSpeedPolicy, "speed_policy/load", self._load)
        self.start(getattr(self._policy, "cameras", {}))

    def begin(self, episode: Episode) -> None:
        self._policy.reset(episode)

    def answer(self, query: Query, episode: Episode) -> SpeedCommand:
        choice = self._policy.choose({0: query})[0]
        message = choice_to_message(choice, episode.id, query.request.sequence)
        self._commands.publish(message)
        return message

    def repeat(self, answer: SpeedCommand) -> None:
        self._commands.publish(answer)

    def _set_mode(self, request: SetSpeedMode.Request, response: SetSpeedMode.Response) -> SetSpeedMode.Response:
        response.success, response.message = self._exchange(request.mode)
        return response

    def _load(self, request: LoadSpeedPolicy.Request, response: LoadSpeedPolicy.Response) -> LoadSpeedPolicy.Response:
        """A learned speed policy from a path. None can be loaded yet: it says so, and what is available."""
        found = "no speed policy that can be loaded" if Path(request.path).exists() else "no such file"
        response.message = f"{request.path}: {found}; speed_policy/set_mode takes {', '.join(FACTORIES)}"
        self.fail("bad_speed_policy", response.message)
        return response

    def _exchange(self, mode: str) -> tuple[bool, str]:
        """Take over `mode` from the next request on; a bad one changes nothing."""
        try:
            policy = make_speed_policy(mode)
            if self._episode is not None:
                policy.reset(self._episode)
        except SpeedtuneError as error:
            self.fail("bad_speed_policy", str(error))
            return False, str(error)
        self._policy, self._mode = policy, mode
        return True, f"speed policy is {mode}"

    def diagnose(self) -> dict[str, object]:
        return {**super().diagnose(), "mode": self._mode}


def main() -> int:
    return run(SpeedPolicyNode)


if __name__ == "__main__":
    raise SystemExit(main())
