"""Lessons 00 to 03."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F

from keys import Choices, Verdicts, key, verdicts
from warmup_course import MLP, Schedule, TrainConfig, data, sweep, train, used_lrs
from warmup_course.classroom.lesson import Lesson
from warmup_course.classroom.quiz import load

# ---- what the keys are computed from ---------------------------------------------------------------------------------

DEEP = TrainConfig(model=lambda: MLP(hidden=[64] * 4), loss="squared_error", device="cpu")  # the demo's network
TABLE = TrainConfig(
    data="tabular", model=lambda: MLP(10, 2, hidden=[50], init="torch"), batch_size=32, total_steps=125, device="cpu"
)  # the network of lesson 01, five epochs


def steps_to_arrive(factor: float) -> float:
    """How many steps bring a weight from 1 to within 0.01 of 0, if each multiplies it by ``factor``."""
    size = abs(factor)
    if size >= 1:
        return math.inf
    return 1 if size < 0.01 else math.ceil(math.log(0.01) / math.log(size))


def steps_to_explode(lr: float, ramp: int) -> float:
    """When full-batch descent of a linear model on the digits is a thousand times further out than at its start.

    The loss is the squared error. The LR climbs over the first ``ramp`` steps.
    """
    digits = data.digits()
    x = np.c_[digits.x_train.double(), np.ones(len(digits.x_train))]
    hessian = x.T @ x / len(x)
    assert 0.265 < 2 / np.linalg.eigvalsh(hessian)[-1] < 0.275  # the limit that the question states
    pull = x.T @ np.eye(10)[digits.y_train] / len(x)
    w = np.ones_like(pull)
    for step in range(2000):
        w = w - lr * min((step + 1) / max(ramp, 1), 1) * (hessian @ w - pull)
        if np.abs(w).max() > 1000:
            return step
    return math.inf


def linear_sharpness(x: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> float:
    """The largest eigenvalue of the Hessian of a linear model's squared error, by automatic differentiation."""
    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).double()

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return 0.5 * (x @ flat.view(x.shape[1], -1) - F.one_hot(labels)).square().sum(dim=1).mean()

    hessian = torch.autograd.functional.hessian(loss, weights.flatten())
    return torch.linalg.eigvalsh(hessian)[-1].item()


# ---- number: the answer, then the mistakes as they are listed --------------------------------------------------------


@key("eighth-step-of-a-ramp")
def eighth_step_of_a_ramp() -> list[float]:
    lrs = used_lrs(partial(torch.optim.lr_scheduler.LinearLR, start_factor=1 / 32, total_iters=31), 32, peak_lr=0.5)
    from_zero = [0.5 * step / 32 for step in range(32)]
    return [lrs[7], lrs[7] / 0.5, from_zero[7], lrs[8], lrs[0]]


@key("epochs-for-the-same-loss")
def epochs_for_the_same_loss() -> list[float]:
    goal = train(replace(TABLE, peak_lr=0.01, total_steps=4 * 25)).train_loss[-1]
    losses = train(replace(TABLE, peak_lr=0.002, total_steps=22 * 25)).train_loss
    return [1 + int(np.argmin(np.abs(np.array(losses) - goal))), 40 * 2, 4 * 2, 40 / 2 / 2]


@key("guessing-among-five")
def guessing_among_five() -> list[float]:
    def cost(classes: int) -> float:
        errors = torch.full((classes,), 1 / classes) - F.one_hot(torch.tensor(0), classes)
        return errors.square().sum().item() / 2

    return [cost(5), 2 * cost(5), 0.5 * (1 - 1 / 5) ** 2, cost(5) / 5, cost(10), math.log(5)]


@key("lr-of-batch-60")
def lr_of_batch_60() -> list[float]:
    per_epoch = [0.01 * min((epoch + 1) / 5, 1) for epoch in range(10) for _ in range(25)]
    per_batch = [0.01 * min((step + 1) / 125, 1) for step in range(250)]
    stair = 0.01 / 5
    return [per_epoch[60], per_batch[60], per_epoch[60] - stair, per_epoch[60] + stair, per_epoch[-1]]


# ---- single and several: whether each choice holds, in their order ---------------------------------------------------


@verdicts("what-a-new-seed-changes")
def what_a_new_seed_changes() -> Verdicts:
    lessons = [Lesson("00_start_here", "cpu", seed=seed, standard=True) for seed in (0, 1)]
    seeds = [lesson.seeds(10) for lesson in lessons]
    weights = [next(replace(DEEP, seed=s[0]).make_model().parameters()) for s in seeds]
    digits = [replace(DEEP, seed=s[0]).load_data() for s in seeds]
    batches = [next(iter(rows.train_loader(64, s[0])))[0] for rows, s in zip(digits, seeds, strict=True)]
    return {
        "weights": not torch.equal(*weights),
        "number of networks": len(seeds[0]) != len(seeds[1]),
        "order": not torch.equal(*batches),
        "held back": not torch.equal(digits[0].x_valid, digits[1].x_valid),
    }


