"""Studies: many trainings, each evaluated on held-out seeds, in a folder that a killed study goes on from.

A run's folder has the speed policy (`policy/`), its evaluation (`evaluation.json`) and, when it is done, `row.json`.
Several processes may work on one study: each takes the runs that no other one has.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.config import build, differences, to_dict
from speedtune_ros.data.checkpoint_folder import replace_file
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.evaluation.evaluate import Progress, evaluate
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.variants import Variant, changed, label
from speedtune_ros.execution import ExecutionConfig

if TYPE_CHECKING:
    from speedtune_ros.training.train_speed import TrainSpeedConfig

ROW = "row.json"
SAMPLES = ("samples", "baseline_samples", "demonstration_samples")  # they stay in each run's evaluation.json


@dataclass(frozen=True)
class Study:
    """What all runs of a study share.

    config: the full method's; out: the study's folder; seeds: those evaluated on; training_seeds: one run each;
    workers, slots: processes of an evaluation and episodes batched in each; threads: of a training, 0 its default;
    command: for the checkpoints' cards.
    """

    config: TrainSpeedConfig
    out: Path
    seeds: Sequence[int]
    training_seeds: Sequence[int] = (0,)
    workers: int = 1
    slots: int = 4
    threads: int = 0
    command: str = ""
    progress: Progress | None = None

    def run(self, config: TrainSpeedConfig, folder: Path) -> bool:
        """Train and evaluate what is not yet done of the run in `folder`; False if another process is at it.

        Raises ConfigError if the folder has a run of another configuration.
        """
        with held(folder) as mine:
            if mine and self.done(config, folder) is None:
                self.train(config, folder / "policy")
                self.measure(config, folder / "policy", folder)
        return mine

    def train(self, config: TrainSpeedConfig, folder: Path) -> None:
        """Train to `config.decisions`, from where the folder stands."""
        import torch

        from speedtune_ros.training.train_speed import train_speed

        # An evaluation in this process before may have changed it.
        torch.set_num_threads(self.threads or 1)
        shown = self.progress is not None
        began = (folder / "training" / "config.yaml").exists()
        train_speed(config, folder, self.command, resume=began, progress=shown, threads=self.threads)

    def measure(self, config: TrainSpeedConfig, checkpoint: Path, folder: Path) -> None:
        """Evaluate a checkpoint: `evaluation.json` with its samples, and then `row.json` without."""
        wanted, path = evaluation_config(config, checkpoint), folder / "evaluation.json"
        store = self.out / "baselines"
        result = evaluate(wanted, self.seeds, path, self.workers, self.slots, self.progress, store=store)
        row = {key: value for key, value in result.items() if key not in SAMPLES}
        replace_file(folder / ROW, json.dumps({**row, "asked": self._asked(config)}, indent=1).encode())

    def done(self, config: TrainSpeedConfig, folder: Path) -> dict[str, Any] | None:
        """The row of a run that is done, else None. Raises ConfigError if it is of another configuration."""
        try:
            row = json.loads((folder / ROW).read_text())
            found = row.pop("asked")
            found["training"] = to_dict(build(type(config), found["training"]))  # keys it did not know included
        except FileNotFoundError:
            return None
        except (ValueError, KeyError) as error:
            raise DataError(f"{folder / ROW}: expected what a study writes: {error}") from error
        asked = self._asked(config)
        if found != asked:
            differ = differences(found, asked)
            raise ConfigError(f"{folder} holds another run ({differ}): name another --out, or remove it")
        return row

    def _asked(self, config: TrainSpeedConfig) -> dict[str, Any]:
        return {"training": to_dict(config), "seeds": [self.seeds[0], self.seeds[-1]]}


def ablate(study: Study, variants: Sequence[Variant]) -> Iterator[str]:
    """Run all `variants`; what became of each. Those that another process has are left to it. Raises ConfigError."""
    runs = list(runs_of(study, variants))  # whatever is wrong with one is refused before anything runs
    for variant, config, folder in runs:
        mine = study.run(config, folder)
        yield f"{variant.group or 'reference'}: {variant.name}: {'done' if mine else 'another process is at it'}"


def runs_of(study: Study, variants: Sequence[Variant]) -> Iterator[tuple[Variant, TrainSpeedConfig, Path]]:
    """Each variant's configuration and folder, for each training seed. Raises ConfigError."""
    for variant in variants:
        config = changed(study.config, variant)
        for seed in study.training_seeds:
            yield (
                variant,
                dataclasses.replace(config, seed=seed),
                study.out / label(study.config, config) / f"seed-{seed}",
            )


def rows(study: Study, variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """The rows of all `variants` that are done, as `speedtune plot ablations` takes them.

    An ablation of which only the full method is done, because another one needed it, is left out.
    """
    found = []
    for variant, config, folder in runs_of(study, variants):
        row = study.done(config, folder)
        if row is not None:
            words = {"group": variant.group, "name": variant.name, "reference": folder.parent.name == "full"}
            found.append({**words, "seed_of_training": config.seed, **row})
    compared = {"", *(row["group"] for row in found if not row["reference"])}
    return [row for row in found if row["group"] in compared]


def evaluation_config(config: TrainSpeedConfig, checkpoint: Path) -> EvaluationConfig:
    """What a speed policy is evaluated beside: all that it was trained beside."""
    policy, speed = config.policy, f"rainbow:{checkpoint}"
    if config.chooses == "targets":  # then it is a task policy itself
        policy, speed = str(checkpoint), "constant:1"
    beside = {item.name: getattr(config, item.name) for item in dataclasses.fields(ExecutionConfig)}
    return EvaluationConfig(**{**beside, "policy": policy, "speed": speed})


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """The folder for this process alone, made if need be; False if another one has it. Released if a process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
