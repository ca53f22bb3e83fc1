"""Lesson 14, and the final quiz."""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import ChainedScheduler, CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR

from keys import Choices, Verdicts, key, verdicts
from warmup_course import MLP, Schedule, data, to_code, used_lrs


def early(make: Callable[[SGD], Any]) -> Callable[[SGD], Any]:
    """The same scheduler, stepped once before the first update, and so before each."""

    def make_early(optimizer: SGD) -> Any:
        scheduler = make(optimizer)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            scheduler.step()
        return scheduler

    return make_early


def ramp_of(steps: int) -> Callable[[SGD], LambdaLR]:
    return lambda optimizer: LambdaLR(optimizer, lambda step: min((step + 1) / steps, 1))


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("price-of-a-range-test")
def price_of_a_range_test() -> list[float]:
    runs = [(lr, seed) for lr in range(7) for seed in range(5)]
    return [30 * len(runs), 30 * 7, 200 * len(runs), len(runs), 30 * 5]


@key("final-01-when-it-is-over")
def when_it_is_over() -> list[float]:
    """Gradient descent in float64, written out, from the weights that the seed gives."""
    waves = data.waveforms()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = MLP(32, 4, hidden=[])[0]
    weights = np.vstack([layer.weight.detach().double().numpy().T, np.zeros((1, 4))])
    x = np.hstack([waves.x_train.double().numpy(), np.ones((960, 1))])
    errors_to = np.eye(4)[waves.y_train.numpy()]
    losses = []
    for _ in range(30):
        errors = x @ weights - errors_to
        losses.append(0.5 * (errors**2).sum() / 960)
        weights -= 0.38 * x.T @ errors / 960
    first = int(np.argmax(np.array(losses) > 90))
    assert losses[first - 1] < 80 < 100 < losses[first]  # no matter of rounding
    return [first, first + 1, first - 1, int(np.argmax(np.array(losses) > 9))]


@key("final-02-first-guess-of-the-limit")
def first_guess_of_the_limit() -> list[float]:
    """From the whole Hessian."""
    waves = data.waveforms()
    with torch.random.fork_rng():
        torch.manual_seed(12)
        model = MLP(32, 4, hidden=[8]).double()
    shapes = {name: p.shape for name, p in model.named_parameters()}
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    x, y = waves.x_train.double(), waves.y_train

    def outputs(weights: torch.Tensor) -> torch.Tensor:
        parts = weights.split([shape.numel() for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return torch.func.functional_call(model, named, (x,))

    def squares(weights: torch.Tensor) -> torch.Tensor:
        return 0.5 * (outputs(weights) - torch.eye(4, dtype=torch.float64)[y]).square().sum() / len(y)

    def entropy(weights: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs(weights), y)

    sharp, other = (
        torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat, vectorize=True))[-1].item()
        for loss in (squares, entropy)
    )
    return [2 / sharp, sharp, 1 / sharp, 2 / other]


@key("final-04-stepped-once-an-epoch")
def stepped_once_an_epoch() -> list[float]:
    lrs = used_lrs(ramp_of(500), 500)  # a call for each epoch
    return [lrs[2], lrs[299], lrs[1], lrs[3], lrs.max()]


@key("final-06-restarts")
def restarts() -> list[float]:
    def above(*waves: int) -> int:
        return sum(0.1 * math.cos(math.pi * t / (2 * length)) ** 2 > 0.07 for length in waves for t in range(length))

    return [above(10, 20, 40, 80), above(150), above(*[10] * 15)]


@key("final-07-step-137")
def step_137() -> list[float]:
    def lr(step: int) -> float:
        return 0.3 * (1 - 0.95 * math.sqrt((step - 60 - 40) / (400 - 60 - 40)))

    return [lr(137), lr(137) / 0.3, lr(136), lr(138), 0.3 * (1 - 0.95 * 37 / 300)]


