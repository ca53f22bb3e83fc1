"""to_code: the code is run as pasted, with the real libraries, and the LRs are read when optimizer.step() is called."""

import ast
import itertools
import random
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from warmup_course.export import to_code
from warmup_course.schedulers import Schedule
from warmup_course.shapes import DECAYS, WARMUPS

PEAK = 0.3
SHAPES: dict[str, Any] = {"warmup": [*WARMUPS], "decay": [*DECAYS]}
NOT_EXACT = re.compile(
    r"# Not exact: transformers has no such schedule\. These LRs differ by up to (.+)% of the peak\.\n"
)


class Recorder(torch.optim.SGD):
    """SGD that notes each group's LR when step() is called."""

    def __init__(self, *lrs: float) -> None:
        super().__init__([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs], lr=lrs[0])
        self.used: list[list[float]] = []

    def step(self, closure: Any = None) -> None:
        self.used.append([group["lr"] for group in self.param_groups])
        super().step(closure)


def run(code: str, steps: int, *lrs: float) -> np.ndarray:
    """The LRs, of shape (steps, groups), that the code gives a new optimizer, where nothing but it exists."""
    optimizer = Recorder(*lrs or (PEAK,))
    names: dict[str, Any] = {"optimizer": optimizer}
    exec(compile(code, "pasted", "exec"), names)
    if "scheduler" in names:
        for _ in range(steps):
            optimizer.step()
            names["scheduler"].step()
    assert len(optimizer.used) == steps
    return np.array(optimizer.used)


def differs(schedule: Schedule, code: str) -> float:
    """By how much the LRs of the pasted code differ from the schedule's, relative to the peak."""
    return np.abs(run(code, schedule.total_steps)[:, 0] / PEAK - schedule(np.arange(schedule.total_steps))).max()


def stated(code: str) -> float:
    """The difference that the first line of code for transformers admits, 0 where it admits none."""
    found = NOT_EXACT.match(code)
    assert ("Not exact" in code) == bool(found)
    return float(found[1]) / 100 if found else 0.0


@cache
def grid() -> list[Schedule]:
    """Every shape at every edge; of schedules with the same fields in force, one."""
    t = 6
    found = {}
    for warmup, decay, w, stable, s, e, count_from in itertools.product(
        *SHAPES.values(), [0, 1, 2, t - 1, t], [0, 1], [0.0, 0.2, 1.0], [0.0, 0.35, 1.0], [0, 1]
    ):
        if w + stable > t or (s == 0 and not WARMUPS[warmup].from_zero):
            continue
        ramp = (warmup, s, count_from) if w else None
        fall = (decay, e) if w + stable < t and decay != "constant" else None
        found[w, stable, ramp, fall] = Schedule(
            t, w, warmup=warmup, stable_steps=stable, decay=decay, start_factor=s, end_factor=e, count_from=count_from
        )
    return list(found.values())


@cache
def random_schedules() -> list[Schedule]:
    draw = random.Random(0)
    found = []
    for _ in range(200):
        t = draw.choice([3, 10, 30, 100])
        w = draw.randint(0, t)
        found.append(
            Schedule(
                t,
                w,
                **{name: draw.choice(names) for name, names in SHAPES.items()},
                stable_steps=draw.choice([0, draw.randint(0, t - w)]),
                start_factor=draw.choice([1 / (w + 1), 1e-310, 1e-12, 1e-7, draw.random(), 1 - 1e-12]),
                end_factor=draw.choice([0, 1e-12, draw.random(), 1 - 1e-12]),
                count_from=draw.randint(0, 1),
            )
        )
    return found


@pytest.mark.parametrize("schedules", [grid, random_schedules])
@pytest.mark.parametrize("library", ["torch", "python"])
def test_the_pasted_code_gives_the_schedules_lrs(library: Any, schedules: Any) -> None:
    wrong = {
        schedule: error
        for schedule in schedules()
        if not (error := differs(schedule, to_code(schedule, PEAK, library))) <= 1e-9
    }
    assert wrong == {}


@pytest.mark.parametrize("schedules", [grid, random_schedules])
def test_transformers_gives_the_lrs_or_the_code_says_by_how_much_not(schedules: Any) -> None:
    pytest.importorskip("transformers")
    for schedule in schedules():
        code = to_code(schedule, PEAK, "transformers")
        error, admitted = differs(schedule, code), stated(code)
        if admitted:
            assert error == pytest.approx(admitted, rel=0.006), schedule  # it is printed with three digits
        else:
            assert error <= 1e-9, schedule


