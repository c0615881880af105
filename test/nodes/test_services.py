"""Calls to services that are late or never answer, between real nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from conftest import Client
from rclpy.context import Context
from std_srvs.srv import Trigger

from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.nodes.services import Services

pytestmark = pytest.mark.ros
TIMEOUT = 0.6  # [s]


@pytest.fixture
def pair(domain: int) -> Iterator[tuple[Client, Services]]:
    """A node that serves, and the calls of another one."""
    context = Context()
    context.init(domain_id=domain)
    server, caller = Client(context), Client(context)
    caller.config = SimpleNamespace(service_timeout_s=TIMEOUT)
    yield server, Services(caller)
    for node in (caller, server):
        node.close()
    context.try_shutdown()


def test_one_that_loads_something_is_given_its_time(pair: tuple[Client, Services]) -> None:
    server, calls = pair
    answered: list[float] = []

    def load(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not answered:
            time.sleep(2 * TIMEOUT)
        answered.append(time.monotonic())
        response.success = True
        return response

    server.create_service(Trigger, "load", load)
    assert calls.demand(Trigger, "load", Trigger.Request(), patience=6.0).success
    answered.clear()
    with pytest.raises(Refused, match="load does not answer: is its node running?"):
        calls.demand(Trigger, "load", Trigger.Request())


def test_one_that_nobody_offers_is_said_in_time(pair: tuple[Client, Services]) -> None:
    began = time.monotonic()
    assert pair[1].call(Trigger, "nobody", Trigger.Request(), patience=6.0) is None
    assert time.monotonic() - began < 2 * TIMEOUT + 1.0