@key("final-11-three-batches-an-update")
def three_batches_an_update() -> list[float]:
    calls_before = [3 * update + 2 for update in range(30)]
    first = next(update for update, calls in enumerate(calls_before) if calls >= 24)
    return [first, 24, calls_before[first], first - 1, first + 1]


@key("final-10-boldest-on-the-ramp")
def boldest_on_the_ramp() -> list[float]:
    sharpness = {0: 90, 4: 76, 9: 44, 19: 24, 39: 13, 59: 9}
    lrs = used_lrs(ramp_of(40), 60, 0.2)
    products = {step: lrs[step] * value for step, value in sharpness.items()}
    highest = max(products, key=products.__getitem__)
    first = next(step for step, product in products.items() if product > 2)
    return [highest, max(sharpness, key=sharpness.__getitem__), first, *sorted({19, 59} - {highest, first})]


@key("final-12-what-the-decay-leaves")
def what_the_decay_leaves() -> list[float]:
    """AdamW itself, stepped with a gradient of zero."""

    def left(factor: Callable[[int], float]) -> float:
        weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
        optimizer = AdamW([weight], lr=0.1, weight_decay=0.5)
        scheduler = LambdaLR(optimizer, factor)
        for _ in range(10):
            weight.grad = torch.zeros_like(weight)
            optimizer.step()
            scheduler.step()
        return weight.item()

    lrs = used_lrs(ramp_of(4), 10, 0.1)
    late = left(lambda step: min(step / 4, 1))
    return [left(lambda step: min((step + 1) / 4, 1)), left(lambda step: 1.0), late, 1 - 0.5 * lrs.sum(), 1]


@key("final-14-by-the-rule")
def by_the_rule() -> list[float]:
    lost = math.nan
    scores = {
        1 / 16: [0.61, 0.63, 0.60],
        1 / 8: [0.72, 0.71, 0.73],
        1 / 4: [0.75, 0.73, 0.74],
        1 / 2: [0.80, lost, 0.79],
        1: [0.31, 0.25, lost],
    }

    def chosen(means: dict[float, float], within: float = 0.03) -> float:
        return min(peak for peak, mean in means.items() if mean > max(means.values()) - within)

    counted = {peak: float(np.nan_to_num(row, nan=1 / 4).mean()) for peak, row in scores.items()}
    left_out = {peak: float(np.nanmean(row)) for peak, row in scores.items()}
    return [chosen(counted), chosen(counted, 1e-9), chosen(left_out), min(scores), max(scores)]


# ---- choices ---------------------------------------------------------------------------------------------------------


@verdicts("best-of-forty")
def best_of_forty() -> Verdicts:
    """Forty schedules that are equally good: the best score, and the same schedule's score on new rows and seeds."""
    random = np.random.default_rng(0)
    tries, again = random.normal(0.74, 0.02, (2, 1000, 40))
    winners = tries.argmax(axis=1)[:, None]
    gap = (np.take_along_axis(tries, winners, 1) - np.take_along_axis(again, winners, 1)).mean()
    return {"harder": False, "overfits": False, "lucky": gap > 0.03, "length of the run": False}


@key("a-diverged-run-in-the-mean")
def a_diverged_run_in_the_mean(choices: Choices) -> list[bool]:
    score = np.mean(np.nan_to_num([0.77, 0.75, math.nan], nan=1 / 4))
    return [f"{score:.2f}" in choice["text"] for choice in choices]


@key("final-01-hopping-and-arriving")
def hopping_and_arriving(choices: Choices) -> list[bool]:
    found = []
    for choice in choices:
        path = [1.0]
        for _ in range(200):
            path.append(path[-1] - float(choice["text"]) * 4 * path[-1])
        found.append(abs(path[-1]) < 1e-6 and all(a * b < 0 for a, b in pairwise(path[:20])))
    return found


@key("final-02-what-became-of-it")
def what_became_of_it(choices: Choices) -> list[bool]:
    from warmup_course.training import outcome

    assert abs(1.39 - math.log(4)) < 0.01
    return [str(outcome([True], [0.26], 1 / 4, 0.9)[0]) in choice["text"] for choice in choices]


