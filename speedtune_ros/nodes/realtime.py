"""A real-time priority for a process that must not be late."""

from __future__ import annotations

import os
from contextlib import suppress


def raise_priority(priority: int) -> str:
    """Give all threads of this process, and those they start, a real-time priority (round robin); why not, if not.

    All of them, since Python's lock hands the control thread's time to whichever thread holds it. priority: 1 to 99.
    """
    if not hasattr(os, "sched_setscheduler"):
        return "this system has none"
    try:
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(priority))
    except PermissionError as error:
        return f"{error.strerror}: the user needs an rtprio limit of {priority} or more (docs/first_run.md)"
    return ""
