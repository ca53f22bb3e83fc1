"""Lesson 06."""

import math
import re
from collections.abc import Sequence

import numpy as np
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts

from keys import Verdicts, key, verdicts
from warmup_course import used_lrs


def lr(step: int, t_max: int, top: float = 0.1, floor: float = 0.0) -> float:
    return used_lrs(lambda opt: CosineAnnealingLR(opt, t_max, floor), step + 1, top)[step]


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("cosine-at-a-third")
def cosine_at_a_third() -> list[float]:
    right, half_way = lr(10, 30, floor=0.01), lr(15, 30, floor=0.01)
    on_the_floor = 0.01 + lr(10, 30)
    return [right, lr(10, 30), 0.1 - 0.09 * 10 / 30, on_the_floor, half_way, 0.11 - right]


@key("five-steps-before-the-top")
def five_steps_before_the_top() -> list[float]:
    restarted = used_lrs(lambda opt: CosineAnnealingWarmRestarts(opt, 20), 36)[35]
    return [lr(35, 20), lr(20, 20), restarted, 0.1 * 15 / 20, lr(40, 20)]


# ---- choices ---------------------------------------------------------------------------------------------------------


@verdicts("two-groups-one-floor")
def two_groups_one_floor() -> Verdicts:
    first, second = used_lrs(lambda opt: CosineAnnealingLR(opt, 100, 0.01), 101, (0.1, 0.001)).T
    return {
        "first group falls": (np.diff(first) < 0).all(),
        "0.0001": np.isclose(second, 0.0001).any(),
        "second group rises": (np.diff(second) > 0).all(),
        "100 times": np.allclose(first, 100 * second),
        "No weight": not np.isclose([first[:100], second[:100]], 0.01, rtol=1e-6).any(),
    }


@verdicts("t-max-in-epochs")
def t_max_in_epochs() -> Verdicts:
    lrs = used_lrs(lambda opt: CosineAnnealingLR(opt, 20), 20 * 50 + 1)
    turns = int((np.diff(np.sign(np.diff(lrs))) != 0).sum())
    each_epoch = all((np.diff(lrs[start : start + 50]) < 0).all() for start in range(0, 1000, 50))
    return {
        "One slow fall": turns == 0,
        "stays at the floor": (lrs[20:] < 1e-9).all(),
        "Within each epoch": each_epoch,
        "50 times": turns + 1 == 50,
        "error": len(lrs) < 1001,
    }


# ---- order -----------------------------------------------------------------------------------------------------------


@key("lr-of-the-last-step")
def lr_of_the_last_step(texts: Sequence[str]) -> list[float]:
    def last(text: str) -> float:
        found = {name: float(value) for name, value in re.findall(r"(T_max|eta_min)=([\d.]+)", text)}
        return lr(99, int(found["T_max"]), floor=found.get("eta_min", 0.0))

    return [last(text) for text in texts]


# ---- exercises -------------------------------------------------------------------------------------------------------


def wave(step: float, t_max: float, cycles: float = 0.5) -> float:
    return (1 + math.cos(2 * math.pi * cycles * step / t_max)) / 2


def restarts(step: int, t_max: int, top: float, floor: float) -> float:
    return used_lrs(lambda opt: CosineAnnealingWarmRestarts(opt, t_max, eta_min=floor), step + 1, top)[step]


WRONG = {
    "06_cosine_annealing/cosine": [
        (lambda t, n, top, low: top - (top - low) * t / n, "straight line"),
        (lambda t, n, top, low: top * wave(t, n), "Without the floor"),
        (lambda t, n, top, low: low + top * wave(t, n), "span"),
        (lambda t, n, top, low: top * (low + (1 - low) * wave(t, n)), "not a factor"),
        (lambda t, n, top, low: low + (top - low) * (1 - wave(t, n)), "climbs first"),
        (lambda t, n, top, low: low + (top - low) * wave(t, n, cycles=1), "not a whole one"),
        (lambda t, n, top, low: low + (top - low) * (1 + math.cos(t / n)) / 2, "must be pi"),
        (lambda t, n, top, low: low + (top - low) * math.cos(math.pi * t / n / 2), "quarter of a wave"),
        (lambda t, n, top, low: low + (top - low) * math.cos(math.pi * t / n), "leaves the range"),
        (lambda t, n, top, low: low + (top - low) * 2 * wave(t, n), "from 2 to 0"),
        (lambda t, n, top, low: low + (top - low) * wave(t + 1, n), "count from 0"),
        (lambda t, n, top, low: low + (top - low) * wave(min(t, n), n), "does not stay at the floor"),
        (restarts, "climbs back"),
        (lambda t, n, top, low: max(low, lr(t, n, top, low)), "`eta_min` may lie above `eta_max`: no `max`."),
        (lambda t, n: wave(t, n), "TypeError"),
        (0.1, "should be a function"),
    ],
}
# Right answers that are not the solution's words.
RIGHT = {
    "06_cosine_annealing/cosine": [
        lambda t, n, top, low: lr(t, n, top, low),
        lambda t, n, top, low: low + (top - low) * np.cos(np.pi * t / n / 2) ** 2,
    ],
}
