"""Lesson 03."""

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions
from warmup_course.classroom.exercises.loops import NO_RAMP


def ramp(step, W):
    return min((step + 1) / W, 1.0) if W > 0 else 1.0


def misconceptions(step: int, steps: int) -> Misconceptions:
    if not steps:
        return NO_RAMP
    on_the_ramp, other_end, ahead = ((step + c) / steps for c in (1, 0, 2))
    return [
        (other_end, "This ramp counts from 1: its first step has the factor 1 / W."),
        (ahead, "One step ahead: step 0 has the factor 1 / W."),
        (step / (steps - 1) if steps > 1 else -1, "Dividing by W - 1 lets step 0 run at 0. It counts: it is 1 of W."),
        (on_the_ramp, "The ramp goes on above the peak. It stops at 1."),
        (1.0, "Nothing is warmed up there. The ramp has to come first."),
        (1 - on_the_ramp if step < steps else 0.0, "That is what is missing to the peak, not what has been reached."),
        (0.0, "A linear ramp rises at every step; it does not wait at the bottom."),
    ]


EXERCISES = (
    FunctionExercise(
        name="03_linear_warmup/ramp",
        told="For step {} and W = {}",
        # The first one tells most misconceptions apart.
        cases=[(step, w) for w in (7, 1, 100, 0) for step in (1, 0, 2, 3, 4, 5, 6, 7, 50, 99, 100, 101, 1000)],
        misconceptions=misconceptions,
        praise="Right at every step, for long ramps, for a ramp of one step, and for none at all.",
        hints=(
            "Step 0 is the first step and has the factor 1 / W. Step W - 1 is the first at the peak.",
            "`min` takes care of the plateau. Dividing by W is only allowed where W is not 0.",
        ),
        answer=ramp,
        why="The first step is a step too, so it counts: `step + 1`. Without a ramp there is nothing to divide by.",
    ),
)