@verdicts("final-07-who-gets-there")
def who_gets_there() -> Verdicts:
    def sequence(optimizer: SGD) -> SequentialLR:
        return SequentialLR(optimizer, [LinearLR(optimizer, 0.1, 1, 10), CosineAnnealingLR(optimizer, 90)], [10])

    runs = {
        "`ChainedScheduler`": used_lrs(
            lambda opt: ChainedScheduler([LinearLR(opt, 0.1, total_iters=10), CosineAnnealingLR(opt, 100)]), 100
        ),
        "`LambdaLR`": used_lrs(ramp_of(200), 100),
        "`SequentialLR`": used_lrs(sequence, 100),
        "by mistake": used_lrs(early(lambda opt: CosineAnnealingLR(opt, 100)), 100),
    }
    return {words: np.isclose(lrs.max(), 0.1, rtol=1e-6) for words, lrs in runs.items()}


@verdicts("final-09-batch-size")
def batch_size() -> Verdicts:
    """The mean length of a fresh network's gradient, on batches of 4 and of 256 rows; and the rule's arithmetic."""
    digits = data.digits()
    norms = []
    for rows in (4, 256):
        lengths = []
        for seed in range(20):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                model, batch = MLP(), torch.randint(1437, (rows,))
            loss = nn.functional.cross_entropy(model(digits.x_train[batch]), digits.y_train[batch])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            lengths.append(math.sqrt(sum(g.square().sum().item() for g in gradients)))
        norms.append(np.mean(lengths))
    steps = [len(range(0, 1024 * 15, rows)) for rows in (16, 256)]
    return {
        "the longer the gradient": norms[1] > norms[0],
        "the shorter the gradient": norms[1] < 0.9 * norms[0],
        "0.48": math.isclose(0.03 * 256 / 16, 0.48),
        "fewer steps": steps[0] == 16 * steps[1],
        "number of epochs has": False,
    }


