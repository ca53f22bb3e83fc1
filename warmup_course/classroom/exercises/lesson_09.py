"""Lesson 09."""

import math
from typing import Any

import numpy as np

from warmup_course.classroom.exercises.checker import (
    Exercise,
    FunctionExercise,
    Misconceptions,
    NotYet,
    close,
    not_yet,
    number,
    numbers,
    run,
    short,
)


def recipe(batch_size):
    total_steps = 15 * -(-1437 // batch_size)
    return 0.03125 * batch_size / 16, total_steps, round(0.15 * total_steps)


def clip(gradient, threshold):
    norm = sum(g * g for g in gradient) ** 0.5
    if norm <= threshold:
        return gradient
    return [g * threshold / norm for g in gradient]


def judge_recipe(answer: Any) -> str:
    # The first input tells the misconceptions apart; the last divides the rows exactly.
    for batch_size in (64, 16, 512, 1437, 479):
        shown = f"For batch size {batch_size}"
        lr, total, ramp = numbers(run(answer, batch_size), shown, ("peak LR", "total steps", "warmup steps"))
        ratio, epoch = batch_size / 16, math.ceil(1437 / batch_size)
        if not close(lr, 0.03125 * ratio):
            likely = [
                (0.03125, "That is the LR of batch 16. The rule multiplies it."),
                (0.03125 / ratio, "The other way round: a larger batch gets a higher LR."),
                (0.03125 * math.sqrt(ratio), "That is the square-root rule. Ours is linear."),
                (0.03125 * batch_size, "Multiply by the *ratio* of the batch sizes."),
            ]
            raise not_yet(f"{shown}, as peak LR,", lr, 0.03125 * ratio, likely)
        if not close(total, 15 * epoch):
            in_each = "Each *epoch* ends with a smaller batch, so round up in each epoch."
            likely = [
                (15 * 90, "Those are the steps of batch 16. The epochs stay, not the steps."),
                (15 * (1437 // batch_size), "The last, smaller batch of each epoch is a step too."),
                (15 * 1437 / batch_size, "There are no parts of a step: each epoch ends with a smaller batch."),
                (math.ceil(15 * 1437 / batch_size), in_each),
                (15 * 1437 // batch_size, in_each),
                (
                    15 * 90 / ratio,
                    "The 90 batches of an epoch do not divide evenly: count the batches anew, and round up.",
                ),
                (epoch, "Those are the steps of one epoch."),
                (15 * 1437, "That counts rows, not batches."),
            ]
            raise not_yet(f"{shown}, as total steps,", total, 15 * epoch, likely)
        right = 0.15 * 15 * epoch
        if not (abs(ramp - right) < 1 and ramp == round(ramp)):
            likely = [
                (right, "A ramp has a whole number of steps. Round it."),
                (round(0.15 * 15 * 90), "That is the ramp of batch 16. It is a share of *these* steps."),
                (round(0.15 * epoch), "That is a share of one epoch. The ramp is a share of all steps."),
                (15, "15 % of the steps, not 15 steps."),
            ]
            raise not_yet(f"{shown}, as warmup steps,", ramp, round(right), likely)
    return "The same rows are seen at every batch size; look how few steps are left for the ramp at 1437."


def a_gradient(result: Any, shown: str) -> list[float]:
    if not np.iterable(result):
        raise NotYet(f"{shown} you have {short(result)}, which is not a list of numbers.")
    return [number(g, f"{shown}, in your list,") for g in result]


def about_clipping(gradient: list[float], threshold: float) -> Misconceptions:
    each = "That cuts each number by itself"
    cut = [
        ([max(-threshold, min(threshold, g)) for g in gradient], f"{each}, and the step gets another direction."),
        ([min(threshold, g) for g in gradient], f"{each}, and only the positive ones."),
    ]
    norm, absolute = math.hypot(*gradient), [abs(g) for g in gradient]
    if not norm:
        return cut

    def scaled(factor: float) -> list[float]:
        return [g * factor for g in gradient]

    return [
        *cut,
        (scaled(threshold / norm), "A gradient that is short enough stays as it is."),
        (scaled(min(1, threshold / norm**2)), "You divide by the squared norm. Take the root."),
        (scaled(min(1, threshold / sum(absolute))), "The norm is the root of the sum of squares."),
        (scaled(min(1, threshold / max(absolute))), "The norm is of all the numbers, not the largest of them."),
        (scaled(1 / norm), "That has length 1. Which length should it have?"),
        (gradient, "It is longer than the threshold."),
    ]


EXERCISES = (
    Exercise(
        name="09_scale/recipe",
        judge=judge_recipe,
        hints=(
            "How many batches does an epoch of 1437 rows have? Round up: the smaller last one counts.",
            "`math.ceil(1437 / batch_size)` steps an epoch, 15 times that in all, 15 % of those for the ramp.",
        ),
        answer=recipe,
        why="`-(-a // b)` is a / b rounded up. The fixed number of epochs sets the steps. The ramp is a share, so with "
        "large batches it becomes very short, as the lesson saw at 512.",
    ),
    FunctionExercise(
        name="09_scale/clip",
        # The first one tells the misconceptions apart; then one that is short, one at the threshold, none at all.
        told="For the gradient {} and the threshold {:g}",
        cases=[([8.0, -9.0, 12.0], 8.5), ([0.3, -0.4], 2.0), ([3.0, 4.0], 5.0), ([0.0, 0.0], 1.0), ([-6.0, 8.0], 2.5)],
        misconceptions=about_clipping,
        read=a_gradient,
        praise="Shorter where it is too long, the same direction, and untouched otherwise.",
        hints=(
            "The norm is one number for the whole list: the root of the sum of squares.",
            "If the norm is above the threshold, multiply every number by threshold / norm. Otherwise change nothing.",
        ),
        answer=clip,
        why="All numbers get the same factor, so the step keeps its direction and loses only length.",
    ),
)
