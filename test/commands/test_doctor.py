"""`speedtune doctor` tells what works, and what to do about what does not."""

from __future__ import annotations

import argparse

import pytest

from speedtune_ros.commands import doctor
from speedtune_ros.commands.doctor import Finding


def report(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> int:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter(findings),))
    return doctor.run(argparse.Namespace())


def test_a_failure_brings_its_remedy_and_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Finding("ROS 2", True, "rclpy", "make setup")
    bad = Finding("rendering", False, "no EGL", "apt-get install libegl1")
    assert report(monkeypatch, good, bad) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok   ROS 2      rclpy",
        "FAIL rendering  no EGL",
        "                -> apt-get install libegl1",
    ]


def test_what_can_be_done_without_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(monkeypatch, Finding("cameras", False, "none", "plug one in", needed=False)) == 0


@pytest.mark.parametrize("check", doctor.CHECKS, ids=lambda check: check.__name__)
def test_every_check_answers_on_this_machine(check: object) -> None:
    findings = list(check())  # type: ignore[operator]
    assert findings
    for finding in findings:
        assert finding.found and "\n" not in finding.found
        assert finding.works or finding.remedy


def test_a_check_that_dies_is_reported_by_its_last_line() -> None:
    finding = doctor._imports("thing", "raise ValueError('no such thing')", "install it")
    assert (finding.works, finding.found, finding.remedy) == (False, "ValueError: no such thing", "install it")
    assert doctor._imports("thing", "import os; os.abort()", "").found.startswith("exit status -6")
