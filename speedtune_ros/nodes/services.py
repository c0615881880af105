"""Calls to other nodes' services, from any thread but the executor's own."""

from __future__ import annotations

import math
import threading
from typing import Any

from speedtune_ros.nodes.node import StageNode
from speedtune_ros.nodes.refusal import Refused

# An answer sent before the server has found the client's ear is lost; all calls made here may be repeated.
_ATTEMPTS = 3


class Services:
    """Clients of `node`, made on first use; its executor receives the answers."""

    def __init__(self, node: StageNode[Any]) -> None:
        self._node = node
        self._clients: dict[str, Any] = {}

    def call(self, kind: Any, name: str, request: Any, patience: float = 1.0) -> Any | None:
        """The answer, or None if there is none within `patience` times the node's `service_timeout_s`."""
        timeout_s = self._node.config.service_timeout_s
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name)
        client = self._clients[name]
        if not client.wait_for_service(timeout_sec=timeout_s):
            return None
        for _ in range(math.ceil(_ATTEMPTS * patience)):
            done = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _, done=done: done.set())
            if done.wait(timeout_s / _ATTEMPTS):
                return future.result()
            client.remove_pending_request(future)
        return None

    def demand(self, kind: Any, name: str, request: Any, patience: float = 1.0) -> Any:
        """The answer of a service that succeeded, as `call` gets it. Raises Refused with its message."""
        answer = self.call(kind, name, request, patience)
        if answer is None:
            raise Refused("no_service", f"{name} does not answer: is its node running?")
        if not answer.success:
            raise Refused("service_refused", f"{name}: {answer.message}")
        return answer
