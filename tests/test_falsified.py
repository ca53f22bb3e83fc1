"""Each claim must fall when its measurement is falsified: a lesson runs once, each condition is evaluated many times.

The measurements are what the condition names: arrays, tables, numbers, and dictionaries and lists of them. What cannot
be falsified by any of the ways below cannot fail, and says nothing.
"""

import ast
import itertools
import types
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from lessons import each_lesson

from warmup_course.authoring.evidence import code_cells, run_cells
from warmup_course.training import History

Array = np.ndarray[Any, Any]
Way = Callable[[Array], Array]


class NoMeasurementError(Exception):
    pass


# ---- ways to falsify ------------------------------------------------------------------------------------------------


def no_effect(values: Array) -> Array:
    """All arms, seeds and steps alike."""
    if values.dtype.kind in "US":
        return np.full_like(values, values.flat[0])
    return np.full_like(values, np.nanmean(values.astype(float)), dtype=float)


def swapped(values: Array) -> Array:
    return np.flip(values).copy()


def shuffled(values: Array) -> Array:
    return np.random.default_rng(0).permutation(values.ravel()).reshape(values.shape)


def changed(factor: float) -> Way:
    """All numbers times a factor; of texts, such as outcomes, and truth values, the opposite."""

    def change(values: Array) -> Array:
        if values.dtype.kind in "US":
            return np.where(values == "trained", "diverged", "trained" if factor < 0 else values).astype(values.dtype)
        if values.dtype.kind == "b":
            return ~values
        return values * factor

    return change


def one_arm(parity: int) -> Way:
    """An effect where there was none: every second value ten times as large."""

    def change(values: Array) -> Array:
        chosen = np.arange(values.size).reshape(values.shape) % 2 == parity
        if values.dtype.kind in "US":
            return np.where(chosen, "diverged", "trained").astype(values.dtype)
        return values * np.where(chosen, 10.0, 1.0)

    return change


def moved(sign: int) -> Way:
    """Everything much better, or much worse; all runs trained, or none."""

    def move(values: Array) -> Array:
        if values.dtype.kind in "US":
            return np.full(values.shape, "trained" if sign > 0 else "diverged", values.dtype)
        if values.dtype.kind == "b":
            return np.full(values.shape, sign > 0)
        finite = np.abs(values[np.isfinite(values)])
        return np.nan_to_num(values) + sign * 10 * (1 + finite.max(initial=0.0))

    return move


def nothing(values: Array) -> Array:
    """Where the measurement is a list of what was found."""
    raise NoMeasurementError


WAYS: dict[str, Way] = {
    "no effect": no_effect,
    "arms swapped": swapped,
    "shuffled": shuffled,
    "half": changed(0.5),
    "double": changed(2.0),
    "one arm": one_arm(0),
    "the other arm": one_arm(1),
    "opposite": changed(-1.0),
    "raised": moved(1),
    "lowered": moved(-1),
    "nothing found": nothing,
}


def falsified(value: Any, way: Way) -> Any:
    """A measurement with other numbers; NoMeasurementError where it holds none."""
    match value:
        case bool() | np.bool_():
            return not value
        case int() | float() | np.number() if way is not nothing:
            return way(np.array([value], dtype=float))[0].item()
        case str():
            return "" if way is WAYS["lowered"] else None
        case types.FunctionType() if value.__module__ == "__main__":  # the lesson's own
            return lambda *args, **options: falsified(value(*args, **options), way)
        case np.ndarray() if value.dtype.kind in "fiubUS" and value.size:
            return way(value)
        case torch.Tensor() if value.numel():
            return torch.as_tensor(way(value.detach().cpu().numpy())).to(value.device)
        case xr.DataArray() if value.size and value.dtype.kind in "fiubUS":
            return value.copy(data=way(value.values))
        case xr.Dataset():
            measured = {name: of for name, of in value.data_vars.items() if of.size and of.dtype.kind in "fiubUS"}
            return value.assign({name: (of.dims, way(of.values)) for name, of in measured.items()})
        case pd.DataFrame() | pd.Series():
            changed_values = way(np.asarray(value))
            if isinstance(value, pd.Series):
                return pd.Series(changed_values, value.index)
            return pd.DataFrame(changed_values, value.index, value.columns)
        case dict() if value:
            return dict(zip(value, _together(list(value.values()), way), strict=True))
        case list() if way is nothing:
            return []
        case list() | tuple() if value:
            return type(value)(_together(list(value), way))
        case list() if way is WAYS["raised"]:
            return [None]
        case History():
            recorded = {f.name: getattr(value, f.name) for f in fields(value)}
            new = {name: falsified(of, way) for name, of in recorded.items() if isinstance(of, list) and of}
            return replace(value, **new)
    raise NoMeasurementError


