"""A missing prerequisite is named with the command that gives it."""

from __future__ import annotations

import pytest

from speedtune_ros import prerequisites
from speedtune_ros.prerequisites import Prerequisite

COMPILER = Prerequisite("g++", "building speedtune_msgs", False, ("g++",))
MESA = Prerequisite("Mesa", "rendering", False, ("libgl1-mesa-dri",), required=False)
PRESENT = Prerequisite("make", "building", True, ("make",))


@pytest.mark.parametrize(
    ("found", "status", "lines"),
    [
        ([PRESENT], 0, []),
        ([PRESENT, COMPILER], 1, ["missing: g++, for building speedtune_msgs; on Debian or Ubuntu: "]),
        ([MESA], 0, ["missing (can be done without): Mesa, for rendering; on Debian or Ubuntu: "]),
        ([MESA, COMPILER], 1, ["missing (can be done without): Mesa", "missing: g++"]),
    ],
)
def test_only_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: list[Prerequisite],
    status: int,
    lines: list[str],
) -> None:
    monkeypatch.setattr(prerequisites, "prerequisites", lambda: found)
    assert prerequisites.main([]) == status
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(lines)
    for line, start in zip(printed, lines):
        assert line.startswith(start)
        assert "sudo apt-get install -y --no-install-recommends" in line


def test_they_are_installed_only_where_asked_and_able(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    monkeypatch.setattr(prerequisites, "prerequisites", lambda: [COMPILER])
    monkeypatch.setattr(prerequisites, "install", lambda missing: installed.extend(p.name for p in missing))
    monkeypatch.setattr(prerequisites.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(prerequisites.os, "geteuid", lambda: 1000)
    prerequisites.main(["--install"])
    monkeypatch.setattr(prerequisites.os, "geteuid", lambda: 0)
    prerequisites.main([])
    assert installed == []
    assert prerequisites.main(["--install"]) == 1  # still missing afterwards
    assert installed == ["g++"]


def test_another_python_is_refused_with_the_way_to_choose_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prerequisites.sys, "version_info", (3, 9, 2))
    assert prerequisites.main([]) == 1
    assert "expected 3.10 to 3.13; name another with `make PYTHON=python3.12`" in capsys.readouterr().out


def test_this_machine_s_answer_is_complete() -> None:
    for prerequisite in prerequisites.prerequisites():
        assert prerequisite.packages and prerequisite.purpose
