"""How a task policy's chunks become motion in a simulated task: what training and evaluation of speeds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speedtune_ros.config import option

if TYPE_CHECKING:
    from speedtune_ros.pipeline import PipelineConfig


@dataclass(frozen=True)
class ExecutionConfig:
    """A task, the policy that does it, and everything between its chunks and the arms but the speed."""

    task: str = option("transfer_cube", "task")
    policy: str = option("act", "expert, act (the shipped checkpoint) or a checkpoint's path")
    retimer: str = option("linear", "retimer")
    dynamics: str = option("act", "dynamics profile")
    inference: str = option("async", "whether motion continues during inference", choices=("async", "sync"))
    latency: float = option(0.0, "observation to hand-over [s]", minimum=0.0, maximum=10.0)
    handover: str = option("nearest", "where a new chunk is entered", choices=("nearest", "consumed"))
    ensemble: bool = option(False, "temporal ensembling")
    k_skip: int = option(10, "control steps between requests", minimum=1)

    def pipeline(self, **others: Any) -> PipelineConfig:
        """The loop's own settings, `others` beside those named here."""
        from speedtune_ros.pipeline import PipelineConfig
        from speedtune_ros.retiming.handover import HandoverConfig
        from speedtune_ros.retiming.linear import RetimerConfig
        from speedtune_ros.retiming.scheduler import SchedulerConfig

        return PipelineConfig(
            retimer=self.retimer,
            retiming=RetimerConfig(handover=HandoverConfig(method=self.handover)),
            scheduler=SchedulerConfig(
                k_skip=self.k_skip, inference=self.inference, latency=self.latency, ensemble=self.ensemble
            ),
            **others,
        )