# The conventions of the field, and the edges: what each library needs for it.
LIKE_TORCH: dict[Schedule, list[str]] = {
    Schedule(30, 5): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(30, 29): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(30, 5, stable_steps=10): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(30, 5, start_factor=0.2, count_from=0): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(30, 5, start_factor=1 / 6, count_from=0): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(30, 4, start_factor=0.02, stable_steps=1, count_from=0): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(29, 4, start_factor=1 / 5, count_from=0): ["CosineAnnealingLR", "LinearLR", "SequentialLR"],
    Schedule(30, 5, decay="linear", end_factor=0.1): ["LinearLR", "SequentialLR"],
    Schedule(30, 5, decay="polynomial"): ["LinearLR", "PolynomialLR", "SequentialLR"],
    Schedule(30, decay="polynomial"): ["PolynomialLR"],
    Schedule(30, 5, warmup="constant", start_factor=0.1): ["ConstantLR", "CosineAnnealingLR", "SequentialLR"],
    Schedule(30, 1): ["ConstantLR", "CosineAnnealingLR", "SequentialLR"],
    Schedule(30, 0, stable_steps=20, decay="linear"): ["ConstantLR", "LinearLR", "SequentialLR"],
    Schedule(30): ["CosineAnnealingLR"],
    Schedule(30, end_factor=0.1): ["CosineAnnealingLR"],
    Schedule(30, 5, warmup="cosine", start_factor=1): ["ConstantLR", "CosineAnnealingLR", "SequentialLR"],
    Schedule(30, decay="linear"): ["LinearLR"],
    Schedule(30, 5, decay="constant"): ["LinearLR"],
    Schedule(30, 5, end_factor=1): ["LinearLR"],
    Schedule(30, 30): ["LinearLR"],
    Schedule(30, 5, warmup="constant", start_factor=0.1, decay="constant"): ["ConstantLR"],
    Schedule(30, decay="constant"): ["ConstantLR"],
    Schedule(30, 5, count_from=0): ["LambdaLR"],
    Schedule(30, 5, decay="sqrt"): ["LambdaLR"],
    Schedule(30, 5, decay="polynomial", end_factor=0.1): ["LambdaLR"],  # PolynomialLR falls to 0
    Schedule(30, 5, warmup="polynomial"): ["LambdaLR"],
    Schedule(30, 5, warmup="cosine"): ["LambdaLR"],
    Schedule(30, 5, warmup="exponential", start_factor=0.1): ["LambdaLR"],
}
LIKE_TRANSFORMERS: dict[Schedule, str] = {
    Schedule(30, decay="constant"): "get_constant_schedule",
    Schedule(30, 5, decay="constant", count_from=0): "get_constant_schedule_with_warmup",
    Schedule(30, 30, count_from=0): "get_constant_schedule_with_warmup",
    Schedule(30, 5, decay="linear", count_from=0): "get_linear_schedule_with_warmup",
    Schedule(30, 5, decay="linear", end_factor=0.1, count_from=0): "get_polynomial_decay_schedule_with_warmup",
    Schedule(30, 5, decay="polynomial", count_from=0): "get_polynomial_decay_schedule_with_warmup",
    Schedule(30, 5, decay="polynomial", end_factor=0.1, count_from=0): "get_polynomial_decay_schedule_with_warmup",
    Schedule(30): "get_cosine_schedule_with_warmup",
    Schedule(30, 5, count_from=0): "get_cosine_schedule_with_warmup",
    Schedule(30, 5, end_factor=0.1, count_from=0): "get_cosine_with_min_lr_schedule_with_warmup",
    Schedule(30, 5, start_factor=1 / 6, count_from=0): "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    Schedule(29, 4, start_factor=1 / 5, count_from=0): "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    Schedule(30, 5, stable_steps=10, count_from=0): "get_wsd_schedule",
    Schedule(30, 5, decay="sqrt", count_from=0): "get_wsd_schedule",
    Schedule(30, 5, warmup="cosine", count_from=0): "get_wsd_schedule",
    Schedule(30, 5, start_factor=0.1, end_factor=0.1, decay="linear", count_from=0): "get_wsd_schedule",
    Schedule(30, 5, decay="constant"): "get_wsd_schedule",
    Schedule(30, 10, end_factor=0.1): "get_wsd_schedule",  # from 1 / W up, and down to the same
    Schedule(30, 1): "get_wsd_schedule",
}


