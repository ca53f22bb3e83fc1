"""Labs that compute and draw in the browser: they follow the finger, and move without a kernel too.

Each is an anywidget whose arithmetic, in js/, is held against this package's by the tests. Its settings are one synced
dict; ``snapshot()`` is the same picture for readers who see no widgets.
"""

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Self, get_args

import anywidget
import ipywidgets as widgets
import numpy as np
import numpy.typing as npt
import traitlets
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from warmup_course.checks import elements, instance, one_of, pair, real_number, text, whole_number
from warmup_course.classroom import plots
from warmup_course.classroom.cards import Goal, Status, asked_by_a_person
from warmup_course.export import Library, to_code
from warmup_course.schedulers import Schedule

if TYPE_CHECKING:
    import xarray as xr

JS = Path(__file__).parent / "js"

# Below a lab's picture, in a part that labs.css hides: it is seen where the lab, and with it that file, does not load.
# The style hides the box of an error that stands in the lab's place then.
ADVICE = """<style>.wc-still ~ :has(> .jupyter-widgets-error-widget) { display: none; }</style>
<p>This is the lab's picture; the lab itself cannot move here, because the Jupyter server lacks anywidget's front end.
<code>pip install anywidget</code> where the server is installed, then reload the page.</p>"""


def _source(name: str) -> str:
    """One module of what the labs share and one lab's own code."""
    return "".join((JS / file).read_text("utf-8") for file in ("chart.js", name))