@verdicts("shared-by-both-arms")
def shared_by_both_arms() -> Verdicts:
    arms = [replace(DEEP, peak_lr=0.03125, seed=3, warmup_steps=steps) for steps in (0, 32)]
    weights = [torch.nn.utils.parameters_to_vector(arm.make_model().parameters()) for arm in arms]
    bare, ramp = (arm.peak_lr * arm.schedule(np.arange(arm.total_steps)) for arm in arms)
    return {
        "weights": torch.equal(*weights),
        "5th step": math.isclose(bare[4], ramp[4]),
        "150th step": math.isclose(bare[149], ramp[149]),
        "average": math.isclose(np.mean(bare), np.mean(ramp)),
        "number of steps": len(bare) == len(ramp),
    }


@verdicts("both-lines-at-the-bottom")
def both_lines_at_the_bottom() -> Verdicts:
    runs = sweep(replace(DEEP, peak_lr=0.03125), warmup_steps=[0, 32], seed=[0, 1, 2], progress=iter)
    trained = (runs.outcome == "trained").sum("seed")
    falling = bool((runs.train_loss.diff("epoch").isel(epoch=slice(-2, None)) < 0).all())
    return {
        "harm": trained.sel(warmup_steps=32) < trained.sel(warmup_steps=0),
        "cannot learn": not falling,
        "diverge": (runs.outcome == "diverged").any(),
        "too few": falling and bool((trained == 0).all()),
    }


@key("rates-that-arrive")
def rates_that_arrive(choices: Choices) -> list[bool]:
    return [steps_to_arrive(1 - 8 * float(choice["text"])) <= 100 for choice in choices]


@verdicts("barely-below-ln-2")
def barely_below_ln_2() -> Verdicts:
    creeping = replace(TABLE, peak_lr=0.0003)
    tries = {
        "More units": replace(creeping, model=lambda: MLP(10, 2, hidden=[200], init="torch")),
        "Ten times": replace(creeping, peak_lr=0.003),
        "A tenth": replace(creeping, peak_lr=0.00003),
        "seed": replace(creeping, seed=1),
    }
    losses = {words: train(attempt).train_loss for words, attempt in tries.items()}
    gains = {words: loss[0] - loss[-1] for words, loss in losses.items()}
    return {words: gain > 2 * sorted(gains.values())[-2] for words, gain in gains.items()}  # one stands out


@verdicts("what-moves-the-limit")
def what_moves_the_limit() -> Verdicts:
    rows = data.tabular()
    x, y, zeros = rows.x_train, rows.y_train, torch.zeros(11, 2, dtype=torch.float64)
    as_it_is = linear_sharpness(x, y, zeros)

    def moved(x: torch.Tensor = x, y: torch.Tensor = y, weights: torch.Tensor = zeros) -> bool:
        return abs(linear_sharpness(x, y, weights) / as_it_is - 1) > 0.01

    ramp_moves_it = steps_to_explode(0.28, ramp=50) == math.inf
    batches = [moved(xb, yb) for xb, yb in islice(rows.train_loader(64, seed=0), 5)]
    return {
        "initial weights": moved(weights=zeros + 3),
        "doubled": moved(x=2 * x),
        "labels": moved(y=y.flip(0)),
        "ramp": ramp_moves_it,
        "batches": all(batches),
    }


@key("which-climb-linearly")
def which_climb_linearly(choices: Choices) -> list[bool]:
    def linear(text: str) -> bool:
        code = compile(text.strip("`").removeprefix("lr = "), "choice", "eval")
        lrs = [eval(code, {"min": min, "step": step}) for step in range(5000)]
        climbs = np.diff(lrs[:1000])
        level = np.allclose(lrs[1000:], 0.1)
        return bool(level and climbs.min() > 0 and np.allclose(climbs, climbs[0]))

    return [linear(choice["text"]) for choice in choices]


@verdicts("reading-the-map")
def reading_the_map() -> Verdicts:
    [question] = [q for q in load("03_linear_warmup")["questions"] if q["id"] == "reading-the-map"]
    lines = question["ask"].split("```")[1].strip().splitlines()
    ramps = [int(word) for word in lines[0].split()]
    trained = {float(line.split()[0]): [int(word) for word in line.split()[1:]] for line in lines[1:]}
    enough = {
        lr: min((w for w, n in zip(ramps, row, strict=True) if n >= 7), default=None) for lr, row in trained.items()
    }
    peaks = [lr for lr in sorted(enough) if enough[lr] is not None]
    return {
        "The longer the ramp": all((np.diff(row) >= 0).all() for row in trained.values()),
        "any of these": all(max(row) >= 7 for row in trained.values()),
        "Eight steps": all(abs(row[1] - row[3]) <= 3 for row in trained.values()),
        "highest peak": enough[peaks[-1]] > max(enough[lr] for lr in peaks[:-1]),
    }


