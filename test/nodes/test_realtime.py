"""The driver's priority: every thread has it, those that came before and those that come after."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, threading
from speedtune_ros.nodes.realtime import raise_priority
over = threading.Event()
threading.Thread(target=over.wait).start()
print(raise_priority(20))
later = threading.Thread(target=over.wait)
later.start()
print(sorted({os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}))
over.set()
"""


def run(script: str = SCRIPT) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def allowed() -> bool:
    script = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


@pytest.mark.skipif(not allowed(), reason="this user may have no real-time priority")
def test_every_thread_has_it() -> None:
    assert run() == ["", f"[{os.SCHED_RR}]"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_without_the_right_it_says_what_is_needed() -> None:
    script = "import os, resource\nresource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))\nos.setuid(65534)\n" + SCRIPT
    why, kinds = run("import threading, speedtune_ros.nodes.realtime\n" + script)
    assert "rtprio limit of 20 or more" in why and kinds == f"[{os.SCHED_OTHER}]"
