"""Lesson 10."""

import math

import numpy as np
import torch
from torch.optim import Adam

from keys import key
from warmup_course import Schedule


def adams_first_step(gradient: float, lr: float, beta1: float, beta2: float, eps: float) -> float:
    """By torch itself."""
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.tensor([gradient], dtype=torch.float64)
    Adam([weight], lr=lr, betas=(beta1, beta2), eps=eps).step()
    return weight.item()


def by_averages(gradient, lr, beta1, beta2, eps, correct):
    """As it is told in the papers: average, correct, divide."""
    if correct:
        return adams_first_step(gradient, lr, beta1, beta2, eps)
    m = beta1 * 0 + (1 - beta1) * gradient
    v = beta2 * 0 + (1 - beta2) * gradient * gradient
    return -lr * m / (math.sqrt(v) + eps)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("step-where-the-bowl-warns")
def step_where_the_bowl_warns() -> list[float]:
    def first(lrs: np.ndarray, limit: float) -> float:
        return float(np.flatnonzero(lrs * 25 > limit)[0])

    ramp, late = (0.5 * Schedule(40, 20, decay="constant", count_from=by)(np.arange(40)) for by in (1, 0))
    right = first(ramp, 2)
    return [right, first(late, 2), right - 1, first(np.full(40, 0.5), 2), first(ramp, 1), float(np.argmax(ramp))]


@key("adam-without-correction")
def adam_without_correction() -> list[float]:
    g, lr = 0.3, 0.01
    bare = [abs(by_averages(g, lr, 0.9, beta2, 0, correct=False)) for beta2 in (0.99, 0.999)]
    return [*bare, lr * g, 0.1 * abs(adams_first_step(g, lr, 0.9, 0.99, 0)), lr / math.sqrt(1 - 0.99)]


@key("adams-own-limit")
def adams_own_limit() -> list[float]:
    def limit(beta: float, share: float) -> float:
        """Of LR x curvature, found by trying; m is ``beta`` of the last m and ``share`` of the new gradient."""
        low, high = 0.0, 1000.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            step = np.array([[1 - share * middle, -beta], [share * middle, beta]])  # of (x, LR x m)
            low, high = (middle, high) if abs(np.linalg.eigvals(step)).max() < 1 else (low, middle)
        return low

    averaged = limit(0.8, 0.2)
    return [averaged / 0.1, limit(0.9, 0.1) / 0.1, limit(0, 1) / 0.1, averaged, limit(0.8, 1) / 0.1]


# ---- exercises -------------------------------------------------------------------------------------------------------


def by_loop(steps, lrs, sharpnesses):
    found = []
    for i, step in enumerate(steps):
        if math.isnan(sharpnesses[i]) or sharpnesses[i] > 2 / lrs[i]:
            found.append(step)
    return found


def by_numpy(steps, lrs, sharpnesses):
    products = np.multiply(lrs, sharpnesses)
    return np.array(steps)[(products > 2) | np.isnan(products)]


def above(limit: float, steps: list, values: list) -> list:
    return [step for step, value in zip(steps, values, strict=True) if value > limit]


def altered(each):
    """The right steps, each made into something else."""
    return lambda t, lr, s: [each(step) for step in by_loop(t, lr, s)]


WRONG = {
    "10_why_it_works/trouble": [
        (lambda t, lr, s: [a for a, b, c in zip(t, lr, s, strict=True) if b * c >= 2], "must be above"),
        (lambda t, lr, s: [i for i in range(len(t)) if not lr[i] * s[i] <= 2], "places in the list"),
        (lambda t, lr, s: [a for a, b, c in zip(t, lr, s, strict=True) if b * c > 1], "comes nearer"),
        (lambda t, lr, s: [a for a, b, c in zip(t, lr, s, strict=True) if b * c <= 2], "safe ones"),
        (lambda t, lr, s: above(2, t, s), "Multiply it by the LR"),
        (lambda t, lr, s: above(2 / max(lr), t, s), "its own limit"),
        (lambda t, lr, s: [b * c > 2 for b, c in zip(lr, s, strict=True)], "yes or no"),
        (lambda t, lr, s: [a for a, b, c in zip(t, lr, s, strict=True) if b * c > 2], "nan > 2"),
        *((altered(one), "Return the steps alone.") for one in (lambda t: (t, 2.0), lambda t: [t], lambda t: {t: 2.0})),
        (altered(lambda t: None), "you have `[None, None]`, expected `[5, 40]`. Return the steps alone."),
        (altered(str), "you have `['5', '40']`, expected `[5, 40]`. Return the steps alone."),
        (lambda t, lr, s: 30, "not a list of steps"),
        (lambda t: t, "TypeError"),
        ([30, 40], "should be a function"),
    ],
}

RIGHT = {
    "10_why_it_works/trouble": [by_loop, by_numpy],
}
