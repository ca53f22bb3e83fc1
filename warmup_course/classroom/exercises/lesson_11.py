"""Lesson 11: the loops of the bug museum, repaired."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from warmup_course.classroom.exercises.checker import Exercise, NotYet, close, not_yet, run
from warmup_course.classroom.exercises.loops import flight_recorder, ramp
from warmup_course.schedulers import Schedule


def accumulate_repaired(optimizer, W, batches, every):
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / W, 1))
    for batch in range(batches):
        if (batch + 1) % every == 0:
            optimizer.step()
            scheduler.step()


def overflow_repaired(optimizer, factors, W):
    [weight] = optimizer.param_groups[0]["params"]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / W, 1))
    for factor in factors:
        loss = (factor * weight.half()).float().sum()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        before = scaler.get_scale()
        scaler.update()
        if scaler.get_scale() >= before:
            scheduler.step()


def too_long_repaired(optimizer, W, T):
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

    warmup = LinearLR(optimizer, start_factor=1 / W, total_iters=W - 1)
    cosine = CosineAnnealingLR(optimizer, T_max=T - W)
    scheduler = SequentialLR(optimizer, [warmup, cosine], milestones=[W])
    for _ in range(T):
        optimizer.step()
        scheduler.step()


def fine_tune_repaired(optimizer, lr, W, T):
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = lr
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / W, 1))
    for _ in range(T):
        optimizer.step()
        scheduler.step()


def with_optimizer(answer: Callable[..., Any], optimizer: SGD) -> Callable[..., Any]:
    """The learner's loop as a function that need not return anything, of the arguments that can be told in a line."""

    @wraps(partial(answer, optimizer))  # so that these are told by the learner's names
    def loop(*arguments: Any) -> Any:
        result = answer(optimizer, *arguments)
        return ... if result is ... else "ran"

    return loop


def lrs_of(answer: Any, optimizer: SGD, *arguments: Any) -> list[list[float]]:
    """The LRs of all groups at each ``optimizer.step()`` of the learner's loop.

    Raises:
        NotAttempted: if it returns ``...``, as the starter cell does.
        NotYet: if it is no function, or raises.
    """
    with flight_recorder() as used:
        run(with_optimizer(answer, optimizer) if callable(answer) else answer, *arguments)
    return used


def compare(
    case: str, got: Sequence[list[float]], expected: Sequence[float], likely: Callable[[int], list[tuple[float, str]]]
) -> None:
    """NotYet unless each group's trace is the expected one; ``likely(step)`` has the misconceptions."""
    for step, (lrs, right) in enumerate(zip(got, expected, strict=False)):
        for group, lr in enumerate(lrs):
            if not close(lr, right):
                which = f" of group {group}" if len(lrs) > 1 else ""
                raise not_yet(f"{case}, at optimizer step {step}, as LR{which}", lr, right, likely(step))
    if len(got) != len(expected):
        raise NotYet(f"{case}, your loop makes {len(got)} optimizer steps, expected {len(expected)}.")


