"""Sliders around plain functions."""

from collections.abc import Callable

import ipywidgets as widgets


def slider_lab(draw: Callable[..., None], *, height: str, **controls: widgets.Widget) -> widgets.Widget:
    """Controls that call ``draw`` with their values, above the figure that it draws; the first drawing is made at once.

    Args:
        draw: draws a figure and may print; its arguments are named like the controls.
        height: CSS height of the drawing, fixed so that the page does not jump while a slider moves.
        controls: one ipywidgets control for each argument.
    """
    for control in controls.values():
        control.style.description_width = "9em"
        control.layout.width = "32em"
    lab = widgets.interactive(draw, **controls)
    lab.out.layout.height = height
    return lab
