"""The lab that trains while its sliders move."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial, wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection

from warmup_course.arguments import MOST_SEED, elements, instance, one_of, real_number, refused, whole_number
from warmup_course.classroom import plots
from warmup_course.classroom.labs.kernel import Lab
from warmup_course.classroom.picture import Picture
from warmup_course.model import MLP
from warmup_course.sweep import sweep
from warmup_course.training import TrainConfig

if TYPE_CHECKING:
    import xarray as xr

LOWEST_LR, HIGHEST_LR = 2.0**-10, 2.0**2
BATCH_SIZES = (16, 32, 64, 128, 256, 512)
MOST_LAYERS = 6
# Adam's learning rate is this share of SGD's where both are at the edge: with four hidden layers and the squared error,
# 1 and 0 of 8 seeds train at 1/32 and 1/4 without warmup, 8 and 8 with a ramp of 32 steps.
ADAMS_SHARE = 1 / 8
# Seconds between two drawings of a run under way; drawing takes time from training.
PARTIAL_EVERY = 0.6


class _Superseded(Exception):  # noqa: N818  (it is no error)
    """Ends a run: there is a newer position, the learner stopped it, or the kernel goes down."""


class TrainingLab(Lab):
    """Trains a network with and without warmup, several seeds each, whenever a slider moves.

    A new position ends the run under way: the newest wins. Longer runs show how far they are, and can be stopped. The
    first run is made at once; all others in a thread of their own, so the kernel stays free.

    Args:
        config: the data, the number of steps and the first position of most controls; its model is not used.
        warmup_steps: of the arm with warmup, at first.
        hidden_layers: of 64 units each, at first.
        seeds: for the runs; one slider says how many of them are used, at first 8 or all.
        goal, reached: see Lab; the runs of both arms are in the lab's ``runs``.

    Raises:
        ValueError: for what is no TrainConfig, a first position that no control can take, or seeds that are not at
            least one, each once.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        warmup_steps: int = 32,
        hidden_layers: int = 4,
        seeds: Sequence[int],
        goal: str | None = None,
        reached: Callable[["TrainingLab"], bool] | None = None,
    ) -> None:
        instance("config", config, TrainConfig, "a TrainConfig")
        seeds = [whole_number("seeds", seed, 0, MOST_SEED) for seed in elements("seeds", seeds)]
        if len(set(seeds)) < len(seeds):
            raise refused("seeds", "a list with each seed once", seeds)
        real_number("peak_lr", config.peak_lr, LOWEST_LR, HIGHEST_LR)
        one_of("batch_size", config.batch_size, BATCH_SIZES)
        one_of("optimizer", config.optimizer, ("SGD", "Adam"))
        whole_number("warmup_steps", warmup_steps, 1, config.total_steps)
        whole_number("hidden_layers", hidden_layers, 0, MOST_LAYERS)
        self._config, self._seeds = config, seeds
        self._panels = _Panels(config.total_steps)
        self._lock = threading.Lock()
        self._wanted: dict[str, Any] | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.runs: xr.Dataset
        self._bar = widgets.IntProgress(max=config.total_steps, layout={"width": "14em"})
        # It is never switched off: the keyboard would lose its place.
        self._stop = widgets.Button(description="Stop", tooltip="end the run under way")
        self._stop.on_click(lambda _: setattr(self, "_stopped", True))
        widgets_by_name = {
            "peak_lr": widgets.FloatLogSlider(
                config.peak_lr, base=2, min=-10, max=2, step=0.25, readout_format=".3g", description="peak LR"
            ),
            "warmup_steps": widgets.IntSlider(warmup_steps, 1, config.total_steps, description="warmup steps"),
            "hidden_layers": widgets.IntSlider(hidden_layers, 0, MOST_LAYERS, description="hidden layers"),
            "batch_size": widgets.SelectionSlider(
                options=BATCH_SIZES, value=config.batch_size, description="batch size"
            ),
            "optimizer": widgets.ToggleButtons(
                options=["SGD", "Adam"], value=config.optimizer, description="optimizer"
            ),
            "loss": widgets.ToggleButtons(
                options=[("squared error", "squared_error"), ("cross-entropy", "cross_entropy")],
                value=config.loss,
                description="loss",
            ),
            "n_seeds": widgets.IntSlider(min(8, len(seeds)), 1, len(seeds), description="seeds"),
        }
        shows = "the training loss, the learning rate and the validation accuracy by step, with and without warmup"
        super().__init__(
            widgets_by_name, self._panels.picture, shows, goal=goal, reached=reached, more=(self._stop, self._bar)
        )
        for name in ("optimizer", "loss"):
            widgets_by_name[name].style.button_width = "auto"
        widgets_by_name["optimizer"].observe(self._follow_optimizer, "value")
        self._panels.picture.show()
        self.run(self.values)

    def _follow_optimizer(self, change: Any) -> None:
        """At the other's LR nothing trains with Adam, or hardly moves with SGD."""
        share = ADAMS_SHARE if change.new == "Adam" else 1 / ADAMS_SHARE
        peak_lr = self.controls["peak_lr"]
        peak_lr.value = min(max(share * peak_lr.value, LOWEST_LR), HIGHEST_LR)

    def move_to(self, settings: Mapping[str, Any]) -> None:
        first = {name: settings[name] for name in ("optimizer",) if name in settings}  # because the LR follows it
        super().move_to({**first, **settings})

    def on_move(self) -> None:
        with self._lock:
            self._wanted = self.values
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="TrainingLab")
                self._thread.start()

    def wait(self) -> None:
        """Return when no run is under way."""
        while (thread := self._thread) is not None:
            thread.join()

    def _work(self) -> None:
        """Run what is wanted until nothing newer is."""
        while True:
            with self._lock:
                values, self._wanted = self._wanted, None
                if values is None or not threading.main_thread().is_alive():
                    self._thread = None
                    return
            try:
                self.run(values)
            except Exception as error:  # without this, the lab would fall silent
                self.status.say(f"**!** This run failed: {error}")

    def run(self, values: dict[str, Any]) -> None:
        """Train at these positions of the controls, in the thread that asks, and show the runs."""
        n_seeds, layers, warmup_steps = (values.pop(name) for name in ("n_seeds", "hidden_layers", "warmup_steps"))
        data = self._config.load_data()
        model = partial(MLP.for_data, data, [64] * layers)
        config = replace(self._config, data=data, model=model, evaluate="epoch", **values)
        self._stopped = False
        self._panels.show_schedules(config.peak_lr, warmup_steps)
        drawn = perf_counter()

        def draw_now_and_then(so_far: Callable[[], "xr.Dataset"]) -> None:
            nonlocal drawn
            if perf_counter() - drawn > PARTIAL_EVERY:
                self._panels.show_runs(so_far(), ended=False)
                drawn = perf_counter()

        with suppress(_Superseded):
            try:
                self.runs = sweep(
                    config,
                    progress=self._steps,
                    on_epoch=draw_now_and_then,
                    warmup_steps=[0, warmup_steps],
                    seed=self._seeds[:n_seeds],
                )
            finally:
                self._bar.value = 0
            self._panels.show_runs(self.runs, ended=True)
            self.status.say(summary_of(self.runs))
            self.show_goal()

    def _steps(self, steps: range) -> Iterator[int]:
        """Count through the steps, unless the run is to end; after a moment, show how far it is."""
        said = perf_counter()
        for step in steps:
            if self._stopped:
                self._panels.show_headlines(["stopped"] * 2)
                at = step * self._config.total_steps // len(steps)
                self.status.say(f"Stopped in step {at}. The lines end with the last whole epoch before it.")
                raise _Superseded
            if self._wanted is not None or not threading.main_thread().is_alive():
                raise _Superseded
            if perf_counter() - said > PARTIAL_EVERY:
                said = perf_counter()
                if not self._bar.value:
                    self.status.say("Training. The lines grow with each epoch.")
                self._bar.value = step * self._config.total_steps // len(steps)
            yield step