def _short(number: float) -> str:
    """A number below 1000 with up to three significant digits, as the JavaScript writes it."""
    return f"{number:.3g}".replace("e-0", "e-")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class BrowserLab(anywidget.AnyWidget):
    """What the labs share: settings, a goal, and a static picture beside the widget.

    Args:
        settings: all that the user can change; "Reset" brings these back.
        controls: names among ``NAMES``, of the controls to show; the others are behind "more". By default all.
        goal: what the user is asked to reach, in words.
        reached: whether it is, asked each time the settings change; once it is, it stays so.

    Raises:
        ValueError: for one of goal and reached without the other, or settings that ``_check`` refuses.
    """

    _css = (JS / "labs.css").read_text("utf-8")
    NAMES: tuple[str, ...] = ()  # of the controls
    settings = traitlets.Dict().tag(sync=True)
    defaults = traitlets.Dict().tag(sync=True)
    # The names of those that stand there at once; the others are behind "more". None: all stand there.
    controls: traitlets.List[str] = traitlets.List().tag(sync=True)
    goal = traitlets.Unicode().tag(sync=True)
    goal_reached = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        settings: dict[str, Any],
        *,
        controls: Sequence[str] | None = None,
        goal: str | None = None,
        reached: Callable[[Self], bool] | None = None,
        **traits: Any,
    ) -> None:
        controls = [] if controls is None else elements("controls", controls)
        for name in controls:
            one_of("controls", name, self.NAMES)
        self._goal = Goal(goal, reached)
        super().__init__(settings=settings, defaults=settings, controls=controls, goal=goal or "", **traits)
        self.observe(lambda _: self._look(), "settings")
        self._look()

    def _look(self) -> None:
        """See whether the goal is reached."""
        self._goal.look(self, Status())  # what the store complains about, the next card says
        self.goal_reached = self._goal.reached

    @traitlets.validate("settings")
    def _checked(self, proposal: dict[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = proposal["value"]
        self._check(settings)
        return settings

    def _check(self, settings: dict[str, Any]) -> None:
        """ValueError unless the lab can show these."""
        raise NotImplementedError

    def describe(self) -> str:
        """The current picture in one sentence."""
        raise NotImplementedError

    def snapshot(self) -> Figure:
        """The current picture, drawn by matplotlib."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        if asked_by_a_person():
            self._goal.recall(Status())
            self.goal_reached = self._goal.reached
        bundle = super()._repr_mimebundle_(**kwargs)
        assert bundle is not None  # it is None for widgets without a view
        data, metadata = bundle
        with BytesIO() as png:
            self.snapshot().savefig(png, format="png")
            picture = png.getvalue()
        still = widgets.VBox([widgets.Image(value=picture, layout={"max_width": "100%"}), widgets.HTML(ADVICE)])
        still.add_class("wc-still")
        shown = widgets.VBox([still, self])._repr_mimebundle_()
        texts = {"text/plain": self.describe(), "image/png": base64.b64encode(picture).decode()}
        return {**data, **shown, **texts}, {**metadata, "image/png": {"alt": self.describe()}}


# ---- Schedules ----

MOST_STEPS = 100_000  # more would not follow the finger
PEAK_LRS = (1e-6, 100.0)
CLIMBS = {
    "linear": "A straight climb over",
    "cosine": "An S-shaped climb over",
    "exponential": "A climb that speeds up over",
    "constant": "A low start for",
}
FALLS = {"cosine": "a cosine fall", "linear": "a straight fall", "sqrt": "a square-root fall"}


def schedule_message(schedule: Schedule) -> str:
    """A schedule in words.

    >>> schedule_message(Schedule(30, 5, stable_steps=10))
    'A straight climb over 5 steps, level for 10, then a cosine fall over 15 steps'
    """
    total, warmup, stable = schedule.total_steps, schedule.warmup_steps, schedule.stable_steps
    parts = [f"{CLIMBS[schedule.warmup]} {_count(warmup, 'step')}" if warmup else "No warmup"]
    if schedule.decay != "constant" and warmup + stable < total:
        if stable:
            parts.append(f"level for {stable}")
        parts.append(f"then {FALLS[schedule.decay]} over {_count(total - warmup - stable, 'step')}")
    elif warmup < total:
        parts.append(f"then level for {_count(total - warmup, 'step')}")
    return ", ".join(parts)


class ScheduleLab(BrowserLab):
    """The LR of a schedule, step by step, with a control for each of its fields and a second schedule beside it.

    A panel that can be opened shows the schedule as code to copy (see ``to_code``); it needs the kernel.

    Args:
        schedule: the one to begin with, of at most 100 000 steps.
        peak_lr: its highest LR, in [1e-6, 100].
        compare: drawn dashed beside it.
        compare_peak_lr: the peak LR of ``compare``; the same by default.
        controls: those to show, such as ["peak_lr", "warmup_steps"]; the others are behind "more". By default all.
        goal: what the user is asked to reach, in words; given together with ``reached``.
        reached: called with this lab whenever its settings change.

    Raises:
        ValueError: for what is no Schedule, a peak LR or a number of steps out of range, compare_peak_lr without
            compare, or one of goal and reached without the other.

    >>> lab = ScheduleLab(Schedule(30, 5), 0.1, goal="20 warmup steps", reached=lambda lab: lab.schedule(18) < 1)
    >>> lab.settings = {**lab.settings, "warmup_steps": 20}
    >>> lab.schedule, lab.goal_reached
    (Schedule(total_steps=30, warmup_steps=20, warmup='linear', stable_steps=0, decay='cosine', start_factor=0.0, \
end_factor=0.0, count_from=1), True)
    """

    _esm = _source("schedule_lab.js")
    NAMES = ("peak_lr", *(field.name for field in fields(Schedule)))
    code_open = traitlets.Bool().tag(sync=True)
    # Library -> code, and in "settings" those that it was written for; empty while the panel is closed.
    code = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        schedule: Schedule,
        peak_lr: float,
        *,
        compare: Schedule | None = None,
        compare_peak_lr: float | None = None,
        controls: Sequence[str] | None = None,
        goal: str | None = None,
        reached: Callable[["ScheduleLab"], bool] | None = None,
    ) -> None:
        instance("schedule", schedule, Schedule, "a Schedule")
        if compare is not None:
            instance("compare", compare, Schedule, "a Schedule or None")
        if compare_peak_lr is not None:
            real_number("compare_peak_lr", compare_peak_lr, *PEAK_LRS)
        if compare is None and compare_peak_lr is not None:
            raise ValueError(f"compare_peak_lr must be None without compare, got {compare_peak_lr!r}")
        settings: dict[str, Any] = {**asdict(schedule), "peak_lr": peak_lr, "compared": None}
        if compare is not None:
            other = peak_lr if compare_peak_lr is None else compare_peak_lr
            settings["compared"] = {**asdict(compare), "peak_lr": other, "compared": None}
        super().__init__(settings, controls=controls, goal=goal, reached=reached)
        self.observe(self._write_code, ["settings", "code_open"])

    def _write_code(self, _: object) -> None:
        # Only while somebody looks at it: a slider is not to wait for what nobody sees.
        if self.code_open:
            texts = {library: to_code(self.schedule, self.peak_lr, library) for library in get_args(Library)}
            self.code = {**texts, "settings": self.settings}
        else:
            self.code = {}

    def _check(self, settings: dict[str, Any]) -> None:
        for schedule, peak_lr in (_arm(settings), *([_arm(settings["compared"])] if settings["compared"] else [])):
            real_number("peak_lr", peak_lr, *PEAK_LRS)
            whole_number("total_steps", schedule.total_steps, 1, MOST_STEPS)

    @property
    def schedule(self) -> Schedule:
        """The schedule that is shown now."""
        return _arm(self.settings)[0]

    @property
    def peak_lr(self) -> float:
        """Its highest LR."""
        return _arm(self.settings)[1]

    @property
    def compared(self) -> tuple[Schedule, float] | None:
        """The schedule beside it and its peak LR."""
        return _arm(self.settings["compared"]) if self.settings["compared"] else None

    def describe(self) -> str:
        text = f"Learning rate by step: {schedule_message(self.schedule)}; peak LR {_short(self.peak_lr)}"
        if self.compared:
            schedule, peak_lr = self.compared
            text += f". Compared with: {schedule_message(schedule)}; peak LR {_short(peak_lr)}"
        return text + "."

    def snapshot(self) -> Figure:
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        ax, message = figure.subplots(), fill(schedule_message(self.schedule), 62)
        plots.lr_curves({"now": self.schedule}, self.peak_lr, message, ax)
        bare, colours = self.schedule.warmup_steps == 0, (plots.WITH_WARMUP, plots.WITHOUT_WARMUP)
        if self.compared:
            plots.lr_curves({"compared": self.compared[0]}, self.compared[1], message, ax)
            bare = bare and self.compared[0].warmup_steps > 0
        for curve, colour, style in zip(ax.lines, reversed(colours) if bare else colours, ("-", "--"), strict=False):
            curve.set(color=colour, linestyle=style)
        ax.legend().set_visible(self.compared is not None)
        return figure


def _arm(settings: dict[str, Any]) -> tuple[Schedule, float]:
    """The schedule and the peak LR in a lab's settings."""
    fields = {name: value for name, value in settings.items() if name not in ("peak_lr", "compared")}
    return Schedule(**fields), settings["peak_lr"]


# ---- Bowls ----

# What the sliders reach.
LIMITS = {"lr": (0.001, 10.0), "momentum": (0.0, 0.99), "curvatures": (0.1, 100.0), "start": (0.1, 2.0)}


def descend(
    lr: float,
    curvatures: Sequence[float],
    momentum: float = 0.0,
    start: Sequence[float] | None = None,
    steps: int = 40,
) -> npt.NDArray[np.float64]:
    """Gradient descent with momentum on the loss 0.5 * sum(curvature * weight**2).

    The update is that of torch.optim.SGD: v <- momentum * v + gradient; weight <- weight - lr * v. (Heavy ball: Polyak
    1964, doi 10.1016/0041-5553(64)90137-5.)

    Args:
        lr: the learning rate.
        curvatures: one for each weight.
        momentum: 0 means none.
        start: the weights to begin with; 1 each by default.
        steps: the number of updates.

    Returns:
        The weights before each step and after the last one, (steps + 1, weights); not finite once they overflow.

    >>> descend(0.5, [1.0], steps=3).ravel()
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    h = np.asarray(curvatures, dtype=float)
    weights = np.ones_like(h) if start is None else np.asarray(start, dtype=float)
    velocity, path = np.zeros_like(h), [weights]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            velocity = momentum * velocity + h * weights
            weights = weights - lr * velocity
            path.append(weights)
    return np.array(path)


def arrival(path: npt.NDArray[np.float64]) -> int | None:
    """The first step from which on the path stays within 1 % of its first distance to the minimum; None: not in it.

    >>> arrival(descend(0.5, [1.0])), arrival(descend(0.01, [1.0]))
    (7, None)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        square = (path**2).sum(axis=1)
        away = np.flatnonzero(~(square <= 1e-4 * square[0]))
    return None if away[-1] == len(path) - 1 else int(away[-1]) + 1


def stability_limit(curvature: float, momentum: float = 0.0) -> float:
    """The highest LR that does not diverge: 2 (1 + momentum) / curvature.

    Source: Goh 2017, "Why Momentum Really Works", doi 10.23915/distill.00006.

    >>> stability_limit(10), stability_limit(10, momentum=0.9)
    (0.2, 0.38)
    """
    return 2 * (1 + momentum) / curvature


def verdict(lr: float, curvature: float, momentum: float, steps: int) -> str:
    """What a weight does, in words, from the eigenvalues of its update.

    The update maps (weight, v) to (weight - lr * v', v') with v' = momentum * v + curvature * weight. Its eigenvalues z
    solve z**2 - (1 + momentum - lr * curvature) z + momentum = 0.

    >>> verdict(0.1, 1.0, 0.0, steps=40), verdict(2.1, 1.0, 0.0, steps=40)
    ('creeps', 'diverges')
    """
    total = 1 + momentum - lr * curvature
    under = total * total - 4 * momentum
    size = math.sqrt(momentum) if under < 0 else (abs(total) + math.sqrt(under)) / 2
    if size > 1 + 1e-9:
        return "diverges"
    if size >= 1 - 1e-9:
        return "stays at the edge"
    if under < 0:
        return "settles, swinging to and fro"
    if total < 0:
        return "settles, bouncing from wall to wall"
    return "creeps" if size**steps > 0.01 else "settles without crossing"


class QuadraticLab(BrowserLab):
    """Gradient descent with momentum in a bowl of one or two weights: its path, its loss, and the limit of the LR.

    Args:
        curvatures: one or two numbers in [0.1, 100].
        lr: in [0.001, 10].
        momentum: in [0, 0.99].
        start: one number in [0.1, 2] for each weight; 1 each by default.
        steps: number of steps shown.
        controls: those to show, such as ["lr"]; the others are behind "more". By default all.
        goal: what the user is asked to reach, in words; given together with ``reached``.
        reached: called with this lab whenever its settings change.

    Raises:
        ValueError: for a number out of range, or one of goal and reached without the other.

    >>> lab = QuadraticLab((1.0, 10.0), lr=0.15)
    >>> lab.message
    'Weight 1 settles without crossing; weight 2 settles, bouncing from wall to wall'
    """

    _esm = _source("quadratic_lab.js")
    NAMES = ("lr", "momentum", "curvatures", "start")
    limits = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        curvatures: Sequence[float] = (1.0,),
        lr: float = 0.1,
        momentum: float = 0.0,
        start: Sequence[float] | None = None,
        steps: int = 40,
        *,
        controls: Sequence[str] | None = None,
        goal: str | None = None,
        reached: Callable[["QuadraticLab"], bool] | None = None,
    ) -> None:
        curvatures = elements("curvatures", curvatures, "one or two numbers")
        start = [1.0] * len(curvatures) if start is None else elements("start", start, "one or two numbers")
        settings = {"lr": lr, "momentum": momentum, "curvatures": curvatures, "start": start, "steps": steps}
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
            f"Gradient descent in a bowl with curvature {' and '.join(map(_short, self.curvatures))} "
            f"at LR {_short(self.lr)} and momentum {_short(self.momentum)}: {self.message}."
        )

    def snapshot(self) -> Figure:
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        seen = self.path[np.abs(self.path).max(axis=1) < 1e6]  # what is far outside the picture only slows it down
        plots.descent_path(seen, self.curvatures, "", left)
        with np.errstate(over="ignore", invalid="ignore"):
            loss = 0.5 * (self.path**2 @ np.asarray(self.curvatures))
        right.plot(np.clip(np.nan_to_num(loss, nan=np.inf), 1e-6, 1e3), color=plots.WITH_WARMUP, marker="o")
        right.set(xlabel="step", ylabel="loss (log scale)", yscale="log", ylim=(1e-6, 1e3))
        limit = min(stability_limit(curvature, self.momentum) for curvature in self.curvatures)
        title = fill(f"{self.message} (LR {_short(self.lr)}, limit {_short(limit)})", 62)
        figure.suptitle(title, x=0.01, horizontalalignment="left", fontweight="bold")
        return figure


