"""Lesson 06."""

import math

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions


def cosine(step, T_max, eta_max, eta_min):
    import math

    return eta_min + (eta_max - eta_min) * (1 + math.cos(math.pi * step / T_max)) / 2


def t_max(rows, batch_size, epochs, accumulate):
    batches = -(-rows // batch_size)
    return epochs * -(-batches // accumulate)


def about_a_fall(step: int, steps: int, top: float, floor: float) -> Misconceptions:
    angle, drop = math.pi * step / steps, top - floor
    cycle = floor + drop * (1 + math.cos(math.pi * (step % steps) / steps)) / 2
    counted_from_1 = floor + drop * (1 + math.cos(angle + math.pi / steps)) / 2
    return [
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


def about_t_max(rows: int, size: int, epochs: int, accumulate: int) -> Misconceptions:
    batches, whole, right = math.ceil(rows / size), rows // size, t_max(rows, size, epochs, accumulate)
    return [
        (epochs, "`T_max` counts calls of `scheduler.step()`, and there are several in an epoch."),
        (batches, "That is one epoch without accumulation. The LR would be at its floor after it."),
        (epochs * batches, "You count every batch, but `accumulate` of them share one `optimizer.step()`."),
        (epochs * batches * accumulate, "Accumulation makes steps fewer, not more."),
        (epochs * (batches // accumulate), "The batches left over at the end of an epoch get a step too."),
        (epochs * (whole // accumulate), "What is left over at the end of an epoch gets a step too."),
        (epochs * whole, "You count every whole batch, but `accumulate` of them share one step."),
        (math.ceil(epochs * batches / accumulate), "What is left over is not carried into the next epoch."),
        (epochs * batches / accumulate, "Steps are whole, and what is left over gets one of its own."),
        (epochs * rows / size, "Batches and steps are whole numbers: the last one may be smaller."),
        (right - 1, "That puts the floor at the last step. Here the floor comes after it."),
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
    FunctionExercise(
        name="06_cosine_annealing/t_max",
        # The first one tells all the misconceptions apart.
        told="For {} rows, batch size {}, {} epochs and accumulate = {}",
        cases=[(1437, 64, 30, 4), (1444, 16, 10, 1), (1000, 100, 5, 2), (90, 100, 3, 8)],
        misconceptions=about_t_max,
        praise="One fall over the whole run, with accumulation and with an epoch's remainder.",
        hints=(
            "How many batches does an epoch have, the smaller last one included? Round up.",
            "How many calls of `optimizer.step()` do those batches make? Round up once more, and only then multiply.",
        ),
        answer=t_max,
        why="`-(-a // b)` rounds a / b up. `T_max` counts steps, so count the steps: within an epoch, then all epochs.",
    ),
)
