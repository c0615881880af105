"""How long a task policy takes from an observation to a chunk, on one core by default."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

HELP = "infer one chunk with a task policy"
_WARM_UP = 10
_SIDE = 192  # of the floor's matrices: the width of the shipped network


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="transfer_cube", help="task (default: %(default)s)")
    parser.add_argument("--dynamics", default="act", help="dynamics profile (default: %(default)s)")
    parser.add_argument("--policy", default="act", help="shipped policy, or a checkpoint folder (default: %(default)s)")
    parser.add_argument("--candidates", type=int, default=1, help="chunks per observation (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=1, help="observations per batch (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=200, help="inferences timed (default: %(default)s)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Medians and 99th percentiles [ms] of one batch, beside the floor and the peer."""
    import torch

    from speedtune_ros.registry import make_policy

    torch.set_num_threads(args.threads)
    policy = make_policy(args.policy, args.task, args.dynamics)
    queries = {slot: example(policy.info, slot) for slot in range(args.slots)}
    for slot in queries:
        policy.reset(Episode(f"bench-{slot}", args.task, slot), slot)

    def infer() -> object:
        # New observations each time: a policy may remember what it saw in the last ones.
        fresh = {slot: replace(query, observation=replace(query.observation)) for slot, query in queries.items()}
        return policy.infer(fresh, args.candidates)

    operations = count_operations(infer)
    samples = _time(infer, args.repetitions)
    # What is left of it on a machine that does nothing else.
    own = _time(infer, args.repetitions, time.process_time)
    floor = _time(products(operations), args.repetitions)
    peer = _time(transformer(args.slots * args.candidates), args.repetitions)
    return {
        "inference_ms_median": _percentile(samples, 50),
        "inference_ms_p99": _percentile(samples, 99),
        "inference_cpu_ms_median": _percentile(own, 50),
        "floor": f"the same {operations / 1e9:.2f} GFLOP as products of square matrices of {_SIDE}",
        "floor_ms_median": _percentile(floor, 50),
        "peer": "torch.nn.Transformer of the shipped sizes on 146 and 100 tokens, without images and their backbone",
        "peer_ms_median": _percentile(peer, 50),
        "bar_ms": 15.0,
        "policy": args.policy,
        "candidates": args.candidates,
        "slots": args.slots,
        "threads": args.threads,
        "samples": {"inference_ms": samples, "inference_cpu_ms": own, "floor_ms": floor, "peer_ms": peer},
    }


def example(info: PolicyInfo, seed: int) -> Query:
    """An observation with the policy's cameras, at random; only its size matters here."""
    rng = np.random.default_rng(seed)
    images = {camera: rng.integers(0, 256, (*size, 3), np.uint8) for camera, size in info.cameras.items()}
    return Query(Observation(RobotState(0, rng.normal(size=14), np.zeros(14)), images), InferenceRequest(0, 0))


def count_operations(call: Callable[[], object]) -> int:
    """Floating-point operations of the products and convolutions in one call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def products(operations: int) -> Callable[[], object]:
    """As many matrix products as make up `operations`."""
    import torch

    matrix = torch.eye(_SIDE)
    count = max(1, round(operations / (2 * _SIDE**3)))
    out = torch.empty_like(matrix)

    def multiply() -> object:
        with torch.inference_mode():
            for _ in range(count):
                torch.mm(matrix, matrix, out=out)
        return out

    return multiply


def transformer(batch: int) -> Callable[[], object]:
    """PyTorch's own transformer at the shipped sizes."""
    import torch

    network = torch.nn.Transformer(_SIDE, 6, 3, 2, 512, dropout=0.0, batch_first=True).eval()
    memory, queries = torch.zeros(batch, 146, _SIDE), torch.zeros(batch, 100, _SIDE)

    def call() -> object:
        with torch.inference_mode():
            return network(memory, queries)

    return call


def _time(call: Callable[[], object], repetitions: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """How long each call takes by `clock` [ms], after some to warm up."""
    samples = []
    for i in range(repetitions + _WARM_UP):
        start = clock()
        call()
        if i >= _WARM_UP:
            samples.append(round((clock() - start) * 1e3, 4))
    return samples


def _percentile(samples: list[float], percentile: float) -> float:
    return round(float(np.percentile(samples, percentile)), 3)
