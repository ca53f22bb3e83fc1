"""What the checkers of training loops share: the linear warmup they ask for, and how they listen."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook


def ramp(warmup_steps: int, step: int) -> float:
    return min((step + 1) / warmup_steps, 1)


@contextmanager
def flight_recorder() -> Iterator[list[list[float]]]:
    """A list of the LRs of all groups, read at each ``step()`` of whichever optimizer; torch's warnings are kept in."""
    used: list[list[float]] = []

    def read(optimizer: Optimizer, *_: Any) -> None:
        used.append([float(group["lr"]) for group in optimizer.param_groups])

    handle = register_optimizer_step_pre_hook(read)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield used
    finally:
        handle.remove()
