"""Schedule and lambda_lr against other libraries' schedulers, closed forms and values worked out by hand."""

import copy
import io
import itertools
import json
import math
import pickle
from collections.abc import Callable, Iterable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from warmup_course.schedulers import Schedule, lambda_lr, used_lrs
from warmup_course.shapes import DECAYS, WARMUPS, Decay, Warmup

PEAK = 0.1
# A ramp and a decay of one step each, one of them so, neither.
PAIRS = [(1, 2), (1, 9), (8, 9), (4, 9), (37, 500)]
FALLING = [decay for decay in DECAYS if decay != "constant"]
# Each shape once: what a ramp gives does not depend on the decay.
EACH_SHAPE = list(itertools.zip_longest(WARMUPS, DECAYS, fillvalue="linear"))


def make_optimizer(lr: Any = PEAK) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def lrs_seen(optimizer: torch.optim.Optimizer, scheduler: LRScheduler, steps: int) -> list[Any]:
    """The LR that each of ``steps`` calls of optimizer.step() sees."""
    seen: list[Any] = []
    hook = optimizer.register_step_pre_hook(lambda opt, args, kwargs: seen.append(opt.param_groups[0]["lr"]))
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
    hook.remove()
    return seen


def assert_lrs(schedule: Schedule, expected: Iterable[float]) -> None:
    lrs = np.array(list(expected), dtype=np.float64)
    assert_allclose(PEAK * schedule(np.arange(len(lrs))), lrs, rtol=0, atol=1e-12)


# --- the conventions of the field, each really run -------------------------------------------------------------------


@pytest.mark.parametrize("start", [None, 0.2, 0.5, 1.0])
@pytest.mark.parametrize(("w", "t"), PAIRS)
def test_torch_linear_then_cosine(w: int, t: int, start: float | None) -> None:
    """By default from 1 / W to the peak at step W - 1; or from another start to the peak at step W."""
    optimizer = make_optimizer()
    ramp = LinearLR(optimizer, start_factor=start or 1 / w, total_iters=w if start else w - 1)
    scheduler = SequentialLR(optimizer, [ramp, CosineAnnealingLR(optimizer, t - w)], milestones=[w])
    schedule = Schedule(t, w, start_factor=start, count_from=0) if start else Schedule(t, w)
    assert_lrs(schedule, lrs_seen(optimizer, scheduler, t + 1))


@pytest.mark.parametrize(
    ("make", "schedule"),
    [
        (lambda o: CosineAnnealingLR(o, 1), Schedule(1)),
        (lambda o: CosineAnnealingLR(o, 300, eta_min=0.3 * PEAK), Schedule(300, end_factor=0.3)),
        (
            lambda o: ConstantLR(o, factor=0.25, total_iters=5),
            Schedule(12, 5, warmup="constant", start_factor=0.25, decay="constant"),
        ),
        (lambda o: LinearLR(o, 1.0, 0.1, total_iters=20), Schedule(20, decay="linear", end_factor=0.1)),
    ],
    ids=["cosine of one step", "cosine", "constant ramp", "linear decay"],
)
def test_a_scheduler_of_torch_alone(make: Callable[[Optimizer], LRScheduler], schedule: Schedule) -> None:
    optimizer = make_optimizer()
    assert_lrs(schedule, lrs_seen(optimizer, make(optimizer), schedule.total_steps + 1))


@pytest.mark.parametrize(("w", "t"), [(0, 20), *PAIRS])
def test_polynomial_decay_equals_torch_polynomial_lr(w: int, t: int) -> None:
    optimizer = make_optimizer()
    fall = PolynomialLR(optimizer, t - w, power=2)
    scheduler: LRScheduler = fall
    if w:
        ramp = LinearLR(optimizer, start_factor=1 / w, total_iters=w - 1)
        scheduler = SequentialLR(optimizer, [ramp, fall], milestones=[w])
    # It divides each LR by the one before, which adds up to an error of its own.
    factors = Schedule(t, w, decay="polynomial")(np.arange(t + 1))
    assert_allclose(lrs_seen(optimizer, scheduler, t + 1), PEAK * factors, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("w", "t"), [(0, 1), (0, 10), *PAIRS])