@key("final-13-first-step-of-a-fine-tuning")
def first_step_of_a_fine_tuning(choices: Choices) -> list[bool]:
    body, head = (torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = AdamW([{"params": [body], "lr": 1e-5}, {"params": [head], "lr": 1e-3}], weight_decay=0)
    LambdaLR(optimizer, lambda step: min((step + 1) / 10, 1))
    body.grad, head.grad = torch.full_like(body, 1e-3), torch.full_like(head, 1.0)
    optimizer.step()
    moved = [abs(body.item()), abs(head.item())]
    stated = [[float(x) for x in re.findall(r"0\.\d+", choice["text"])] for choice in choices]
    return [len(numbers) == 2 and np.allclose(numbers, moved, rtol=1e-3, atol=0) for numbers in stated]


@verdicts("final-11-too-high-at-once")
def too_high_at_once() -> Verdicts:
    firsts = {
        "before `optimizer.step()`": used_lrs(early(ramp_of(5)), 1),
        "`step / 5`": used_lrs(lambda opt: LambdaLR(opt, lambda step: min(step / 5, 1)), 1),
        "`LinearLR(optimizer)`": used_lrs(LinearLR, 1),
        "W is 10": used_lrs(ramp_of(10), 1),
        "skipped": used_lrs(ramp_of(5), 3)[2:],
    }
    return {words: lrs[0] > 0.02 + 1e-12 for words, lrs in firsts.items()}


# ---- order -----------------------------------------------------------------------------------------------------------


@key("final-05-area-under-the-ramp")
def area_under_the_ramp(texts: Sequence[str]) -> list[float]:
    u = np.arange(1, 101) / 100
    shapes = {"Constant": 0.1 + 0 * u, "Geometric": 0.01 ** (1 - u), "Linear": u, "Square root": np.sqrt(u)}
    return [next(factors.sum() for name, factors in shapes.items() if text.startswith(name)) for text in texts]


# ---- exercises -------------------------------------------------------------------------------------------------------


def first_broken(broken: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """An answer: the first LR for which ``broken`` of its rows of first and last losses holds."""
    return lambda lrs, first, last: next(
        (lr for lr, a, b in zip(lrs, first, last, strict=True) if broken(a, b)), math.inf
    )


def lowest(lrs, last, starts):
    return min(lrs[~(last < starts).all(axis=1)], default=math.inf)


def last_working(lrs, first, last):
    working = [lr for lr, a, b in zip(lrs, first, last, strict=True) if np.all(b < a)]
    return max(working)


def plan(peak: float, warmup_steps: int, decay: Any = "linear") -> Callable[[int], float]:
    schedule = Schedule(200, warmup_steps, decay=decay)
    return lambda step: peak * schedule(step)


def as_code(step: int) -> float:
    """What ``to_code`` writes, up to the loop."""
    code = to_code(Schedule(200, 80, decay="cosine"), 0.3, "python")
    scope: dict[str, Any] = {}
    exec(code.partition("for step in")[0], scope)
    return scope["learning_rate"](step)


WRONG = {
    "14_capstone/find_edge": [
        (first_broken(lambda a, b: not b.mean() < a.mean()), "mean hides"),
        (first_broken(lambda a, b: not (b < a.mean()).all()), "mean of the starts"),
        (first_broken(lambda a, b: not (b <= a).all()), "A loss that ends exactly where it began has not fallen"),
        (first_broken(lambda a, b: not (b[:2] < a[:2]).all()), "starts of its own"),
        (lambda lrs, first, last: lowest(lrs, last, first[0]), "starts of its own"),
        (lambda lrs, first, last: lowest(lrs, last, first.max(axis=0)), "first = [[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]"),
        (lambda lrs, first, last: lowest(lrs, last, np.array([2.0, 3.0])), "your function stops with `ValueError"),
        (lambda lrs, first, last: lowest(lrs[:5], last[:5], first[:5]), "starts of its own"),
        (lambda lrs, first, last: lrs[np.argmax(~(last < first).all(axis=1))], "Where nothing breaks"),
        (lambda lrs, first, last: str(lowest(lrs, last, first)), "is text, not a number"),
        (first_broken(lambda a, b: (b > a).any()), "`nan > x` is False"),
        (first_broken(lambda a, b: not np.isfinite(b).all()), "finite loss that has not fallen"),
        (first_broken(lambda a, b: not (b < a).any()), "One broken seed is enough"),
        (last_working, "last LR that works"),
        (lambda lrs, first, last: int(np.argmin((last < first).all(axis=1))), "place in the list"),
        (lambda lrs, first, last: min([*lrs[~(last < first).all(axis=1)], lrs[-1]]), "Where nothing breaks"),
        (lambda lrs, first, last: min(lrs[~(last < first).all(axis=1)]), "ValueError"),
        (lambda lrs, first, last: 0.02, "expected 0.01"),
        (lambda lrs, first, last: lrs, "not a number"),
        (0.04, "should be a function"),
    ],
    "14_capstone/learning_rate": [
        (lambda step: 0.022, "Your highest LR is 0.022"),
        (plan(0.35, 4), "How long a ramp did this peak need"),
        (lambda step: step, "Does your function return the step itself"),
        (lambda step: 0.0, "All LRs are 0"),
        (lambda step: 0.1 - 0.001 * step, "For step 101 the LR is"),
        (lambda step: math.nan, "must be a finite number"),
        (lambda step: [0.1] * 200, "not a number"),
        (lambda: 0.1, "TypeError"),
        (plan(2.0, 96), "Even with a ramp"),
        (0.35, "should be a function"),
    ],
}
# Right answers that are not the solution's words.
RIGHT = {
    "14_capstone/find_edge": [
        first_broken(lambda a, b: not (b < a).all()),
        lambda lrs, first, last: lowest(lrs, last, first),
    ],
    "14_capstone/learning_rate": [plan(0.25, 80, "cosine"), as_code],
}
