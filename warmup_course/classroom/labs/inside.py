"""A recorded run from the inside: what a probe measured, in panels with one cursor through all of them."""

from collections.abc import Callable, Mapping
from itertools import product

import ipywidgets as widgets
import numpy as np
import numpy.typing as npt

from warmup_course.arguments import one_of, refused
from warmup_course.classroom import plots
from warmup_course.classroom.labs.kernel import Lab
from warmup_course.classroom.picture import Picture
from warmup_course.probes import Probe
from warmup_course.training import History

Run = tuple[Probe, History]

# What is drawn of a run, and the name of its panel.
PANELS = {
    "lr": "learning rate",
    "loss": "loss of the batch",
    "sharpness": "sharpness",
    "gradient": "gradient norm",
    "update": "update size",
    "product": "LR x sharpness",
}


def measured(run: Run) -> dict[str, npt.NDArray[np.float64]]:
    """The curves of a run by the names of their panels, one value for each step measured."""
    probe, history = run
    lr, sharpness = np.array(probe.lr), np.array(probe.sharpness)
    return {
        "lr": lr,
        "loss": np.array([history.batch_loss[step] for step in probe.step]),
        "sharpness": sharpness,
        "gradient": np.array(probe.gradient_norm),
        "update": np.array([size.norm for size in probe.update_size]),
        "product": lr * sharpness,
    }