@pytest.mark.parametrize(
    ("decay", "end_factor"),
    [("cosine", 0.0), ("linear", 0.0), ("constant", 0.0), ("polynomial", 0.0), ("polynomial", 0.3)],
)
def test_transformers(decay: Any, end_factor: float, w: int, t: int) -> None:
    transformers = pytest.importorskip("transformers")
    optimizer, end = make_optimizer(), end_factor * PEAK
    scheduler = {
        "cosine": lambda: transformers.get_cosine_schedule_with_warmup(optimizer, w, t),
        "linear": lambda: transformers.get_linear_schedule_with_warmup(optimizer, w, t),
        "constant": lambda: transformers.get_constant_schedule_with_warmup(optimizer, w),
        "polynomial": lambda: transformers.get_polynomial_decay_schedule_with_warmup(optimizer, w, t, end, power=2),
    }[decay]()
    schedule = Schedule(t, w, decay=decay, end_factor=end_factor, count_from=0)
    assert_lrs(schedule, lrs_seen(optimizer, scheduler, t + 1))


@pytest.mark.parametrize(("w", "t"), PAIRS)
def test_pytorch_warmup_readme(w: int, t: int) -> None:
    pytorch_warmup = pytest.importorskip("pytorch_warmup")
    optimizer = make_optimizer()
    cosine = CosineAnnealingLR(optimizer, T_max=t - w)
    warmup = pytorch_warmup.LinearWarmup(optimizer, w)
    lrs = []
    for _ in range(t):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warmup.dampening():
            if warmup.last_step + 1 >= w:
                cosine.step()
    assert_lrs(Schedule(t - 1, w - 1, start_factor=1 / w, count_from=0), lrs)


@pytest.mark.parametrize(("w", "t"), [(w, t) for w, t in PAIRS if w > 1])  # ignite refuses a ramp of one step
def test_ignite(w: int, t: int) -> None:
    pytest.importorskip("ignite")
    from ignite.engine import Engine, Events
    from ignite.handlers.param_scheduler import create_lr_scheduler_with_warmup

    optimizer = make_optimizer()
    lrs: list[float] = []

    def update(engine: Engine, batch: Any) -> None:
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()

    scheduler = create_lr_scheduler_with_warmup(CosineAnnealingLR(optimizer, T_max=t - w), PEAK / w, w)
    trainer = Engine(update)
    trainer.add_event_handler(Events.ITERATION_STARTED, scheduler)
    trainer.run(range(t), max_epochs=1)
    assert_lrs(Schedule(t - 1, w - 1, start_factor=1 / w, count_from=0), lrs)


@pytest.mark.parametrize("start", [0.0, 0.02])
@pytest.mark.parametrize(("w", "t"), [(w, t) for w, t in PAIRS if w > 1 and t < 100])  # a ramp of one step divides by 0
def test_bolts_recursion(w: int, t: int, start: float) -> None:
    lr, lrs = start, [start]
    for step in range(1, t):
        if step < w:
            lr += (PEAK - start) / (w - 1)
        elif step == w:
            lr = PEAK
        else:
            lr *= (1 + math.cos(math.pi * (step - w) / (t - w))) / (1 + math.cos(math.pi * (step - w - 1) / (t - w)))
        lrs.append(lr)
    assert_lrs(Schedule(t, w - 1, stable_steps=1, start_factor=start / PEAK, count_from=0), lrs)


@pytest.mark.parametrize(("w", "t"), PAIRS)
def test_optax_and_timm_with_prefix(w: int, t: int) -> None:
    init, end = 0.01, 0.004  # optax: init_value, end_value; timm: warmup_lr_init, lr_min

    def lr(step: int) -> float:
        if step < w:
            return init + (PEAK - init) * step / w
        return end + 0.5 * (PEAK - end) * (1 + math.cos(math.pi * min(step - w, t - w) / (t - w)))

    schedule = Schedule(t, w, start_factor=init / PEAK, end_factor=end / PEAK, count_from=0)
    assert_lrs(schedule, map(lr, range(t + 5)))


@pytest.mark.parametrize(("w", "t"), PAIRS)
def test_gpt_style_ramp(w: int, t: int) -> None:
    schedule = Schedule(t, w, start_factor=1 / (w + 1), count_from=0)
    assert_lrs(schedule, [PEAK * (step + 1) / (w + 1) for step in range(w)] + [PEAK])
    assert schedule(np.arange(t)).sum() == pytest.approx((t + 1) / 2, abs=1e-10)  # the same budget for every W


# --- shapes and edges, by hand ---------------------------------------------------------------------------------------


