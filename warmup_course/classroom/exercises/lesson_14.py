"""Lesson 14: reading a range test, and handing in a schedule."""

import math
from typing import Any

import numpy as np

from warmup_course.classroom.capstone import BASELINE, BEST, TASK, held_out_accuracy
from warmup_course.classroom.exercises.checker import Exercise, FunctionExercise, Misconceptions, NotYet, number, run

GOOD_SHARE = 0.7  # of the way from the baseline to the best


def find_edge(lrs, first, last):
    broken = [lr for lr, a, b in zip(lrs, first, last, strict=True) if not (b < a).all()]
    return min(broken, default=float("inf"))


def learning_rate(step):
    if step < 96:
        return 0.35 * (step + 1) / 96
    return 0.35 * (200 - step) / (200 - 96)


LRS, FIRST = np.array([0.01, 0.02, 0.04, 0.08, 0.16]), np.array([[2.0, 3.0]] * 5)
# The first two tell the misconceptions apart.
LAST: list[list[list[float]]] = [
    [[1.5, 2.0], [1.1, 3.1], [1.0, 9.0], [1.0, math.nan], [5.0, 6.0]],  # one seed of two ends above its start
    [[1.5, 2.0], [0.9, math.nan], [math.nan] * 2, [5.0, 6.0], [math.nan] * 2],  # one seed of two diverged
    [[2.0, 2.5], [1.0, 1.8], [0.9, 1.0], [0.5, 0.7], [math.nan] * 2],  # one seed has not moved at all
    [[1.5, 2.0], [1.0, 2.6], [0.9, 1.0], [0.8, 0.9], [0.9, 0.9]],  # nothing breaks
]
# Six LRs, three seeds, and each LR has starts of its own. The last seed of the last LR alone is broken.
STARTS = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [2.0, 3.0, 1.0]] * 2)
SIX = np.arange(1, 7) / 10, STARTS, np.vstack([STARTS[:5] - 0.5, [1.5, 2.5, 1.5]])


def about_an_edge(lrs: Any, first: Any, last: Any) -> Misconceptions:
    def lowest(broken: Any) -> float:
        return min(lrs[broken], default=math.inf)

    if len(lrs) == 6:
        return [(lambda got: True, "Each LR has starts of its own. How many LRs and seeds there are may differ, too.")]
    edge = lowest(~(last < first).all(axis=1))
    working = max(lrs[lrs < edge], default=0)
    return [
        (lambda got: got == working < lrs[-1], "That is the last LR that works. Return the first that does not."),
        (lambda got: got in range(5), "That looks like a place in the list. Return the LR itself."),
        (
            lowest(~(last < first.mean()).all(axis=1)),
            "Each seed has its own start; the mean of the starts is nobody's.",
        ),
        (lambda got: edge == math.inf, "Where nothing breaks, return `float('inf')`."),
        (lowest(~(last <= first).all(axis=1)), "A loss that ends exactly where it began has not fallen: it is broken."),
        (lowest(~(last.mean(axis=1) < 2.5)), "A mean hides the seed that broke."),
        (lowest((~(last < first)).all(axis=1)), "One broken seed is enough."),
        (lowest((last > first).any(axis=1)), "`nan > x` is False. Ask whether a loss is *not* below where it began."),
        (lowest(~np.isfinite(last).all(axis=1)), "A finite loss that has not fallen is broken too."),
    ]


def judge_learning_rate(answer: Any) -> str:
    lrs = []
    for step in range(TASK.total_steps):
        lr = number(run(answer, step), f"For step {step}")
        if not (math.isfinite(lr) and lr >= 0):
            raise NotYet(f"For step {step} the LR is {lr:g}. It must be a finite number of at least 0.")
        lrs.append(lr)
    if max(lrs) == 0:
        raise NotYet("All LRs are 0. That network will never learn.")
    if max(lrs) > 100:
        raise NotYet(f"Your highest LR is {max(lrs):g}, none of this task. Does your function return the step itself?")
    yours = held_out_accuracy(tuple(lrs))
    baseline, best = (
        np.median(held_out_accuracy(tuple(float(peak * schedule(step)) for step in range(TASK.total_steps))))
        for peak, schedule in (BASELINE, BEST)
    )
    reached = np.median(np.nan_to_num(yours, nan=0.25))
    lost = int(np.isnan(yours).sum())
    share = (reached - baseline) / (best - baseline)
    said = (
        f"On rows and {len(yours)} seeds that no search has used, in the median: "
        f"baseline {baseline:.2f}, **yours {reached:.2f}**, best stored {best:.2f}."
    )
    if lost:
        raise NotYet(f"{lost} of your {len(yours)} runs diverged. {said} {_advice(lrs)}")
    if share < GOOD_SHARE:
        raise NotYet(f"{said} Seven tenths of the way from the baseline to the best are asked for. {_advice(lrs)}")
    return f"{said} You have gone {100 * share:.0f} % of the way." + (" That beats the author's." if share > 1 else "")


def _advice(lrs: list[float]) -> str:
    """What to look at first in a schedule that is not good enough."""
    peak, at = max(lrs), lrs.index(max(lrs))
    if peak < 0.1:
        return f"Your highest LR is {peak:.3g}. With a ramp this network bears several times as much."
    if peak > 0.8:
        return f"Your highest LR is {peak:.3g}. Even with a ramp, where did your own sweeps begin to fail?"
    if lrs[0] > peak / 4 or at < 20:
        return f"You are at {peak:.3g} in step {at}. How long a ramp did this peak need in your sweeps?"
    if at > 180:
        return "The peak comes at the very end. Leave time to use it, and to come down."
    return "Compare it with your own best sweep. Is it the schedule that you meant to hand in?"


EXERCISES = (
    FunctionExercise(
        name="14_capstone/find_edge",
        told=lambda *arrays: "With lrs = {}, first = {} and last = {}".format(*(array.tolist() for array in arrays)),
        cases=[*((LRS, FIRST, np.array(rows)) for rows in LAST), SIX],
        misconceptions=about_an_edge,
        praise="One broken seed is enough, NaN counts as broken, and where nothing breaks there is no edge yet.",
        hints=(
            "Go through the LRs. One is broken if some seed of it has not ended below where it began.",
            "Comparisons with NaN are False, so ask whether `last < first` holds, and take it for broken if *not*.",
            "Return the lowest of the broken LRs. `min(broken, default=float('inf'))` covers the case of none.",
        ),
        answer=find_edge,
        why="The question is put so that NaN falls on the right side: not *is it above*, but *is it not below*.",
    ),
    Exercise(
        name="14_capstone/learning_rate",
        judge=judge_learning_rate,
        hints=(
            "A ramp, then a fall. Fill in what your sweeps found: the peak, the length of the ramp, the kind of fall.",
            """Such a function is what this prints, without its last loop, and what **As code** in the lab shows:

```python
from warmup_course import to_code

print(to_code(Schedule(200, ramp, decay=fall), peak, "python"))
```""",
            "If some runs diverge, make the ramp longer before you make the peak lower.",
        ),
        answer=learning_rate,
        why=(
            "The best stored schedule: a ramp over nearly half of the run, to sixteen times the LR of the baseline, "
            "and a straight line down. Folklore's tenth would be too short a ramp: this network starts very sharp."
        ),
    ),
)
