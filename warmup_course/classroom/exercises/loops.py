"""What the checkers of ramps and training loops share: the linear warmup they ask for, and how they listen."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from warmup_course.classroom.exercises.checker import Misconceptions

# Whatever is wrong where W = 0.
NO_RAMP: Misconceptions = [(lambda got: True, "With W = 0 there is no ramp: every step is at the peak.")]


def ramp(warmup_steps: int, step: int) -> float:
    return min((step + 1) / warmup_steps, 1)


Note = TypeVar("Note")


@contextmanager
def at_each_step(note: Callable[[dict[str, Any]], Note]) -> Iterator[list[list[Note]]]:
    """A list of notes on all groups, made at each ``step()`` of whichever optimizer; torch's warnings are kept in."""
    notes: list[list[Note]] = []

    def read(optimizer: Optimizer, *_: Any) -> None:
        notes.append([note(group) for group in optimizer.param_groups])

    handle = register_optimizer_step_pre_hook(read)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield notes
    finally:
        handle.remove()


def flight_recorder() -> AbstractContextManager[list[list[float]]]:
    """A list of the LRs of all groups, read at each ``step()``."""
    return at_each_step(lambda group: float(group["lr"]))
