"""Lesson 13."""

import math

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions


def warmup_steps(examples, batch_size, accumulate, processes, epochs, ratio):
    import math

    share = math.ceil(examples / processes)
    batches = math.ceil(share / batch_size)
    steps = epochs * math.ceil(batches / accumulate)
    return math.ceil(ratio * steps)


def about_warmup_steps(
    examples: int, batch_size: int, accumulate: int, processes: int, epochs: int, ratio: float
) -> Misconceptions:
    batches = math.ceil(math.ceil(examples / processes) / batch_size)
    of_epoch = math.ceil(batches / accumulate)
    steps = epochs * of_epoch
    right = math.ceil(ratio * steps)
    alone = math.ceil(math.ceil(examples / batch_size) / accumulate)
    short = math.ceil(math.ceil(examples // processes / batch_size) / accumulate)
    return [
        (steps, "Those are all steps of the run. The ramp is a share of them."),
        (right * batch_size * accumulate * processes, "That counts examples. How many steps see them?"),
        (math.ceil(ratio * epochs * batches), "You count every batch, but `accumulate` of them share one step."),
        (math.ceil(ratio * epochs * alone), "As if one process saw all examples. They share them."),
        (right * processes, "All processes make the same step together: it counts once."),
        (math.ceil(ratio * of_epoch), "That is the share of one epoch's steps, not of the run's."),
        (epochs * math.ceil(ratio * of_epoch), "You round in each epoch. Count all steps, take the share, round once."),
        (math.ceil(ratio * epochs * (batches // accumulate)), "The batches left over in an epoch get a step too."),
        (
            math.ceil(ratio * math.ceil(epochs * batches / accumulate)),
            "What is left over is not carried on: it gets its own step.",
        ),
        (math.ceil(ratio * epochs * short), "Each process's share of the examples is rounded up."),
        (int(ratio * steps), "You round the share down. Here it is rounded up."),
        (ratio * steps, "Steps are whole: round the share up."),
    ]


EXERCISES = (
    FunctionExercise(
        name="13_in_practice/warmup_steps",
        # The first one tells all the misconceptions apart.
        told="For {} examples, batch size {}, accumulate = {}, {} processes, {} epochs and ratio {:g}",
        cases=[
            (9000, 32, 5, 8, 12, 0.2),
            (1437, 64, 4, 1, 3, 0.1),
            (20000, 8, 4, 8, 3, 0.03),
            (1000, 10, 1, 2, 2, 0.25),
            (100, 64, 8, 4, 1, 0.5),
            (5000, 16, 2, 4, 1, 0.0),
            (101, 10, 1, 2, 4, 0.25),
        ],
        misconceptions=about_warmup_steps,
        praise="Shared out, cut into batches, put together again, and rounded up at each stage.",
        hints=(
            "How many examples does each process get? How many batches are they, the smaller last one included?",
            "How many calls of `optimizer.step()` does one epoch make? Round up: the batches left over get a step.",
            "Multiply by the epochs first. The ratio comes last, and is rounded up once.",
        ),
        answer=warmup_steps,
        why="Each stage rounds up, since a started share, batch or window is used. The ratio is of *all* steps.",
    ),
)
