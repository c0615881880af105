"""A demonstration told to the graph as an episode: bags, recorders and the driver see no difference."""

from __future__ import annotations

import time

from speedtune_msgs.msg import EpisodeStatus
from speedtune_ros.nodes.conversions import to_ns, to_stamp
from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.refusal import Refused


class Demonstration:
    """Publishes `episode_status`. Stamps are of the robot's clock [ns]; for one thread at a time.

    PREPARING: the followers may move. RUNNING: from `start` to `mark`. ENDED, by `finish`: with the verdict.
    """

    def __init__(self, node: StageNode, task: str, instruction: str) -> None:
        self._task, self._instruction = task, instruction
        self._out = node.publisher("episode_status")
        self._count = 0
        self._end_ns: int | None = None
        self._success, self._reason = False, ""
        self.status = EpisodeStatus()
        self.publish(0)

    @property
    def running(self) -> bool:
        """Whether one is under way; `mark` does not end that before `finish` does."""
        return bool(self.status.phase == EpisodeStatus.RUNNING)

    @property
    def marked(self) -> bool:
        """Whether it has its verdict and waits for the arms to rest."""
        return self._end_ns is not None

    def prepare(self) -> None:
        """A new one, whose followers may move before it starts."""
        self._count += 1
        # Unique across restarts of the node: no stage may mistake an old episode for this one.
        name = f"{self._task}-demo-{time.time_ns() // 1_000_000:x}-{self._count}"
        self.status = EpisodeStatus(episode_id=name, task=self._task, instruction=self._instruction)
        self.status.phase = EpisodeStatus.PREPARING

    def idle(self) -> None:
        """Nobody moves the followers."""
        self.status = EpisodeStatus()

    def start(self, stamp_ns: int) -> None:
        """Raises Refused unless one is prepared."""
        if self.status.phase != EpisodeStatus.PREPARING:
            word = "one is running" if self.running else "nobody follows: engage first"
            raise Refused("no_start", f"no demonstration can start: {word}")
        self.status.phase, self.status.start = EpisodeStatus.RUNNING, to_stamp(stamp_ns)

    def mark(self, success: bool, reason: str, stamp_ns: int) -> None:
        """The verdict; nothing later than `stamp_ns` is part of it. Raises Refused unless one runs without verdict."""
        if not self.running or self.marked:
            raise Refused("no_demonstration", f"{reason}: no demonstration is running")
        self._end_ns, self._success, self._reason = stamp_ns, success, reason

    def finish(self) -> str:
        """Tell the verdict; what is to be said of it."""
        assert self._end_ns is not None
        status = self.status
        status.phase, status.success, status.reason = EpisodeStatus.ENDED, self._success, self._reason
        status.reward = status.label = float(self._success)
        status.labelled = self._success
        self.publish(self._end_ns)
        self._end_ns = None
        return f"{status.episode_id} ended after {status.elapsed:.2f} s: {status.reason}"

    def elapsed(self, stamp_ns: int) -> float | None:
        """Time since the start [s]; None while none is running."""
        if not self.running:
            return None
        until_ns = stamp_ns if self._end_ns is None else min(stamp_ns, self._end_ns)
        return max(0, until_ns - to_ns(self.status.start)) * 1e-9

    def publish(self, stamp_ns: int) -> None:
        """Say how it stands."""
        elapsed = self.elapsed(stamp_ns)
        if elapsed is not None:
            self.status.elapsed = self.status.progress = elapsed
        self.status.header.stamp = to_stamp(stamp_ns)
        self._out.publish(self.status)