RAMPS: list[tuple[dict[str, Any], list[float]]] = [
    ({"warmup": "linear"}, [0.25, 0.5, 0.75, 1, 1]),
    ({"warmup": "linear", "start_factor": 0.2}, [0.4, 0.6, 0.8, 1, 1]),
    ({"warmup": "linear", "start_factor": 0.2, "count_from": 0}, [0.2, 0.4, 0.6, 0.8, 1]),
    ({"warmup": "cosine"}, [0.14644660940672624, 0.5, 0.8535533905932738, 1, 1]),
    ({"warmup": "cosine", "start_factor": 0.5}, [0.5732233047033631, 0.75, 0.9267766952966369, 1, 1]),
    ({"warmup": "cosine", "count_from": 0}, [0, 0.14644660940672624, 0.5, 0.8535533905932738, 1]),
    ({"warmup": "exponential", "start_factor": 1e-4}, [0.001, 0.01, 0.1, 1, 1]),
    ({"warmup": "exponential", "start_factor": 1e-4, "count_from": 0}, [0.0001, 0.001, 0.01, 0.1, 1]),
    ({"warmup": "constant", "start_factor": 0.3}, [0.3, 0.3, 0.3, 0.3, 1]),
    ({"warmup": "constant", "start_factor": 0.3, "count_from": 0}, [0.3, 0.3, 0.3, 0.3, 1]),
    ({"warmup": "polynomial"}, [0.0625, 0.25, 0.5625, 1, 1]),
    ({"warmup": "polynomial", "start_factor": 0.2, "count_from": 0}, [0.2, 0.25, 0.4, 0.65, 1]),
]
FALLS: list[tuple[Any, float, list[float]]] = [
    ("constant", 0.2, [1, 1, 1, 1, 1]),
    ("cosine", 0.0, [1, 0.8535533905932738, 0.5, 0.14644660940672624, 0]),
    ("cosine", 0.2, [1, 0.8828427124746190, 0.6, 0.3171572875253810, 0.2]),
    ("linear", 0.0, [1, 0.75, 0.5, 0.25, 0]),
    ("linear", 0.2, [1, 0.8, 0.6, 0.4, 0.2]),
    ("sqrt", 0.0, [1, 0.5, 0.2928932188134525, 0.1339745962155614, 0]),
    ("sqrt", 0.2, [1, 0.6, 0.4343145750507620, 0.3071796769724491, 0.2]),
    ("polynomial", 0.0, [1, 0.5625, 0.25, 0.0625, 0]),
    ("polynomial", 0.2, [1, 0.65, 0.4, 0.25, 0.2]),
]


def test_each_shape_has_its_entry_its_formula_in_words_and_values_by_hand() -> None:
    assert (get_args(Warmup), get_args(Decay)) == (tuple(WARMUPS), tuple(DECAYS))
    ramps, falls = str(Schedule.__doc__).split("[W, W + S)")
    row = "the docstring of Schedule has a row for each"
    assert [name for name in WARMUPS if f" {name}: " not in ramps] == [], row
    assert [name for name in DECAYS if f" {name}: " not in falls] == [], row
    assert {fields["warmup"] for fields, _ in RAMPS} == {*WARMUPS}
    assert {decay for decay, _, _ in FALLS} == {*DECAYS}


@pytest.mark.parametrize(("fields", "expected"), RAMPS)
def test_shapes_of_warmup(fields: dict[str, Any], expected: list[float]) -> None:
    assert Schedule(10, 4, **fields)(np.arange(5)) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("decay", "end_factor", "expected"), FALLS)
def test_shapes_of_decay(decay: Any, end_factor: float, expected: list[float]) -> None:
    schedule = Schedule(10, 2, stable_steps=4, decay=decay, end_factor=end_factor)
    assert schedule(np.arange(12)) == pytest.approx([0.5, 1, 1, 1, 1, 1, *expected, expected[-1]], abs=1e-14)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"total_steps": 4, "warmup_steps": 4}, [0.25, 0.5, 0.75, 1, 1, 1]),
        ({"total_steps": 4, "warmup_steps": 4, "count_from": 0}, [0, 0.25, 0.5, 0.75, 1, 1]),
        ({"total_steps": 1, "warmup_steps": 1}, [1, 1, 1]),
        ({"total_steps": 1, "warmup_steps": 1, "count_from": 0}, [0, 1, 1]),
        ({"total_steps": 5, "warmup_steps": 2, "stable_steps": 3}, [0.5, 1, 1, 1, 1, 1, 1]),
        ({"total_steps": 3, "stable_steps": 3}, [1, 1, 1, 1, 1]),
    ],
)
def test_no_decay_where_warmup_and_stable_steps_fill_the_run(fields: dict[str, Any], expected: list[float]) -> None:
    for decay in DECAYS:
        assert Schedule(**fields, decay=decay)(np.arange(len(expected))) == pytest.approx(expected, abs=1e-15), decay


