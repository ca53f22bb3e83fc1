"""Lesson 10."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions, NotYet, short


def trouble(steps, lrs, sharpnesses):
    rows = zip(steps, lrs, sharpnesses, strict=True)
    return [step for step, lr, sharpness in rows if not lr * sharpness <= 2]


def first_update(gradient, lr, beta1, beta2, eps, correct):
    m, v = (1 - beta1) * gradient, (1 - beta2) * gradient**2
    if correct:
        m, v = m / (1 - beta1), v / (1 - beta2)
    return -lr * m / (v**0.5 + eps)


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


def _of_averages(gradient: float, lr: float, m_share: float, v_share: float, eps: float) -> float:
    """Adam's first update, where its averages are these shares of the gradient and of its square."""
    return -lr * m_share * gradient / (math.sqrt(v_share) * abs(gradient) + eps)


def about_an_update(
    gradient: float, lr: float, beta1: float, beta2: float, eps: float, correct: bool
) -> Misconceptions:
    right, other = (first_update(gradient, lr, beta1, beta2, eps, case) for case in (correct, not correct))
    return [
        (-right, "The size is right. Adam goes *against* the gradient."),
        (-lr * gradient, "That is SGD's step. Adam divides by the root of its second average."),
        (other, "You have the two cases of `correct` the wrong way round, or look at neither."),
        (
            _of_averages(gradient, lr, 1 - beta1, 1, eps),
            "You corrected the second average and left the first at a tenth of its size.",
        ),
        (
            _of_averages(gradient, lr, 1, 1 - beta2, eps),
            "You corrected the first average but not the second.",
        ),
        (
            _of_averages(gradient, lr, (1 - beta1) / beta1, (1 - beta2) / beta2, eps),
            "The correction divides by `1 - beta`, not by `beta`.",
        ),
        (-lr / (gradient + eps) if gradient else math.inf, "The second average is of the *squared* gradient."),
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
    FunctionExercise(
        name="10_why_it_works/first_update",
        # The first two tell all the misconceptions apart.
        told="For gradient {:g}, LR {:g}, betas {:g} and {:g}, eps {:g}, correct={}",
        cases=[
            (-0.5, 0.01, 0.9, 0.999, 1e-8, True),
            (-0.5, 0.01, 0.9, 0.999, 1e-8, False),
            (500.0, 0.01, 0.9, 0.999, 1e-8, True),
            (0.0, 0.1, 0.9, 0.99, 1e-8, True),
            (0.003, 0.1, 0.5, 0.75, 0.001, True),
            (0.003, 0.1, 0.5, 0.75, 0.001, False),
        ],
        misconceptions=about_an_update,
        praise="The full LR whatever the gradient; without the correction over three times as much.",
        hints=(
            "Starting from 0, the first average is `(1 - beta1) * gradient`. What is the second, of the squares?",
            "The correction divides them by `1 - beta1` and `1 - beta2`: at step 1 it undoes the factors exactly.",
            "The update is `-lr * m / (v ** 0.5 + eps)`.",
        ),
        answer=first_update,
        why="With the correction m is the gradient and v its square: what is left is its sign, times the LR.",
    ),
)
