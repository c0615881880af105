"""A node spun by a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress

from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

_ROUND_S = 0.05  # its end is noticed within this


def spin_once(executor: Executor, timeout_s: float) -> None:
    """One round. It is cut short where another thread destroys an entity while rclpy gathers what to wait for; better
    let this thread destroy it, or keep it in a node of its own."""
    with suppress(InvalidHandle):
        executor.spin_once(timeout_s)


def node_beside(owner: Node, name: str) -> Node:
    """A node of another thread's in `owner`'s namespace, without parameter services or a log of its own."""
    return Node(
        name,
        namespace=owner.get_namespace(),
        use_global_arguments=False,  # else renaming the owner renames this one to the same
        start_parameter_services=False,
        enable_rosout=False,
    )


class Spinner:
    """Runs `node`'s callbacks, by a single-threaded executor or the one given, from `start` to `close`."""

    def __init__(self, node: Node, executor: Executor | None = None) -> None:
        self._executor = executor or SingleThreadedExecutor()
        self._executor.add_node(node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=f"spin {node.get_name()}", daemon=True)

    @property
    def ending(self) -> bool:
        """Whether `close` has been called."""
        return self._ending.is_set()

    def start(self) -> Spinner:
        self._thread.start()
        return self

    def close(self, timeout_s: float = 5.0) -> None:
        """Return when the thread has ended, or after so long; callbacks that an executor's pool runs go on. The node
        stays, for its owner to destroy."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._executor.shutdown()

    def _spin(self) -> None:
        while not self.ending:
            try:
                spin_once(self._executor, _ROUND_S)
            except ExternalShutdownException:
                return
            except RuntimeError:  # rcl's errors are: the context was shut down while it was looked at
                if self._executor.context.ok():
                    raise
                return
