"""Settings of the driver for Interbotix arms."""

from __future__ import annotations

from dataclasses import dataclass, field

from speedtune_ros.config import option
from speedtune_ros.robots.bring_up import BringUpConfig
from speedtune_ros.robots.feedback import FeedbackConfig
from speedtune_ros.robots.gripper_travel import TravelConfig
from speedtune_ros.robots.motor_ceiling import CeilingConfig


@dataclass(frozen=True)
class InterbotixConfig:
    """Which arms, what they are expected to be, and how they are watched."""

    left: str = option("follower_left", "namespace of the left follower")
    right: str = option("follower_right", "namespace of the right follower")
    model: str = option(
        "", "a model such as aloha_vx300s, to hear interbotix_xs_modules' opinion of the arms too; empty: not asked"
    )
    watch_s: float = option(1.0, "each register watched is read so often", minimum=0.2, maximum=60.0)
    bring_up: BringUpConfig = field(default_factory=BringUpConfig)
    travel: TravelConfig = field(default_factory=TravelConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    ceiling: CeilingConfig = field(default_factory=CeilingConfig)
