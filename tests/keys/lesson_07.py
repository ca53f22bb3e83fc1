"""Lesson 07."""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch.optim import SGD
from torch.optim.lr_scheduler import ChainedScheduler, CosineAnnealingLR, LambdaLR, LinearLR, MultiStepLR, SequentialLR

from keys import Verdicts, key, verdicts
from warmup_course import Schedule, used_lrs


def ramp_then_cosine(ramp: int, calls: int, milestone: int, t_max: int, floor: float = 0.0) -> Callable[[SGD], Any]:
    def make(optimizer: SGD) -> SequentialLR:
        warmup = LinearLR(optimizer, 1 / ramp, total_iters=calls)
        return SequentialLR(optimizer, [warmup, CosineAnnealingLR(optimizer, t_max, floor)], [milestone])

    return make


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("t-max-is-the-whole-run")
def t_max_is_the_whole_run() -> list[float]:
    last = used_lrs(ramp_then_cosine(20, 19, 20, 100), 100)[99]
    right_length = used_lrs(ramp_then_cosine(20, 19, 20, 80), 100)[99]
    cosine = used_lrs(lambda opt: CosineAnnealingLR(opt, 100), 51)
    return [last, right_length, 0.1 * (1 - 79 / 100), cosine[20], cosine[50]]


