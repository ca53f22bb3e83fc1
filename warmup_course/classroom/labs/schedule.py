"""A lab of schedules: the LR of each step, in a picture, in words and as code."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from textwrap import fill
from typing import Any, get_args

import traitlets
from matplotlib.figure import Figure

from warmup_course.arguments import instance, real_number, whole_number
from warmup_course.classroom import plots
from warmup_course.classroom.labs.browser import BrowserLab, count, short, source
from warmup_course.export import Library, to_code
from warmup_course.schedulers import Schedule
from warmup_course.shapes import DECAYS, WARMUPS, all_as_javascript

MOST_STEPS = 100_000  # more would not follow the finger
PEAK_LRS = (1e-6, 100.0)


def schedule_message(schedule: Schedule) -> str:
    """A schedule in words.

    >>> schedule_message(Schedule(30, 5, stable_steps=10))
    'A straight climb over 5 steps, level for 10, then a cosine fall over 15 steps'
    >>> schedule_message(Schedule(30, 5, start_factor=1.0, end_factor=1.0))
    'No warmup, then level for 30 steps'
    """
    total, before_decay = schedule.total_steps, schedule.warmup_steps + schedule.stable_steps
    climb = schedule.warmup_steps if schedule.start_factor < 1 else 0
    parts = [f"{WARMUPS[schedule.warmup].words} {count(climb, 'step')}" if climb else "No warmup"]
    if schedule.decay != "constant" and schedule.end_factor < 1 and before_decay < total:
        if before_decay > climb:
            parts.append(f"level for {before_decay - climb}")
        parts.append(f"then {DECAYS[schedule.decay].words} over {count(total - before_decay, 'step')}")
    elif climb < total:
        parts.append(f"then level for {count(total - climb, 'step')}")
    return ", ".join(parts)


class ScheduleLab(BrowserLab):
    """The LR of a schedule, step by step, with a control for each of its fields and a second schedule beside it.

    A panel that can be opened shows the schedule as code to copy (see ``to_code``); it needs the kernel.

    Args:
        schedule: the one to begin with, of at most 100 000 steps.
        peak_lr: its highest LR, in [1e-6, 100].
        compare: drawn dashed beside it.
        compare_peak_lr: the peak LR of ``compare``; the same by default.
        controls, goal, reached: see BrowserLab.

    Raises:
        ValueError: for what is no Schedule, a peak LR or a number of steps out of range, compare_peak_lr without
            compare, or one of goal and reached without the other.

    >>> lab = ScheduleLab(Schedule(30, 5), 0.1, goal="20 warmup steps", reached=lambda lab: lab.schedule(18) < 1)
    >>> lab.settings = {**lab.settings, "warmup_steps": 20}
    >>> lab.schedule, lab.goal_reached
    (Schedule(total_steps=30, warmup_steps=20, warmup='linear', stable_steps=0, decay='cosine', start_factor=0.0, \
end_factor=0.0, count_from=1), True)
    """

    _esm = all_as_javascript() + source("schedule.js", MOST_STEPS=MOST_STEPS)
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
        instance("compare", compare, Schedule | None, "a Schedule or None")
        if compare_peak_lr is not None:
            real_number("compare_peak_lr", compare_peak_lr, *PEAK_LRS)
            if compare is None:
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
        text = f"Learning rate by step: {schedule_message(self.schedule)}; peak LR {short(self.peak_lr)}"
        if self.compared:
            schedule, peak_lr = self.compared
            text += f". Compared with: {schedule_message(schedule)}; peak LR {short(peak_lr)}"
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
