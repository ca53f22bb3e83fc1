"""What the answers of quizzes and exercises are checked against, computed anew; one module for a lesson or some.

Each module has these names, or the ones that it needs:

NUMBERS: question -> function that computes the answer, then the mistakes as they are listed
CHOICES: question of kind single or several -> function of its choices: whether each holds
ORDERS: question -> function of the steps' texts: numbers that rise in the right order
CLAIMED: question -> the claims of its lesson that the key rests on
WORDING: the questions whose keys are matters of wording
WRONG: exercise -> wrong answers, each with a word of the reason that it must be given
RIGHT: exercise -> right answers that are not the solution's words
"""

import pkgutil
from importlib import import_module
from typing import Any

_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]


def _all(name: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for module in _MODULES:
        part = getattr(module, name, {})
        assert not merged.keys() & part, f"{name} has {sorted(merged.keys() & part)} twice"
        merged |= part if isinstance(part, dict) else dict.fromkeys(part)
    return merged


NUMBERS, CHOICES, ORDERS, CLAIMED, WORDING, WRONG, RIGHT = map(
    _all, ("NUMBERS", "CHOICES", "ORDERS", "CLAIMED", "WORDING", "WRONG", "RIGHT")
)
