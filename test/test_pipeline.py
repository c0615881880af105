from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS, NUM_JOINTS, start_pose
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.rollouts import to_sample
from speedtune_ros.expert import ExpertPolicy
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.pipeline_trace import EpisodeResult
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.registry import make_simulation, make_speed_policy, make_task
from speedtune_ros.report.trace_runs import run_of_result
from speedtune_ros.retiming.handover import HandoverConfig
from speedtune_ros.retiming.linear import RetimerConfig
from speedtune_ros.retiming.scheduler import SchedulerConfig
from speedtune_ros.simulation import Simulation
from speedtune_ros.types import Chunk, Episode, Query

TASK = make_task("transfer_cube")
ASYNC = SchedulerConfig()


def episodes(n: int, first: int = 500_000) -> list[Episode]:
    return [Episode(f"e{seed}", "transfer_cube", seed) for seed in range(first, first + n)]


@pytest.fixture(scope="module")
def simulations() -> dict[str, list[Simulation]]:
    return {profile: [make_simulation(TASK, profile) for _ in range(3)] for profile in ("act", "identified")}


class Counting:
    """The expert, with the size of each batch it was asked for."""

    def __init__(self, profile: str = "act") -> None:
        self._expert = ExpertPolicy(TASK, profile)
        self.batches: list[int] = []
        self.queries: list[Query] = []

    @property
    def info(self) -> PolicyInfo:
        return self._expert.info

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._expert.reset(episode, slot)

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        self.batches.append(len(queries))
        self.queries += queries.values()
        return self._expert.infer(queries, candidates)


def run(
    simulations: list[Simulation],
    speed: str = "constant:2",
    n: int = 1,
    policy: object = None,
    trace: bool = False,
    handover: str = "nearest",
    scheduler: SchedulerConfig = ASYNC,
    **config: object,
) -> list[EpisodeResult]:
    profile = simulations[0].profile.name
    settings = PipelineConfig(
        retiming=RetimerConfig(HandoverConfig(handover)),
        scheduler=scheduler,
        **{"workers": 1, **config},  # type: ignore[arg-type]
    )
    stages = policy or ExpertPolicy(TASK, profile), make_speed_policy(speed)
    pipeline = Pipeline(simulations, *stages, settings)  # type: ignore[arg-type]
    results = list(pipeline.run(episodes(n), trace))
    pipeline.close()
    return sorted(results, key=lambda result: result.episode.seed)


def test_commands_are_the_demonstration_at_demonstrated_speed(simulations: dict[str, list[Simulation]]) -> None:
    result = run(simulations["act"][:1], "constant:1", trace=True)[0]
    assert result.success and result.success_step == result.steps
    assert result.trace is not None
    plan = ExpertPolicy(TASK, "act").plan(episodes(1)[0]).astype(np.float32)
    np.testing.assert_allclose(result.trace.commands, plan[: result.steps], atol=1e-6)
    assert result.realised_speed == pytest.approx(1.0, abs=1e-6)
    assert (result.refused, result.saturated, result.fallbacks) == (0, 0, 0)
    assert set(result.binding_limits) == {"none"}


