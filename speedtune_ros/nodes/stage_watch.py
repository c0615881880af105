"""Who upstream of the arms is gone, by the beats that nodes send on `alive`."""

from __future__ import annotations

from collections.abc import Iterable

CAMERA = "camera_"  # a camera's beats are of this and its name


class StageWatch:
    """Counts the driver's ticks since each node's last beat.

    Ticks, not time: a driver that was itself kept waiting has heard nobody, and must not blame others for it.

    patience: so many ticks without a beat are borne. A node that was never heard is not missed: whoever stands in for
    it need not send beats.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._since: dict[str, int] = {}  # ticks since its last beat

    def hear(self, node: str) -> None:
        self._since[node] = 0

    def tick(self) -> None:
        for node in self._since:
            self._since[node] += 1

    def cameras(self) -> tuple[str, ...]:
        """The cameras that beat now."""
        return tuple(node for node, since in self._since.items() if node.startswith(CAMERA) and since <= self._patience)

    def gone(self, nodes: Iterable[str]) -> tuple[str, ...]:
        """Those of `nodes` that are silent, as `retimer is gone`."""
        return tuple(f"{node} is gone" for node in nodes if self._since.get(node, 0) > self._patience)
