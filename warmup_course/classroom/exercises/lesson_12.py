"""Lesson 12."""

import math
from collections.abc import Iterable

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions


def what_is_left(lrs, weight_decay, independent):
    left = 1.0
    for lr in lrs:
        share = lr / max(lrs) if independent else lr
        left *= 1 - share * weight_decay
    return left


def _after(takes: Iterable[float]) -> float:
    """What steps leave that take these shares."""
    return math.prod(1 - share for share in takes)


def about_what_is_left(lrs: list[float], weight_decay: float, independent: bool) -> Misconceptions:
    peak = max(lrs, default=1.0)
    takes = [weight_decay * (lr / peak if independent else lr) for lr in lrs]
    the_other = what_is_left(lrs, weight_decay, not independent)
    return [
        (1 - _after(takes), "That share is gone. What is left?"),
        (the_other, "You have the two kinds the wrong way round, or look at neither."),
        (1 - sum(takes), "You added the shares up. Each step takes its share of what the steps before it left."),
        (math.prod(takes), "You multiplied what the steps take. Multiply what they leave."),
        (
            math.exp(-sum(takes)),
            "That is where many small steps lead. Here the steps are few: multiply what each leaves.",
        ),
        (1 - sum(takes[-1:]), "That is the last step alone. The decay goes on at every step."),
        (
            (1 - weight_decay) ** len(lrs),
            "Then the schedule would not touch the decay. Each step has a factor of its own.",
        ),
        ((1 - peak * weight_decay) ** len(lrs), "You used the peak LR at every step. Each step has its own."),
        (
            _after(weight_decay * lr / lrs[0] if lrs[0] else math.inf for lr in lrs),
            "The peak is the largest LR. In a ramp it is not the first.",
        ),
        (_after(weight_decay * lr * peak for lr in lrs), "Divide by the peak LR; you multiplied by it."),
    ]


EXERCISES = (
    FunctionExercise(
        name="12_adamw/what_is_left",
        # The first two tell all the misconceptions apart.
        told="For the LRs {}, weight decay {:g} and independent={}",
        cases=[
            ([0.1, 0.2, 0.4, 0.3], 0.5, False),
            ([0.1, 0.2, 0.4, 0.3], 0.5, True),
            ([0.01] * 3, 0.1, False),
            ([0.0, 0.002, 0.001], 0.25, True),
            ([0.3], 0.0, False),
        ],
        misconceptions=about_what_is_left,
        praise="What scales the LRs scales the decay; the peak LR does so in PyTorch's kind alone.",
        hints=(
            "What does one step leave, at one LR? The next step takes its share of *that*.",
            "A step leaves `1 - lr * weight_decay` in PyTorch's kind. Multiply these over all steps, beginning with 1.",
            "In the paper's kind a step leaves `1 - lr / max(lrs) * weight_decay`.",
        ),
        answer=what_is_left,
        why="Each step multiplies by what it leaves. Independent decay knows only the schedule's factor.",
    ),
)
