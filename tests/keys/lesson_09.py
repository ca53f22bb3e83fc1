"""Lesson 09."""

import math
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch.optim.lr_scheduler import LinearLR

from keys import Verdicts, key, verdicts
from warmup_course import MLP, data, used_lrs
from warmup_course.probes import update_size
from warmup_course.training import squared_error

# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("norm-of-a-batch-gradient")
def norm_of_a_batch_gradient() -> list[float]:
    """Rows whose gradients are g plus or minus d, in another direction: every batch of 16 has a known probability."""
    g, noise_scale, batch = 20.0, 48, 16
    d = g * math.sqrt(noise_scale)
    ups = np.arange(batch + 1)
    probability = np.array([math.comb(batch, k) for k in ups]) / 2**batch
    noise = d * (2 * ups - batch) / batch
    mean_square = float(probability @ (g**2 + noise**2))
    right = math.sqrt(mean_square)
    return [right, mean_square / g, g, g**2 / right, math.sqrt(mean_square - g**2)]


@key("resumed-in-mid-warmup")
def resumed_in_mid_warmup() -> list[float]:
    lrs = used_lrs(lambda opt: LinearLR(opt, start_factor=1 / 20, total_iters=19), 30, 0.001)
    return [lrs[12], lrs[11], lrs[0], lrs[-1], lrs[13]]


# ---- choices and orders ----------------------------------------------------------------------------------------------


@verdicts("what-goyal-found")
def what_goyal_found() -> Verdicts:
    """Goyal et al. 2017, table 1 and section 5.1."""
    small_batch, none, constant, ramp, start = 23.60, 24.84, 25.88, 23.74, 0.1
    return {
        "diverged": not math.isfinite(none),
        "constant warmup": constant > none,
        "above zero": start > 0,
        "half a point": abs(ramp - small_batch) < 0.5,
        "gradients": False,
    }


@key("longest-first-step")
def longest_first_step(texts: Sequence[str]) -> list[float]:
    """The mean length of the change that torch's SGD makes, over 12 batches."""
    digits = data.digits()

    def length(batch: int, lr: float) -> float:
        generator, moved = torch.Generator().manual_seed(0), []
        for _ in range(12):
            torch.manual_seed(0)
            model = MLP()
            rows = torch.randint(len(digits.x_train), (batch,), generator=generator)
            squared_error(model(digits.x_train[rows]), digits.y_train[rows]).backward()
            weights = list(model.parameters())
            before = [p.detach().clone() for p in weights]
            torch.optim.SGD(model.parameters(), lr=lr).step()
            moved.append(update_size(before, weights).norm)
        return float(np.mean(moved))

    numbers = [re.findall(r"[\d.]+", text) for text in texts]
    return [length(int(batch), float(lr)) for batch, lr in numbers]


# ---- exercises -------------------------------------------------------------------------------------------------------


def by_counting(batch_size):
    """Rows are taken away until none is left."""
    steps = 0
    for _ in range(15):
        left = 1437
        while left > 0:
            left -= batch_size
            steps += 1
    return 0.03125 * (batch_size / 16), steps, math.ceil(0.15 * steps)


def by_torch(gradient, threshold):
    weight = torch.zeros(len(gradient), dtype=torch.float64, requires_grad=True)
    weight.grad = torch.tensor(gradient, dtype=torch.float64)
    norm = torch.nn.utils.get_total_norm([weight.grad])
    if norm > threshold:
        weight.grad *= threshold / norm
    return weight.grad.tolist()


def stretched(gradient, threshold):
    return [g * threshold / (math.hypot(*gradient) or 1) for g in gradient]


WRONG = {
    "09_scale/recipe": [
        (lambda batch: (0.03125, 15 * math.ceil(1437 / batch), 50), "batch 16"),
        (lambda batch: (0.03125 * 16 / batch, 345, 52), "other way round"),
        (lambda batch: (0.03125 * math.sqrt(batch / 16), 345, 52), "square-root"),
        (lambda batch: (0.03125 * batch, 345, 52), "ratio"),
        (lambda batch: (0.03125 * batch / 16, 1350, 202), "epochs stay"),
        (lambda batch: (0.03125 * batch / 16, 15 * (1437 // batch), 50), "smaller batch of each epoch"),
        (lambda batch: (0.03125 * batch / 16, 15 * 1437 / batch, 50), "parts of a step"),
        (lambda batch: (0.03125 * batch / 16, math.ceil(15 * 1437 / batch), 50), "in each epoch"),
        (lambda batch: (0.03125 * batch / 16, 15 * 1437 // batch, 50), "in each epoch"),
        (lambda batch: (0.03125 * batch / 16, 1350 * 16 / batch, 50), "do not divide evenly"),
        (lambda batch: (0.03125 * batch / 16, math.ceil(1437 / batch), 3), "one epoch"),
        (lambda batch: (0.03125 * batch / 16, 15 * 1437, 3), "counts rows"),
        (lambda batch: (by_counting(batch)[0], by_counting(batch)[1], 0.15 * by_counting(batch)[1]), "Round it"),
        (lambda batch: (*by_counting(batch)[:2], 202), "*these* steps"),
        (lambda batch: (*by_counting(batch)[:2], 3), "share of one epoch"),
        (lambda batch: (*by_counting(batch)[:2], 15), "not 15 steps"),
        (lambda batch: 0.125, "three numbers"),
        (lambda batch: [*map(str, by_counting(batch))], "is text, not a number"),
        (lambda batch: (None, 1, 1), "not a number"),
        (0.125, "should be a function"),
    ],
    "09_scale/clip": [
        (lambda g, t: [max(-t, min(t, x)) for x in g], "another direction"),
        (lambda g, t: [min(t, x) for x in g], "only the positive"),
        (stretched, "short enough"),
        (lambda g, t: [x * min(1, t / sum(y * y for y in g)) for x in g], "Take the root"),
        (lambda g, t: [x * min(1, t / sum(map(abs, g))) for x in g], "sum of squares"),
        (lambda g, t: [x * min(1, t / max(map(abs, g))) for x in g], "not the largest"),
        (lambda g, t: [x / math.hypot(*g) for x in g], "length 1"),
        (lambda g, t: g, "longer than the threshold"),
        (lambda g, t: [x * min(1, t / math.hypot(*g)) for x in g], "ZeroDivisionError"),
        (lambda g, t: math.hypot(*g), "not a list"),
        (lambda g, t: [*map(str, by_torch(g, t))], "is text, not a number"),
        (lambda g, t: [by_torch(g, t)], "not a number"),
        ([1.0], "should be a function"),
    ],
}
RIGHT = {
    "09_scale/recipe": [by_counting, lambda batch: [*by_counting(batch)[:2], math.floor(0.15 * by_counting(batch)[1])]],
    "09_scale/clip": [by_torch, lambda g, t: np.array(by_torch(g, t))],
}