def imported_from(library: str, code: str) -> list[str]:
    return [
        alias.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == library
        for alias in node.names
    ]


@pytest.mark.parametrize(("schedule", "names"), LIKE_TORCH.items())
def test_torchs_own_schedulers_are_used_where_they_can_be(schedule: Schedule, names: list[str]) -> None:
    code = to_code(schedule, PEAK, "torch")
    assert imported_from("torch", code) == names
    assert ("LambdaLR, because" in code) == (names == ["LambdaLR"])
    assert differs(schedule, code) <= 1e-9


@pytest.mark.parametrize(("schedule", "name"), LIKE_TRANSFORMERS.items())
def test_transformers_own_schedules_are_found(schedule: Schedule, name: str) -> None:
    pytest.importorskip("transformers")
    code = to_code(schedule, PEAK, "transformers")
    assert imported_from("transformers", code) == [name]
    assert "Not exact" not in code
    assert differs(schedule, code) <= 1e-9


@pytest.mark.parametrize(
    ("schedule", "percent"),
    [
        (Schedule(30, 5, decay="linear"), 20),  # t / W instead of (t + 1) / W
        (Schedule(30, 5, decay="linear", start_factor=0.3, end_factor=0.1, count_from=0), 20),  # from 0.1
        (Schedule(30, 5, warmup="constant", start_factor=0.5, decay="constant"), 40),  # 0.5, 0.6, ..., 0.9 for 0.5
    ],
)
def test_the_difference_by_hand(schedule: Schedule, percent: float) -> None:
    assert stated(to_code(schedule, PEAK, "transformers")) == pytest.approx(percent / 100)


def test_groups_keep_their_ratio_unless_the_code_says_otherwise() -> None:
    told = 0
    for schedule in random_schedules():
        for library in ("torch", "transformers"):
            code = to_code(schedule, PEAK, library)
            lrs = run(code, schedule.total_steps, PEAK, PEAK / 100)
            kept = np.allclose(lrs[:, 0], 100 * lrs[:, 1], rtol=0, atol=1e-9)
            assert kept or "eta_min is an LR, not a factor" in code, schedule
            told += not kept
    assert told


def test_the_python_function_goes_on_as_the_schedule_does_after_the_last_step() -> None:
    for schedule in random_schedules():
        names: dict[str, Any] = {"optimizer": Recorder(PEAK)}
        exec(to_code(schedule, PEAK, "python"), names)
        steps = range(schedule.total_steps + 5)
        assert [names["learning_rate"](step) for step in steps] == pytest.approx(PEAK * schedule(steps), abs=1e-9)


@pytest.mark.parametrize("peak_lr", [1e-6, 1, 3e-4, 1 / 3, 20.0, np.float32(0.1)])
@pytest.mark.parametrize("library", ["torch", "transformers", "python"])
def test_any_peak(library: Any, peak_lr: Any) -> None:
    for decay in ("cosine", "linear"):
        schedule = Schedule(12, 3, decay=decay, end_factor=0.1, count_from=0)
        code = to_code(schedule, peak_lr, library)
        lrs = run(code, 12, float(peak_lr))[:, 0]
        assert lrs == pytest.approx(peak_lr * schedule(np.arange(12)), rel=1e-9, abs=0)
        assert library == "python" or f"built with lr={float(peak_lr)!r}, the peak" in code


def test_the_code_tells_when_to_call_step() -> None:
    for library in ("torch", "transformers"):
        assert "scheduler.step() once after each optimizer.step(), 30 times" in to_code(Schedule(30, 5), PEAK, library)
    assert "no scheduler.step()" in to_code(Schedule(30, 5), PEAK, "python")


def test_the_code_is_clean_and_needs_only_an_optimizer(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    schedules = [*LIKE_TORCH, *LIKE_TRANSFORMERS, *random_schedules()]
    for i, (schedule, library) in enumerate(itertools.product(schedules, ["torch", "transformers", "python"])):
        (tmp_path / f"pasted_{i}.py").write_text(to_code(schedule, 1 / 3, library))
    ours = ["--config", str(Path(__file__).parents[1] / "pyproject.toml"), "--no-cache"]
    for command in (["check", "--config", "builtins = ['optimizer']"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *ours, tmp_path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
