"""The course's figures. Each function draws into the axes it is given, or into a new figure.

All raise a ValueError for an argument that cannot be drawn, and draw nothing then.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from cycler import cycler
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.backends.registry import backend_registry
from matplotlib.figure import Figure

from warmup_course.arguments import array, elements, instance, real_number, refused, text, whole_number
from warmup_course.classroom.picture import DPI, FIGSIZE, LETTERS
from warmup_course.schedulers import Schedule

if TYPE_CHECKING:
    import xarray as xr

# Okabe & Ito's palette, distinguishable without full colour vision. Two roles keep their colour all through the course,
# in the labs' JavaScript and CSS too.
WITHOUT_WARMUP, WITH_WARMUP = "#D55E00", "#0072B2"
COLOURS = (WITH_WARMUP, WITHOUT_WARMUP, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Around what the keyboard is at, on dark paper. (On white it would be hard to see: the ramp's blue is taken there.)
FOCUS = COLOURS[5]
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
# How a run ended -> colour and hatching, from best to worst.
OUTCOME_LOOKS = {
    "trained": ("#009E73", ""),
    "slow": ("#56B4E9", "//"),
    "stalled": ("#E69F00", ".."),
    "diverged": ("#404040", "xx"),
}
# One scale for all, so that figures can be compared. Losses above it are drawn at the upper edge: a diverging run would
# squeeze all others into a line.
LOSS_FLOOR, LOSS_CEILING = 0.02, 30.0
# Where all runs end within these steps, no more are drawn: they would be a smudge at the edge.
FIRST_STEPS = 20


def use_course_style() -> None:
    """Large type, few colours, no clutter: readable from the back of a room."""
    shell = get_ipython()
    if hasattr(shell, "kernel") and plt.get_backend().lower() in backend_registry.list_builtin():
        # The environment says MPLBACKEND=Agg or the like, as many servers' does: no figure would be seen.
        shell.enable_matplotlib("inline")
    plt.rcdefaults()  # a learner's own matplotlibrc may ask for a dark ground, or for LaTeX
    plt.rcParams.update(
        {
            "figure.figsize": FIGSIZE,
            "figure.dpi": DPI,
            "figure.constrained_layout.use": True,
            "font.size": LETTERS,
            "axes.titlesize": 15,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINE_STYLES),
            "lines.linewidth": 2.2,
            "legend.frameon": False,
        }
    )
    if shell is not None:
        # Beside each figure that a cell shows, for readers who do not see it; the picture itself is made as ever.
        formatter = shell.display_formatter.mimebundle_formatter
        formatter.for_type(Figure, lambda figure: ({}, {"image/png": {"alt": alt_text(figure)}}))


def alt_text(figure: Figure) -> str:
    """What a figure says, in words: its message, and for each panel its title, its axes and its legend.

    >>> figure = Figure()
    >>> figure.subplots().set(title="It falls", xlabel="step", ylabel="loss") and alt_text(figure)
    'It falls. Axes: step, loss.'
    """
    said = [figure.get_suptitle()]
    for ax in figure.axes:
        said += [ax.get_title(loc) for loc in ("left", "center", "right")]
        axes = ", ".join(filter(None, (ax.get_xlabel(), ax.get_ylabel())))
        said.append(axes and f"Axes: {axes}")
        if (legend := ax.get_legend()) is not None and legend.get_visible():
            said.append(f"Legend: {'; '.join(text.get_text() for text in legend.get_texts())}")
    sentences = [" ".join(one.split()) for one in said if one]
    return " ".join(one if one[-1] in ".?!…" else f"{one}." for one in sentences) or "A figure without words."


def check_runs(name: str, runs: Any, **dims: tuple[str, ...]) -> None:
    """ValueError unless ``runs`` is a sweep's result in which these variables have these dimensions, in any order."""
    import xarray as xr

    instance(name, runs, xr.Dataset, "a sweep's result")
    for variable, needed in dims.items():
        got = runs[variable].dims if variable in runs else None
        if got is None or set(got) != set(needed):
            raise refused(name, f"a sweep's result whose {variable} has the dimensions {needed}", got)


