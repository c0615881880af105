"""The fault matrix: what it covers, and how rows are chosen."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from speedtune_ros.errors import UnknownNameError
from speedtune_ros.evaluation.fault_matrix import FAULTS, PROCESSES, Inject, Signal, chosen
from speedtune_ros.robots import xs_faults
from speedtune_ros.robots.interbotix import FOLLOWERS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "faults.md").read_text()


def test_every_fault_of_the_simulated_arms_is_in_it():
    injected = {(fault.cause.arm, fault.cause.fault) for fault in FAULTS if isinstance(fault.cause, Inject)}
    assert {name for _, name in injected} == set(xs_faults.FAULTS)
    one_sided = {"jam"}  # the other arm does not go far enough for a tracking error
    assert all((arm, name) in injected for arm in FOLLOWERS for name in set(xs_faults.FAULTS) - one_sided)


def test_every_process_is_killed_and_hung():
    sent = {(fault.cause.node, fault.cause.number) for fault in FAULTS if isinstance(fault.cause, Signal)}
    assert sent == {(node, number) for node in PROCESSES for number in (signal.SIGKILL, signal.SIGSTOP)}


def test_names_are_unique_and_enough():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 25


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_page_has_each_row(fault):
    assert f"| {fault.name} |" in PAGE


def test_rows_are_chosen_by_name_node_or_first_word():
    assert [fault.name for fault in chosen(["kill retimer", "hang recorder"])] == ["kill retimer", "hang recorder"]
    assert {fault.name for fault in chosen(["kill"])} == {f"kill {node}" for node in PROCESSES}
    assert "hang recorder" in {fault.name for fault in chosen(["recorder", "kill recorder"])}
    assert chosen([]) == FAULTS
    with pytest.raises(UnknownNameError, match="unknown fault 'kill gremlin'"):
        chosen(["kill gremlin"])
