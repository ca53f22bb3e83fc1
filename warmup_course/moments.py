"""Moments: settings of a lab that are prepared for a class, each with a question to ask before its result is seen.

They stand in moments.yaml. A lab in a lesson has them as if a presenter had kept them; see classroom/labs/present.js.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def load() -> dict[str, dict[str, Any]]:
    """The labs that have moments: name -> its lesson, its goal, by which it is known there, and its moments."""
    content: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return content


def moments_of(goal: str | None, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The moments of the lab with this goal: what is not said in a moment is as in ``settings``."""
    return [{**settings, **moment} for lab in load().values() if lab["goal"] == goal for moment in lab["moments"]]
