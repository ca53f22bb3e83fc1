"""A lab of the stored runs of a sweep."""

from collections.abc import Callable
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from warmup_course.arguments import one_of, pair
from warmup_course.classroom import plots
from warmup_course.classroom.labs.browser import BrowserLab, source

if TYPE_CHECKING:
    import xarray as xr


class StabilityLab(BrowserLab):
    """The number of seeds that train at each peak LR and warmup length of a sweep, and the runs behind each number.

    Args:
        runs: a sweep over peak_lr, warmup_steps and seed, in any order, each value once.
        chosen: the peak LR and the warmup length to begin with; by default in the middle.
        goal, reached: see BrowserLab.

    Raises:
        ValueError: for runs without these dimensions or without losses and outcomes, a choice that is not among them,
            or one of goal and reached without the other.
    """

    _esm = source("stability.js", FIRST_STEPS=plots.FIRST_STEPS)
    data = traitlets.Dict().tag(sync=True)
    losses = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        runs: "xr.Dataset",
        chosen: tuple[float, int] | None = None,
        *,
        goal: str | None = None,
        reached: Callable[["StabilityLab"], bool] | None = None,
    ) -> None:
        self._runs = _sorted_runs(runs)
        rates, ramps = self._runs.peak_lr.to_numpy().tolist(), self._runs.warmup_steps.to_numpy().tolist()
        seeds = self._runs.seed.size
        self._title = f"Networks that train, of {seeds}"
        middle = rates[len(rates) // 2], ramps[len(ramps) // 2]
        lr, warmup = middle if chosen is None else pair("chosen", chosen, "a peak LR and a warmup length")
        data = {
            "title": self._title,
            "peak_lr": rates,
            "warmup_steps": ramps,
            "steps": self._runs.step.size,
            "outcomes": self._runs.outcome.to_numpy().tolist(),
            "colours": [to_hex(colormaps["cividis"](count / seeds)) for count in range(seeds + 1)],
            "floor": plots.LOSS_FLOOR,
            "ceiling": plots.LOSS_CEILING,
        }
        losses = self._runs.batch_loss.to_numpy()
        losses = np.where(np.isfinite(losses), losses.clip(max=plots.LOSS_CEILING), losses)
        losses = losses.astype("<f2").astype("<f4").tobytes()  # as exact as a picture, and small when it is stored
        settings = {"peak_lr": lr, "warmup_steps": warmup}
        super().__init__(settings, goal=goal, reached=reached, data=data, losses=losses)

    def _check(self, settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            one_of(name, value, self._runs[name].to_numpy().tolist())

    @property
    def chosen(self) -> tuple[float, int]:
        """The peak LR and the warmup length of the chosen cell."""
        return self.settings["peak_lr"], self.settings["warmup_steps"]

    @property
    def trained(self) -> int:
        """How many seeds train in the chosen cell."""
        return self._trained(*self.chosen)

    def _trained(self, lr: float, warmup: int) -> int:
        return int((self._runs.outcome.sel(peak_lr=lr, warmup_steps=warmup) == "trained").sum())

    @property
    def _contrast(self) -> bool:
        """Whether there are runs without warmup, to be drawn behind the chosen ones."""
        return 0 in self._runs.warmup_steps

    @property
    def message(self) -> str:
        """What the chosen cell shows, beside the one without warmup."""
        lr, warmup = self.chosen
        start = f"Peak LR {lr:g}: {self.trained} of {self._runs.seed.size} train"
        if not warmup:
            return f"{start} without warmup"
        bare = f", {self._trained(lr, 0)} without" if self._contrast else ""
        return f"{start} with {plots.warmup_label(warmup)}{bare}"

    def describe(self) -> str:
        return f"{self._title}, for each peak LR and warmup length. {self.message}."

    def snapshot(self) -> Figure:
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        plots.stability_map(self._runs, self._title, left)
        lr, warmup = self.chosen
        column, row = list(self._runs.warmup_steps).index(warmup), sorted(self._runs.peak_lr.values)[::-1].index(lr)
        left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=5))
        left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2))
        shown = [warmup, 0] if self._contrast else [warmup]
        arms = {plots.warmup_label(steps): self._runs.sel(peak_lr=lr, warmup_steps=steps) for steps in shown}
        plots.loss_by_step(arms, fill(self.message, 42), right)
        for curve in right.lines:
            curve.set_zorder(2 + (curve.get_color() == plots.WITH_WARMUP))
        return figure


def _sorted_runs(runs: "xr.Dataset") -> "xr.Dataset":
    """The losses and outcomes of a sweep with rising LRs and warmup lengths, dimensions in the order of the map."""
    grid = ("peak_lr", "warmup_steps", "seed")
    plots.check_runs("runs", runs, outcome=grid, batch_loss=(*grid, "step"))
    return runs[["outcome", "batch_loss"]].sortby(["peak_lr", "warmup_steps"]).transpose(*grid, "step")
