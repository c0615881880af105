"""Hears what a graph says of its episodes, for those who learn from it or measure it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import rclpy
import yaml

from speedtune_msgs.msg import EpisodeStatus
from speedtune_ros.aloha import CONTROL_DT_NS
from speedtune_ros.data.messages import choice_from_message, report_from_message, state_from_message, to_ns
from speedtune_ros.errors import InvalidInputError, SpeedtuneError
from speedtune_ros.live.episode import LiveEpisode
from speedtune_ros.nodes.spinner import Spinner
from speedtune_ros.nodes.topics import TOPICS

_POLL_S = 0.01


class EpisodeLog:
    """A node with a thread of its own, so that nothing is lost while its owner learns or waits for somebody.

    Call after rclpy.init, and `close` before its shutdown.
    """

    def __init__(self) -> None:
        self.status: EpisodeStatus | None = None  # the last one
        self.settings: dict[str, dict[str, Any]] = {}  # of each node, by name
        self.values: dict[str, dict[str, str]] = {}  # the last diagnostics of each node
        self._lock = threading.Lock()
        self.forget()
        self._node = rclpy.create_node("episode_log")
        for topic, keep in {
            "driver_status": self._keep_driver,
            "joint_states": self._keep_state,
            "command": self._keep_command,
            "speed_command": self._keep_choice,
            "retime_report": self._keep_report,
            "episode_status": self._keep_status,
            "/diagnostics": self._keep_diagnostics,
        }.items():
            row = TOPICS[topic]
            self._node.create_subscription(row.type, topic, self._guarded(keep), row.requested)
        self._spinner = Spinner(self._node).start()

    def close(self) -> None:
        self._spinner.close()
        self._node.destroy_node()

    def forget(self) -> None:
        """Begin anew: of earlier episodes nothing is kept."""
        with self._lock:
            self._speeds: dict[str, dict[int, float]] = defaultdict(dict)
            self._counts: dict[str, list[tuple[int, int]]] = defaultdict(list)
            self._choices: dict[str, dict[int, Any]] = defaultdict(dict)
            self._reports: dict[str, dict[int, Any]] = defaultdict(dict)
            self._commands: dict[int, np.ndarray] = {}
            self._qpos: dict[int, np.ndarray] = {}
            self._last_ns: dict[str, int] = {}

    def episode(self, seed: int, duration: float, success: bool, timeout: float = 5.0) -> LiveEpisode:
        """The one that has just ended, once all of it is heard. Raises SpeedtuneError if its end is not.

        duration: to its first success or its end [s]; success: as its result has it.
        """
        status = self.wait(lambda: self._ended(seed), "the end of the episode", timeout)
        start_ns = to_ns(status.start)
        end_ns = start_ns + round(duration * 1e9 / CONTROL_DT_NS) * CONTROL_DT_NS
        last_ns = end_ns - CONTROL_DT_NS
        with suppress(SpeedtuneError):  # it says so itself where its speeds are asked for
            self.wait(lambda: self._last_ns.get(status.episode_id, 0) >= last_ns, "its last tick", timeout)
        with self._lock:
            return self._collect(status, start_ns, end_ns, success)

    def wait(self, met: Callable[[], Any], what: str, timeout: float) -> Any:
        """What `met` returns once it is true. Raises SpeedtuneError."""
        end = time.monotonic() + timeout
        while not (value := met()):
            if time.monotonic() > end:
                raise SpeedtuneError(f"{what}: not heard within {timeout:.0f} s")
            time.sleep(_POLL_S)
        return value

    def _ended(self, seed: int) -> EpisodeStatus | None:
        status = self.status
        ended = status is not None and status.phase == EpisodeStatus.ENDED and status.seed == seed and status.task
        return status if ended else None

    def _collect(self, status: EpisodeStatus, start_ns: int, end_ns: int, success: bool) -> LiveEpisode:
        name = status.episode_id
        counts = self._counts[name] or [(0, 0)]
        inside = lambda stamps: {s: v for s, v in stamps.items() if start_ns <= s <= end_ns}  # noqa: E731
        return LiveEpisode(
            id=name,
            seed=int(status.seed),
            start_ns=start_ns,
            end_ns=end_ns,
            success=success,
            reason=str(status.reason),
            speeds=inside(self._speeds[name]),
            choices=tuple(self._choices[name][key] for key in sorted(self._choices[name])),
            reports=tuple(self._reports[name][key] for key in sorted(self._reports[name])),
            commands={s: c for s, c in inside(self._commands).items() if s < end_ns},
            qpos=inside(self._qpos),
            refused=counts[-1][0] - counts[0][0],
            saturated=counts[-1][1] - counts[0][1],
        )

    def _keep_driver(self, message: Any) -> None:
        stamp_ns, name = to_ns(message.header.stamp), message.episode_id
        self._speeds[name][stamp_ns] = float(message.speed)  # a paused simulator tells its first stamp before it ticks
        self._counts[name].append((message.refused, message.saturated))
        self._last_ns[name] = max(stamp_ns, self._last_ns.get(name, 0))

    def _keep_state(self, message: Any) -> None:
        state = state_from_message(message)
        self._qpos[state.stamp_ns] = state.qpos

    def _keep_command(self, message: Any) -> None:
        self._commands[to_ns(message.header.stamp)] = np.asarray(message.position)

    def _keep_choice(self, message: Any) -> None:
        self._choices[message.episode_id].setdefault(message.sequence, choice_from_message(message))

    def _keep_report(self, message: Any) -> None:
        self._reports[message.episode_id].setdefault(message.sequence, report_from_message(message))

    def _keep_status(self, message: Any) -> None:
        self.status = message

    def _keep_diagnostics(self, message: Any) -> None:
        for status in message.status:
            self.values[status.name] = {value.key: value.value for value in status.values}
            if "config" in self.values[status.name]:
                self.settings[status.name] = yaml.safe_load(self.values[status.name]["config"])

    def _guarded(self, keep: Callable[[Any], None]) -> Callable[[Any], None]:
        def call(message: Any) -> None:
            try:
                with self._lock:
                    keep(message)
            except InvalidInputError:
                pass  # the nodes have refused it too

        return call
