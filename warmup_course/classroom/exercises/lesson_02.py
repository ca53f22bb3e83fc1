"""Lesson 02."""

import torch
from torch import Tensor

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions, short
from warmup_course.data import tabular


def lr_limit(x):
    hessian = x.T @ x / len(x)
    return 2 / torch.linalg.eigvalsh(hessian)[-1]


def cases() -> list[tuple[Tensor]]:
    """Random rows, and the table of lesson 01, each with a column of ones.

    In float32, like ``torch.ones`` and all else that the learner may bring along. The table is doubled: its limit is
    then so small that what float32 rounds is far below the 1e-6 of ``close``.
    """
    stretched = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 5.0])
    return [(torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1),) for rows in (stretched, 2 * tabular().x_train)]


def misconceptions(x: Tensor) -> Misconceptions:
    eigenvalues, rows = torch.linalg.eigvalsh(x.T @ x / len(x)), len(x)
    sharpness = eigenvalues[-1].item()
    return [
        (2 / eigenvalues[0].item(), "`eigvalsh` sorts upwards: its first value is the flattest direction."),
        (2 / (sharpness * rows), "Did you divide by the number of rows? The loss is a mean over rows."),
        (
            1 / sharpness,
            "1 / sharpness arrives at once. The limit is higher. Or did you leave out the 1/2 of the squared error?",
        ),
        (sharpness, "That is the sharpness itself. The limit is 2 divided by it."),
        (2 / eigenvalues.sum().item(), "A trace adds up all curvatures; only the largest counts."),
        (2 / (sharpness * rows) ** 0.5, "A singular value of x is the square root of what you need."),
        (lambda got: 2 < got * sharpness < 2.2, "Close, but the iteration has not arrived."),
    ]


EXERCISES = (
    FunctionExercise(
        name="02_high_lr_instability/lr_limit",
        told=lambda x: f"For {short(x)}",
        cases=cases,
        misconceptions=misconceptions,
        praise="The rows alone decide it: no label and no weight was needed.",
        hints=(
            "Which matrix was the Hessian of the linear model? It contains the rows alone.",
            "Its largest eigenvalue is the sharpness. Is that the first or the last that `eigvalsh` returns?",
        ),
        answer=lr_limit,
        why="""`eigvalsh` sorts upwards, so the sharpness is the last value. The labels do not enter: they move the
bottom of the bowl and leave its shape alone.""",
    ),
)