@pytest.mark.parametrize("decay", FALLING)
def test_a_decay_of_one_step_falls_after_the_last_update(decay: Any) -> None:
    assert Schedule(5, 2, stable_steps=2, decay=decay)(np.arange(7)).tolist() == [0.5, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("w", "count_from", "extra"), [(1, 1, 2), (5, 1, 2), (1, 0, 1), (5, 0, 1), (0, 1, 1), (0, 0, 1)]
)
def test_how_long_the_peak_is_held(w: int, count_from: int, extra: int) -> None:
    for stable, decay in itertools.product([0, 1, 3], FALLING):
        factors = Schedule(20, w, stable_steps=stable, count_from=count_from, decay=decay)(np.arange(21))
        assert np.count_nonzero(factors == 1) == stable + extra, decay


@pytest.mark.parametrize("end_factor", [0.0, 0.3])
@pytest.mark.parametrize("decay", FALLING)
def test_the_end_factor_is_first_reached_after_the_last_update_and_held(decay: Any, end_factor: float) -> None:
    schedule = Schedule(20, 5, decay=decay, end_factor=end_factor)
    assert schedule(19) > end_factor + 1e-3
    assert [schedule(step) for step in (20, 21, 40, 1000)] == pytest.approx([end_factor] * 4, abs=1e-15)


@pytest.mark.parametrize("count_from", [0, 1])
@pytest.mark.parametrize(("warmup", "decay"), EACH_SHAPE)
def test_monotone_up_then_down_within_the_bounds(warmup: Any, decay: Any, count_from: int) -> None:
    schedule = Schedule(
        40, 9, warmup=warmup, stable_steps=6, decay=decay, start_factor=0.1, end_factor=0.2, count_from=count_from
    )
    factors = schedule(np.arange(50))
    assert (np.diff(factors[:10]) >= 0).all()
    assert (np.diff(factors[9:]) <= 0).all()
    assert factors[0] >= 0.1
    assert factors.max() == 1.0
    assert factors[9:].min() >= 0.2 - 1e-15


# --- what goes in and what comes out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("warmup", "decay"), EACH_SHAPE)
def test_scalar_equals_array_exactly(warmup: Any, decay: Any) -> None:
    schedule = Schedule(61, 17, warmup=warmup, stable_steps=5, decay=decay, start_factor=0.07, end_factor=0.03)
    row = schedule(np.arange(70))
    assert [schedule(step) for step in range(70)] == row.tolist()
    assert schedule(np.arange(70).reshape(7, 10)).tolist() == row.reshape(7, 10).tolist()
    assert schedule(np.arange(69, -1, -1)).tolist() == row[::-1].tolist()


@pytest.mark.parametrize("step", [3, 99, np.int64(3), np.array(3)])
def test_one_step_gives_a_python_float(step: Any) -> None:
    assert type(Schedule(20, 5)(step)) is float


@pytest.mark.parametrize("shape", [(0,), (4,), (2, 1, 3)])
def test_an_array_gives_a_float64_array_of_its_shape(shape: tuple[int, ...]) -> None:
    factors = Schedule(20, 5)(np.zeros(shape, dtype=np.int64))
    assert isinstance(factors, np.ndarray)
    assert factors.shape == shape
    assert factors.dtype == np.float64


