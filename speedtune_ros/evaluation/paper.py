"""What SpeedTuning reports, to be drawn and printed beside our own figures."""

from __future__ import annotations

from typing import NamedTuple


class PaperFigure(NamedTuple):
    """Success rate at a speed-up, in time steps to success against those of the base policy."""

    speed: float
    success_rate: float


# By kind of task policy and task. Learned: https://daivdyuan.github.io/speed-tuning/, Figure 4, 2000 episodes each;
# scripted: the held-out evaluation of its released reference implementation, 100 episodes each.
PAPER: dict[str, dict[str, PaperFigure]] = {
    "act": {
        "transfer_cube": PaperFigure(3.81, 0.979),
        "tea_bag": PaperFigure(2.99, 0.742),
        "insertion": PaperFigure(2.42, 0.622),
        "tea_bag_disposal": PaperFigure(2.86, 0.60),  # the real ones: 20 episodes each
        "food_preparation": PaperFigure(2.65, 0.55),
        "almond_pouring": PaperFigure(2.50, 0.55),
    },
    "expert": {
        "transfer_cube": PaperFigure(3.86, 0.98),
        "tea_bag": PaperFigure(2.08, 0.78),
        "insertion": PaperFigure(2.39, 0.97),
    },
}


def paper_figure(policy: str, task: str) -> PaperFigure | None:
    """Of the expert, or of a learned task policy; None for a task of our own."""
    return PAPER["expert" if policy == "expert" else "act"].get(task)
