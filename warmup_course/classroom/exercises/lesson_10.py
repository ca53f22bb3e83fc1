"""Lesson 10."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions, NotYet, short


def trouble(steps, lrs, sharpnesses):
    rows = zip(steps, lrs, sharpnesses, strict=True)
    return [step for step, lr, sharpness in rows if not lr * sharpness <= 2]


def a_list(result: Any, shown: str) -> list[Any]:
    try:
        return list(result)
    except TypeError as error:
        raise NotYet(f"{shown} you have {short(result)}, which is not a list of steps.") from error


def about_trouble(steps: list[int], lrs: list[float], sharpnesses: list[float]) -> Misconceptions:
    products = [lr * sharpness for lr, sharpness in zip(lrs, sharpnesses, strict=True)]

    def where(test: Callable[[float], bool], values: Sequence[float] = products) -> list[int]:
        return [step for step, value in zip(steps, values, strict=True) if test(value)]

    return [
        (lambda got: any(one is None or np.iterable(one) for one in got), "Return the steps alone."),
        (where(lambda product: product > 2), "`nan > 2` is False, and the run is lost there."),
        (where(lambda product: product >= 2), "At exactly 2 the distance stays; it must be above."),
        ([i for i, product in enumerate(products) if not product <= 2], "Those are places in the list, not steps."),
        (where(lambda product: product > 1), "Between 1 and 2 it overshoots, yet comes nearer."),
        (where(lambda product: product <= 2), "Those are the safe ones."),
        (where(lambda s: s > 2, sharpnesses), "The sharpness alone says nothing. Multiply it by the LR of its step."),
        (
            where(lambda s: s > 2 / max(lrs), sharpnesses),
            "Each step has its own limit: during warmup the LR is not at its peak yet.",
        ),
        ([not product <= 2 for product in products], "Those say yes or no. Which *steps* are they?"),
    ]


EXERCISES = (
    FunctionExercise(
        name="10_why_it_works/trouble",
        # The first one tells all the misconceptions apart, but for nan.
        told="For steps {}, LRs {} and sharpnesses {}",
        cases=[
            ([0, 5, 20, 30, 40, 60], [0.015625, 0.0625, 0.125, 0.25, 0.5, 0.5], [50.0, 40.0, 16.0, 6.0, 6.0, 3.0]),
            ([0, 12], [0.1, 0.1], [10.0, 19.0]),
            ([0, 1, 2], [1.0, 1.0, 1.0], [60.0, 1e9, math.nan]),
            ([], [], []),
        ],
        misconceptions=about_trouble,
        read=a_list,
        praise="Each step against its own limit, and an exploded run is no safe one.",
        hints=(
            "Go through the three lists side by side with `zip`. Multiply each sharpness by the LR of *its* step.",
            "Every comparison with `nan` is False. So ask what is safe, and take what is `not` safe.",
        ),
        answer=trouble,
        why="`not product <= 2` is true above 2 and for `nan`. During warmup each step has a limit of its own.",
    ),
)