class InsideLab(Lab):
    """LR, loss, sharpness against 2 / LR, gradient norm and update size of recorded runs, with a common step cursor.

    The axes are the same for all runs, so that these can be compared; steps are spread out at the start, where most
    happens. A step that was not measured shows the last one before it that was.

    Args:
        runs: (model, peak LR, warmup steps) -> what was recorded of that run; one for each combination. ``model`` is
            the name that the learner sees.
        chosen: the run to begin with.
        goal, reached: see Lab.

    Raises:
        ValueError: for no runs, a combination without a run, a run without measurements, or an unknown ``chosen``.
    """

    def __init__(
        self,
        runs: Mapping[tuple[str, float, int], Run],
        chosen: tuple[str, float, int],
        *,
        goal: str | None = None,
        reached: Callable[["InsideLab"], bool] | None = None,
    ) -> None:
        if not isinstance(runs, Mapping) or not runs:
            raise refused("runs", "a dict by model, peak LR and warmup steps, not empty", runs)
        models, rates, ramps = (list(dict.fromkeys(values)) for values in zip(*runs, strict=True))
        if missing := [key for key in product(models, rates, ramps) if key not in runs]:
            raise ValueError(f"runs must hold every combination, got none for {missing[0]}")
        if empty := [key for key, (probe, _) in runs.items() if not probe.step]:
            raise ValueError(f"runs must hold measurements, got none for {empty[0]}")
        one_of("chosen", chosen, runs)
        self._runs = runs
        last = max(probe.step[-1] for probe, _ in runs.values())
        controls = {
            "model": widgets.ToggleButtons(options=models, value=chosen[0], description="model"),
            "peak_lr": widgets.SelectionSlider(
                options=[(f"{lr:g}", lr) for lr in sorted(rates)], value=chosen[1], description="peak LR"
            ),
            "warmup_steps": widgets.SelectionSlider(options=sorted(ramps), value=chosen[2], description="warmup steps"),
            "step": widgets.IntSlider(0, 0, last, description="step"),
        }
        controls["model"].style.button_width = "auto"
        shows = "LR, loss, sharpness against 2 / LR, gradient norm, update size, and LR times sharpness by step"
        picture = Picture((10.8, 6.0))
        super().__init__(controls, picture, shows, goal=goal, reached=reached)
        self._draw_axes(last)
        self.on_move()

    @property
    def chosen(self) -> tuple[str, float, int]:
        """The model, peak LR and warmup steps of the run that is shown."""
        return self.controls["model"].value, self.controls["peak_lr"].value, self.controls["warmup_steps"].value

    def _draw_axes(self, last: int) -> None:
        """The panels without a run: their axes, and the lines that get its values."""
        grid = self.picture.figure.subplots(2, 3, sharex=True)
        marks = [step for step in (0, 5, 20, 50, 100, 200, 500, 1000) if step <= last]
        settled = [run for run in self._runs.values() if run[1].outcome != "diverged"] or [*self._runs.values()]
        curves = [measured(run) for run in settled]
        self._lines, self._cursors, self._dots = {}, {}, {}
        for (name, title), ax in zip(PANELS.items(), grid.flat, strict=True):
            values = np.concatenate([curve[name] for curve in curves])
            values = values[np.isfinite(values) & (values > 0)]
            low, high = (values.min() / 1.6, values.max() * 1.6) if len(values) else (0.1, 10)
            if name == "loss":
                low, high = plots.LOSS_FLOOR, plots.LOSS_CEILING
            ax.set(yscale="log", ylim=(low, high), xlim=(0, last))
            ax.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
            ax.set_xticks(marks, [str(step) for step in marks])
            ax.set_title(title, fontsize=12)
            ax.tick_params(labelsize=11)
            self._lines[name] = ax.plot([], [], "-o", color=plots.WITH_WARMUP, markersize=3, linewidth=1.6)[0]
            self._cursors[name] = ax.axvline(0, color="0.35", linewidth=1.2, linestyle="-")
            self._dots[name] = ax.plot([], [], "o", color="black", markersize=8, clip_on=False)[0]
        for ax in grid[1]:
            ax.set_xlabel("optimizer step", fontsize=12)
        limit = {"color": plots.WITHOUT_WARMUP, "linestyle": "--"}
        self._limit = grid.flat[2].plot([], [], **limit)[0]
        grid.flat[5].axhline(2, **limit, label="2")
        self._limit.set_label("2 / LR")
        for panel in (2, 5):
            grid.flat[panel].legend(handles=[grid.flat[panel].lines[-1]], loc="upper right", fontsize=11)
        self._moving = [*self._cursors.values(), self._limit, *self._lines.values(), *self._dots.values()]
        for artist in self._moving:
            artist.set_animated(True)
            artist.set_in_layout(False)  # it has no place yet
        self.picture.show()

    def on_move(self) -> None:
        probe, history = self._runs[self.chosen]
        curves = measured((probe, history))
        at = int(np.searchsorted(probe.step, self.controls["step"].value, side="right")) - 1
        for name, curve in curves.items():
            drawn = self._within(name, curve)
            self._lines[name].set_data(probe.step, drawn)
            self._cursors[name].set_xdata([probe.step[at]] * 2)
            self._dots[name].set_data([probe.step[at]], [drawn[at]])
        with np.errstate(divide="ignore"):  # an LR of 0 has no limit
            self._limit.set_data(probe.step, 2 / curves["lr"])
        now = {name: curve[at] for name, curve in curves.items()}
        self.picture.show_moving(self._moving)
        self.status.say(self._sentence(probe.step[at], now, history))
        self.show_goal()

    def _within(self, name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values as they are drawn: what lies beyond the panel, at its edge."""
        low, high = self._lines[name].axes.get_ylim()
        drawn: npt.NDArray[np.float64] = np.nan_to_num(values, nan=np.inf).clip(low, high)
        return drawn

    def _sentence(self, step: int, now: Mapping[str, float], history: History) -> str:
        """The values at the cursor, in words."""
        side = "above" if now["product"] > 2 else "below" if now["product"] <= 2 else "nowhere near"
        text = (
            f"Step {step}: LR {now['lr']:.3g}, loss {now['loss']:.3g}, sharpness {now['sharpness']:.3g}, "
            f"gradient norm {now['gradient']:.3g}, update size {now['update']:.3g}. "
            f"LR x sharpness is {now['product']:.3g}, {side} 2."
        )
        if history.outcome == "diverged":
            return f"{text} This run diverged at step {len(history.batch_loss) - 1}."
        return f"{text} This run ended as *{history.outcome}*."
