"""Lesson 05."""

from typing import Any

import numpy as np

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions, NotYet, short
from warmup_course.classroom.exercises.loops import NO_RAMP


def geometric_ramp(step, W, start_factor):
    return start_factor ** (1 - step / W) if step < W else 1.0


def shape_of(lrs):
    import numpy as np

    lrs = np.asarray(lrs, dtype=float)
    steps = np.diff(lrs)
    if np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return "linear"
    if lrs[0] > 0 and np.allclose(lrs[1:] / lrs[:-1], lrs[1] / lrs[0], rtol=1e-6, atol=0):
        return "geometric"
    return "other"


def about_a_ramp(step: int, steps: int, start: float) -> Misconceptions:
    if not steps:
        return NO_RAMP
    u, next_u = step / steps, (step + 1) / steps
    return [
        (start ** (1 - next_u), "That is one step ahead: at step 0 the factor is `start_factor` itself."),
        (start ** (1 - u), "The ramp goes on above the peak. It stops at 1."),
        (start + (1 - start) * u, "Equal differences: that is linear. Here the *ratio* is the same."),
        (start + (1 - start) * start ** (1 - u), "Half linear: multiply only, with nothing to add."),
        (start**u, "This one starts at the peak and comes down."),
        (1 - float(np.exp(-u)), "That is the concave curve, which never arrives."),
        (start, "It does not move. What is it multiplied with at each step?"),
        (1.0, "Nothing is warmed up there. The ramp has to come first."),
    ]


SHAPES = ("linear", "geometric", "other")


def a_shape(result: Any, shown: str) -> str:
    if not isinstance(result, str) or result not in SHAPES:
        raise NotYet(f"{shown} you have {short(result)}. Return one of `linear`, `geometric` and `other`.")
    return result


def reason(shape: str, lrs: list[float]) -> str:
    """What tells the shape of these LRs."""
    if shape == "linear":
        return "Each is the one before plus the same amount. Do not ask for equality: `0.3 - 0.2` is not `0.2 - 0.1`."
    if shape == "geometric":
        return "Each is the one before times the same number. A tolerance must be relative: LRs can be tiny."
    if lrs[0] == 0:
        return "From 0, no ratio leads anywhere; and the differences are not equal."
    return "Neither the differences nor the ratios are equal *all the way*. Look at every pair, not at the first two."


EXERCISES = (
    FunctionExercise(
        name="05_warmup_shapes/geometric_ramp",
        # The first one tells all the misconceptions apart, but for those at the ends.
        told="For step {}, W = {} and start_factor = {}",
        cases=[
            (step, steps, start)
            for steps, start in ((300, 0.001), (4, 0.5), (1, 0.01), (0, 0.01))
            for step in (100, 0, 1, 2, 3, 4, 5, 200, 299, 300, 301, 1000)
        ],
        misconceptions=about_a_ramp,
        praise="The same ratio at every step, and both ends exact.",
        hints=(
            "The exponent decides. It has to be 1 at step 0 and 0 at step W, so that the power ends at 1.",
            "In between the exponent falls in a straight line. From step W on, and for W = 0, the factor is 1.",
        ),
        answer=geometric_ramp,
        why="""A straight line in the exponent is a constant ratio in the factor: each step multiplies by
`start_factor ** (-1 / W)`. `step < W` keeps W = 0 from the division.""",
    ),
    FunctionExercise(
        name="05_warmup_shapes/shape_of",
        told=lambda lrs: f"For {short([round(lr, 12) for lr in lrs])}",
        # The shapes in turn, so that an answer that knows one of them only fails early.
        cases=[
            ([0.0, 0.1, 0.2, 0.30000000000000004],),
            ([0.0001, 0.001, 0.01, 0.1],),
            ([0.05 * (1 - float(np.cos(np.pi * k / 10))) for k in range(11)],),
            ([0.01, 0.04, 0.07],),
            ([0.1, 0.2, 0.4],),
            ([float(np.sqrt(k / 8)) for k in range(1, 9)],),
            ([0.002 * (k + 1) for k in range(50)],),
            ([0.5 * 0.01 ** (1 - k / 40) for k in range(41)],),
            ([1.0, 2.0, 3.0, 4.5],),
            ([1e-9, 2e-9, 4e-9, 8e-9],),
            ([1.0, 2.0, 4.0, 6.0],),
            ([0.0, 0.01, 0.1],),
            ([1 - float(np.exp(-k / 5)) for k in range(1, 12)],),
        ],
        misconceptions=lambda lrs: [(SHAPES.__contains__, reason(shape_of(lrs), lrs))],
        read=a_shape,
        praise="You can read a log now, rounding errors, zeros and all.",
        hints=(
            "`np.diff(lrs)` has the differences, `lrs[1:] / lrs[:-1]` the ratios. Which of them are all alike?",
            "`np.allclose(a, a[0], rtol=1e-6, atol=0)` compares with a *relative* tolerance.",
            "Ask for the differences first. Then no ratio is needed where the first LR is 0 and the ramp is linear.",
        ),
        answer=shape_of,
        why="""Differences first, then ratios. With the default `atol` of `np.allclose`, all tiny LRs would look alike,
so it is set to 0. A logarithm would do as well: a geometric ramp is a straight line on a log axis.""",
    ),
)
