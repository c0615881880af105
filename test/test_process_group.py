"""Processes that live and die together, with real processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from speedtune_ros.processes import Grace, ProcessGroup, describe

QUICK = Grace(interrupt=0.5, terminate=0.5)
PATIENT = Grace(interrupt=20.0, terminate=20.0)
POLITE = "import time\ntry: print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: print('bye')"
DEAF = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); {more} print('up', flush=True); time.sleep(60)"
)
IGNORE_TERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN);"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def group(output: io.StringIO) -> Iterator[ProcessGroup]:
    group = ProcessGroup(output)
    yield group
    group.stop(Grace(0.0, 0.0))


def start(group: ProcessGroup, output: io.StringIO, **codes: str) -> None:
    """Start each and wait until each has said `up`."""
    for name, code in codes.items():
        group.start(name, python(code), os.environ)

    def all_up() -> bool:
        group.show(0.05)
        return all(f"[{name}] up" in output.getvalue() for name in codes)

    wait_for(all_up)


def test_lines_are_prefixed_and_an_interrupt_is_enough(group: ProcessGroup, output: io.StringIO) -> None:
    start(group, output, one=POLITE, two=POLITE)
    assert group.ended() == {}
    assert group.stop(PATIENT) == {"one": 0, "two": 0}
    assert sorted(output.getvalue().splitlines()) == ["[one] bye", "[one] up", "[two] bye", "[two] up"]


def test_processes_of_a_background_job_hear_the_interrupt(group: ProcessGroup, output: io.StringIO) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells leave it for what they start with `&`
    try:
        start(group, output, one=POLITE)
        assert group.stop(PATIENT) == {"one": 0}
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_ignores_the_interrupt_is_terminated_then_killed(group: ProcessGroup, output: io.StringIO) -> None:
    start(group, output, deaf=DEAF.format(more=""), deafer=DEAF.format(more=IGNORE_TERM))
    assert group.stop(QUICK) == {"deaf": -signal.SIGTERM, "deafer": -signal.SIGKILL}
    assert describe(-signal.SIGKILL) == "was killed by SIGKILL"


def test_one_that_ends_is_seen_and_nothing_is_restarted(group: ProcessGroup, output: io.StringIO) -> None:
    start(group, output, stays=POLITE, leaves="print('up'); import sys; print('oh no', file=sys.stderr); sys.exit(3)")
    wait_for(lambda: group.ended() == {"leaves": 3})
    assert len(group.pids) == 2
    group.stop(QUICK)
    assert "[leaves] oh no" in output.getvalue()
    assert describe(3) == "ended with status 3"


def test_stopping_twice_is_harmless(group: ProcessGroup, output: io.StringIO) -> None:
    start(group, output, one=POLITE)
    assert group.stop(QUICK) == group.stop(QUICK)


def test_names_are_coloured_where_asked() -> None:
    output = io.StringIO()
    group = ProcessGroup(output, colour=True)
    group.start("one", python("print('hello')"), os.environ)
    wait_for(lambda: bool(group.ended()))
    group.stop(QUICK)
    assert output.getvalue() == "\x1b[36m[one]\x1b[0m hello\n"


def test_a_missing_executable_is_an_error(group: ProcessGroup) -> None:
    with pytest.raises(FileNotFoundError):
        group.start("none", ["/no/such/executable"], os.environ)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's PR_SET_PDEATHSIG")
def test_children_do_not_outlive_a_killed_parent() -> None:
    code = (
        "import os, sys, time; from speedtune_ros.processes import ProcessGroup; group = ProcessGroup(sys.stdout);"
        "group.start('child', [sys.executable, '-c', 'import time; time.sleep(60)'], os.environ);"
        "print(group.pids['child'], flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{child}")
    parent.kill()
    parent.wait()
    wait_for(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # a zombie awaits only its reaper
    except FileNotFoundError:
        return False
