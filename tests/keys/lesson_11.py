"""Lesson 11."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from keys import Choices, Verdicts, idle, key, verdicts
from warmup_course import Schedule, lambda_lr


def ramp(w: int, ahead: int = 1) -> Callable[[int], float]:
    return lambda step: min((step + ahead) / w, 1)


def trace(make: Callable[[SGD], Any], steps: int, *, lr: float = 0.1, calls: int = 1, before: int = 0) -> list[float]:
    """The LRs used, where the scheduler is stepped ``calls`` times an update, ``before`` of them ahead of it."""
    optimizer = idle(lr)
    scheduler, used = make(optimizer), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(steps):
            for _ in range(before):
                scheduler.step()
            used.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for _ in range(calls - before):
                scheduler.step()
    return used


def reused(lr: float, new_lr: float, w: int, steps: int) -> list[float]:
    """An optimizer that had a schedule gets another LR and a new ramp."""

    def make(optimizer: SGD) -> LambdaLR:
        ExponentialLR(optimizer, 0.9)
        optimizer.param_groups[0]["lr"] = new_lr
        return LambdaLR(optimizer, ramp(w))

    return trace(make, steps, lr=lr)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("skipped-by-the-scaler")
def skipped_by_the_scaler() -> list[float]:
    lrs = trace(lambda opt: LambdaLR(opt, ramp(10)), 6, lr=0.2)
    return [lrs[4], lrs[0], lrs[3], lrs[5], lrs[4] / 0.2]


@key("summit-of-a-product")
def summit_of_a_product() -> list[float]:
    def at(step: int, ahead: int = 1) -> float:
        return 0.1 * ramp(10, ahead)(step) * (1 + math.cos(math.pi * step / 18)) / 2

    return [at(9), 0.1 * ramp(10)(9), at(10), at(9, ahead=0)]


# ---- choices ---------------------------------------------------------------------------------------------------------


@verdicts("whose-trace-is-this")
def whose_trace() -> Verdicts:
    traces = {
        "`step / W`": trace(lambda opt: LambdaLR(opt, ramp(4, ahead=0)), 5),
        "one call an update": trace(lambda opt: LambdaLR(opt, ramp(4)), 5, before=1),
        "twice an update": trace(lambda opt: LambdaLR(opt, ramp(4)), 5, calls=2, before=1),
        "reused": reused(0.2, 0.1, 4, 5),
    }
    return {words: np.allclose(lrs, [0.05, 0.1, 0.1, 0.1, 0.1]) for words, lrs in traces.items()}


@verdicts("trace-to-bug")
def trace_to_bug() -> Verdicts:
    def last(t_max: int = 30, milestone: int = 10, start: float = 0.1) -> float:
        def make(opt: SGD) -> SequentialLR:
            parts = [LinearLR(opt, start, total_iters=9), CosineAnnealingLR(opt, t_max)]
            return SequentialLR(opt, parts, milestones=[milestone])

        return trace(make, 40)[-1]

    assert last() < 0.001
    bugs = {
        "`T_max=40`": last(t_max=40),
        "`T_max=15`": last(t_max=15),
        "`milestones=[9]`": last(milestone=9),
        "a third": last(start=1 / 3),
    }
    return {words: lr > 0.005 for words, lr in bugs.items()}


@key("fine-tuning-too-hot")
def fine_tuning_too_hot(choices: Choices) -> list[bool]:
    first = reused(0.3, 0.03, 10, 1)[0]
    stated = [float(choice["text"].partition(",")[0].partition(":")[0]) for choice in choices]
    return [math.isclose(lr, first) for lr in stated]


class Ramp:
    def __init__(self, w: int) -> None:
        self.w = w

    def __call__(self, step: int) -> float:
        return min((step + 1) / self.w, 1)


@verdicts("which-traces-give-a-sign")
def gives_a_sign() -> Verdicts:
    def nested(opt: SGD) -> SequentialLR:
        rest = SequentialLR(opt, [ConstantLR(opt, 1), CosineAnnealingLR(opt, 9)], milestones=[3])
        return SequentialLR(opt, [LinearLR(opt, 0.2), rest], milestones=[5])

    def plateau(opt: SGD) -> LinearLR:
        both = LinearLR(opt, 0.2, total_iters=9)
        brake, step = ReduceLROnPlateau(opt, patience=1), both.step

        def step_both() -> None:
            step()
            brake.step(1.0)

        both.step = step_both  # type: ignore[method-assign]
        return both

    def loaded(opt: SGD) -> LambdaLR:
        scheduler = LambdaLR(opt, Ramp(10))
        scheduler.load_state_dict(LambdaLR(idle(), Ramp(4)).state_dict())
        return scheduler

    def speaks(make: Callable[[SGD], Any]) -> bool:
        optimizer = idle()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                scheduler = make(optimizer)
                for _ in range(8):
                    optimizer.step()
                    scheduler.step()
            except (UserWarning, NotImplementedError, IndexError):
                return True
        return False

    factors = [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]
    bugs = {
        "`T_max` in epochs": lambda opt: CosineAnnealingLR(opt, 3),
        "nested": nested,
        "list of T factors": lambda opt: LambdaLR(opt, factors.__getitem__),
        "`ReduceLROnPlateau`": plateau,
        "checkpoint": loaded,
    }
    return {words: speaks(bug) for words, bug in bugs.items()}


# ---- exercises: answers of learners ----------------------------------------------------------------------------------


def accumulate(*, first=False, factor=None, stretch=None, stepped=True, per_batch=False, steps_off=0):
    """The loop of exhibit 2 with one thing changed; as it stands in the museum with ``per_batch``."""

    def answer(optimizer, w, batches, every):
        scheduler = LambdaLR(
            optimizer,
            lambda step: (factor or (lambda s, w: min((s + 1) / w, 1)))(step, w * (stretch(every) if stretch else 1)),
        )
        for batch in range(batches - steps_off * every):
            if (batch + 1) % every == 0:
                if first:
                    scheduler.step()
                optimizer.step()
                if stepped and not first and not per_batch:
                    scheduler.step()
            if per_batch:
                scheduler.step()

    return answer


def updates_at_once(optimizer, w, batches, every):
    """After batch 0, and not after the last ones."""
    scheduler = LambdaLR(optimizer, ramp(w))
    for batch in range(batches):
        if batch % every == 0:
            optimizer.step()
            scheduler.step()


def overflow(when="shrunk", *, scale=2.0**16, first=False):
    """The loop of exhibit 3 with one thing changed; as it stands in the museum with ``when="always"``."""

    def answer(optimizer, factors, w):
        [weight] = optimizer.param_groups[0]["params"]
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        scheduler = LambdaLR(optimizer, lambda step: min((step + 1) / w, 1))
        made = []
        optimizer.register_step_post_hook(lambda *_: made.append(1))
        for factor in factors:
            made.clear()
            optimizer.zero_grad()
            scaler.scale((factor * weight.half()).float().sum()).backward()
            if first:
                scheduler.step()
            scaler.step(optimizer)
            before = scaler.get_scale()
            scaler.update()
            shrunk = scaler.get_scale() < before
            grown = scaler.get_scale() > before
            calls = {"always": True, "shrunk": not shrunk, "hook": made, "grown": grown, "late": shrunk}
            calls["equal"] = not (shrunk or grown)
            if not first and calls[when]:
                scheduler.step()

    return answer


def too_long(t_max=lambda w, t: t - w, milestone=0, iters=-1, *, decay=True, steps=0, chained=False):
    """The loop of exhibit 4 with one thing changed."""

    def answer(optimizer, w, t):
        warmup = LinearLR(optimizer, start_factor=1 / w, total_iters=w + iters)
        cosine = CosineAnnealingLR(optimizer, T_max=t_max(w, t)) if decay else ConstantLR(optimizer, 1)
        if chained:
            scheduler = ChainedScheduler([warmup, cosine])
        else:
            scheduler = SequentialLR(optimizer, [warmup, cosine], milestones=[w + milestone])
        for _ in range(t + steps):
            optimizer.step()
            scheduler.step()

    return answer


def fine_tune(*, lr=True, initial=True, factor=lambda step, w, lr: min((step + 1) / w, 1), first=False, stepped=True):
    """The loop of exhibit 7 with one thing changed; as it stands in the museum with ``initial=False``."""

    def answer(optimizer, new_lr, w, t):
        for group in optimizer.param_groups:
            if lr:
                group["lr"] = new_lr
            if initial == "left":
                group["initial_lr"] = 0.0125
            elif initial:
                group["initial_lr"] = new_lr
        scheduler = LambdaLR(optimizer, lambda step: factor(step, w, new_lr))
        for _ in range(t):
            if first:
                scheduler.step()
            optimizer.step()
            if stepped and not first:
                scheduler.step()

    return answer


def first_group_alone(optimizer, lr, w, t):
    optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["initial_lr"] = lr
    fine_tune(lr=False, initial=False)(optimizer, lr, w, t)


def new_optimizer(optimizer, lr, w, t):
    fresh = SGD([weight for group in optimizer.param_groups for weight in group["params"]], lr=lr)
    scheduler = LinearLR(fresh, 1 / w, total_iters=w - 1) if w > 1 else ConstantLR(fresh, 1)
    for _ in range(t):
        fresh.step()
        scheduler.step()


def in_one_function(optimizer, w, t):
    scheduler = lambda_lr(optimizer, Schedule(t, w))
    for _ in range(t):
        optimizer.step()
        scheduler.step()
    return scheduler


WRONG = {
    "11_debugging_lab/accumulate_repaired": [
        (accumulate(per_batch=True), "As in the museum"),
        (accumulate(first=True), "One step ahead"),
        (accumulate(stretch=lambda every: every), "W counts updates"),
        (accumulate(factor=lambda step, w: min(step / w, 1)), "the other convention"),
        (accumulate(stepped=False), "Stuck at the first LR"),
        (accumulate(factor=lambda step, w: 1), "Where is the ramp"),
        (accumulate(factor=lambda step, w: 0.7), "expected 0.00833333"),
        (lambda optimizer, w, batches, every: None, "makes 0 optimizer steps, expected 15"),
        (accumulate(steps_off=1), "makes 14 optimizer steps, expected 15"),
        (updates_at_once, "(the last 2 make no update), your loop makes 3 optimizer steps, expected 2"),
        (lambda optimizer, w, batches, every: 1 / 0, "For (w = `12`, batches = `60`, every = `4`) your function stops"),
        (lambda optimizer: optimizer.step(), "TypeError"),
        (3, "should be a function"),
    ],
    "11_debugging_lab/overflow_repaired": [
        (overflow("always"), "As in the museum"),
        (overflow(first=True), "As in the museum"),
        (overflow("grown"), "One step behind"),
        (overflow("late"), "As in the museum"),
        (overflow("equal"), "After 2000 clean updates"),
        (overflow(scale=1024.0), "makes 10 optimizer steps, expected 7"),
        (lambda optimizer, factors, w: optimizer.nothing(), "AttributeError"),
        ("scaler", "should be a function"),
    ],
    "11_debugging_lab/too_long_repaired": [
        (too_long(lambda w, t: t), "As in the museum"),
        (too_long(lambda w, t: t - w - 1), "one call too short"),
        (too_long(lambda w, t: t - w + 1), "one call too long"),
        (too_long(milestone=-1), "one step early"),
        (too_long(milestone=1), "late, or not at all"),
        (too_long(iters=0), "W steps need `total_iters`"),
        (too_long(decay=False), "late, or not at all"),
        (too_long(chained=True), "expected 0.04"),
        (too_long(steps=-1), "makes 29 optimizer steps, expected 30"),
        (lambda optimizer, w, t: 1 / 0, "ZeroDivisionError"),
        (25, "should be a function"),
    ],
    "11_debugging_lab/fine_tune_repaired": [
        (fine_tune(initial=False), "As in the museum"),
        (fine_tune(lr=False, initial=False), "As in the museum"),
        (fine_tune(initial="left"), "the first run had left"),
        (fine_tune(initial=False, factor=lambda s, w, lr: lr * min((s + 1) / w, 1)), "that is still 0.1"),
        (fine_tune(factor=lambda s, w, lr: lr * min((s + 1) / w, 1)), "in there twice"),
        (fine_tune(factor=lambda s, w, lr: min(s / w, 1)), "the other convention"),
        (fine_tune(initial=False, factor=lambda s, w, lr: lr / 0.1 * min((s + 1) / w, 1)), "Ask the optimizer"),
        (fine_tune(first=True), "One step ahead"),
        (first_group_alone, "as LR of group 1 you have 0.02, expected 0.002. As in the museum"),
        (fine_tune(stepped=False), "Stuck at the first LR"),
        (fine_tune(factor=lambda s, w, lr: 1), "Where is the ramp"),
        (0.01, "should be a function"),
    ],
}
RIGHT = {
    "11_debugging_lab/accumulate_repaired": [
        accumulate(),
        accumulate(per_batch=True, stretch=lambda every: every),  # W in batches, stepped per batch
    ],
    "11_debugging_lab/overflow_repaired": [overflow("hook")],  # overflow() is the solution
    "11_debugging_lab/too_long_repaired": [too_long(), in_one_function],
    "11_debugging_lab/fine_tune_repaired": [fine_tune(), fine_tune(lr=False), new_optimizer],
}
