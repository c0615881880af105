"""What a speed policy is paid for: success, and speed that was really executed.

One decision lasts up to k_skip control steps with executed speeds v_i (`sdot`, not what was asked for, so nothing is
paid for speed that a guard or planner removed). SpeedTuning (https://daivdyuan.github.io/speed-tuning/, eq. 3 and 7)
pays

    r = alpha * sum_i v_i**beta + success * [succeeded]

which an episode that never succeeds can collect until its time is up, unless it has to give it back (`forfeit`): a
return is then success * (bonus + what was paid for speed). The other kind charges time instead,

    r = -time_cost * (steps + forfeited) + success * [succeeded]

where an episode that ends without success, whatever the reason, forfeits the steps it had left: failing early never
pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, InvalidInputError

KINDS = ("speed", "time")


@dataclass(frozen=True)
class RewardConfig:
    """Which reward. The defaults are the paper's."""

    kind: str = option("speed", "pay for executed speed, or charge for time", choices=KINDS)
    alpha: float = option(0.01, "weight of speed, a control step", minimum=0.0)
    beta: float = option(2.0, "degree of speed", minimum=0.0)
    forfeit: bool = option(False, "an episode that fails gives back what it was paid for speed")
    success: float = option(100.0, "paid once, on success", minimum=0.0)
    time_cost: float = option(0.25, "charged for each control step where the kind is `time`", minimum=0.0)


def reward(config: RewardConfig, speeds: np.ndarray, succeeded: bool, forfeited: int = 0) -> float:
    """The reward of one decision that ran at `speeds` (m,), executed `sdot` of its control steps.

    forfeited: control steps left in an episode that this decision ends without success; 0 otherwise.
    Raises InvalidInputError for speeds that are not finite or below 0, or nothing executed.
    """
    speeds = np.asarray(speeds, np.float64)
    if speeds.ndim != 1 or not len(speeds) or not np.isfinite(speeds).all() or (speeds < 0.0).any():
        raise InvalidInputError(f"executed speeds: expected a list of finite numbers of at least 0, got {speeds}")
    if forfeited < 0 or (succeeded and forfeited):
        raise InvalidInputError(f"forfeited: expected 0 on success and at least 0 else, got {forfeited}")
    bonus = config.success if succeeded else 0.0
    if config.kind == "time":
        return bonus - config.time_cost * (len(speeds) + forfeited)
    return bonus + config.alpha * float(np.sum(speeds**config.beta))


def episode_rewards(
    config: RewardConfig, speeds: np.ndarray, starts: np.ndarray, succeeded: bool, left: int = 0
) -> np.ndarray:
    """The reward of each decision of a whole episode: (T,).

    speeds (n,): executed `sdot` of every control step; starts (T,): the step at which each decision began, the first
    at 0; left: control steps the episode still had when it ended. Raises InvalidInputError.
    """
    starts = np.asarray(starts, np.int64)
    if not len(starts) or starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= len(speeds):
        raise InvalidInputError(
            f"starts of decisions: expected to increase from 0 to below {len(speeds)}, got {starts.tolist()}"
        )
    parts = np.split(np.asarray(speeds, np.float64), starts[1:])
    rewards = [reward(config, part, False) for part in parts[:-1]]
    rewards.append(reward(config, parts[-1], succeeded, 0 if succeeded else left))
    if config.kind == "speed" and config.forfeit and not succeeded:
        rewards[-1] -= sum(rewards)
    return np.array(rewards)


def checked_speeds(speeds: Sequence[float]) -> tuple[float, ...]:
    """The set V, as it is. Raises ConfigError unless it is finite, above 0 and strictly increasing."""
    values = tuple(float(speed) for speed in speeds)
    good = values and np.isfinite(values).all() and values[0] > 0.0 and all(a < b for a, b in zip(values, values[1:]))
    if not good:
        raise ConfigError(f"speeds: expected at least one, finite, above 0 and strictly increasing, got {list(speeds)}")
    return values


def value_bounds(
    config: RewardConfig, speeds: Sequence[float], k_skip: int, discount: float, steps: int
) -> tuple[float, float]:
    """Least and largest discounted return from any decision on: the support of a categorical value.

    steps: control steps of the longest episode; discount: a decision. An executed speed lies between 0 and the
    largest of `speeds`; success may come at whichever decision is best for the return.
    """
    fastest = checked_speeds(speeds)[-1]
    decisions = -(-steps // k_skip)
    if steps < 1 or k_skip < 1 or not 0.0 <= discount <= 1.0:
        raise ConfigError(
            f"value bounds: expected steps and k_skip of at least 1 and a discount in [0, 1], "
            f"got {steps}, {k_skip}, {discount}"
        )
    powers = discount ** np.arange(decisions)  # of decision n
    if config.kind == "time":
        # Worst: charged in full and no success. An early failure forfeits the undiscounted rest at once.
        low = -config.time_cost * steps
        return low, max(config.success - config.time_cost, -config.time_cost)
    least, most = (config.alpha * speed**config.beta for speed in (0.0, fastest))
    paid = np.cumsum(powers) * most * k_skip  # by decision n, at full speed
    if config.forfeit:
        least -= most * steps  # all of it at once
    return least, float(np.max(paid + powers * config.success))
