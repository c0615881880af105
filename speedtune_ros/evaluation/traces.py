"""Episodes of an evaluation once more, every tick kept, with what the speed policy thought at each decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.rollouts import NO_FRAMES, build_pipeline
from speedtune_ros.report.runs import Choice, ReportRun
from speedtune_ros.report.trace_runs import run_of_result
from speedtune_ros.speed.speed_policy import SpeedPolicy
from speedtune_ros.types import Episode, Query, SpeedChoice


class Listener:
    """Implements SpeedPolicy by another one, and keeps the decisions by episode id."""

    def __init__(self, policy: SpeedPolicy) -> None:
        self._policy = policy
        self._episodes: dict[int, str] = {}
        self.choices: dict[str, list[Choice]] = defaultdict(list)

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._policy.reset(episode, slot)
        self._episodes[slot] = episode.id

    def choose(self, queries: Mapping[int, Query]) -> Mapping[int, SpeedChoice]:
        choices = self._policy.choose(queries)
        for slot, choice in choices.items():
            progress = queries[slot].request.progress
            made = Choice(progress, choice.speed, tuple(choice.speeds), tuple(choice.values))
            self.choices[self._episodes[slot]].append(made)
        return choices


def traced_runs(
    config: EvaluationConfig, seeds: Sequence[int], frames: tuple[str, int, int] = NO_FRAMES, slots: int = 4
) -> list[ReportRun]:
    """The episodes of `seeds`, in their order; frames: camera, height and width, none by default."""
    heard: list[Listener] = []

    def listen(policy: SpeedPolicy) -> SpeedPolicy:
        heard.append(Listener(policy))
        return heard[0]

    pipeline = build_pipeline(config, min(slots, len(seeds)), frames, listen)
    episodes = [Episode(f"Scene {seed}", config.task, seed) for seed in seeds]
    results = sorted(pipeline.run(episodes, trace=True), key=lambda result: result.episode.seed)
    pipeline.close()
    return [run_of_result(result, config.speed, heard[0].choices[result.episode.id]) for result in results]


def runs_with_key_frames(
    config: EvaluationConfig, seeds: Sequence[int], frames: tuple[str, int, int], success: bool = True
) -> list[ReportRun]:
    """As `traced_runs`, but frames only of the first episode with that outcome (of the first one, if none has it)."""
    runs = traced_runs(config, seeds)
    shown = next((index for index, run in enumerate(runs) if run.success == success), 0)
    runs[shown] = traced_runs(config, [runs[shown].seed], frames)[0]
    return runs
