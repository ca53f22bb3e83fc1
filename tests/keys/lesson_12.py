"""Lesson 12."""

import math

import numpy as np
import torch
from torch.optim import AdamW

from keys import key
from warmup_course import Schedule


def left_by_torch(lrs, weight_decay, independent):
    """By torch's AdamW itself, on a weight of 1 without any gradient."""
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.zeros_like(weight)
    optimizer = AdamW([weight], weight_decay=weight_decay / max(lrs) if independent else weight_decay)
    for lr in lrs:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return weight.item()


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("what-a-schedule-leaves")
def what_a_schedule_leaves() -> list[float]:
    def left(schedule: Schedule) -> float:
        return left_by_torch(0.001 * schedule(np.arange(2000)), 0.5, independent=False)

    right = left(Schedule(2000, 200, decay="linear"))
    constant, ramp_alone = left(Schedule(2000, decay="constant")), left(Schedule(2000, 200, decay="constant"))
    return [right, constant, ramp_alone, 1 - right, 0.5 * 0.001 * 2000 / 2, 1 - 0.5 * 0.001]


# ---- exercises -------------------------------------------------------------------------------------------------------


def left_by_numpy(lrs, weight_decay, independent):
    shares = np.array(lrs) / np.max(lrs) if independent else np.array(lrs)
    return np.exp(np.log1p(-weight_decay * shares).sum())


def taken(lrs, weight_decay, independent):
    return [weight_decay * (lr / max(lrs) if independent else lr) for lr in lrs]


WRONG = {
    "12_adamw/what_is_left": [
        (lambda *a: 1 - left_by_torch(*a), "is gone"),
        (lambda lrs, wd, independent: left_by_torch(lrs, wd, not independent), "wrong way round"),
        (lambda lrs, wd, independent: left_by_torch(lrs, wd, False), "look at neither"),
        (lambda lrs, wd, independent: left_by_torch(lrs, wd, True), "look at neither"),
        (lambda *a: 1 - sum(taken(*a)), "added the shares up"),
        (lambda *a: math.prod(taken(*a)), "Multiply what they leave"),
        (lambda *a: math.exp(-sum(taken(*a))), "few"),
        (lambda *a: 1 - taken(*a)[-1], "last step alone"),
        (lambda lrs, wd, independent: (1 - wd) ** len(lrs), "would not touch"),
        (lambda lrs, wd, independent: (1 - wd * max(lrs)) ** len(lrs), "its own"),
        (
            lambda lrs, wd, independent: (
                math.prod(1 - wd * lr / lrs[0] for lr in lrs) if independent else left_by_torch(lrs, wd, False)
            ),
            "not the first",
        ),
        (
            lambda lrs, wd, independent: (
                math.prod(1 - wd * lr * max(lrs) for lr in lrs) if independent else left_by_torch(lrs, wd, False)
            ),
            "you multiplied by it",
        ),
        (lambda *a: "half", "not a number"),
        (lambda lrs: 1.0, "TypeError"),
        (0.37, "should be a function"),
    ],
}

RIGHT = {
    "12_adamw/what_is_left": [left_by_torch, left_by_numpy],
}
