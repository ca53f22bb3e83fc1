"""Clear errors for bad arguments: each names the argument, the value and what is allowed."""

import math
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def folder_from(variable: str) -> Path | None:
    """The folder that an environment variable names, None if it names none; ``~`` is the home.

    A relative one is a ValueError: it would be another folder in each place from which a program starts.
    """
    value = os.environ.get(variable)
    if not value:
        return None
    try:
        folder = Path(value).expanduser()
    except RuntimeError:  # a user who is not known here
        folder = Path()
    if not folder.is_absolute():
        raise ValueError(f"{variable} must be a full path, or begin with ~, got {value!r}")
    return folder


def whole_number(name: str, value: Any, least: int) -> int:
    """``value`` as an int of at least ``least``; ValueError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def real_number(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """``value`` as a finite float in [least, most]; ValueError otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool | str) or not (math.isfinite(number) and least <= number <= most):
        allowed = f"at least {least}" if most == math.inf else f"in [{least}, {most}]"
        raise ValueError(f"{name} must be a finite number {allowed}, got {value!r}")
    return number


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """ValueError unless ``value`` is among ``allowed``."""
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")
