"""Lesson 14: the task, the schedules to compare with, and a budget of training steps to search with."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
import numpy.typing as npt
import torch

from warmup_course.arguments import instance, one_of, refused, shown, whole_number
from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, Status, remembered
from warmup_course.classroom.lesson import FIRST_FREE_SEED
from warmup_course.classroom.predictions import WIDE_BUTTON
from warmup_course.model import ConvNet
from warmup_course.schedulers import Schedule
from warmup_course.sweep import sweep
from warmup_course.training import TrainConfig

if TYPE_CHECKING:
    import xarray as xr

LESSON = "14_capstone"


def _network() -> ConvNet:
    return ConvNet(gain=1.4)


TASK = TrainConfig(
    data="waveforms", model=_network, loss="squared_error", batch_size=32, total_steps=200, trained_above=0.6
)
# (peak LR, schedule). The first is about the best of the constant LRs; the second won among some ninety schedules, each
# tried on twelve seeds or more. Both were chosen by the validation rows of TASK.
BASELINE = (0.022, Schedule(TASK.total_steps, decay="constant"))
BEST = (0.35, Schedule(TASK.total_steps, 96, decay="linear"))

# No notebook seed reaches them, and no search is to have seen them.
HELD_OUT_SEEDS = range(FIRST_FREE_SEED, FIRST_FREE_SEED + 8)


@cache
def held_out_accuracy(lrs: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """The accuracy on the held-out rows after training with these LRs, for each of HELD_OUT_SEEDS; NaN if it diverged.

    On the CPU, so that everybody is judged alike.

    Args:
        lrs: the LR of each step.
    """
    task = replace(
        TASK, data="waveforms_held_out", evaluate="end", device="cpu", peak_lr=1.0, lr_lambda=lrs.__getitem__
    )
    with torch.enable_grad():  # whatever a cell has switched off
        runs = sweep(task, progress=iter, seed=HELD_OUT_SEEDS)
    return runs.valid_accuracy.isel(epoch=-1).to_numpy().astype(float)


def _plainly(value: Any) -> str:
    """A value or a list of values, whichever library's numbers they are."""
    plain = [np.asarray(one).tolist() for one in value] if isinstance(value, list) else np.asarray(value).tolist()
    return shown(plain, most=10**9)


class OverBudgetError(ValueError):
    """A sweep needs more steps than are left. The message says how many."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message alone. Nothing is broken."""
        return [f"✘ {self}"]


class Budget(Card):
    """Training steps to spend on a search: a bar that shows what is left, and a button to begin anew.

    Each sweep is paid for once it is done; the same sweep again is free, so a notebook can be run again from its top.
    What was spent outlives the kernel, as soon as a browser has shown the bar.

    Args:
        task: what is trained. A sweep may change its schedule, its peak LR, its length and its seed.
        steps: how many there are.

    Raises:
        ValueError: for what is no TrainConfig, or steps below 1.

    >>> budget = Budget(TASK, 1000)
    >>> runs = budget.sweep(peak_lr=[0.01, 0.02], seed=[0], total_steps=30)
    60 steps for 2 runs. 940 of 1000 steps are left.
    >>> runs = budget.sweep(peak_lr=[0.01, 0.02], seed=[0], total_steps=30)
    Paid for before. 940 of 1000 steps are left.
    """

    def __init__(self, task: TrainConfig, steps: int) -> None:
        instance("task", task, TrainConfig, "a TrainConfig")
        self.task, self.steps = task, whole_number("steps", steps, 1, 2**31 - 1)  # what the bar can show
        self.bar, self.status = widgets.IntProgress(max=steps, layout={"width": "20em"}), Status()
        self._paid: dict[str, int] = {}  # sweep -> steps
        self._number = 1  # of budgets begun
        self._watched = False
        again = widgets.Button(description="Begin a new budget", tooltip="all steps back", layout=WIDE_BUTTON)
        again.on_click(lambda _: self._begin_anew())
        text = f"A budget of {steps} training steps. Here stands a bar that shows how many are left."
        super().__init__([self.bar, self.status, again], text, on_shown=self._recall)
        self._show()

    @property
    def left(self) -> int:
        """Steps not spent."""
        return max(0, self.steps - sum(self._paid.values()))

    def sweep(self, **values: Any) -> "xr.Dataset":
        """Train the task with every combination of the lists, see ``warmup_course.sweep``, and pay for it.

        Args:
            values: fields of Schedule, peak_lr and seed: lists to try, or single values that replace the task's.

        Raises:
            OverBudgetError: if it needs more steps than are left; nothing is trained then.
            ValueError: for any other name, a seed that the held-out comparison uses, or what ``sweep`` refuses.
        """
        allowed = ["peak_lr", "seed", *(field.name for field in fields(Schedule))]
        for name in values:
            one_of("what a sweep changes", name, allowed)
        axes: dict[str, Any] = {
            name: list(value)
            for name, value in values.items()
            if isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", None) != ()
        }
        config = replace(self.task, **{name: value for name, value in values.items() if name not in axes})
        if not axes:
            raise refused("values", "at least one list, such as peak_lr=[0.01, 0.02]", values)
        for seed in axes.get("seed", [config.seed]):
            if seed in HELD_OUT_SEEDS:
                raise refused("seed", f"none of the held-out ones, {HELD_OUT_SEEDS[0]} to {HELD_OUT_SEEDS[-1]}", seed)
        runs = math.prod(map(len, axes.values()))
        cost = runs * config.total_steps
        what = ", ".join(f"{name}={_plainly(axes.get(name, value))}" for name, value in sorted(values.items()))
        said = f"{runs} run{'s' * (runs != 1)}"
        new = what not in self._paid
        if new and cost > self.left:
            raise OverBudgetError(
                f"{said} of {config.total_steps} steps would cost {cost} steps, and {self.left} are left. "
                "Nothing was trained. Try fewer seeds, fewer values or a smaller total_steps."
            )
        result = sweep(config, **axes)
        self._paid[what] = cost
        self._show()
        if new and self._watched:
            self._keep([what])
        print(
            f"{f'{cost} steps for {said}' if new else 'Paid for before'}. {self.left} of {self.steps} steps are left."
        )
        return result

    def _show(self) -> None:
        self.bar.value = self.left
        self.status.say(f"**Budget {self._number}:** {self.left} of {self.steps} steps are left.")

    def _keep(self, sweeps: Sequence[str]) -> None:
        for what in sweeps:
            steps = str(self._paid[what])
            remembered(partial(store.record, LESSON, "sweep", what, steps, "paid"), self.status)

    def _recall(self) -> None:
        """What was spent on earlier days counts; what was spent before the bar was seen is kept now."""
        events = remembered(lambda: store.events(LESSON, "sweep"), self.status)
        if events is None:
            return
        earlier: dict[str, int] = {}
        number = 1
        for event in events:
            if event.state == "paid":
                earlier[event.item] = int(event.answer)
            else:
                earlier, number = {}, number + 1
        new = [what for what in self._paid if what not in earlier]
        self._paid, self._number, self._watched = {**earlier, **self._paid}, number, True
        self._show()
        self._keep(new)

    def _begin_anew(self) -> None:
        self._paid, self._number = {}, self._number + 1
        self._show()
        remembered(lambda: store.record(LESSON, "sweep", "all", str(self.steps), "given back"), self.status)
