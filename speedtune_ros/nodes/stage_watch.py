"""Who upstream of the arms is gone, by the beats that nodes send on `alive`."""

from __future__ import annotations

from collections.abc import Iterable


class StageWatch:
    """Knows when each node was heard last; `now` is a steady clock's [s].

    timeout_s: a node silent for so long is gone [s]. One that was never heard is not missed: whoever stands in for it
    need not send beats.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._heard: dict[str, float] = {}

    def hear(self, node: str, now: float) -> None:
        self._heard[node] = now

    def gone(self, nodes: Iterable[str], now: float) -> tuple[str, ...]:
        """Those of `nodes` that are silent, as `retimer is gone`."""
        silent = (node for node in nodes if now - self._heard.get(node, now) > self._timeout_s)
        return tuple(f"{node} is gone" for node in silent)
