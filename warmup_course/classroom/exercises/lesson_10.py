"""What happens inside?"""

import math
from typing import Any

from warmup_course.classroom.exercises.checker import Exercise, NotYet, close, not_yet, number, run, short


def trouble(steps, lrs, sharpnesses):
    return [step for step, lr, sharpness in zip(steps, lrs, sharpnesses, strict=True) if not lr * sharpness <= 2]


def first_update(gradient, lr, beta1, beta2, eps, correct):
    m, v = (1 - beta1) * gradient, (1 - beta2) * gradient**2
    if correct:
        m, v = m / (1 - beta1), v / (1 - beta2)
    return -lr * m / (v**0.5 + eps)


def judge_trouble(answer: Any) -> str:
    nan = math.nan
    # The first input tells all the misconceptions apart, but for nan.
    for steps, lrs, sharpnesses in (
        ([0, 5, 20, 30, 40, 60], [0.015625, 0.0625, 0.125, 0.25, 0.5, 0.5], [50.0, 40.0, 16.0, 6.0, 6.0, 3.0]),
        ([0, 12], [0.1, 0.1], [10.0, 19.0]),
        ([0, 1, 2], [1.0, 1.0, 1.0], [60.0, 1e9, nan]),
        ([], [], []),
    ):
        shown = f"For steps {steps}, LRs {lrs} and sharpnesses {sharpnesses}"
        got = run(answer, steps, lrs, sharpnesses)
        try:
            found = list(got)
        except TypeError as error:
            raise NotYet(f"{shown} you have {short(got)}, which is not a list of steps.") from error
        products = [lr * sharpness for lr, sharpness in zip(lrs, sharpnesses, strict=True)]
        pairs = list(zip(steps, products, strict=True))
        expected = [step for step, product in pairs if not product <= 2]
        if found != expected:
            likely = [
                ([step for step, product in pairs if product > 2], "`nan > 2` is False, and the run is lost there."),
                (
                    [step for step, product in pairs if product >= 2],
                    "At exactly 2 the distance stays; it must be above.",
                ),
                (
                    [i for i, product in enumerate(products) if not product <= 2],
                    "Those are places in the list, not steps.",
                ),
                ([step for step, product in pairs if product > 1], "Between 1 and 2 it overshoots, yet comes nearer."),
                ([step for step, product in pairs if product <= 2], "Those are the safe ones."),
                (
                    [step for step, s in zip(steps, sharpnesses, strict=True) if s > 2],
                    "The sharpness alone says nothing. Multiply it by the LR of its step.",
                ),
                (
                    [step for step, s in zip(steps, sharpnesses, strict=True) if s > 2 / max(lrs)],
                    "Each step has its own limit: during warmup the LR is not at its peak yet.",
                ),
                ([not product <= 2 for product in products], "Those say yes or no. Which *steps* are they?"),
            ]
            why = next((text for value, text in likely if found == value), "")
            raise NotYet(f"{shown} you have {short(got)}, expected `{expected}`. {why}".strip())
    return "Each step against its own limit, and an exploded run is no safe one."


def _of_averages(gradient: float, lr: float, m_share: float, v_share: float, eps: float) -> float:
    """Adam's first update, where its averages are these shares of the gradient and of its square."""
    return -lr * m_share * gradient / (math.sqrt(v_share) * abs(gradient) + eps)


def judge_first_update(answer: Any) -> str:
    # The first two inputs tell all the misconceptions apart.
    for gradient, lr, beta1, beta2, eps, correct in (
        (-0.5, 0.01, 0.9, 0.999, 1e-8, True),
        (-0.5, 0.01, 0.9, 0.999, 1e-8, False),
        (500.0, 0.01, 0.9, 0.999, 1e-8, True),
        (0.0, 0.1, 0.9, 0.99, 1e-8, True),
        (0.003, 0.1, 0.5, 0.75, 0.001, True),
        (0.003, 0.1, 0.5, 0.75, 0.001, False),
    ):
        shown = f"For gradient {gradient:g}, LR {lr:g}, betas {beta1:g} and {beta2:g}, eps {eps:g}, correct={correct}"
        got = number(run(answer, gradient, lr, beta1, beta2, eps, correct), shown)
        corrected = _of_averages(gradient, lr, 1, 1, eps)
        bare = _of_averages(gradient, lr, 1 - beta1, 1 - beta2, eps)
        expected, other = (corrected, bare) if correct else (bare, corrected)
        if not close(got, expected):
            likely = [
                (-expected, "The size is right. Adam goes *against* the gradient."),
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
            raise not_yet(shown, got, expected, likely)
    return "The full LR whatever the gradient; without the correction over three times as much."


EXERCISES = (
    Exercise(
        name="10_why_it_works/trouble",
        judge=judge_trouble,
        hints=(
            "Go through the three lists side by side with `zip`. Multiply each sharpness by the LR of *its* step.",
            "Every comparison with `nan` is False. So ask what is safe, and take what is `not` safe.",
        ),
        answer=trouble,
        why="`not product <= 2` is true above 2 and for `nan`. During warmup each step has a limit of its own.",
    ),
    Exercise(
        name="10_why_it_works/first_update",
        judge=judge_first_update,
        hints=(
            "Starting from 0, the first average is `(1 - beta1) * gradient`. What is the second, of the squares?",
            "The correction divides them by `1 - beta1` and `1 - beta2`: at step 1 it undoes the factors exactly.",
            "The update is `-lr * m / (v ** 0.5 + eps)`.",
        ),
        answer=first_update,
        why="With the correction m is the gradient and v its square: what is left is its sign, times the LR.",
    ),
)
