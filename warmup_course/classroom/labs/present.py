"""The button with which a lab that draws in the kernel fills the screen; see present.js."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

HERE = Path(__file__).parent


class PresentButton(anywidget.AnyWidget):
    """A button and the keys that help a presenter. The lab around it answers what the browser sets.

    Args:
        settings: where the lab is at first.
        kept: what is kept at first.
    """

    _esm = "".join((HERE / file).read_text("utf-8") for file in ("present.js", "present_button.js"))
    _css = (HERE / "present.css").read_text("utf-8")
    settings = traitlets.Dict().tag(sync=True)
    defaults = traitlets.Dict().tag(sync=True)
    # The settings that somebody who presents the lab wants to come back to.
    kept: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    # Where the figure is on the screen: its width, its height and the size of the font in CSS's pixels, and how many of
    # the screen's pixels each of these has; empty where the lab does not fill the screen.
    room = traitlets.Dict().tag(sync=True)

    def __init__(self, settings: dict[str, Any], kept: Sequence[dict[str, Any]]) -> None:
        super().__init__(settings=settings, defaults=settings, kept=[*kept])
