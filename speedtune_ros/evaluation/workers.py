"""Episodes spread over worker processes, each with its own simulations and one batched pipeline."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.evaluation.samples import EpisodeSample

# Given the seeds to run, yields their samples as episodes end. Must be picklable to run in workers.
Runner = Callable[[Iterator[int]], Iterable[EpisodeSample]]


def run_seeds(runner: Runner, seeds: Sequence[int], workers: int) -> Iterator[EpisodeSample]:
    """The samples of all `seeds` in the order their episodes end.

    One worker runs here; more are spawned processes that take the next seed whenever they are free.
    Raises SpeedtuneError with a worker's own words if one fails.
    """
    if not seeds:
        return
    workers = min(workers, len(seeds))
    if workers <= 1:
        yield from runner(iter(seeds))
        return
    yield from _run_spawned(runner, seeds, workers)


def _run_spawned(runner: Runner, seeds: Sequence[int], workers: int) -> Iterator[EpisodeSample]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    position = context.Value("q", 0)
    processes = [
        context.Process(target=_work, args=(runner, list(seeds), position, results), daemon=True)
        for _ in range(workers)
    ]
    try:
        for process in processes:
            process.start()
        for _ in range(len(seeds)):
            yield _next_result(results, processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _next_result(results: Any, processes: Sequence[Any]) -> EpisodeSample:
    while True:
        try:
            result = results.get(timeout=1.0)
        except queue.Empty:
            dead = [process.exitcode for process in processes if process.exitcode is not None]
            if any(dead) or len(dead) == len(processes):
                raise SpeedtuneError(f"worker processes ended with exit codes {dead} before their episodes") from None
            continue
        if isinstance(result, EpisodeSample):
            return result
        raise SpeedtuneError(f"a worker process failed: {result}")


def _work(runner: Runner, seeds: Sequence[int], position: Synchronized, results: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for sample in runner(_take(seeds, position)):
            results.put(sample)
    except KeyboardInterrupt:
        pass  # the parent was interrupted too and says so
    except SpeedtuneError as error:
        results.put(str(error))  # anything else ends the process with its traceback, and the parent notices


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its workers; they would compute for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _take(seeds: Sequence[int], position: Synchronized) -> Iterator[int]:
    """The seeds no other worker has taken, one at a time."""
    while True:
        with position.get_lock():
            index = position.value
            position.value += 1
        if index >= len(seeds):
            return
        yield seeds[index]
