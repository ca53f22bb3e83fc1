"""Lesson 07."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim import SGD

from warmup_course.classroom.exercises.checker import (
    Exercise,
    FunctionExercise,
    Misconceptions,
    NotYet,
    close,
    not_yet,
    run,
    said_by,
    short,
)
from warmup_course.classroom.exercises.loops import flight_recorder


def wsd(step, T, W, D):
    ramp = (step + 1) / W if step < W else 1
    fall = min(1, (T - step) / D) if D else 1
    return max(0, min(ramp, fall))


def make_scheduler(optimizer, T, W):
    from torch.optim.lr_scheduler import LambdaLR

    def factor(step):
        if step < W:
            return (step + 1) / W
        return 1 if step < T // 2 else 0.1 if step < 3 * T // 4 else 0.01

    return LambdaLR(optimizer, factor)


def about_wsd(step: int, n: int, w: int, d: int) -> Misconceptions:
    rising, left = step < w, n - step
    ramp = min(1, (step + 1) / w) if w else 1
    return [
        (1.0 if d and left <= 0 else -1, "It stays at 0 past T."),
        (step / w if rising else -1, "Step 0 would run at factor 0. The course's ramp has (step + 1) / W."),
        (ramp * left / n if rising else -1, "A product falls from the start on, and is nowhere level."),
        ((left - 1) / (d or 1), "One step too early: the first of the last D steps still has factor 1."),
        ((left - 1) / (d - 1 if d > 1 else 1), "That is 0 in the last step. It should be reached at T."),
        (left / (n - w), "The fall begins at the end of the ramp. It should take the last D steps."),
        (left / n, "The fall takes the whole run. It should take the last D steps."),
        ((step - n + d) / (d or 1), "That rises from 0 to 1. It should fall from 1 to 0."),
        (1 - (step - d) / (n - d), "You let the fall begin at step D. It should take the *last* D steps."),
        (left / (d or 1), "That leaves the range from 0 to 1."),
        (1.0, "When does the ramp end, and when does the fall begin?"),
    ]


def judge_stairs(answer: Any) -> str:
    for n, w, peaks in ((40, 4, (0.2, 0.05)), (30, 5, (1.0, 0.25)), (11, 1, (0.5, 0.5)), (10, 0, (0.1, 0.2))):
        used = _used(answer, n, w, peaks)
        if all(lrs == [*peaks] for lrs in used):
            raise NotYet(f"With T = {n} and W = {w}, the LRs of the optimizer that you were given do not move.")
        for group, peak in enumerate(peaks):
            for step in sorted(range(n), key=lambda step: step != 25):  # this one tells most misconceptions apart
                lrs = used[step]
                share = (step + 1) / w if step < w else 1 if step < n // 2 else 0.1 if step < 3 * n // 4 else 0.01
                shown = f"With T = {n}, W = {w} and peaks {peaks}, group {group}, step {step}:"
                likely = [
                    (peak * step / w if step < w else -1, "Step 0 would run at 0. The ramp has (step + 1) / W."),
                    (peak if step == 25 else -1, "Still at the peak. Stairs in absolute steps may come too late."),
                    (
                        peak if w and step == n // 2 else -1,
                        "One step late: step `T // 2` is already on the stair."
                        if close(used[n // 2 + 1][group], 0.1 * peak)
                        else "The stairs are shares of the *whole* run, not of what follows the ramp. `T // 2` is one.",
                    ),
                    (peak if step < w else -1, "That is the peak. Where is the ramp?"),
                    (peaks[0] * share, "That is the LR of group 0. Each group keeps its own peak."),
                    (peak * share * 0.1, "A tenth too low. How often did you divide?"),
                    (peak * share * 10, "A stair is missing, or late."),
                    (peak * share * peak, "The factor contains the peak, and the scheduler multiplies by it again."),
                ]
                if not close(1000 * lrs[group], 1000 * peak * share):
                    raise not_yet(shown, lrs[group], peak * share, likely)
    return "A ramp and two stairs, whatever the length of the run, for each group at its own height."


def _used(answer: Callable[..., Any], n: int, w: int, peaks: tuple[float, ...]) -> list[list[float]]:
    """The LRs of all groups at each optimizer.step()."""
    optimizer = SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": peak} for peak in peaks])
    # Its message would begin with the optimizer, which is long.
    scheduler = run(partial(answer, optimizer) if callable(answer) else answer, n, w)
    if not callable(getattr(scheduler, "step", None)):
        raise NotYet(f"You returned {short(scheduler)}, which has no `step()`. Return the scheduler.")
    with flight_recorder() as used:
        for step in range(n):
            optimizer.step()
            try:
                scheduler.step()
            except Exception as error:
                said = f"stops with {said_by(error)}"
                raise NotYet(f"With T = {n} and W = {w}, call {step + 1} of `scheduler.step()` {said}.") from error
    return used


EXERCISES = (
    FunctionExercise(
        name="07_warmup_then_decay/wsd",
        # The first one tells all the misconceptions apart.
        told="For step {}, T = {}, W = {} and D = {}",
        cases=[
            (step, n, w, d)
            for n, w, d in ((100, 10, 20), (30, 0, 10), (30, 5, 0), (12, 6, 6))
            for step in (4, 92, 80, 0, w - 1, w, n - d - 1, n - d, n - d + 1, n - 1, n, n + 7)
            if step >= 0 and (d or step < n)  # after a run that never falls, 0 is as good an answer as 1
        ],
        misconceptions=about_wsd,
        praise="Ramp, level, fall, and 0 from then on; also without a ramp, a fall, or a level stretch.",
        hints=(
            "The factor is the lowest of three things: the ramp, 1, and the fall. None of them is ever negative.",
            "The fall is a straight line that is 0 at step T and 1 at step T - D. Look at how many steps are left.",
        ),
        answer=wsd,
        why="No seam to count: the lower of ramp and fall wins, and between them both are at 1 or above.",
    ),
    Exercise(
        name="07_warmup_then_decay/make_scheduler",
        judge=judge_stairs,
        hints=(
            "A `LambdaLR` needs one function: from the step to what multiplies *each group's* peak.",
            "The function may use `T` and `W`: it is defined inside. Compare `step` with `W`, `T // 2`, `3 * T // 4`.",
        ),
        answer=make_scheduler,
        why="Both stairs are shares of T, so a shorter run decays sooner. `LambdaLR` multiplies each group's own peak.",
    ),
)
