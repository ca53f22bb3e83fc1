"""One matplotlib figure that stays and is redrawn into an image."""

from collections.abc import Iterable
from io import BytesIO

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

DPI = 72
EM = 14


class Picture(widgets.Image):
    """A figure as an image widget.

    An Image, not an Output: that does not flicker, and executing a lesson without a browser cannot get stuck on an
    Output's messages (as it did with ipykernel 7). The figure is not one of pyplot's, so it needs no closing, and a
    callback in another thread cannot mix it up with a cell's.

    Args:
        figsize: width and height in inches of DPI pixels.
    """

    def __init__(self, figsize: tuple[float, float] = (9, 4.2)) -> None:
        self.figure = Figure(figsize=figsize, dpi=DPI, layout="constrained")
        self._canvas = FigureCanvasAgg(self.figure)
        # Without its margin it is as wide as a narrow notebook, and nothing scrolls sideways.
        # It grows with the font, of which figures have EM pixels an em.
        layout = {
            "align_self": "flex-start",
            "width": f"{DPI * figsize[0] / EM:g}em",
            "max_width": "100%",
            "margin": "0",
        }
        super().__init__(format="png", layout=layout)
        self.add_class("wc-picture")  # see cards.css

    def show(self) -> None:
        """Show the figure as it is now."""
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self.figure.bbox)
        self._publish()

    def show_moving(self, artists: Iterable[Artist]) -> None:
        """Show these animated artists before the rest of the figure as it was last shown: ten times as fast."""
        self._canvas.restore_region(self._background)
        for artist in artists:
            self.figure.draw_artist(artist)
        self._publish()

    def _publish(self) -> None:
        with BytesIO() as png:
            # Little compression: the browser is on the same machine, and the eye is waiting.
            Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert("RGB").save(png, "png", compress_level=1)
            self.value = png.getvalue()
