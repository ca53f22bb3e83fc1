"""Sliders around plain functions."""

import html
from collections.abc import Callable
from contextlib import redirect_stdout
from io import BytesIO, StringIO

import ipywidgets as widgets
import matplotlib.pyplot as plt


def slider_lab(draw: Callable[..., None], **controls: widgets.Widget) -> widgets.Widget:
    """Controls that call ``draw`` with their values, above the figure that it draws and the lines that it prints.

    The first drawing is made at once. The picture goes into an Image, not into an Output: that does not flicker, and
    executing a notebook without a browser cannot get stuck on an Output's messages (as it did with ipykernel 7).

    Args:
        draw: draws one pyplot figure, without showing it, and may print; its arguments are named like the controls.
        controls: one ipywidgets control for each argument.
    """
    picture = widgets.Image(format="png", layout={"align_self": "flex-start"})
    lines = widgets.HTML()

    def redraw(_: object = None) -> None:
        with redirect_stdout(StringIO()) as printed, BytesIO() as png:
            try:
                draw(**{name: control.value for name, control in controls.items()})
                figure = plt.gcf()
                figure.savefig(png, format="png")
            finally:
                plt.close()  # also after an error: the next drawing starts afresh
            picture.layout.width = f"{figure.get_figwidth() * figure.dpi:.0f}px"
            picture.value = png.getvalue()
        # A screen reader says what has changed.
        lines.value = f'<pre role="status" aria-live="polite">{html.escape(printed.getvalue())}</pre>'

    for control in controls.values():
        control.style.description_width = "11em"
        control.layout.width = "34em"
        control.observe(redraw, "value")
    redraw()
    return widgets.VBox([*controls.values(), picture, lines])
