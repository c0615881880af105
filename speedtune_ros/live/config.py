"""Settings of learning on a running graph."""

from __future__ import annotations

from dataclasses import dataclass

from speedtune_ros.config import option
from speedtune_ros.seeds import SPEED_TRAINING


@dataclass(frozen=True)
class LiveConfig:
    """How a speed policy learns on a running graph."""

    episodes: int = option(200, "labelled episodes to learn from", minimum=1)
    label_timeout_s: float = option(120.0, "an episode without a verdict so long after its end is discarded", minimum=0)
    checkpoint_decisions: int = option(
        200, "decisions between saved states; what came later is learned again", minimum=1
    )
    first_seed: int = option(
        SPEED_TRAINING.first, "of the first episode's scene; each takes the next", minimum=SPEED_TRAINING.first
    )
