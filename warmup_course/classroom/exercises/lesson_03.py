"""Lesson 03."""

from functools import partial

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions


def ramp(step, W):
    return min((step + 1) / W, 1.0) if W > 0 else 1.0


def ramp_from_zero(step, W):
    return step / W if step < W else 1.0


TOLD = "For step {} and W = {}"
# The first one tells most misconceptions apart.
CASES = [(step, w) for w in (5, 1, 100, 0) for step in (1, 0, 2, 3, 4, 5, 6, 50, 99, 100, 101, 1000)]
PRAISE = "Right at every step, for long ramps, for a ramp of one step, and for none at all."


def misconceptions(step: int, steps: int, count_from: int) -> Misconceptions:
    on_the_ramp, other_end = ((step + c) / max(steps, 1) for c in (count_from, 1 - count_from))
    return [
        (other_end, f"This ramp counts from {count_from}: its first step has the factor {count_from} / W."),
        (on_the_ramp, "The ramp goes on above the peak. It stops at 1."),
        (1.0, "Nothing is warmed up there. The ramp has to come first."),
        (1 - on_the_ramp if step < steps else 0.0, "That is what is missing to the peak, not what has been reached."),
        (0.0, "A linear ramp rises at every step; it does not wait at the bottom."),
    ]


EXERCISES = (
    FunctionExercise(
        name="03_linear_warmup/ramp",
        told=TOLD,
        cases=CASES,
        misconceptions=partial(misconceptions, count_from=1),
        praise=PRAISE,
        hints=(
            "Step 0 is the first step and has the factor 1 / W. Step W - 1 is the first at the peak.",
            "`min` takes care of the plateau. Dividing by W is only allowed where W is not 0.",
        ),
        answer=ramp,
        why="The first step is a step too, so it counts: `step + 1`. Without a ramp there is nothing to divide by.",
    ),
    FunctionExercise(
        name="03_linear_warmup/ramp_from_zero",
        told=TOLD,
        cases=CASES,
        misconceptions=partial(misconceptions, count_from=0),
        praise=PRAISE,
        hints=(
            "Exactly 0 at step 0, and the peak at step W: one step later than in the other convention.",
            "Dividing by W is only allowed where W is not 0, and where W is 0 no step is smaller than W.",
        ),
        answer=ramp_from_zero,
        why="`step < W` asks whether the ramp goes on, and keeps W = 0 from the division at the same time.",
    ),
)
