"""Labs that run in the kernel: controls above one figure that is redrawn."""

import html
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Any, Self

import ipywidgets as widgets
from traitlets import TraitError

from warmup_course.arguments import function, pair, positive_number, refused
from warmup_course.classroom import plots
from warmup_course.classroom.cards import CSS_CLASS, Goal, Status, asked_by_a_person
from warmup_course.classroom.labs.present import PresentButton
from warmup_course.classroom.picture import FIGSIZE, Picture
from warmup_course.moments import moments_of

# As the labs in the browser show it.
GOAL = {"border_left": f"4px solid {plots.WITH_WARMUP}", "padding": "0 0 0 10px", "margin": "6px 2px"}

# Where the server lacks anywidget's front end, a lab has no button to present it, and no error in that one's place.
WITHOUT_ANYWIDGET = "<style>.wc-lab-buttons > :has(> .jupyter-widgets-error-widget) { display: none; }</style>"


class Lab(widgets.VBox):
    """Labelled controls, a reset button, a figure, and a line that a screen reader says.

    Args:
        controls: name -> control; each is labelled by its description.
        picture: the figure.
        shows: what the figure shows, in words.
        goal: what the learner is to reach, in words.
        reached: whether it is; called after each drawing with the lab.
        more: widgets between the controls and the figure.

    Raises:
        ValueError: for a goal without its test, or a test without its goal.
    """

    def __init__(
        self,
        controls: Mapping[str, widgets.Widget],
        picture: Picture,
        shows: str,
        *,
        goal: str | None = None,
        reached: Callable[[Self], bool] | None = None,
        more: tuple[widgets.Widget, ...] = (),
    ) -> None:
        self.goal, self._goal_line = Goal(goal, reached), Status(layout=GOAL)
        self.controls, self.picture, self.status = dict(controls), picture, Status()
        names = ", ".join(control.description for control in self.controls.values())
        self.description = f"A lab with controls for {names}. Its figure shows {shows}."
        # For a screen reader: an Image cannot have a text of its own (a tooltip would keep it from being shown at all).
        label = f'<div role="img" aria-label="{html.escape(self.description)}"></div>'
        spoken = widgets.HTML(label + WITHOUT_ANYWIDGET, layout={"height": "0"})
        reset = widgets.Button(description="Reset", tooltip="all controls as they were at first")
        reset.on_click(lambda _: self.reset())
        # A checkbox has its words behind it, so they need no column in front of the sliders.
        labelled = [control for control in self.controls.values() if not isinstance(control, widgets.Checkbox)]
        longest = max((len(control.description) for control in labelled), default=0)
        for control in self.controls.values():
            control.style.description_width = f"{max(8, 0.6 * longest):g}em"  # no word is cut off
            control.layout.width = "auto"
            control.observe(lambda _: self._moved(), "value")
        self.present = PresentButton(self.settings, moments_of(goal, self.settings))
        self.present.observe(lambda change: self._sent(change.new), "settings")
        self.present.observe(lambda change: self.picture.fit(**change.new), "room")
        for result in (picture, self.status, self._goal_line):  # a goal that is reached is an answer, too
            result.add_class("wc-result")
        buttons = widgets.HBox([reset, self.present, *more], layout={"flex_flow": "row wrap"})
        buttons.add_class("wc-lab-buttons")
        # Two columns where there is room for two.
        columns = {"grid_template_columns": "repeat(auto-fit, minmax(26em, 1fr))", "width": "100%", "max_width": "60em"}
        grid = widgets.GridBox([*self.controls.values()], layout=columns)
        rows = [spoken, grid, buttons, picture, self.status]
        super().__init__([self._goal_line, *rows] if goal else rows)
        self.add_class(CSS_CLASS)

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def settings(self) -> dict[str, Any]:
        """Where the controls are, by name, as JSON can hold it: of a choice, its number."""
        return {name: getattr(control, _place(control)) for name, control in self.controls.items()}

    def move_to(self, settings: Mapping[str, Any]) -> None:
        """Put controls to where ``settings`` has them."""
        for name, value in settings.items():
            setattr(self.controls[name], _place(self.controls[name]), value)

    def _sent(self, settings: Mapping[str, Any]) -> None:
        """Go where the browser wants the lab, as far as the controls go: somebody may have pasted anything."""
        with suppress(TraitError):
            self.move_to(settings)
        self.present.settings = self.settings

    def reset(self) -> None:
        """Put all controls back to where they were at first."""
        self.move_to(self.present.defaults)

    def _moved(self) -> None:
        self.present.settings = self.settings
        self.on_move()

    def on_move(self) -> None:
        """What a moved control does."""
        raise NotImplementedError

    def show_goal(self) -> None:
        """Say what it is, and whether it is reached or has been."""
        problem = Status()
        self.goal.look(self, problem)
        self._say_goal(problem)

    def _say_goal(self, problem: Status) -> None:
        if self.goal.words is not None:
            reached = " ✔ **reached**" * self.goal.reached
            self._goal_line.say(f"**Goal:** {self.goal.words}{reached}{problem.said}")

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, str], dict[str, Any]]:
        if asked_by_a_person():
            problem = Status()
            self.goal.recall(problem)
            self._say_goal(problem)
        view: dict[str, str] = super()._repr_mimebundle_(**options)
        picture = b64encode(self.picture.value).decode()
        shown = view | {"text/plain": self.description, "image/png": picture}
        return shown, {"image/png": {"alt": self.description}}


def _place(control: widgets.Widget) -> str:
    """The name of the trait that says where a control is."""
    return "index" if control.has_trait("index") else "value"


class SliderLab(Lab):
    """Controls that call ``draw`` with their values, above the figure that it draws and the lines that it prints.

    The first drawing is made at once.

    Args:
        draw: is given an empty matplotlib Figure, then the controls' values as arguments named like them; it draws
            into the figure and may print.
        figsize: of the figure, in inches of 72 pixels.
        goal, reached: see Lab.
        controls: one ipywidgets control for each argument.

    Raises:
        ValueError: for a draw that is no function, a figsize that is not two positive numbers, a control that is no
            widget with a value, or one of goal and reached without the other.
    """

    def __init__(
        self,
        draw: Callable[..., None],
        *,
        figsize: tuple[float, float] = FIGSIZE,
        goal: str | None = None,
        reached: Callable[["SliderLab"], bool] | None = None,
        **controls: widgets.Widget,
    ) -> None:
        function("draw", draw)
        width, height = (positive_number("figsize", side) for side in pair("figsize", figsize))
        for name, control in controls.items():
            if not isinstance(control, widgets.Widget) or not control.has_trait("value"):
                raise refused(name, "an ipywidgets control", control)
        self._draw = draw
        super().__init__(controls, Picture((width, height)), "what follows from them", goal=goal, reached=reached)
        self.on_move()

    def on_move(self) -> None:
        self.picture.figure.clear()
        with redirect_stdout(StringIO()) as printed:
            self._draw(self.picture.figure, **self.values)
        self.picture.show()
        self.status.value = f'<pre role="status" aria-live="polite">{html.escape(printed.getvalue())}</pre>'
        self.show_goal()