@key("stairs-of-ten-thousand")
def stairs_of_ten_thousand() -> list[float]:
    def factor(step: int) -> float:
        return (step + 1) / 1000 if step < 1000 else 0.1 ** ((step - 1000) // 10000)

    times = -math.log10(factor(9999))
    return [times, -math.log10(factor(11_000)), (9999 - 1000) // 1000 + 1, 10_000 // 1000]


# ---- choices ---------------------------------------------------------------------------------------------------------


@verdicts("one-milestone-off")
def one_milestone_off() -> Verdicts:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        one, eight, twelve = (used_lrs(ramp_then_cosine(10, 10, m, 90), 100) for m in (1, 8, 12))
    climbs = np.diff(eight)
    return {
        "three steps": int(np.isclose(twelve, 0.1, rtol=1e-9).sum()) == 3,
        "steeply": climbs.argmax() == 7 and climbs[7] > 1.5 * climbs[:7].max(),
        "never used": eight.max() < 0.0999,
        "warns": caught,
        "hardly a warmup": np.isclose(one[1], 0.1),
    }


@verdicts("pasted-code-two-groups")
def pasted_code_two_groups() -> Verdicts:
    lrs = used_lrs(ramp_then_cosine(5, 4, 5, 25, 0.01), 30, (0.1, 0.01))
    second = lrs[:, 1]
    return {
        "throughout": np.allclose(lrs[:, 0], 10 * second),
        "leaves it at 0.01": second[0] < 0.005 and np.allclose(second[5:], 0.01),
        "leaves it alone": np.allclose(second, 0.01),
        "error": False,  # it ran
    }


# ---- order -----------------------------------------------------------------------------------------------------------


@key("highest-lr-of-four")
def highest_lr_of_four(texts: Sequence[str]) -> list[float]:
    def highest(text: str) -> float:
        length = int(re.search(r"W = (\d+)", text)[1])

        def make(optimizer: SGD) -> Any:
            if "SequentialLR" in text:
                return ramp_then_cosine(length, length, 5, 25)(optimizer)
            if "fall" in text:
                fall = LambdaLR(optimizer, lambda step: 0.9**step)
                return ChainedScheduler([fall, LinearLR(optimizer, 1 / length, total_iters=length)])
            return ChainedScheduler(
                [LinearLR(optimizer, 1 / length, total_iters=length), CosineAnnealingLR(optimizer, 30)]
            )

        return used_lrs(make, 30).max()

    return [highest(text) for text in texts]


# ---- exercises -------------------------------------------------------------------------------------------------------


def of_schedule(step: int, n: int, w: int, d: int) -> float:
    schedule = Schedule(n, w, stable_steps=n - w - d, decay="linear" if d else "constant")
    return schedule(step)


def ramp(step: int, w: int) -> float:
    return min(1, (step + 1) / w) if w else 1


def lowest(fall: Callable[[int, int, int, int], float]) -> Callable[[int, int, int, int], float]:
    """The course's ramp, then whatever fall(step, n, w, d) gives."""
    return lambda t, n, w, d: (t + 1) / w if t < w else max(0, min(1, fall(t, n, w, d)))


def scheduler_of(factor: Callable[[int, int, int], float]) -> Callable[[SGD, int, int], LambdaLR]:
    return lambda opt, n, w: LambdaLR(opt, lambda t: factor(t, n, w))


def stairs(v: float) -> float:
    return 1 if v < 0.5 else 0.1 if v < 0.75 else 0.01


def with_stairs(at: Callable[[int], tuple[int, int]]) -> Callable[[SGD, int, int], LambdaLR]:
    """The course's ramp, then a stair at each step of at(n)."""
    return scheduler_of(lambda t, n, w: ramp(t, w) * 0.1 ** sum(t >= step for step in at(n)))


def in_sequence(optimizer: SGD, n: int, w: int) -> Any:
    """By torch's own schedulers."""
    decay = MultiStepLR(optimizer, [n // 2, 3 * n // 4])
    if w < 2:
        return decay
    return ChainedScheduler([LinearLR(optimizer, 1 / w, total_iters=w - 1), decay])


WRONG = {
    "07_warmup_then_decay/wsd": [
        (lambda t, n, w, d: t / w if t < w else of_schedule(t, n, w, d), "factor 0"),
        (lambda t, n, w, d: of_schedule(t, n, w, d) if t < n else 1.0, "It stays at 0 past T."),
        (lambda t, n, w, d: ramp(t, w) * (n - t) / n, "A product"),
        (lowest(lambda t, n, w, d: (n - t - 1) / d), "One step too early"),
        (lowest(lambda t, n, w, d: (n - t - 1) / (d - 1)), "reached at T"),
        (lowest(lambda t, n, w, d: (n - t) / (n - w)), "end of the ramp"),
        (lowest(lambda t, n, w, d: (n - t) / n), "whole run"),
        (lowest(lambda t, n, w, d: (t - n + d) / d if t > n - d else 1), "rises from 0 to 1"),
        (lowest(lambda t, n, w, d: 1 - (t - d) / (n - d)), "*last* D steps"),
        (lambda t, n, w, d: min(ramp(t, w), (n - t) / d if d else 1), "leaves the range"),
        (lambda t, n, w, d: ramp(t, w), "when does the fall begin"),
        (lambda t, n, w, d: min(ramp(t, w), max(0, (n - t) / d)), "ZeroDivisionError"),
        (lambda t, n, w: 1, "TypeError"),
        (0.5, "should be a function"),
    ],
    "07_warmup_then_decay/make_scheduler": [
        (scheduler_of(lambda t, n, w: t / w if t < w else stairs(t / n)), "would run at 0"),
        (scheduler_of(lambda t, n, w: (t + 1) / w if t < w else stairs((t - w) / (n - w))), "*whole* run"),
        (scheduler_of(lambda t, n, w: (t + 1) / w if t < w else 0.1 ** ((t - w) // 10000)), "Still at the peak"),
        (scheduler_of(lambda t, n, w: ramp(t, w) if t < n / 2 else 0.1 if t < 3 * n // 4 else 0.01), "T // 2"),
        (with_stairs(lambda n: (n // 2 + 1, 3 * n // 4)), "One step late: step `T // 2`"),
        (with_stairs(lambda n: (n // 2, 3 * n // 4 + 1)), "A stair is missing, or late"),
        (with_stairs(lambda n: (n // 2, round(3 * n / 4))), "A stair is missing, or late"),
        (lambda opt, n, w: in_sequence(SGD(opt.param_groups[0]["params"], lr=0.2), n, w), "do not move"),
        (scheduler_of(lambda t, n, w: ramp(t, w)), "Still at the peak"),
        (scheduler_of(lambda t, n, w: stairs(t / n)), "Where is the ramp"),
        (lambda opt, n, w: LambdaLR(opt, lambda t: 0.2 * (ramp(t, w) if t < n // 2 else stairs(t / n))), "again"),
        (scheduler_of(lambda t, n, w: ramp(t, w) if t < n // 2 else stairs(t / n) / 10), "How often"),
        (scheduler_of(lambda t, n, w: ramp(t, w) if t < n // 2 else 0.1), "A stair is missing"),
        (lambda opt, n, w: 0.1, "no `step()`"),
        (lambda opt, n, w: LambdaLR(opt, {0: 1.0, 1: 0.5}.__getitem__), "call 2 of `scheduler.step()` stops with"),
        (lambda opt: None, "TypeError"),
    ],
}
# Right answers that are not the solution's words.
RIGHT = {
    "07_warmup_then_decay/wsd": [
        of_schedule,
        lambda t, n, w, d: max(0, min(1, (t + 1) / max(w, 1), (n - t) / max(d, 1))),  # 0 after the end, whatever D
    ],
    "07_warmup_then_decay/make_scheduler": [in_sequence],
}
