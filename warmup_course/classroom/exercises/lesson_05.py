"""Lesson 05."""

import numpy as np

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions
from warmup_course.classroom.exercises.loops import NO_RAMP


def geometric_ramp(step, W, start_factor):
    return start_factor ** (1 - step / W) if step < W else 1.0


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


EXERCISES = (
    FunctionExercise(
        name="05_warmup_shapes/geometric_ramp",
        # The first one tells all the misconceptions apart, but for those at the ends.
        told="For step {}, W = {} and start_factor = {}",
        cases=[
            (step, steps, start)
            for steps, start in ((300, 0.001), (4, 0.5), (1, 0.5), (0, 0.01))
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
)
