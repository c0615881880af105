"""What is tried before anything is known."""

from __future__ import annotations

import numpy as np

from speedtune_ros.aloha import GRIPPERS, NUM_JOINTS
from speedtune_ros.speed.guide import Guide, GuideConfig
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

SPEEDS = (1.0, 2.0, 3.0, 4.0)


def query(aperture: float) -> Query:
    qpos = np.zeros(NUM_JOINTS)
    qpos[list(GRIPPERS)] = aperture
    return Query(Observation(RobotState(0, qpos, np.zeros(NUM_JOINTS))), InferenceRequest(0, 0))


def tried(config: GuideConfig, decisions: int, seed: int = 0) -> list[tuple[int, ...]]:
    """What each of 60 episodes tries while its grippers open, close and hold; empty where it is not guided."""
    guide = Guide(config, SPEEDS, lambda: decisions, seed)
    found = []
    for number in range(60):
        guide.reset(Episode("e", "transfer_cube", number), 3)
        actions = [guide.actions({3: query(aperture)}) for aperture in (0.0, 0.9, 0.3, 0.3, 0.3)]
        found.append(tuple(action[3] for action in actions if action))
    return found


def test_all_episodes_are_guided_at_first_and_a_share_of_them_later() -> None:
    config = GuideConfig(decisions=100, share=0.25)
    assert all(tried(config, 99))
    assert 5 < sum(bool(actions) for actions in tried(config, 100)) < 25
    assert not any(tried(GuideConfig(kind="none"), 0))


def test_an_episode_keeps_its_table_and_the_closing_gripper_is_slowest() -> None:
    episodes = tried(GuideConfig(kind="phase"), 0)
    assert len(set(episodes)) > 20
    for free, opened, closing, _, holding in episodes:
        assert closing <= min(free, opened, holding) and max(opened, holding) <= free
    assert all(len(set(actions)) == 1 for actions in tried(GuideConfig(kind="constant"), 0))
    assert {actions[0] for actions in tried(GuideConfig(kind="constant"), 0)} == {0, 1, 2, 3}


def test_what_is_tried_follows_from_the_seeds() -> None:
    assert tried(GuideConfig(), 0) == tried(GuideConfig(), 0) != tried(GuideConfig(), 0, seed=1)


def test_slots_that_are_not_guided_are_left_alone() -> None:
    guide = Guide(GuideConfig(), SPEEDS, lambda: 0, 0)
    guide.reset(Episode("e", "transfer_cube"), 1)
    assert set(guide.actions({1: query(0.0), 2: query(0.0)})) == {1}