def _named(name: str, series: Any) -> Mapping[str, Any]:
    if not isinstance(series, Mapping) or not series:
        raise refused(name, "a dict by labels, not empty", series)
    return series


def _row(name: str, values: Any, what: str = "a row of numbers") -> "npt.NDArray[Any]":
    found = array(name, values, what)
    if found.ndim != 1:
        raise refused(name, what, values)
    return found


def _axes(ax: Axes | None, title: str, figsize: tuple[float, float] | None = None) -> Axes:
    """These axes, or those of a new figure."""
    instance("title", title, str, "a text")
    instance("ax", ax, Axes | None, "matplotlib's Axes or None")
    return ax or plt.subplots(figsize=figsize)[1]


def arm_looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour and a line style for each label; the arm called "no warmup" has the same ones in every figure.

    >>> arm_looks(["32 warmup steps", "no warmup"])["no warmup"] == {"color": WITHOUT_WARMUP, "linestyle": "--"}
    True
    """
    labels = elements("labels", labels.keys() if isinstance(labels, Mapping) else labels, least=0)
    for label in labels:
        text("labels", label)
    colours = cycle(colour for colour in COLOURS if colour != WITHOUT_WARMUP)
    styles = cycle(style for style in LINE_STYLES if style != "--")
    without = {"color": WITHOUT_WARMUP, "linestyle": "--"}
    return {
        label: without if label == "no warmup" else {"color": next(colours), "linestyle": next(styles)}
        for label in labels
    }


def warmup_label(steps: int) -> str:
    """What an arm is called: "no warmup" or "32 warmup steps"."""
    return f"{steps} warmup steps" if whole_number("steps", steps, 0) else "no warmup"


def lr_curves(schedules: Mapping[str, Schedule], peak_lr: float, title: str, ax: Axes | None = None) -> None:
    """The LR of each schedule over its steps, as dots where there are few."""
    for schedule in _named("schedules", schedules).values():
        instance("schedules", schedule, Schedule, "Schedules by their labels")
    real_number("peak_lr", peak_lr, 0)
    looks = arm_looks(schedules)
    ax = _axes(ax, title)
    for label, schedule in schedules.items():
        steps = np.arange(schedule.total_steps)
        marker = "o" if len(steps) <= 40 else None
        ax.plot(steps, peak_lr * schedule(steps), label=label, marker=marker, **looks[label])
    ax.set(title=title, xlabel="optimizer step", ylabel="learning rate", ylim=(0, None))
    ax.legend()


def traces(meant: npt.ArrayLike, used: npt.ArrayLike, title: str, ax: Axes | None = None) -> None:
    """The LRs that were used, as dots, beside those that were meant, as a dashed line. A crashed run has fewer."""
    meant, used = _row("meant", meant), _row("used", used)
    ax = _axes(ax, title, figsize=(8, 2.7))
    ax.plot(meant, color="0.45", linestyle="--", label="meant")
    ax.plot(used, "o", color=WITHOUT_WARMUP, markersize=5, label="used")
    ax.set(title=title, xlabel="optimizer step", ylabel="learning rate")
    ax.locator_params(axis="x", integer=True)
    ax.margins(y=0.12)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def loss_by_step(arms: Mapping[str, "xr.Dataset"], title: str, ax: Axes | None = None) -> None:
    """The training loss of every run, one thin line a seed, one colour and style an arm; a cross marks divergence.

    Args:
        arms: label -> runs of a sweep with the dimensions "seed" and "step"; see arm_looks for the labels.
        title: the figure's message.
    """
    for runs in _named("arms", arms).values():
        check_runs("arms", runs, outcome=("seed",), batch_loss=("seed", "step"))
    looks, longest = arm_looks(arms), 0
    ax = _axes(ax, title)
    for label, look in looks.items():
        runs = arms[label]
        for seed in runs.seed:
            loss = runs.batch_loss.sel(seed=seed).to_numpy()
            shown = np.minimum(np.nan_to_num(loss, nan=np.inf), LOSS_CEILING)
            ended = np.flatnonzero(~np.isfinite(loss))
            until = ended[0] + 1 if len(ended) else len(loss)
            longest = max(longest, until)
            ax.plot(shown[:until], linewidth=0.9, alpha=0.7, **look)
            if len(ended):
                ax.plot(until - 1, LOSS_CEILING, color=look["color"], marker="x", markersize=9, clip_on=False)
        trained = int((runs.outcome == "trained").sum())
        ax.plot([], [], **look, label=f"{label}: {trained} of {runs.seed.size} train")
    steps = max(runs.step.size for runs in arms.values())
    step_label = "optimizer step"
    if longest <= FIRST_STEPS < steps:
        steps, step_label = FIRST_STEPS, f"optimizer step (the first {FIRST_STEPS})"
    ax.set(title=title, xlabel=step_label, ylabel="training loss (log scale)", yscale="log")
    ax.set_ylim(LOSS_FLOOR, LOSS_CEILING)
    ax.set_xlim(-0.03 * steps, 1.01 * steps)
    ax.locator_params(axis="x", integer=True)
    ax.legend()


def trained_by_lr(runs: "xr.Dataset", title: str, ax: Axes | None = None) -> None:
    """The number of seeds that train against the peak LR, one line for each warmup length of the sweep."""
    check_runs("runs", runs, outcome=("peak_lr", "warmup_steps", "seed"))
    ax = _axes(ax, title)
    trained = (runs.outcome == "trained").sum("seed")
    labels = {warmup_label(steps): steps for steps in runs.warmup_steps.to_numpy()}
    for label, look in arm_looks(labels).items():
        counts = trained.sel(warmup_steps=labels[label])
        ax.plot(runs.peak_lr, counts, marker="o", label=label, **look)
    ax.set_xscale("log", base=2)
    ax.set_xticks(runs.peak_lr, [f"{lr:g}" for lr in runs.peak_lr.to_numpy()])
    ax.set(title=title, xlabel="peak learning rate", ylabel=f"seeds that train, of {runs.seed.size}")
    ax.set_ylim(-0.4, runs.seed.size + 0.4)
    ax.locator_params(axis="y", integer=True)
    ax.legend()


def stability_map(runs: "xr.Dataset", title: str, ax: Axes | None = None) -> None:
    """The number of seeds that train, for each peak LR (the highest on top) and warmup length (across) of a sweep."""
    check_runs("runs", runs, outcome=("peak_lr", "warmup_steps", "seed"))
    ax = _axes(ax, title, figsize=(7, 0.45 * runs.peak_lr.size + 1.6))
    trained = (runs.outcome == "trained").sum("seed").transpose("peak_lr", "warmup_steps")
    trained, seeds = trained.sortby("peak_lr", ascending=False), runs.seed.size
    ax.imshow(trained, cmap="cividis", vmin=0, vmax=seeds, aspect="auto")
    for (row, column), count in np.ndenumerate(trained):
        ax.text(column, row, f"{count}", ha="center", va="center", color="black" if count > seeds / 2 else "white")
    ax.set_xticks(range(trained.shape[1]), [str(w) for w in trained.warmup_steps.to_numpy()])
    ax.set_yticks(range(trained.shape[0]), [f"{lr:g}" for lr in trained.peak_lr.to_numpy()])
    ax.set(title=title, xlabel="warmup steps", ylabel="peak learning rate")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def outcome_shares(runs: "xr.Dataset", title: str, ax: Axes | None = None) -> None:
    """How the runs of a sweep ended: one stacked bar for each peak LR, with the number of seeds in each part.

    Args:
        runs: a sweep with the dimensions "peak_lr" and "seed".
        title: the figure's message.
    """
    check_runs("runs", runs, outcome=("peak_lr", "seed"))
    ax = _axes(ax, title)
    places, below = np.arange(runs.peak_lr.size), np.zeros(runs.peak_lr.size, dtype=int)
    for name, (colour, hatch) in OUTCOME_LOOKS.items():
        counts = (runs.outcome == name).sum("seed").to_numpy()
        ax.bar(places, counts, 0.8, below, label=name, color=colour, hatch=hatch, edgecolor="white", linewidth=0.8)
        for place, count, bottom in zip(places, counts, below, strict=True):
            if count:
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                ax.text(place, bottom + count / 2, f"{count}", ha="center", va="center", fontsize=11, bbox=box)
        below += counts
    ax.set_xticks(places, [f"{lr:g}" for lr in runs.peak_lr.to_numpy()])
    ax.set(title=title, xlabel="peak learning rate", ylabel=f"seeds, of {runs.seed.size}")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5))


def by_epoch(
    series: Mapping[str, Sequence[float]], title: str, ylabel: str, ax: Axes | None = None, first: int = 1
) -> None:
    """One line for each named list of numbers, one number an epoch.

    Args:
        first: the epoch of the first number; 0 where it was taken before training.
    """
    for values in _named("series", series).values():
        _row("series", values, "rows of numbers by their labels")
    text("ylabel", ylabel)
    whole_number("first", first, 0)
    looks = arm_looks(series)
    ax = _axes(ax, title)
    for label, values in series.items():
        epochs = np.arange(first, len(values) + first)
        marker = "o" if len(values) <= 20 else None
        ax.plot(epochs, values, marker=marker, label=label, **looks[label])
    ax.set(title=title, xlabel="epoch", ylabel=ylabel)
    ax.legend()


def descent_path(path: npt.ArrayLike, curvatures: Sequence[float], title: str, ax: Axes | None = None) -> None:
    """The path of gradient descent on the bowl 0.5 * sum(curvature * weight**2), a dot for each step.

    The view stays near the start, so a diverging path leaves it.

    Args:
        path: the weights, (steps + 1, 1) or (steps + 1, 2); one weight is drawn on the curve of its loss, two on a map
            of level lines, with a cross at the minimum.
        curvatures: one for each weight.
    """
    path = array("path", path).astype(float)
    curvatures = [real_number("curvatures", curvature, 0) for curvature in elements("curvatures", curvatures)]
    if path.ndim != 2 or not len(path) or path.shape[1] not in (1, 2) or not np.isfinite(path[0]).all():
        raise refused("path", "an array (steps + 1, 1) or (steps + 1, 2), its first row finite", path)
    if len(curvatures) != path.shape[1]:
        raise refused("curvatures", f"as many as there are weights, {path.shape[1]}", curvatures)
    ax = _axes(ax, title)
    reach = 1.6 * np.abs(path[0]).max()
    line = np.linspace(-reach, reach, 121)
    if path.shape[1] == 1:
        top = 0.5 * curvatures[0] * reach**2
        ax.plot(line, 0.5 * curvatures[0] * line**2, color="0.6", linestyle="-")
        x, y = path[:, 0], 0.5 * curvatures[0] * path[:, 0] ** 2
        ax.set(xlabel="weight", ylabel="loss", ylim=(-0.06 * top, top))
    else:
        loss = 0.5 * (curvatures[0] * line**2 + curvatures[1] * line[:, None] ** 2)
        ax.contour(line, line, loss, levels=loss.max() * np.array([0.01, 0.07, 0.25, 0.6]), colors="0.8", linewidths=1)
        ax.plot(0, 0, marker="+", color="black", markersize=14, markeredgewidth=2)
        x, y = path.T
        names = [f"weight {i}, curvature {c:g}" for i, c in enumerate(curvatures, start=1)]
        ax.set(xlabel=names[0], ylabel=names[1], ylim=(-reach, reach))
    ax.plot(x, y, color=COLOURS[0], linestyle="-", linewidth=1.2, marker="o", markersize=5)
    ax.plot(x[0], y[0], color=COLOURS[0], marker="o", markersize=11, fillstyle="none", markeredgewidth=2)
    ax.set(title=title, xlim=(-reach, reach))
