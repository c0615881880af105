"""A second node of one process, for services and actions whose callbacks take long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from speedtune_ros.nodes.spinner import Spinner, node_beside

_THREADS = 4  # a goal, its cancel, a stop, and one to spare


class BlockingNode:
    """Beside `owner`, in its namespace, spun by threads of its own.

    Subscriptions stay with the owner's single-threaded executor: beside running goals a multi-threaded one spends a
    whole core on 150 messages a second.
    """

    def __init__(self, owner: Node) -> None:
        self.node = node_beside(owner, f"_{owner.get_name()}_goals")
        self.group = ReentrantCallbackGroup()  # a cancel must be heard while its goal runs
        self._spinner = Spinner(self.node, MultiThreadedExecutor(num_threads=_THREADS))

    def start(self) -> None:
        self._spinner.start()

    def close(self) -> None:
        """Return when no callback begins any more."""
        self._spinner.close(2.0)

    def destroy(self, servers: Iterable[ActionServer[Any]]) -> None:
        for server in servers:
            server.destroy()
        self.node.destroy_node()
