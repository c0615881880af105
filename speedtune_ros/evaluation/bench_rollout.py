"""How close a rollout of the scripted expert through the whole pipeline comes to the physics alone, on all cores.

Every core gets a process with its own simulations and one batched pipeline. The floor replays the same commands in
MuJoCo's native rollout, with no Python between physics steps. Both run on all cores at once, in turn. The expert's
one-off planning is timed apart and left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any

import mujoco
import mujoco.rollout
import numpy as np

from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.expert import ExpertPolicy
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.registry import make_speed_policy, make_task
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.task import Task
from speedtune_ros.types import Chunk, Episode, Query

HELP = "rollout of the scripted expert on all cores, against the physics alone"
FLOOR = "the same physics steps under the same commands in mujoco.rollout, one native loop per core, nothing else"
PEER = "gym-aloha's AlohaEnv.step under the same commands, its rendering left out, one process per core"


@dataclass(frozen=True)
class Workload:
    """What each worker runs: `episodes` seeds from `seed` on, in `slots` simulations, `repeats` times."""

    task: str
    profile: str
    speed: str
    episodes: int
    slots: int
    repeats: int
    seed: int


@dataclass(frozen=True)
class Pass:
    """One timed pass of one worker: on the machine's monotonic clock, in CPU time, planning within them [s]."""

    start: float
    end: float
    cpu: float
    planning: float
    steps: int


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="transfer_cube", help="task (default: %(default)s)")
    parser.add_argument("--dynamics", default="act", help="dynamics profile (default: %(default)s)")
    parser.add_argument("--speed", default="constant:1", help="speed policy (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=8, help="episodes per core and pass (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=4, help="simulations per core (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="passes, floor and rollout in turn (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one per core (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default: %(default)s)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The figures, medians over the passes, with every pass among the samples."""
    make_task(args.task), make_profile(args.dynamics), make_speed_policy(args.speed)  # refuses unknown names here
    workers = args.workers or len(os.sched_getaffinity(0))
    work = [
        Workload(args.task, args.dynamics, args.speed, args.episodes, args.slots, args.repeats, first)
        for first in range(args.seed, args.seed + workers * args.episodes, args.episodes)
    ]
    passes = _run_workers(work)
    samples = [_sample([of_worker[i] for of_worker in passes]) for i in range(args.repeats)]
    return {"floor": FLOOR, "peer": PEER, "workers": workers, **_medians(samples), "samples": samples}


def _medians(samples: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}


def _sample(passes: list[Mapping[str, Pass]]) -> dict[str, float]:
    """The figures of one pass over all workers."""
    wall = {kind: _wall([of_worker[kind] for of_worker in passes if kind in of_worker]) for kind in passes[0]}
    cpu = {kind: sum(of_worker[kind].cpu - of_worker[kind].planning for of_worker in passes) for kind in wall}
    steps = sum(of_worker["rollout"].steps for of_worker in passes)
    figures = {
        "ratio_to_floor": wall["rollout"] / wall["floor"],
        "cpu_ratio_to_floor": cpu["rollout"] / cpu["floor"],
        "control_steps_per_second": steps / wall["rollout"],
        "rollout_us_per_step_and_core": 1e6 * wall["rollout"] * len(passes) / steps,
        "floor_us_per_step_and_core": 1e6 * wall["floor"] * len(passes) / steps,
        "planning_s_per_core": max(of_worker["rollout"].planning for of_worker in passes),
    }
    if "peer" in wall:
        figures["peer_us_per_step_and_core"] = 1e6 * wall["peer"] * len(passes) / steps
    return figures


def _wall(passes: list[Pass]) -> float:
    """From the first worker's start to the last one's end, planning left out [s]."""
    return max(p.end - p.planning for p in passes) - min(p.start for p in passes)


def _run_workers(work: list[Workload]) -> list[list[dict[str, Pass]]]:
    """The passes of each worker, all workers in step. Raises SpeedtuneError if one fails."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(work))
    pipes = [context.Pipe(duplex=False) for _ in work]
    processes = [
        context.Process(target=_work, args=(load, barrier, sender), daemon=True)
        for load, (_, sender) in zip(work, pipes)
    ]
    for process in processes:
        process.start()
    for _, sender in pipes:
        sender.close()  # so that a dead worker's pipe ends
    try:
        return [receiver.recv() for receiver, _ in pipes]
    except EOFError as error:
        raise SpeedtuneError("a worker of the rollout benchmark failed; its own message is above") from error
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _work(load: Workload, barrier: Any, sender: Connection) -> None:
    passes: list[dict[str, Pass]] = []
    try:
        worker = _Worker(load)
        for _ in range(load.repeats):
            passes.append({kind: _together(barrier, measure) for kind, measure in worker.measures.items()})
        sender.send(passes)
    finally:
        if len(passes) < load.repeats:
            barrier.abort()  # the others must not wait for one that failed


def _together(barrier: Any, measure: Callable[[], Pass]) -> Pass:
    barrier.wait()
    return measure()


class _Worker:
    """One core's share, prepared outside the timed passes."""

    def __init__(self, load: Workload) -> None:
        self._task = make_task(load.task)
        self._simulations = [Simulation(self._task, load.profile) for _ in range(load.slots)]
        self._policy = _TimedPlanning(ExpertPolicy(self._task, load.profile))
        config = PipelineConfig(workers=1)
        self._pipeline = Pipeline(self._simulations, self._policy, make_speed_policy(load.speed), config)
        seeds = range(load.seed, load.seed + load.episodes)
        self._episodes = [Episode(f"{load.task}-{seed}", load.task, seed) for seed in seeds]
        results = {result.episode.seed: result for result in self._pipeline.run(self._episodes, trace=True)}
        commands = [results[episode.seed].trace.commands for episode in self._episodes]  # type: ignore[union-attr]
        self._replays = [_Replay(self._simulations[0], e, c) for e, c in zip(self._episodes, commands)]
        self._data = mujoco.MjData(self._simulations[0].robot.model)
        self.measures: dict[str, Callable[[], Pass]] = {"floor": self.floor, "rollout": self.rollout}
        peer = _make_peer(self._task, load.profile)
        if peer is not None:
            self.measures["peer"] = lambda: _timed(lambda: sum(peer(r) for r in self._replays))

    def rollout(self) -> Pass:
        self._policy.seconds = 0.0
        timed = _timed(lambda: sum(result.steps for result in self._pipeline.run(self._episodes)))
        return dataclasses.replace(timed, planning=self._policy.seconds)

    def floor(self) -> Pass:
        model = self._simulations[0].robot.model
        return _timed(lambda: sum(replay.run(model, self._data) for replay in self._replays))


def _timed(measure: Callable[[], int]) -> Pass:
    start, cpu = time.monotonic(), time.process_time()
    steps = measure()
    return Pass(start, time.monotonic(), time.process_time() - cpu, 0.0, steps)


class _TimedPlanning:
    """A policy that counts the CPU time its `policy` plans in [s]."""

    def __init__(self, policy: ExpertPolicy) -> None:
        self.seconds = 0.0
        self._policy = policy

    @property
    def info(self) -> PolicyInfo:
        return self._policy.info

    def reset(self, episode: Episode, slot: int = 0) -> None:
        start = time.process_time()
        self._policy.reset(episode, slot)
        self.seconds += time.process_time() - start

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        return self._policy.infer(queries, candidates)


class _Replay:
    """An episode's initial state and actuator targets at every physics step."""

    def __init__(self, simulation: Simulation, episode: Episode, commands: np.ndarray) -> None:
        simulation.reset(episode)
        robot = simulation.robot
        self.episode, self.commands = episode, commands
        self.cube = robot.data.qpos[16:].copy()
        self.initial = robot.snapshot()
        controls = np.array([_controls(simulation, command) for command in commands])
        self.controls = controls.repeat(robot.substeps, axis=0)

    def run(self, model: mujoco.MjModel, data: mujoco.MjData) -> int:
        """Step the physics natively; the number of control steps."""
        mujoco.rollout.rollout(model, data, self.initial, self.controls)
        return len(self.commands)


def _controls(simulation: Simulation, command: np.ndarray) -> np.ndarray:
    simulation.robot.command(command)
    return simulation.robot.data.ctrl.copy()


def _make_peer(task: Task, profile: str) -> Callable[[_Replay], int] | None:
    """A function that runs a replay in gym-aloha's environment, if that has this task and model and runs here."""
    if task.name != "transfer_cube" or profile != "act" or find_spec("dm_control") is None:
        return None
    from gym_aloha.env import AlohaEnv
    from gym_aloha.tasks import sim as benchmark

    environment = AlohaEnv(task.name)
    environment._env.task.get_observation = lambda physics: {"images": {"top": np.zeros((1, 1, 3), np.uint8)}}

    def replay(of: _Replay) -> int:
        benchmark.BOX_POSE[0] = of.cube
        environment._env.reset()
        for command in of.commands:
            environment.step(command)
        return len(of.commands)

    return replay
