"""One matplotlib figure that stays and is redrawn into an image."""

from collections.abc import Iterable
from io import BytesIO
from threading import RLock

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

# Of all figures: the size in inches of so many pixels, the letters in points.
FIGSIZE, DPI, LETTERS = (9, 4.2), 72, 13
EM = 14
LARGER = 1.2  # on the whole screen, letters are so much larger than the text around them


class Picture(widgets.Image):
    """A figure as an image widget.

    An Image, not an Output: that does not flicker, and executing a lesson without a browser cannot get stuck on an
    Output's messages (as it did with ipykernel 7). The figure is not one of pyplot's, so it needs no closing, and a
    callback in another thread cannot mix it up with a cell's.

    Args:
        figsize: width and height in inches of DPI pixels.

    Attributes:
        figure: the figure.
        lock: held while the figure is drawn; who changes it in a thread holds it too.
    """

    def __init__(self, figsize: tuple[float, float] = FIGSIZE) -> None:
        self.figure = Figure(figsize=figsize, dpi=DPI, layout="constrained")
        self.lock = RLock()
        self._figsize = figsize
        self._moving: list[Artist] = []
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
        with self.lock:
            self._moving = []
            self._draw()

    def show_moving(self, artists: Iterable[Artist]) -> None:
        """Show these animated artists before the rest of the figure as it was last shown: ten times as fast."""
        with self.lock:
            self._canvas.restore_region(self._background)
            self._moving = [*artists]
            self._publish()

    def fit(self, width: float = 0, height: float = 0, em: float = 0, ratio: float = 1) -> None:
        """Draw the figure for a place on the screen; without one, as it was at first.

        Args:
            width, height: of the place, in CSS's pixels.
            em: the size of its font, in the same.
            ratio: how many of the screen's pixels each of CSS's has.
        """
        with self.lock:
            dpi = DPI * LARGER * em / LETTERS if em else DPI
            self.figure.set_dpi(dpi * ratio)
            self.figure.set_size_inches((width / dpi, height / dpi) if em else self._figsize)
            self._draw()

    def _draw(self) -> None:
        """Draw all that does not move, then what does."""
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self.figure.bbox)
        self._publish()

    def _publish(self) -> None:
        """Draw what moves, and show all."""
        for artist in self._moving:
            self.figure.draw_artist(artist)
        with BytesIO() as png:
            # Little compression: the browser is on the same machine, and the eye is waiting.
            Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert("RGB").save(png, "png", compress_level=1)
            self.value = png.getvalue()