# ---- order: what the steps are sorted by -----------------------------------------------------------------------------


@key("first-to-arrive")
def first_to_arrive(texts: Sequence[str]) -> list[float]:
    return [steps_to_arrive(1 - 2 * float(text.removeprefix("LR "))) for text in texts]


@key("two-conventions-by-learning-rate")
def two_conventions_by_learning_rate(texts: Sequence[str]) -> list[float]:
    def lr(text: str) -> float:
        step = int(re.findall(r"\d+", text)[0])
        factors = {"`step / W`": step / 5, "`(step + 1) / W`": (step + 1) / 5}
        meant = [factor for code, factor in factors.items() if code in text] or list(factors.values())
        lrs = {0.1 * min(factor, 1) for factor in meant}
        assert len(lrs) == 1
        return lrs.pop()

    return [lr(text) for text in texts]


# ---- exercises: answers of learners ----------------------------------------------------------------------------------


def hessian(x):
    return x.T @ x / len(x)


def power_iteration(rounds):
    def answer(x):
        direction = torch.ones(x.shape[1])
        for _ in range(rounds):
            direction = direction / direction.norm()
            size, direction = direction @ hessian(x) @ direction, hessian(x) @ direction
        return 2 / size

    return answer


# exercise -> (answer, a word of the reason that it must be given)
WRONG = {
    "01_learning_rate_basics/valley": [
        (0.01, "Go higher"),
        (0.03, "Go higher"),
        (0.039, "Go lower"),
        (0.04, "never arrives"),
        (0.5, "never arrives"),
        (0.0, "above 0"),
        (-0.01, "above 0"),
        (float("nan"), "above 0"),
        ("0.0385", "is text, not a number"),
    ],
    "02_high_lr_instability/lr_limit": [
        (lambda x: 2 / torch.linalg.eigvalsh(hessian(x))[0], "sorts upwards"),
        (lambda x: 2 / torch.linalg.eigvalsh(x.T @ x)[-1], "divide by the number of rows"),
        (lambda x: 1 / torch.linalg.eigvalsh(hessian(x))[-1], "The limit is higher"),
        (lambda x: 2 / torch.linalg.eigvalsh(2 * hessian(x))[-1], "did you leave out the 1/2 of the squared error?"),
        (power_iteration(10), "Close, but the iteration has not arrived."),
        (lambda x: str(power_iteration(999)(x).item()), "is text, not a number"),
        (lambda x: torch.linalg.eigvalsh(hessian(x))[-1], "the sharpness itself"),
        (lambda x: 2 / hessian(x).trace(), "trace"),
        (lambda x: 2 / torch.linalg.svdvals(x)[0], "singular value"),
        (lambda x: torch.linalg.eigvalsh(hessian(x)), "not a number"),
        (lambda x: x @ x, "RuntimeError"),
    ],
    "03_linear_warmup/ramp": [
        (lambda step, w: min(step / w, 1) if w else 1, "counts from 1"),
        (lambda step, w: (step + 1) / w if w else 1, "above the peak"),
        (lambda step, w: 1.0, "has to come first"),
        (lambda step, w: 0.0 if step < w else 1.0, "rises at every step"),
        (lambda step, w: min((step + 1) / w, 1), "ZeroDivisionError"),
        (lambda step, w: 1 - min((step + 1) / w, 1) if w else 1, "what is missing"),
        (lambda step, w: min((step + 1) / w, 1) if w else 0.0, "With W = 0 there is no ramp"),
        (lambda step, w: (step + 1) / w if step < w else None, "Does every way through it end in `return`"),
        (lambda step, w: min((step + 2) / w, 1) if w else 1, "One step ahead"),
        (lambda step, w: min(step / (w - 1), 1) if w > 1 else 1, "Dividing by W - 1"),
        (lambda step, w: str(min((step + 1) / w, 1)), "is text, not a number"),
        (lambda step, w: round(min((step + 1) / w, 1), 2) if w else 1, "expected 0.285714"),
        (lambda step, w: 0.5, "expected 0.285714"),
        (lambda step: step, "TypeError"),
        (0.1, "should be a function"),
    ],
}
# Right answers that are not the solution's words.
RIGHT = {
    "01_learning_rate_basics/valley": [2 / 52, 0.0385, torch.tensor(0.0384), 0.038, 0.037],
    "02_high_lr_instability/lr_limit": [
        lambda x: 2 * len(x) / torch.linalg.matrix_norm(x, 2).item() ** 2,
        lambda x: 2 / np.linalg.eigvalsh(hessian(x).numpy()).max(),
        power_iteration(999),
    ],
    "03_linear_warmup/ramp": [
        lambda step, w: Schedule(2000, w, decay="constant")(step),
        lambda step, w: 1 if step >= w else (1 + step) / w,
    ],
}
