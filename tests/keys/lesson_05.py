"""Lesson 05."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR, LinearLR

from keys import Verdicts, key, verdicts
from warmup_course import Schedule, used_lrs

# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("geometric-half-way")
def geometric_half_way() -> list[float]:
    steps = np.arange(201)
    by_multiplying = 0.001 * np.cumprod(np.r_[1, np.full(200, 100 ** (1 / 200))])
    straight = np.interp(steps, [0, 200], [0.001, 0.1])
    return [by_multiplying[100], straight[100], 0.1 / 2, by_multiplying[0], by_multiplying[200]]


# ---- choices ---------------------------------------------------------------------------------------------------------


def first_lr(make: Callable[[SGD], Any]) -> float:
    return used_lrs(make, 1)[0]


@verdicts("where-warmup-starts")
def where_warmup_starts() -> Verdicts:
    codes = "min(step / W, 1)", "min((step + 1) / W, 1)"
    starts = {
        f"`{code}`": first_lr(lambda opt, c=code: LambdaLR(opt, lambda step: eval(c, {"step": step, "W": 5})))
        for code in codes
    }
    starts |= {"`LinearLR`": first_lr(LinearLR), "Goyal": 0.1, "0.0001": 0.0001}
    return {words: start == 0 for words, start in starts.items()}


# ---- order -----------------------------------------------------------------------------------------------------------


@key("a-quarter-of-the-way-up")
def a_quarter_of_the_way_up(texts: Sequence[str]) -> list[float]:
    def factor(text: str) -> float:
        name, start = text.partition(",")[0], 0.01 if "hundredth" in text else 0.1 if "tenth" in text else 0.0
        if name == "Square root":
            return 0.25**0.5
        warmup = {"Geometric": "exponential"}.get(name, name.lower())
        return Schedule(400, 400, warmup=warmup, start_factor=start, count_from=0)(100)

    return [factor(text) for text in texts]


# ---- exercises -------------------------------------------------------------------------------------------------------


def power(step: float, w: int, start: float) -> float:
    return start ** (1 - step / w)


WRONG = {
    "05_warmup_shapes/geometric_ramp": [
        (lambda step, w, start: power(min(step + 1, w), w, start) if w else 1, "one step ahead"),
        (lambda step, w, start: power(step, w, start) if w else 1, "above the peak"),
        (lambda step, w, start: start + (1 - start) * min(step / w, 1) if w else 1, "Equal differences"),
        (lambda step, w, start: start + (1 - start) * power(step, w, start), "multiply only"),
        (lambda step, w, start: start ** (step / w), "comes down"),
        (lambda step, w, start: 1 - np.exp(-step / w), "never arrives"),
        (lambda step, w, start: start if step < w else 1, "does not move"),
        (lambda step, w, start: 1.0, "has to come first"),
        (lambda step, w, start: power(min(step, w), w, start), "ZeroDivisionError"),
        (lambda step, w, start: power(min(step, w), max(w, 1), start), "With W = 0 there is no ramp"),
        (lambda step, w: step / w, "TypeError"),
        (0.001, "should be a function"),
    ],
}
# Right answers that are not the solution's words.
RIGHT = {
    "05_warmup_shapes/geometric_ramp": [
        lambda step, w, start: (
            Schedule(2000, w, warmup="exponential", start_factor=start, count_from=0)(step) if step < w else 1
        ),
        lambda step, w, start: min(power(step, w, start), 1) if w else 1,
        lambda step, w, start: np.exp(np.interp(step, [0, w], [np.log(start), 0])) if w else 1,
    ],
}