def test_a_list_of_steps_gives_an_array() -> None:
    assert_allclose(Schedule(20, 5)([0, 4, 19, 20]), [0.2, 1, (1 + math.cos(math.pi * 14 / 15)) / 2, 0], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("schedule", [Schedule(300, 200), Schedule(90, 3), Schedule(1000, 3, stable_steps=500)])
def test_every_integer_type_gives_the_same(schedule: Schedule, dtype: Any) -> None:
    steps = [0, 3, 100, min(np.iinfo(dtype).max, 400)]
    assert schedule(np.array(steps, dtype=dtype)).tolist() == [schedule(step) for step in steps]


def test_numpy_and_python_integers_make_the_same_schedule() -> None:
    assert Schedule(*NUMPY, end_factor=np.float64(0.5)) == Schedule(30, 5, end_factor=0.5)


ODD = Schedule(
    50, 7, warmup="exponential", stable_steps=3, decay="sqrt", start_factor=0.1, end_factor=1 / 3, count_from=0
)
NUMPY: Any = (np.int64(30), np.int32(5))


@pytest.mark.parametrize(
    "schedule", [Schedule(1), Schedule(30, 5), ODD, Schedule(*NUMPY, start_factor=np.float64(0.1))]
)
def test_json_and_pickle_round_trips(schedule: Schedule) -> None:
    assert Schedule(**json.loads(schedule.to_json())) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_json_holds_every_field_by_its_name() -> None:
    assert json.loads(ODD.to_json()) == {
        "total_steps": 50,
        "warmup_steps": 7,
        "warmup": "exponential",
        "stable_steps": 3,
        "decay": "sqrt",
        "start_factor": 0.1,
        "end_factor": 1 / 3,
        "count_from": 0,
    }


def test_equal_schedules_are_one_dictionary_key() -> None:
    assert len({Schedule(30, 5), Schedule(30, warmup_steps=5, start_factor=0), Schedule(30, 6)}) == 2  # 0 is 0.0
    assert Schedule(30, 5) != Schedule(30, 5, count_from=0)


def test_shape_names_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        Schedule(30, 5, "cosine")  # type: ignore[call-arg]


# --- lambda_lr -------------------------------------------------------------------------------------------------------


def test_lr_at_the_moment_of_the_update_is_peak_times_schedule() -> None:
    schedule, optimizer = Schedule(30, 5, end_factor=0.5), make_optimizer()
    lrs = lrs_seen(optimizer, lambda_lr(optimizer, schedule), 30)
    assert lrs == [PEAK * schedule(step) for step in range(30)]
    assert {type(lr) for lr in lrs} == {float}
    assert lrs[:6] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
    assert optimizer.param_groups[0]["lr"] == PEAK * 0.5  # as the call after the last update leaves it


@pytest.mark.parametrize(
    "function",
    [
        lambda step: 1 / (1 + step),
        lambda step: np.float64(1 / (1 + step)),
        lambda step: np.float64(1) / np.arange(1, 20)[step],
        lambda step: torch.tensor(1 / (1 + step), dtype=torch.float64),
    ],
)
def test_any_function_of_the_step_gives_python_floats_that_can_be_saved(function: Callable[[int], float]) -> None:
    optimizer = make_optimizer()
    scheduler = lambda_lr(optimizer, function)
    lrs = lrs_seen(optimizer, scheduler, 10)
    assert lrs == [PEAK * (1 / (1 + step)) for step in range(10)]
    assert {type(lr) for lr in lrs} == {float}
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
    file.seek(0)
    torch.load(file, weights_only=True)  # test_resuming.py has the rest


# ---- used_lrs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak_lr", [0.1, (0.1, 0.01), torch.tensor(0.25, dtype=torch.float64)], ids=str)
@pytest.mark.parametrize(
    "make", [lambda o: None, lambda o: StepLR(o, 2, 0.5), lambda o: OneCycleLR(o, 0.3, 9, cycle_momentum=False)]
)
def test_used_lrs_are_those_that_the_update_sees(make: Callable[[Optimizer], Any], peak_lr: Any) -> None:
    lrs = peak_lr if isinstance(peak_lr, tuple) else [copy.deepcopy(peak_lr)]
    weights = [torch.ones(1, dtype=torch.float64, requires_grad=True) for _ in lrs]
    optimizer = SGD([{"params": [w], "lr": lr} for w, lr in zip(weights, lrs, strict=True)])
    scheduler, moved = make(optimizer), []
    for _ in range(6):
        before = torch.cat(weights).detach().clone()
        optimizer.zero_grad()
        torch.cat(weights).sum().backward()  # a gradient of 1: each weight moves by the LR
        optimizer.step()
        moved.append((before - torch.cat(weights).detach()).numpy())
        if scheduler:
            scheduler.step()
    expected = np.array(moved) if isinstance(peak_lr, tuple) else np.ravel(moved)
    np.testing.assert_allclose(used_lrs(make, 6, peak_lr), expected, rtol=0, atol=1e-12)
