"""Lesson 06."""

import math

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions


def cosine(step, T_max, eta_max, eta_min):
    import math

    return eta_min + (eta_max - eta_min) * (1 + math.cos(math.pi * step / T_max)) / 2


def about_a_fall(step: int, steps: int, top: float, floor: float) -> Misconceptions:
    angle, drop = math.pi * step / steps, top - floor
    cycle = floor + drop * (1 + math.cos(math.pi * (step % steps) / steps)) / 2
    counted_from_1 = floor + drop * (1 + math.cos(angle + math.pi / steps)) / 2
    return [
        (floor if floor > top else -1, "`eta_min` may lie above `eta_max`: no `max`."),
        (cycle, "That jumps back to the top after `T_max`. This scheduler climbs back."),
        (floor + drop * (1 - step / steps), "That is a straight line. A cosine leaves its top level."),
        (top * (1 + math.cos(angle)) / 2, "Without the floor, that is. Where does `eta_min` come in?"),
        (floor + top * (1 + math.cos(angle)) / 2, "The cosine has to span `eta_max - eta_min`."),
        (top * (floor + (1 - floor) * (1 + math.cos(angle)) / 2), "`eta_min` is an LR, not a factor."),
        (floor + drop * (1 - math.cos(angle)) / 2, "This one climbs first. At step 0 the LR is `eta_max`."),
        (floor + drop * (1 + math.cos(2 * angle)) / 2, "Half a wave leads to the floor, not a whole one."),
        (floor + drop * (1 + math.cos(step / steps)) / 2, "The angle at `T_max` must be pi."),
        (floor + drop * math.cos(angle / 2), "That is a quarter of a wave: steep at the end."),
        (floor + drop * math.cos(angle), "A cosine goes from 1 to -1. Yours leaves the range."),
        (floor + drop * (1 + math.cos(angle)), "The bracket 1 + cos goes from 2 to 0, not from 1."),
        (counted_from_1, "Steps count from 0: step 0 has `eta_max`."),
        (floor, "PyTorch does not stay at the floor after `T_max`."),
    ]


EXERCISES = (
    FunctionExercise(
        name="06_cosine_annealing/cosine",
        # The first one tells all the misconceptions apart, but for those that matter past T_max.
        told="For step {}, T_max = {}, eta_max = {} and eta_min = {}",
        cases=[
            (step, steps, top, floor)
            for steps, top, floor in ((30, 0.1, 0.01), (30, 0.1, 0.0), (7, 0.02, 0.05), (1, 1.0, 0.0))
            for step in (8, 0, 1, 15, 29, 30, 31, 45, 60, 75, 1000)
        ],
        misconceptions=about_a_fall,
        praise="Right on the way down, past `T_max`, and where the floor lies above the top.",
        hints=(
            "Begin with the cosine of an angle that is 0 at step 0 and pi at step `T_max`. It goes from 1 to -1.",
            "Add 1 and halve it, and it goes from 1 to 0. Stretch that over `eta_max - eta_min`; put it on the floor.",
            "Past `T_max` there is nothing to do: a cosine climbs by itself.",
        ),
        answer=cosine,
        why="No `min`, no `if`: PyTorch lets the wave go on, and a floor above the top turns it upside down.",
    ),
)
