"""What the answers of quizzes and exercises are checked against, computed anew; one module for a lesson or some.

A key is a function, registered with ``@key("id-of-the-question")``. What it is given and gives depends on the kind:

number: nothing -> the answer, then the mistakes as they are listed
single, several: the choices, in any order -> whether each holds; or ``@verdicts``
order: the steps' texts, in any order -> numbers that rise in the right order

A question whose key is not computed has its evidence in its YAML: ``rests_on`` or ``wording``.

Each module may have these for the exercises:

WRONG: exercise -> wrong answers, each with a word of the reason that it must be given
RIGHT: exercise -> right answers that are not the solution's words
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch.optim import SGD

Choices = list[dict[str, Any]]
Verdicts = dict[str, Any]
KEYS: dict[str, Callable[..., Any]] = {}


def key(question: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the key of a question."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        assert question not in KEYS, f"{question} has two keys"
        KEYS[question] = function
        return function

    return register


def verdicts(question: str) -> Callable[[Callable[[], Verdicts]], None]:
    """Register a function that gives the verdict on each choice by words that stand in that choice alone."""

    def register(function: Callable[[], Verdicts]) -> None:
        def judge(choices: Choices) -> list[bool]:
            by_words = function()
            found = [[words for words in by_words if words in choice["text"]] for choice in choices]
            assert sorted(words for all_words in found for words in all_words) == sorted(by_words), found
            return [bool(by_words[words]) for [words] in found]

        key(question)(judge)

    return register


def idle(lr: float = 0.1) -> SGD:
    """An optimizer of one weight that is never moved."""
    return SGD([torch.zeros(1, requires_grad=True)], lr=lr)


_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]


def _all(name: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for module in _MODULES:
        part = getattr(module, name, {})
        assert not merged.keys() & part, f"{name} has {sorted(merged.keys() & part)} twice"
        merged |= part
    return merged


WRONG, RIGHT = map(_all, ("WRONG", "RIGHT"))