def test_trace_is_one_row_a_tick(simulations: dict[str, list[Simulation]]) -> None:
    result = run(simulations["act"][:1], trace=True)[0]
    trace = result.trace
    assert trace is not None
    n = result.steps
    assert (trace.stamps == np.arange(n) * CONTROL_DT_NS).all()
    assert trace.commands.shape == trace.qpos.shape == (n, NUM_JOINTS)
    assert trace.progress == pytest.approx(2.0 * CONTROL_DT * np.arange(n))
    assert (trace.speed == 2.0).all() and (trace.ceiling == 2.0).all()
    assert trace.reward[-1] == result.max_reward == TASK.max_reward
    assert (trace.reward[:-1] < TASK.max_reward).all()
    assert len(trace.reports) == -(-n // 10)
    assert [report.sequence for report in trace.reports] == list(range(len(trace.reports)))
    errors = (trace.qpos[1:] - trace.commands[:-1])[:, [i for i in range(14) if i not in (6, 13)]]
    assert result.tracking_error_rms == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert len(result.handover_jumps) == len(result.backward_steps) == len(trace.reports) - 1
    assert trace.frames == ()


def test_without_trace_the_figures_are_the_same(simulations: dict[str, list[Simulation]]) -> None:
    with_trace, without = (run(simulations["act"][:1], trace=trace)[0] for trace in (True, False))
    assert without.trace is None
    assert (without.steps, without.realised_speed, without.tracking_error_rms) == (
        with_trace.steps,
        with_trace.realised_speed,
        with_trace.tracking_error_rms,
    )


def test_slots_and_threads_change_nothing(simulations: dict[str, list[Simulation]]) -> None:
    alone = run(simulations["act"][:1], "constant:3", n=4, trace=True)
    policy = Counting()
    together = run(simulations["act"], "constant:3", n=4, trace=True, policy=policy, workers=2)
    assert [r.episode.seed for r in together] == [r.episode.seed for r in alone]
    for a, b in zip(alone, together):
        assert a.steps == b.steps and a.trace is not None and b.trace is not None
        assert (a.trace.commands == b.trace.commands).all()
    assert max(policy.batches) == 3  # one batch over all slots
    assert policy.batches[0] == 3


def test_velocity_limits_of_the_profile_hold(simulations: dict[str, list[Simulation]]) -> None:
    result = run(simulations["identified"][:1], "constant:4", trace=True)[0]
    assert result.trace is not None
    limits = simulations["identified"][0].limits
    moved = np.abs(np.diff(result.trace.commands, axis=0))
    assert (moved <= limits.velocity * CONTROL_DT * (1 + 1e-6)).all()
    assert "firmware" in result.binding_limits
    assert result.realised_speed < 4.0


def test_latency_waits_that_many_ticks(simulations: dict[str, list[Simulation]]) -> None:
    result = run(simulations["act"][:1], trace=True, scheduler=SchedulerConfig(latency=0.1))[0]
    assert result.trace is not None
    assert (result.trace.speed[:5] == 0.0).all() and (result.trace.speed[5:] == 2.0).all()
    assert result.success


def test_an_episode_has_one_of_several_latencies_by_its_seed(simulations: dict[str, list[Simulation]]) -> None:
    mixed = run(simulations["act"][:2], n=4, trace=True, latencies=(0.0, 0.1))
    for latency, results in ((0.0, mixed[::2]), (0.1, mixed[1::2])):
        alone = run(simulations["act"][:1], n=4, trace=True, scheduler=SchedulerConfig(latency=latency))
        for result in results:
            (same,) = (other for other in alone if other.episode.seed == result.episode.seed)
            np.testing.assert_array_equal(result.trace.commands, same.trace.commands)
            assert result.steps == same.steps


def test_sync_pauses_and_still_succeeds(simulations: dict[str, list[Simulation]]) -> None:
    result = run(simulations["act"][:1], trace=True, scheduler=SchedulerConfig(inference="sync", latency=0.1))[0]
    assert result.trace is not None
    assert result.success
    at_rest = result.trace.speed[5:] == 0.0
    assert 0.2 < at_rest.mean() < 0.4
    assert (np.diff(result.trace.progress) >= 0.0).all()


def test_ensembling_and_consumed_run_end_to_end(simulations: dict[str, list[Simulation]]) -> None:
    plain = run(simulations["act"][:1], "constant:1", trace=True)[0]
    for variant in (
        run(simulations["act"][:1], "constant:1", trace=True, scheduler=SchedulerConfig(ensemble=True))[0],
        run(simulations["act"][:1], "constant:1", trace=True, handover="consumed")[0],
    ):
        assert plain.trace is not None and variant.trace is not None
        # chunks of one plan agree, so averaging them changes nothing
        np.testing.assert_allclose(variant.trace.commands, plain.trace.commands, atol=1e-5)


def test_observations_carry_the_request(simulations: dict[str, list[Simulation]]) -> None:
    policy = Counting()
    run(simulations["act"][:1], policy=policy, time_limit_steps=25)
    assert [query.request.stamp_ns // CONTROL_DT_NS for query in policy.queries] == [0, 10, 20]
    for query in policy.queries:
        assert query.observation.stamp_ns == query.request.stamp_ns
        assert query.request.progress == pytest.approx(2.0 * query.request.stamp_ns / 1e9)


def test_time_limits(simulations: dict[str, list[Simulation]]) -> None:
    class Still(Counting):
        def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
            still = np.tile(simulations["act"][0].initial_command, (100, 1))
            return {slot: Chunk(query.observation.stamp_ns, still, CONTROL_DT) for slot, query in queries.items()}

    result = run(simulations["act"][:1], policy=Still(), time_limit_steps=30)[0]
    assert (result.steps, result.success, result.success_step) == (30, False, None)
    result = run(simulations["act"][:1], policy=Still(), margin_steps=7)[0]
    assert result.steps == TASK.episode_steps + 7


def test_below_demonstrated_speed_an_episode_may_take_longer(simulations: dict[str, list[Simulation]]) -> None:
    (result,) = run(simulations["act"][:1], "constant:0.5")
    assert result.success
    assert result.success_step > TASK.episode_steps


def test_an_episode_may_go_on_after_success(simulations: dict[str, list[Simulation]]) -> None:
    result = run(simulations["act"][:1], stop_on_success=False, time_limit_steps=200)[0]
    assert result.success_step is not None and result.success_step < result.steps == 200
    assert result.success


def test_a_bad_chunk_is_counted_asked_for_again_and_moves_nothing(simulations: dict[str, list[Simulation]]) -> None:
    class Stuttering(Counting):
        """Every second answer is to another observation."""

        def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
            chunks = super().infer(queries, candidates)
            if len(self.batches) % 2:
                return chunks
            return {slot: Chunk(chunk.stamp_ns + 1, chunk.targets, chunk.dt) for slot, chunk in chunks.items()}

    policy = Stuttering()
    result = run(simulations["act"][:1], "constant:1", policy=policy)[0]
    assert result.success
    assert result.refused == len(policy.batches) // 2


class Far(Counting):
    """A target out of reach, for ever."""

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        far = np.tile(start_pose(0.1), (100, 1))
        far[:, 0] += 2.0
        return {slot: Chunk(query.observation.stamp_ns, far, CONTROL_DT) for slot, query in queries.items()}


def test_a_fault_ends_the_episode_at_once_and_the_next_runs(simulations: dict[str, list[Simulation]]) -> None:
    faulted, next_one = run(simulations["identified"][:1], n=2, policy=Far(), trace=True)
    for result in (faulted, next_one):
        assert (result.success, result.steps) == (False, 25)  # 0.5 s out of reach
        assert result.trouble == "fault: target out of reach for 0.5 s"
        assert to_sample(result).trouble == result.trouble
    assert run_of_result(faulted, "2x").reason == faulted.trouble
    untroubled = run(simulations["identified"][:1], time_limit_steps=5)[0]
    assert (untroubled.trouble, untroubled.commanded_speed) == ("", 2.0)


def test_broken_physics_ends_the_episode_at_once(simulations: dict[str, list[Simulation]]) -> None:
    class Breaking(Counting):
        """The cube gets a velocity that is no number while the second chunk is inferred."""

        def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
            if self.batches:
                simulations["act"][0].robot.data.qvel[-6:] = np.nan
            return super().infer(queries, candidates)

    result = run(simulations["act"][:1], "constant:2", policy=Breaking())[0]
    assert (result.success, result.steps, result.trouble) == (False, 11, "unstable physics")
    assert run(simulations["act"][:1], "constant:1")[0].success


def test_a_trajectory_that_a_stopped_driver_refuses_is_counted(simulations: dict[str, list[Simulation]]) -> None:
    class Stopping(Counting):
        """The stop is pressed while the second chunk is inferred."""

        def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
            if self.batches:
                pipeline._slots[0]._driver.stop()
            return super().infer(queries, candidates)

    pipeline = Pipeline(simulations["act"][:1], Stopping(), make_speed_policy("constant:2"))
    (result,) = pipeline.run(episodes(1))
    assert (result.steps, result.trouble, result.refused) == (10, "stopped", 1)


def test_frames_of_a_trace(simulations: dict[str, list[Simulation]]) -> None:
    size = {"frame_camera": "top", "frame_height": 48, "frame_width": 64, "frame_every": 10}
    result = run(simulations["act"][:1], trace=True, time_limit_steps=25, **size)[0]
    assert result.trace is not None
    assert [stamp // CONTROL_DT_NS for stamp, _ in result.trace.frames] == [0, 10, 20]
    assert result.trace.frames[0][1].shape == (48, 64, 3)


def test_needs_a_simulation() -> None:
    with pytest.raises(ConfigError, match="expected at least one simulation, got none"):
        Pipeline([], ExpertPolicy(TASK), make_speed_policy("constant:1"))