def idle(lr: float = 0.1, groups: int = 1) -> SGD:
    return SGD([{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(groups)], lr=lr)


def judge_accumulate(answer: Any) -> str:
    # The first case tells the misconceptions apart.
    for warmup_steps, batches, every in ((12, 60, 4), (3, 40, 8), (5, 9, 1), (1, 6, 2), (3, 10, 4)):
        case = f"With W = {warmup_steps}, {batches} batches and every = {every}"
        if rest := batches % every:  # what the exhibit does
            case += f" (the last {rest} make no update)"

        def likely(step: int, warmup_steps: int = warmup_steps, every: int = every) -> list[tuple[float, str]]:
            calls = step * every + every - 1
            return [
                (0.1 * ramp(warmup_steps, calls), "As in the museum: `scheduler.step()` is called for every *batch*."),
                (0.1 * ramp(warmup_steps, step + 1), "One step ahead: is the scheduler stepped before the optimizer?"),
                (0.1 * ramp(warmup_steps * every, step), "Now it is too slow. W counts updates, and so do the calls."),
                (0.0, "That is the other convention, `step / W`."),
                (0.1 / warmup_steps, "Stuck at the first LR. Does anybody call `scheduler.step()`?"),
                (0.1, "That is the peak. Where is the ramp?"),
            ]

        expected = [0.1 * ramp(warmup_steps, step) for step in range(batches // every)]
        compare(case, lrs_of(answer, idle(), warmup_steps, batches, every), expected, likely)
    return "The ramp takes W updates, however many batches an update takes."


def judge_overflow(answer: Any) -> str:
    # A scale of 65536 never fits into 16 bits, so at least the first update is skipped.
    for factors, warmup_steps, updates in (
        ([4] * 10, 8, 7),
        ([1, 1, 1, 1, 60_000, 1, 1, 1, 1], 8, 7),
        ([0.1] * 4, 3, 3),
        ([0.1] * 2003, 2500, 2001),  # the scale grows once, and the batch after that overflows
    ):
        many = len(factors) > 2000
        case = f"With factors = {'[0.1] * 2003' if many else factors} and W = {warmup_steps}"
        skipped = len(factors) - updates

        def likely(step: int, warmup_steps: int = warmup_steps, skipped: int = skipped) -> list[tuple[float, str]]:
            ahead = "As in the museum, the scheduler runs ahead: it counts steps that the scaler skips."
            behind = "One step behind: after an update that was made, nobody called `scheduler.step()`."
            if step == 2000:
                behind = "After 2000 clean updates the scale *grows*. That step was made, too."
            return [
                *((0.1 * ramp(warmup_steps, step + calls), ahead) for calls in range(1, skipped + 2)),
                (0.1 * ramp(warmup_steps, step - 1), behind),
            ]

        expected = [0.1 * ramp(warmup_steps, step) for step in range(updates)]
        compare(case, lrs_of(answer, idle(), factors, warmup_steps), expected, likely)
    return "The scheduler waits where the scaler skips."


def judge_too_long(answer: Any) -> str:
    for warmup_steps, steps in ((5, 30), (10, 40), (2, 7)):
        case = f"With W = {warmup_steps} and T = {steps}"
        expected = 0.1 * Schedule(steps, warmup_steps)(torch.arange(steps).numpy())
        slow = [0.1 * (1 / warmup_steps + (1 - 1 / warmup_steps) * step / warmup_steps) for step in range(warmup_steps)]

        def cosine(step: int, length: int, start: int) -> float:
            return float(0.1 * Schedule(length + start, start)(max(step, start)))

        def likely(
            step: int, w: int = warmup_steps, t: int = steps, slow: list[float] = slow
        ) -> list[tuple[float, str]]:
            if step < w:
                return [(slow[step], "The ramp was right in the museum: W steps need `total_iters` of W - 1.")]
            return [
                (
                    cosine(step, t, w),
                    "As in the museum: the cosine lasts for T calls, and only T - W of them are left.",
                ),
                (cosine(step, t - w - 1, w), "Your cosine is one call too short. The floor belongs to step T."),
                (cosine(step, t - w + 1, w), "Your cosine is one call too long."),
                (cosine(step + 1, t - w, w), "The cosine comes one step early: see the milestone."),
                (0.1, "Still at the peak: the cosine comes late, or not at all. See the milestone."),
            ]

        compare(case, lrs_of(answer, idle(), warmup_steps, steps), list(expected), likely)
    return "Up in W steps, down in the T - W that are left."


def judge_fine_tune(answer: Any) -> str:
    for first, lr, warmup_steps, steps in ((0.1, 0.01, 5, 8), (0.1, 0.3, 3, 6), (0.4, 0.02, 1, 3)):
        case = f"With a first peak of {first}, lr = {lr}, W = {warmup_steps} and T = {steps}"
        optimizer = idle(first, groups=2)
        past = LambdaLR(optimizer, lambda step: 0.5**step)
        for _ in range(3):
            optimizer.step()
            past.step()
        left = optimizer.param_groups[0]["lr"]

        def likely(
            step: int, first: float = first, lr: float = lr, w: int = warmup_steps, left: float = left
        ) -> list[tuple[float, str]]:
            return [
                (
                    first * ramp(w, step),
                    f"As in the museum: the ramp climbs to {first}, the LR that the *first* run began with.",
                ),
                (left * ramp(w, step), "It climbs to the LR that the first run had left."),
                (first * lr * ramp(w, step), f"A factor multiplies `initial_lr`, and that is still {first}."),
                (lr / 0.1 * first * ramp(w, step), "Its `initial_lr` was 0.1 the last time. Ask the optimizer."),
                (lr * lr * ramp(w, step), "The new LR is in there twice: as LR and as factor."),
                (0.0, "That is the other convention, `step / W`."),
                (lr * ramp(w, step + 1), "One step ahead: is the scheduler stepped before the optimizer?"),
                (lr / w, "Stuck at the first LR. Does anybody call `scheduler.step()`?"),
                (lr, "That is the new peak. Where is the ramp?"),
            ]

        expected = [lr * ramp(warmup_steps, step) for step in range(steps)]
        compare(case, lrs_of(answer, optimizer, lr, warmup_steps, steps), expected, likely)
    return "The new run forgets the old one's peak."


EXERCISES = (
    Exercise(
        name="11_debugging_lab/accumulate_repaired",
        judge=judge_accumulate,
        hints=("How many updates are made, and how many calls of `scheduler.step()`?", "It is a matter of one indent."),
        answer=accumulate_repaired,
        why="""The scheduler counts calls, so it is called where the update is made. Then W means updates, whatever
`every` is.""",
    ),
    Exercise(
        name="11_debugging_lab/overflow_repaired",
        judge=judge_overflow,
        hints=(
            "`scaler.step` keeps quiet about it. After an overflow, what does `scaler.update()` do to the scale?",
            "Keep `scaler.get_scale()` from before `scaler.update()`, and compare: only smaller means skipped.",
        ),
        answer=overflow_repaired,
        why="""After an overflow the scaler halves its scale, and that is the only time it gets smaller. So a scale that
has not shrunk means that the step was made.""",
    ),
    Exercise(
        name="11_debugging_lab/too_long_repaired",
        judge=judge_too_long,
        hints=("At which step does the cosine begin, and how many are left from there?", "Only one number is wrong."),
        answer=too_long_repaired,
        why="""Each part of a `SequentialLR` counts from its own start. The cosine starts at step W, and has T - W calls
until the end.""",
    ),
    Exercise(
        name="11_debugging_lab/fine_tune_repaired",
        judge=judge_fine_tune,
        hints=(
            "Print `optimizer.param_groups[0]` before and after the loop. Which key still has the old peak?",
            "`LambdaLR` multiplies the `initial_lr` that it finds in a group, and looks no further.",
        ),
        answer=fine_tune_repaired,
        why="""`LambdaLR` multiplies `initial_lr`. The first scheduler ever built on an optimizer puts that key there,
from `lr`; a later one leaves it as it is. So set both, or start with a new optimizer where you can spare its
momentum.""",
    ),
)