# ---- Stored runs ----


class StabilityLab(BrowserLab):
    """The number of seeds that train at each peak LR and warmup length of a sweep, and the runs behind each number.

    Args:
        runs: a sweep over peak_lr, warmup_steps and seed, in any order, each value once.
        chosen: the peak LR and the warmup length to begin with; by default in the middle.
        title: above the map; by default "Networks that train, of" their number.
        goal: what the user is asked to reach, in words; given together with ``reached``.
        reached: called with this lab whenever its settings change.

    Raises:
        ValueError: for runs without these dimensions or without losses and outcomes, a choice that is not among them,
            or one of goal and reached without the other.
    """

    _esm = _source("stability_lab.js")
    data = traitlets.Dict().tag(sync=True)
    losses = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        runs: "xr.Dataset",
        chosen: tuple[float, int] | None = None,
        title: str | None = None,
        *,
        goal: str | None = None,
        reached: Callable[["StabilityLab"], bool] | None = None,
    ) -> None:
        self._runs = _sorted_runs(runs)
        rates, ramps = self._runs.peak_lr.to_numpy().tolist(), self._runs.warmup_steps.to_numpy().tolist()
        seeds = self._runs.seed.size
        self._title = f"Networks that train, of {seeds}" if title is None else text("title", title)
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
        losses = self._runs.batch_loss.to_numpy().astype("<f4").tobytes()
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
        """Whether the runs without warmup are drawn behind the chosen ones."""
        return self.chosen[1] > 0 and 0 in self._runs.warmup_steps

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
        falling = self._runs.sortby("peak_lr", ascending=False)  # the highest on top
        plots.stability_map(falling, self._title, left)
        lr, warmup = self.chosen
        column, row = list(falling.warmup_steps).index(warmup), list(falling.peak_lr).index(lr)
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