def _together(values: list[Any], way: Way) -> list[Any]:
    """Values of one kind are falsified as one, so that one arm can take another's place."""
    if way is nothing:
        return [None] * len(values)
    if all(map(is_number, values)):
        return [x.item() for x in way(np.array(values, dtype=float))]
    if way in (swapped, no_effect) and all(type(value) is type(values[0]) for value in values):
        return values[::-1] if way is swapped else [values[0]] * len(values)
    if way in (WAYS["one arm"], WAYS["the other arm"]):
        odd = way is WAYS["the other arm"]
        if all(isinstance(value, list | tuple) for value in values):  # pairs of arms
            return [falsified(value, way) for value in values]
        return [falsified(value, WAYS["double"]) if i % 2 == odd else value for i, value in enumerate(values)]
    return [falsified(value, way) for value in values]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


# ---- the lessons ----------------------------------------------------------------------------------------------------


class _Keep(ast.NodeTransformer):
    """Rewrites ``claim(statement, condition)`` so that the condition can be evaluated again."""

    def __init__(self) -> None:
        self.conditions: list[ast.expr] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "claim" and len(node.args) == 2:
            self.conditions.append(node.args[1])
            here = ast.Call(ast.Name("locals", ast.Load()), [], [])
            number = ast.Constant(len(self.conditions) - 1)
            node.args[1] = ast.copy_location(
                ast.Call(ast.Name("__tried__", ast.Load()), [number, node.args[1], here], []), node
            )
        return node


def constants(trees: Sequence[ast.AST]) -> set[str]:
    """Names that a lesson gives numbers or texts alone: a changed setting is no falsified measurement."""
    set_by: dict[str, list[bool]] = {}
    for node in itertools.chain(*map(ast.walk, trees)):
        if isinstance(node, ast.Assign):
            values = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
            plain = bool(values) and not any(isinstance(n, ast.Call | ast.Name) for n in ast.walk(node.value))
            for name in (n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)):
                set_by.setdefault(name, []).append(plain and not any(isinstance(value, bool) for value in values))
    return {name for name, plain in set_by.items() if all(plain)}


def falls(condition: ast.expr, names: dict[str, Any], fixed: set[str], way: Way) -> bool:
    """Whether the condition does not hold of falsified measurements: of each one that it names, or of all."""
    named = sorted({n.id for n in ast.walk(condition) if isinstance(n, ast.Name) and n.id in names} - fixed)
    numbers = [name for name in named if is_number(names[name])]
    new: dict[str, Any] = {}
    with suppress(NoMeasurementError):
        new |= dict(zip(numbers, _together([names[name] for name in numbers], way), strict=True))
    for name in set(named) - set(numbers):
        with suppress(NoMeasurementError):
            new[name] = falsified(names[name], way)
    code = compile(ast.fix_missing_locations(ast.Expression(condition)), "condition", "eval")
    for trial in [new, *({name: value} for name, value in new.items())]:
        with suppress(Exception):  # a condition that cannot be evaluated neither holds nor fails
            if not bool(eval(code, {**names, **trial})):
                return True
    return False


def ways_to_fall(lesson: Path) -> dict[str, list[str]]:
    """Each claim of the lesson, and the ways of falsifying its measurement that it does not survive."""
    found: dict[str, list[str]] = {}
    keep = _Keep()
    fixed = constants([ast.parse("".join(cell["source"])) for cell in code_cells(lesson)])
    latest: list[list[str]] = []

    def tried(number: int, held: object, names: dict[str, Any]) -> object:
        everything = {**shared, **names}
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            latest.append([w for w, way in WAYS.items() if falls(keep.conditions[number], everything, fixed, way)])
        return held

    def record(_: Any, statement: str, holds: object) -> None:
        found.setdefault(statement, []).extend(latest.pop())

    shared: dict[str, Any] = {"__tried__": tried}
    run_cells(lesson, {"device": "cpu", "seed": 0}, keep, shared, record)
    plt.close("all")
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:More than 20 figures have been opened")  # a notebook closes them
@each_lesson
def test_each_claim_falls_with_its_measurement(lesson: Path) -> None:
    found = ways_to_fall(lesson)
    assert found
    for statement, ways in found.items():
        print(f"{statement}: {', '.join(dict.fromkeys(ways)) or 'STANDS'}")
    assert [statement for statement, ways in found.items() if not ways] == []
