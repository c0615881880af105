"""A second node of one process, for services and actions whose callbacks take long."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

_THREADS = 4  # a goal, its cancel, a stop, and one to spare


class BlockingNode:
    """Beside `owner`, in its namespace, spun by threads of its own.

    Subscriptions stay with the owner's single-threaded executor: beside running goals a multi-threaded one spends a
    whole core on 150 messages a second.
    """

    def __init__(self, owner: Node) -> None:
        self.node = Node(
            f"_{owner.get_name()}_goals",
            namespace=owner.get_namespace(),
            use_global_arguments=False,  # else renaming the owner renames this one to the same
            start_parameter_services=False,
            enable_rosout=False,
        )
        self.group = ReentrantCallbackGroup()  # a cancel must be heard while its goal runs
        self._executor = MultiThreadedExecutor(num_threads=_THREADS)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="goals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, servers: Iterable[ActionServer[Any]]) -> None:
        """Return when running callbacks have ended, or after a while."""
        self._ending.set()
        self._thread.join(timeout=2.0)
        self._executor.shutdown(timeout_sec=2.0)
        for server in servers:
            server.destroy()
        self.node.destroy_node()

    def _spin(self) -> None:
        while not self._ending.is_set():
            try:
                self._executor.spin_once(0.1)
            except ExternalShutdownException:
                return
