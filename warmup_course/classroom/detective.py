"""Lesson 11's detective: learning rates that a loop with wrong settings has used, to be explained by settings.

The settings that made them stand here, so that the lesson's own code does not name them.
"""

import numpy as np
import numpy.typing as npt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from warmup_course.arguments import one_of, whole_number
from warmup_course.schedulers import used_lrs

WARMUP_STEPS, UPDATES = 6, 30
_SETTINGS = {"A": (6, 30, 1), "B": (6, 24, 2), "C": (3, 24, 1), "D": (6, 12, 1)}
CASES = tuple(_SETTINGS)


class _Hasty:
    """A scheduler that is stepped several times an update."""

    def __init__(self, scheduler: SequentialLR, calls: int) -> None:
        self.scheduler, self.calls = scheduler, calls

    def step(self) -> None:
        for _ in range(self.calls):
            self.scheduler.step()


def trace(milestone: int, t_max: int, calls: int) -> npt.NDArray[np.float64]:
    """The LR of each update under torch's LinearLR over six steps, then CosineAnnealingLR.

    Args:
        milestone: the step at which SequentialLR goes over from the one to the other.
        t_max: the cosine's T_max.
        calls: of ``scheduler.step()``, an update.

    Raises:
        ValueError: for a number below 1.

    >>> trace(milestone=6, t_max=24, calls=1)[:8].round(3)
    array([0.017, 0.033, 0.05 , 0.067, 0.083, 0.1  , 0.1  , 0.1  ])
    """
    whole_number("milestone", milestone, 1)
    whole_number("t_max", t_max, 1)
    whole_number("calls", calls, 1)

    def make(optimizer: Optimizer) -> _Hasty:
        ramp = LinearLR(optimizer, start_factor=1 / WARMUP_STEPS, total_iters=WARMUP_STEPS - 1)
        cosine = CosineAnnealingLR(optimizer, T_max=t_max)
        return _Hasty(SequentialLR(optimizer, [ramp, cosine], milestones=[milestone]), calls)

    return used_lrs(make, UPDATES)


def log_of(case: str) -> npt.NDArray[np.float64]:
    """The LRs of one of the CASES.

    Raises:
        ValueError: for an unknown case.

    >>> len(log_of("A"))
    30
    """
    one_of("case", case, CASES)
    return trace(*_SETTINGS[case])
