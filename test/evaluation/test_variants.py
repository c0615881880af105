from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.evaluation.variants import FULL, Variant, changed, label, nested, read_variants, select
from speedtune_ros.speed.reward import RewardConfig

TEXT = """
ablate:
  ros__parameters:
    beta:
      beta 0: {reward.beta: 0.0}
      beta 2: {}
    frame skip:
      every 5 steps: {k_skip: 5}
"""


@dataclass(frozen=True)
class Training:
    policy: str = option("act", "task policy")
    k_skip: int = option(10, "control steps")
    speeds: tuple[float, ...] = option((1.0, 2.0), "V")
    reward: RewardConfig = field(default_factory=RewardConfig)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ablations.yaml"
    path.write_text(TEXT)
    return path


def test_a_file_holds_groups_of_named_changes(file: Path) -> None:
    assert read_variants(file) == [
        Variant("", FULL),
        Variant("beta", "beta 0", {"reward": {"beta": 0.0}}),
        Variant("beta", "beta 2"),
        Variant("frame skip", "every 5 steps", {"k_skip": 5}),
    ]


def test_groups_are_chosen_by_name_and_compared_with_the_full_method(file: Path) -> None:
    variants = read_variants(file)
    assert select(variants, []) == variants
    assert [variant.name for variant in select(variants, ["frame skip"])] == [FULL, "every 5 steps"]
    with pytest.raises(UnknownNameError, match="unknown ablation 'frames'; available: beta, frame skip"):
        select(variants, ["frames"])


def test_a_variant_changes_what_it_names_and_nothing_else() -> None:
    full = Training(reward=RewardConfig(alpha=0.5))
    found = changed(full, Variant("beta", "beta 0", {"reward": {"beta": 0.0}}))
    assert found == Training(reward=RewardConfig(alpha=0.5, beta=0.0))
    with pytest.raises(ConfigError, match="beta: none: reward: unknown key 'betta'.*did you mean 'beta'"):
        changed(full, Variant("beta", "none", {"reward": {"betta": 0.0}}))


def test_folders_say_what_differs_and_equal_configurations_share_one() -> None:
    full = Training()
    assert label(full, changed(full, Variant("beta", "beta 2", {"reward": {"beta": 2.0}}))) == "full"
    both = Training(policy="runs/a policy", reward=RewardConfig(beta=0.0))
    assert label(full, both) == "policy=runs-a-policy,reward.beta=0.0"
    names = {label(full, Training(speeds=tuple(float(i) for i in range(1, n)))) for n in (98, 99)}
    assert len(names) == 2 and max(map(len, names)) < 150


def test_dotted_names_are_taken_apart_at_every_depth() -> None:
    assert nested({"a.b": {"c.d": 1}, "a": {"e": 2}}) == {"a": {"b": {"c": {"d": 1}}, "e": 2}}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ("{}", "beta: expected variants by name, got {}"),
        ("{beta 0: 3}", "beta: beta 0: expected parameters by name, got 3"),
    ],
)
def test_what_is_no_list_of_variants_is_refused(tmp_path: Path, members: str, words: str) -> None:
    path = tmp_path / "ablations.yaml"
    path.write_text(f"ablate:\n  ros__parameters:\n    beta: {members}\n")
    with pytest.raises(ConfigError, match=words):
        read_variants(path)