def summary_of(runs: "xr.Dataset") -> str:
    """How the runs of both arms ended, in words.

    Args:
        runs: a sweep with the dimensions "warmup_steps" and "seed".
    """
    said = []
    for arm in range(runs.warmup_steps.size):
        ended = runs.outcome.isel(warmup_steps=arm).to_numpy().tolist()
        counts = [f"{ended.count(name)} {name}" for name in plots.OUTCOME_LOOKS if name in ended]
        said.append(f"{plots.warmup_label(int(runs.warmup_steps[arm]))}: {', '.join(counts)}")
    return f"Of {runs.seed.size} seeds each, " + "; ".join(said) + "."


def _locked(method: Callable[..., None]) -> Callable[..., None]:
    """The method, while nobody else draws."""

    @wraps(method)
    def alone(panels: "_Panels", *arguments: Any, **named: Any) -> None:
        with panels.picture.lock:
            method(panels, *arguments, **named)

    return alone


class _Panels:
    """Three panels with fixed axes, whose lines are redrawn before a background that stays."""

    COLOURS = (plots.WITHOUT_WARMUP, plots.WITH_WARMUP)
    STYLES = ("--", "-")

    def __init__(self, total_steps: int) -> None:
        self.picture = Picture((10.4, 4.8))
        figure = self.picture.figure
        figure.set_layout_engine("constrained", rect=(0, 0, 1, 0.85))  # above it, the headlines
        grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
        loss, lr, accuracy = (figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1]))
        steps = (-0.02 * total_steps, 1.02 * total_steps)
        loss.set(yscale="log", ylim=(plots.LOSS_FLOOR, plots.LOSS_CEILING), xlim=steps)
        loss.set(xlabel="optimizer step", ylabel="training loss (log scale)")
        lr.set(ylim=(0, 1.09), xlim=steps, yticks=(0, 1), yticklabels=("0", f"{LOWEST_LR:.3g}"), ylabel="learning rate")
        lr.get_yticklabels()[1].set_alpha(0)  # room for the peak LR, which moves
        accuracy.set(ylim=(0, 1.02), xlim=steps, xlabel="optimizer step", ylabel="validation\naccuracy")
        lr.tick_params(labelbottom=False)
        looks = list(zip(self.COLOURS, self.STYLES, strict=True))
        self._headline = [
            figure.text(0.01, y, "", color=colour, weight="bold", fontsize=15)
            for y, colour in zip((0.94, 0.87), self.COLOURS, strict=True)
        ]
        self._peak = lr.text(-0.02, 1, "", transform=lr.get_yaxis_transform(), ha="right", va="center")
        self._ramps = [lr.plot([], [], color=c, linestyle=s)[0] for c, s in looks]
        cross = partial(loss.plot, [], [], "x", markersize=9, markeredgewidth=2, clip_on=False)
        self._crosses = [cross(color=c)[0] for c in self.COLOURS]
        lines = [LineCollection([], colors=c, linestyles=s, linewidths=1.1) for c, s in looks * 2]
        self._losses, self._accuracies = lines[:2], lines[2:]
        for line, ax in zip(lines, (loss, loss, accuracy, accuracy), strict=True):
            ax.add_collection(line, autolim=False)
        for artist in self._artists:
            artist.set_animated(True)
            artist.set_in_layout(False)  # where the axes are does not depend on it
        self._steps = np.arange(total_steps)

    @property
    def _artists(self) -> list[Artist]:
        lines = [*self._losses, *self._accuracies, *self._ramps, *self._crosses]
        return [*lines, *self._headline, self._peak]

    @_locked
    def show_schedules(self, peak_lr: float, warmup_steps: int) -> None:
        """The LR of both arms; the runs of the last position fade until there are new ones."""
        ramps = (np.ones(len(self._steps)), np.minimum((self._steps + 1) / warmup_steps, 1))
        for line, ramp in zip(self._ramps, ramps, strict=True):
            line.set_data(self._steps, ramp)
        self._peak.set_text(f"{peak_lr:.3g}")
        self._labels = [plots.warmup_label(steps) for steps in (0, warmup_steps)]
        for lines in (*self._losses, *self._accuracies, *self._crosses):
            lines.set_alpha(0.15)
        self.show_headlines(["training ..."] * 2)

    @_locked
    def show_headlines(self, said: Sequence[str]) -> None:
        """Say something of each arm; the headlines are the legend too."""
        for headline, line, label, text in zip(self._headline, ("- - -", "———"), self._labels, said, strict=True):
            headline.set_text(f"{line} {label}: {text}")
        self.picture.show_moving(self._artists)

    @_locked
    def show_runs(self, runs: "xr.Dataset", ended: bool) -> None:
        """The runs of both arms, as far as they are; how many train, once they have ended."""
        said = []
        for arm in range(runs.warmup_steps.size):
            of_arm = runs.isel(warmup_steps=arm)
            loss = of_arm.batch_loss.transpose("seed", "step").to_numpy()
            self._losses[arm].set_segments([_curve(self._steps, row) for row in np.minimum(loss, plots.LOSS_CEILING)])
            accuracy = of_arm.valid_accuracy.transpose("seed", "epoch").to_numpy()
            self._accuracies[arm].set_segments([_curve(runs.epoch_step.to_numpy(), row) for row in accuracy])
            lost = loss[of_arm.outcome.to_numpy() == "diverged"]
            ends = [np.flatnonzero(np.isfinite(row))[-1] if np.isfinite(row).any() else 0 for row in lost]
            self._crosses[arm].set_data(ends, [plots.LOSS_CEILING] * len(ends))
            said.append(f"{int((of_arm.outcome == 'trained').sum())} of {runs.seed.size} train")
        for lines in (*self._losses, *self._accuracies):
            lines.set_alpha(0.8)
        for crosses in self._crosses:
            crosses.set_alpha(1)
        self.show_headlines(said if ended else ["training ..."] * 2)


def _curve(x: "np.ndarray[Any, Any]", y: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The points of a line as far as it is known."""
    known = ~np.isnan(y)
    return np.column_stack([x[known], y[known]])
