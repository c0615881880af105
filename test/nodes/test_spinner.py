"""A node spun by another thread, while entities of it come and go."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")

from rclpy.executors import MultiThreadedExecutor  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from speedtune_ros.nodes.spinner import Spinner  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture
def node(graph, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", graph.environment["ROS_DOMAIN_ID"])
    rclpy.init(args=[])
    node = rclpy.create_node("spun")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@contextmanager
def spinning(node, executor=None):
    spinner = Spinner(node, executor).start()
    try:
        yield spinner
    finally:
        spinner.close()


@pytest.fixture
def restless():
    """Threads take turns in the middle of rclpy's gathering."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_it_goes_on_when_another_thread_destroys_what_it_waits_for(node, restless):
    heard = threading.Event()
    node.create_subscription(Header, "ping", lambda _: heard.set(), 10)
    ping = node.create_publisher(Header, "ping", 10)
    with spinning(node):
        for _ in range(500):
            node.destroy_subscription(node.create_subscription(Header, "other", lambda _: None, 10))
            ping.publish(Header())  # wakes the executor
        heard.clear()
        end = time.monotonic() + 10.0
        while not heard.wait(0.1) and time.monotonic() < end:
            ping.publish(Header())
    assert heard.is_set()


def test_it_ends_when_it_is_closed_or_its_context_is(node):
    with spinning(node) as spinner:
        assert not spinner.ending
    assert spinner.ending
    with spinning(node, MultiThreadedExecutor(num_threads=2)) as spinner:  # says nothing of a context that ends
        rclpy.try_shutdown()
        spinner._thread.join(5.0)
        assert not spinner._thread.is_alive()
