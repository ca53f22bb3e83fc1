"""A lab of gradient descent in a bowl."""

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
import traitlets
from matplotlib.figure import Figure

from warmup_course.arguments import elements, real_number, whole_number
from warmup_course.classroom import plots
from warmup_course.classroom.labs.browser import BrowserLab, short, source
from warmup_course.quadratic import arrival, descend, stability_limit, verdict

# What the right panel shows, and what the sliders reach.
LOSSES = (1e-6, 1e3)
LIMITS = {"lr": (0.001, 10.0), "momentum": (0.0, 0.99), "curvatures": (0.1, 100.0), "start": (0.1, 2.0)}


class QuadraticLab(BrowserLab):
    """Gradient descent with momentum in a bowl of one or two weights: its path, its loss, and the limit of the LR.

    Args:
        curvatures: one or two numbers in [0.1, 100].
        lr: in [0.001, 10].
        momentum: in [0, 0.99].
        controls, goal, reached: see BrowserLab.

    Raises:
        ValueError: for a number out of range, or one of goal and reached without the other.

    >>> lab = QuadraticLab((1.0, 10.0), lr=0.15)
    >>> lab.message
    'Weight 1 settles without crossing; weight 2 settles, bouncing from wall to wall'
    """

    _esm = source("quadratic.js", LOSSES=LOSSES)
    NAMES = ("lr", "momentum", "curvatures", "start")
    limits = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        curvatures: Sequence[float] = (1.0,),
        lr: float = 0.1,
        momentum: float = 0.0,
        *,
        controls: Sequence[str] | None = None,
        goal: str | None = None,
        reached: Callable[["QuadraticLab"], bool] | None = None,
    ) -> None:
        curvatures = elements("curvatures", curvatures, "one or two numbers")
        start = [1.0] * len(curvatures)
        settings = {"lr": lr, "momentum": momentum, "curvatures": curvatures, "start": start, "steps": 40}
        super().__init__(settings, controls=controls, goal=goal, reached=reached, limits=LIMITS)

    def _check(self, settings: dict[str, Any]) -> None:
        if len(settings["curvatures"]) not in (1, 2) or len(settings["start"]) != len(settings["curvatures"]):
            raise ValueError(
                f"curvatures must be one or two numbers, and start as many, "
                f"got {settings['curvatures']} and {settings['start']}"
            )
        for name, (least, most) in LIMITS.items():
            for value in settings[name] if name in ("curvatures", "start") else [settings[name]]:
                real_number(name, value, least, most)
        whole_number("steps", settings["steps"], 1, 1000)

    @property
    def lr(self) -> float:
        return self.settings["lr"]

    @property
    def momentum(self) -> float:
        return self.settings["momentum"]

    @property
    def curvatures(self) -> list[float]:
        return self.settings["curvatures"]

    @property
    def path(self) -> npt.NDArray[np.float64]:
        """The weights before each step and after the last one, (steps + 1, weights)."""
        return descend(**self.settings)

    @property
    def arrival(self) -> int | None:
        """The first step from which on the path stays within 1 % of its first distance to the minimum, if it does."""
        return arrival(self.path)

    @property
    def verdicts(self) -> list[str]:
        """What each weight does, in words; see ``verdict``."""
        return [verdict(self.lr, curvature, self.momentum, self.settings["steps"]) for curvature in self.curvatures]

    @property
    def message(self) -> str:
        """All verdicts in one line."""
        if len(self.verdicts) == 1:
            return f"The weight {self.verdicts[0]}"
        one, two = self.verdicts
        return f"Each weight {one}" if one == two else f"Weight 1 {one}; weight 2 {two}"

    def describe(self) -> str:
        return (
            f"Gradient descent in a bowl with curvature {' and '.join(map(short, self.curvatures))} "
            f"at LR {short(self.lr)} and momentum {short(self.momentum)}: {self.message}."
        )

    def snapshot(self) -> Figure:
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        seen = self.path[np.abs(self.path).max(axis=1) < 1e6]  # what is far outside the picture only slows it down
        plots.descent_path(seen, self.curvatures, "", left)
        with np.errstate(over="ignore", invalid="ignore"):
            loss = 0.5 * (self.path**2 @ np.asarray(self.curvatures))
        right.plot(np.clip(np.nan_to_num(loss, nan=np.inf), *LOSSES), color=plots.WITH_WARMUP, marker="o")
        right.set(xlabel="step", ylabel="loss (log scale)", yscale="log", ylim=LOSSES)
        limit = min(stability_limit(curvature, self.momentum) for curvature in self.curvatures)
        title = fill(f"{self.message} (LR {short(self.lr)}, limit {short(limit)})", 62)
        figure.suptitle(title, x=0.01, horizontalalignment="left", fontweight="bold")
        return figure
