"""Clear errors for bad arguments: each names the argument, the value and what is allowed, in one line."""

import math
import operator
from collections.abc import Hashable, Iterable, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

MOST = 2**53  # beyond it, floats skip whole numbers
MOST_SEED = 2**63 - 1  # what torch's generators and an axis of int64 take
MOST_SIZE = 10**6  # of a layer, or a data set that is made


def shown(value: Any, most: int = 120) -> str:
    """A value in one line of so many characters at most."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as a number of more than 4300 digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def refused(name: str, allowed: str, value: Any) -> ValueError:
    """The error for an argument that has another value than is allowed."""
    return ValueError(f"{name} must be {allowed}, got {shown(value)}")


def whole_number(name: str, value: Any, least: int, most: int = MOST) -> int:
    """``value`` as an int in [least, most]; ValueError otherwise."""
    plain = _plain(value)
    try:
        number = operator.index(plain)
    except TypeError:
        number = least - 1
    if isinstance(plain, bool) or not least <= number <= most:
        limits = f"of at least {least}" if number < least and most == MOST else f"from {least} to {most}"
        raise refused(name, f"a whole number {limits}", value)
    return number


def real_number(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """``value`` as a finite float in [least, most]; ValueError otherwise."""
    number = _as_float(value)
    if not (math.isfinite(number) and least <= number <= most):
        limits = f"at least {least}" if most == math.inf else f"in [{least}, {most}]"
        raise refused(name, f"a finite number {limits}", value)
    return number


def positive_number(name: str, value: Any, *, or_infinite: bool = False) -> float:
    """``value`` as a float above 0, finite unless it may be infinite; ValueError otherwise."""
    number = _as_float(value)
    if not (0 < number < math.inf or (or_infinite and number == math.inf)):
        raise refused(name, "a number above 0, or inf" if or_infinite else "a finite number and more than 0", value)
    return number


def truth_value(name: str, value: Any) -> bool:
    """True or False, of whatever library; ValueError for anything else, above all NaN, text and arrays."""
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise refused(name, "True or False", value)
    return plain


def text(name: str, value: Any) -> str:
    """``value`` if it is a str that is not blank; ValueError otherwise."""
    if not isinstance(value, str) or not value.strip():
        raise refused(name, "a text, not blank", value)
    return value


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """ValueError unless ``value`` is among ``allowed``."""
    allowed = list(allowed)
    if not isinstance(value, Hashable) or value not in allowed:  # an array equals nothing as a whole
        raise refused(name, f"one of {allowed}", value)


def elements(name: str, value: Any, what: str = "a list of values", *, least: int = 1) -> list[Any]:
    """A list of what ``value`` holds; ValueError for a text, a dict, no list at all, or fewer than ``least``."""
    try:
        found = None if isinstance(value, str | bytes | Mapping) else list(value)
    except TypeError:  # it holds nothing
        found = None
    if found is None or len(found) < least:
        raise refused(name, what, value)
    return found


def array(name: str, value: Any, what: str = "a number or an array of them", kinds: str = "fiu") -> "npt.NDArray[Any]":
    """``value`` as an array of one of numpy's kinds; ValueError if it is none."""
    import numpy as np  # here, so that doctor starts without it

    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # lists of unequal lengths
        found = np.asarray(None)
    if found.dtype.kind not in kinds:
        raise refused(name, what, value)
    return found


def pair(name: str, value: Any, what: str = "a pair") -> tuple[Any, Any]:
    """The two things that ``value`` holds; ValueError for more or fewer."""
    found = elements(name, value, what)
    if len(found) != 2:
        raise refused(name, what, value)
    return found[0], found[1]


def instance(name: str, value: Any, kind: type | UnionType, what: str) -> None:
    """ValueError unless ``value`` is of this type."""
    if not isinstance(value, kind):
        raise refused(name, what, value)


def function(name: str, value: Any, *, or_none: bool = False) -> None:
    """ValueError unless ``value`` can be called, or is None where that is allowed."""
    if not callable(value) and not (or_none and value is None):
        raise refused(name, "a function" + " or None" * or_none, value)


def _plain(value: Any) -> Any:
    """A scalar of numpy, torch or xarray as Python's own; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _as_float(value: Any) -> float:
    """``value`` as a float, or NaN."""
    plain = _plain(value)
    if isinstance(plain, bool | str | bytes | bytearray) or hasattr(plain, "ndim"):
        return math.nan
    try:
        return float(plain)
    except (TypeError, ValueError, OverflowError):
        return math.nan
