"""Why does a high learning rate break training?"""

from typing import Any

import torch
from torch import Tensor

from warmup_course.classroom.exercises.checker import Exercise, close, not_yet, number, run
from warmup_course.data import tabular


def lr_limit(x):
    hessian = x.T @ x / len(x)
    return 2 / torch.linalg.eigvalsh(hessian)[-1]


def judge_lr_limit(answer: Any) -> str:
    for name, x in inputs().items():
        shown = f"For {name}"
        got = number(run(answer, x), shown)
        eigenvalues = torch.linalg.eigvalsh(x.T @ x / len(x))
        sharpness, rows = eigenvalues[-1].item(), len(x)
        if not close(got, 2 / sharpness):
            likely = [
                (2 / eigenvalues[0].item(), "`eigvalsh` sorts upwards: its first value is the flattest direction."),
                (2 / (sharpness * rows), "Did you divide by the number of rows? The loss is a mean over rows."),
                (1 / sharpness, "1 / sharpness takes the steepest direction home in one step. The limit is higher."),
                (sharpness, "That is the sharpness itself. The limit is 2 divided by it."),
                (2 / eigenvalues.sum().item(), "A trace adds up all curvatures; only the largest counts."),
                (2 / (sharpness * rows) ** 0.5, "A singular value of x is the square root of what you need."),
            ]
            raise not_yet(shown, got, 2 / sharpness, likely)
    return "The rows alone decide it: no label and no weight was needed."


def inputs() -> dict[str, Tensor]:
    """The rows that an answer is tried on."""
    generator = torch.Generator().manual_seed(0)
    stretched = torch.randn(40, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 2.0, 5.0])
    table = tabular().x_train.double()
    return {
        "40 random rows of 3 columns": stretched,
        "the tabular data with a column of ones": torch.cat([table, torch.ones_like(table[:, :1])], dim=1),
    }


EXERCISES = (
    Exercise(
        name="02_high_lr_instability/lr_limit",
        judge=judge_lr_limit,
        hints=(
            "Which matrix was the Hessian of the linear model? It contains the rows alone.",
            "Its largest eigenvalue is the sharpness. Is that the first or the last that `eigvalsh` returns?",
        ),
        answer=lr_limit,
        why="""`eigvalsh` sorts upwards, so the sharpness is the last value. The labels do not enter: they move the
bottom of the bowl and leave its shape alone.""",
    ),
)
