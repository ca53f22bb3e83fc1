"""What the labs share that compute and draw in the browser: they follow the finger, and move without a kernel too.

Each is an anywidget whose arithmetic, in the JavaScript beside it, is held against this package's by the tests. Its
settings are one synced dict; ``snapshot()`` is the same picture for readers who see no widgets.
"""

import base64
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import anywidget
import ipywidgets as widgets
import traitlets
from matplotlib.figure import Figure

from warmup_course.arguments import elements, one_of
from warmup_course.classroom import plots
from warmup_course.classroom.cards import Goal, asked_by_a_person
from warmup_course.moments import moments_of

HERE = Path(__file__).parent

# Below a lab's picture, in a part that labs.css hides: it is seen where the lab, and with it that file, does not load.
# The style hides the box of an error that stands in the lab's place then.
ADVICE = """<style>.wc-still ~ :has(> .jupyter-widgets-error-widget) { display: none; }</style>
<p>This is the lab's picture; the lab itself cannot move here, because the Jupyter server lacks anywidget's front end.
<code>pip install anywidget</code> where the server is installed, then reload the page.</p>"""


def source(name: str, **constants: Any) -> str:
    """One module of constants that Python has as well, what the labs share and one lab's own code."""
    constants |= {"WITH_WARMUP": plots.WITH_WARMUP, "WITHOUT_WARMUP": plots.WITHOUT_WARMUP}
    known = "".join(f"const {constant} = {json.dumps(value)};\n" for constant, value in constants.items())
    return known + "".join((HERE / file).read_text("utf-8") for file in ("present.js", "chart.js", name))


def short(number: float) -> str:
    """A number below 1000 with up to three significant digits, as the JavaScript writes it."""
    return f"{number:.3g}".replace("e-0", "e-")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def on_dark_paper() -> str:
    """Style: on a projector, the two roles' colours in their light variants of the palette."""
    light = {plots.WITH_WARMUP: plots.COLOURS[5], plots.WITHOUT_WARMUP: plots.COLOURS[4]}
    return "".join(
        f".wc-dark [{kind}='{dark}'] {{ {kind}: {colour}; }}\n"
        for dark, colour in light.items()
        for kind in ("stroke", "fill")
    )


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

    _css = (
        f".wc-lab {{ --wc-with-warmup: {plots.WITH_WARMUP}; --wc-without-warmup: {plots.WITHOUT_WARMUP}; "
        f"--wc-focus: {plots.WITH_WARMUP}; }}\n"
        f"[data-jp-theme-light='false'] .wc-lab:not(.wc-presented), .wc-lab.wc-dark {{ --wc-focus: {plots.FOCUS}; }}\n"
        + "".join((HERE / file).read_text("utf-8") for file in ("labs.css", "present.css"))
        + on_dark_paper()
    )
    NAMES: tuple[str, ...] = ()  # of the controls
    settings = traitlets.Dict().tag(sync=True)
    defaults = traitlets.Dict().tag(sync=True)
    # The names of those that stand there at once; the others are behind "more". Empty: all stand there.
    controls: traitlets.List[str] = traitlets.List().tag(sync=True)
    # The settings that somebody who presents the lab wants to come back to.
    kept: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
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
        traits |= {"goal": goal or "", "kept": moments_of(goal, settings)}
        super().__init__(settings=settings, defaults=settings, controls=controls, **traits)
        self.observe(lambda _: self._look(), "settings")
        self._look()

    def _look(self) -> None:
        """See whether the goal is reached."""
        self._goal.look(self, None)
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
            self._goal.recall(None)
            self.goal_reached = self._goal.reached
        bundle = super()._repr_mimebundle_(**kwargs)
        assert bundle is not None  # it is None for widgets without a view
        _, metadata = bundle
        with BytesIO() as png:
            self.snapshot().savefig(png, format="png")
            picture = png.getvalue()
        still = widgets.VBox([widgets.Image(value=picture, layout={"max_width": "100%"}), widgets.HTML(ADVICE)])
        still.add_class("wc-still")
        shown = widgets.VBox([still, self])._repr_mimebundle_()
        texts = {"text/plain": self.describe(), "image/png": base64.b64encode(picture).decode()}
        return {**shown, **texts}, {**metadata, "image/png": {"alt": self.describe()}}
