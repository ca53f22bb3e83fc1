"""The shapes of ramps and decays: one entry for each, from which Schedule, to_code and the schedule lab are made.

To add a shape, name it in ``Warmup`` or ``Decay`` and give it an entry below. Tests say what is left: a row in the
docstring of ``Schedule``, and values worked out by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Warmup = Literal["linear", "cosine", "exponential", "constant", "polynomial"]
Decay = Literal["constant", "cosine", "linear", "sqrt", "polynomial"]
Factors = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How the LR gets from its low end, a ramp's start or a decay's end, to the peak, or back.

    Attributes:
        factor: (factor at the low end, progress from 0 to 1) -> factor of the peak LR.
        code: the same in Python, as a template of an LR: ``{low}`` and ``{peak}`` are LRs, ``{span}`` lies between
            them, ``{half_span}`` is half of that, ``{share}`` is the factor at the low end, and ``{u}`` the progress.
            ``{low_plus}``, ``{span_times}`` and ``{peak_times}`` have their operator with them, and are left out where
            they change nothing. With a peak of 1 and letters for the numbers, it is JavaScript too.
        words: what it does, before "5 steps" and before "over 5 steps".
        torch: torch's own scheduler and its arguments, in the same templates, with ``{steps}`` for its length and
            ``{first}`` for its first factor; or why there is none.
        wsd: its name in transformers' get_wsd_schedule, if it is there.
        from_zero: whether its low end may be 0.
    """

    factor: Callable[[float, Factors], Factors]
    code: str
    words: str
    torch: tuple[str, dict[str, str]] | str
    wsd: str | None = None
    from_zero: bool = True

    def javascript(self) -> str:
        """The factor as a JavaScript expression of ``low`` and ``u``."""
        lr = self.code.format(
            low="low",
            low_plus="low + ",
            share="low",
            peak="1",
            peak_times="",
            u="u",
            span_times="(1 - low) * ",
            half_span="((1 - low) / 2)",
        )
        return lr.replace("math.pi", "Math.PI").replace("math.", "Math.")


# In a ramp, u is how much of the way up is done.
WARMUPS: dict[Warmup, Shape] = {
    "linear": Shape(
        factor=lambda s, u: s + (1 - s) * u,
        code="{low_plus}{span_times}{u}",
        words="A straight climb over",
        torch=("LinearLR", {"start_factor": "{first}", "total_iters": "{steps}"}),
        wsd="linear",
    ),
    "cosine": Shape(
        factor=lambda s, u: s + (1 - s) * (1 - np.cos(np.pi * u)) / 2,
        code="{low_plus}{half_span} * (1 - math.cos(math.pi * {u}))",
        words="An S-shaped climb over",
        torch="torch has no cosine warmup",
        wsd="cosine",
    ),
    "exponential": Shape(
        factor=lambda s, u: np.power(s, 1 - u),
        code="{peak_times}{share} ** (1 - {u})",
        words="A climb that speeds up over",
        torch="torch has no exponential warmup",
        from_zero=False,
    ),
    "constant": Shape(
        factor=lambda s, u: np.full_like(u, s),
        code="{low}",
        words="A low start for",
        torch=("ConstantLR", {"factor": "{first}", "total_iters": "{steps}"}),
        from_zero=False,
    ),
    "polynomial": Shape(
        factor=lambda s, u: s + (1 - s) * u**2,
        code="{low_plus}{span_times}({u}) ** 2",
        words="A climb along a parabola over",
        torch="torch has no polynomial warmup",
    ),
}
# In a decay, u is how much of the way down is done.
DECAYS: dict[Decay, Shape] = {
    "constant": Shape(
        factor=lambda e, u: np.ones_like(u),
        code="{peak}",
        words="level",
        torch=("ConstantLR", {"factor": "1.0"}),
    ),
    "cosine": Shape(
        factor=lambda e, u: e + (1 - e) * (1 + np.cos(np.pi * u)) / 2,
        code="{low_plus}{half_span} * (1 + math.cos(math.pi * {u}))",
        words="a cosine fall",
        torch=("CosineAnnealingLR", {"T_max": "{steps}", "eta_min": "{low}"}),
        wsd="cosine",
    ),
    "linear": Shape(
        factor=lambda e, u: 1 - (1 - e) * u,
        code="{peak} - {span_times}{u}",
        words="a straight fall",
        torch=("LinearLR", {"start_factor": "1.0", "end_factor": "{share}", "total_iters": "{steps}"}),
        wsd="linear",
    ),
    "sqrt": Shape(
        factor=lambda e, u: 1 - (1 - e) * np.sqrt(u),
        code="{peak} - {span_times}math.sqrt({u})",
        words="a square-root fall",
        torch="torch has no decay with the square root of the step",
        wsd="1-sqrt",
    ),
    "polynomial": Shape(
        factor=lambda e, u: e + (1 - e) * (1 - u) ** 2,
        code="{low_plus}{span_times}(1 - {u}) ** 2",
        words="a fall along a parabola",
        torch=("PolynomialLR", {"total_iters": "{steps}", "power": "2.0"}),
    ),
}


def all_as_javascript() -> str:
    """Both tables as the lab's JavaScript reads them."""

    def table(name: str, shapes: Any) -> str:
        rows = "".join(
            f"  {key}: {{ factor: (low, u) => {shape.javascript()}, "
            f'words: "{shape.words}", fromZero: {str(shape.from_zero).lower()} }},\n'
            for key, shape in shapes.items()
        )
        return f"const {name} = {{\n{rows}}};\n"

    return table("WARMUPS", WARMUPS) + table("DECAYS", DECAYS)
