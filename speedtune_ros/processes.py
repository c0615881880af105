"""Child processes that live and die together: started once, their lines prefixed, all stopped with the first."""

from __future__ import annotations

import ctypes
import functools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

# Ends before those it asks for something at its end: it gives the arms' gains back through their services.
FIRST = "arm_driver"
COLOURS = (36, 33, 35, 32, 34, 31, 96, 93)  # ANSI foregrounds
_PDEATHSIG = 1  # prctl(2), PR_SET_PDEATHSIG
_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may take a lock


@dataclass(frozen=True)
class Grace:
    """How long each signal is given before the next, harder one [s]."""

    interrupt: float = 5.0
    terminate: float = 3.0


class ProcessGroup:
    """Named processes whose output goes, line by line and prefixed, to one stream."""

    def __init__(self, output: TextIO, colour: bool = False) -> None:
        self._output = output
        self._colour = colour
        self._lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one process, or again the one of this name that ended. Raises OSError if there is no executable."""
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a terminal's Ctrl-C reaches only us, and we pass it on once
            preexec_fn=functools.partial(_prepare, os.getpid()),
        )
        self._processes[name] = process
        reader = threading.Thread(target=self._read, args=(name, process), daemon=True)
        reader.start()
        self._readers.append(reader)

    @property
    def pids(self) -> dict[str, int]:
        """The processes' ids by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def ended(self) -> dict[str, int]:
        """Exit status by name of those that have ended; negative: killed by that signal."""
        statuses = {name: process.poll() for name, process in self._processes.items()}
        return {name: status for name, status in statuses.items() if status is not None}

    def wait(self, name: str, timeout_s: float) -> bool:
        """Whether the process of this name ends within the time [s]."""
        try:
            self._processes[name].wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def show(self, seconds: float) -> None:
        """Print what the processes say for `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            try:
                self._print(*self._lines.get(timeout=left))
            except queue.Empty:
                return

    def stop(self, grace: Grace = Grace()) -> dict[str, int]:
        """Stop all, `FIRST` first: SIGINT, SIGTERM after a grace, then SIGKILL. Returns every exit status."""
        everything = tuple(self._processes)
        if FIRST in everything:
            self._end((FIRST,), signal.SIGINT, grace.interrupt)
        for number, seconds in ((signal.SIGINT, grace.interrupt), (signal.SIGTERM, grace.terminate)):
            self._end(everything, number, seconds)
        self._end(everything, signal.SIGKILL, 0.0)
        statuses = {name: process.wait() for name, process in self._processes.items()}
        self._drain()
        return statuses

    def _end(self, names: Sequence[str], number: signal.Signals, seconds: float) -> None:
        """Send a signal to those of `names` that run, and wait for all of them to end."""
        for name in names:
            if self._processes[name].poll() is None:
                self._processes[name].send_signal(number)
        deadline = time.monotonic() + seconds
        while not self.ended().keys() >= set(names) and time.monotonic() < deadline:
            self.show(0.05)

    def _drain(self) -> None:
        for reader in self._readers:
            reader.join(timeout=1.0)  # a grandchild may hold the pipe open
        while not self._lines.empty():
            self._print(*self._lines.get())

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put((name, line.rstrip("\n")))

    def _print(self, name: str, line: str) -> None:
        prefix = f"[{name}]"
        if self._colour:
            prefix = f"\x1b[{COLOURS[list(self._processes).index(name) % len(COLOURS)]}m{prefix}\x1b[0m"
        print(prefix, line, file=self._output, flush=True)


def describe(status: int) -> str:
    """An exit status in words."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _prepare(parent: int) -> None:
    """In the child: hear SIGINT, and be told to stop if `parent` is killed without a chance to stop us (Linux)."""
    # Shells start background jobs with SIGINT ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        _LIBC.prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # gone before we asked
            os._exit(1)
