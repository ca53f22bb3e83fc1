"""Lesson 01."""

from typing import Any

import numpy as np

from warmup_course.classroom.exercises.checker import Exercise, NotAttempted, NotYet, number


def judge_valley(answer: Any) -> str:
    if answer is None or answer is ...:
        raise NotAttempted
    lr = number(answer, "As LR")
    flat, steep = 1 - 2 * lr, 1 - 50 * lr
    slowest = max(abs(flat), abs(steep))
    if not slowest < 1:
        why = "An LR must be above 0." if not lr > 0 else f"Each step multiplies the steep weight by {steep:.3f}."
        raise NotYet(f"At LR {lr:g} it never arrives. {why}")
    steps = int(np.ceil(np.log(0.01) / np.log(slowest)))
    if steps > 60:
        if abs(steep) < flat:
            why = f"The flat weight keeps you waiting: each step leaves {flat:.3f} of its distance. Go higher."
        else:
            why = f"The steep weight bounces: each step multiplies its distance by {steep:.3f}. Go lower."
        raise NotYet(f"At LR {lr:g} it takes {steps} steps, expected at most 60. {why}")
    if abs(flat - abs(steep)) < 0.005:
        shrinking = "Both weights shrink about equally fast there"
    else:
        shrinking = f"The {'flat' if flat > abs(steep) else 'steep'} weight is the slower one there"
    return f"{steps} steps. {shrinking}, and the limit, 0.04, is close."


EXERCISES = (
    Exercise(
        name="01_learning_rate_basics/valley",
        judge=judge_valley,
        hints=(
            r"The flat factor is $1 - 2\,\text{LR}$, positive. The steep one is $1 - 50\,\text{LR}$, negative by then.",
            "Raising the LR shrinks the first and grows the size of the second. The slower of the two decides.",
            "It is fastest where both have the same size.",
        ),
        answer=round(2 / (2 + 50), 5),
        why=r"""Equal in size: $1 - 2\,\text{LR} = 50\,\text{LR} - 1$, so $\text{LR} = 2 / (2 + 50) = 0.03846$. Both
factors then have size $48/52 = 0.923$, and $0.923^{58} < 0.01$: 58 steps. The limit is $2/50 = 0.04$, so the best LR
sits at 96 % of the edge. A hair further, at 0.039, the steep weight needs 90 steps.""",
    ),
)
