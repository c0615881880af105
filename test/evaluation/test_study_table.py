from __future__ import annotations

from typing import Any

from speedtune_ros.evaluation.study_table import ablation_table, efficiency_table


def row(**values: Any) -> dict[str, Any]:
    figures = {"success_rate": 0.9, "wilson_low": 0.8, "wilson_high": 0.95, "acceleration": 2.5, "demo_speedup": 2.25}
    return {**figures, "realised_speed_mean": 2.75, "successes_per_minute": 12.0, "seed_of_training": 0, **values}


def test_ablations_by_hand() -> None:
    rows = [
        row(group="", name="full method", reference=True),
        row(group="beta", name="beta 3", reference=False, success_rate=0.0, acceleration=None, demo_speedup=None),
    ]
    head, rule, full, beta = ablation_table(rows).splitlines()
    assert head.startswith("| ablation | variant | success | `acceleration` |") and rule.count("---") == 7
    assert full == "|  | **full method** | 0.900 [0.800, 0.950] | 2.50 | 2.25 | 2.75 | 12.00 |"
    assert beta == "| beta | beta 3 | 0.000 [0.800, 0.950] | - | - | 2.75 | 12.00 |"
    several = ablation_table([*rows, row(group="beta", name="beta 3", reference=False, seed_of_training=1)])
    assert "| beta | beta 3, seed 1 |" in several


def test_sample_efficiency_is_in_the_order_of_decisions() -> None:
    rows = [row(decisions=5_000), row(decisions=2_000, seed_of_training=1), row(decisions=2_000)]
    starts = [line[:12] for line in efficiency_table(rows).splitlines()[2:]]
    assert starts == ["| 2,000 | 0 ", "| 2,000 | 1 ", "| 5,000 | 0 "]
