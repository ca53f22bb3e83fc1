"""A run with lambda_lr, interrupted anywhere and resumed, against an uninterrupted run of torch's own LambdaLR."""

import copy
import io
import itertools
import multiprocessing
import pickle
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
)

from warmup_course.schedulers import Schedule, lambda_lr
from warmup_course.shapes import DECAYS, WARMUPS

STEPS = 10
FRESH = torch.nn.Linear(3, 2)
with torch.no_grad():
    for parameter in FRESH.parameters():
        parameter.copy_(torch.linspace(-0.5, 0.5, parameter.numel()).view_as(parameter))
Order = Literal["build, then load", "load the scheduler first", "load the optimizer, then build"]
ORDERS: list[Order] = ["build, then load", "load the scheduler first", "load the optimizer, then build"]
MakeOptimizer = Callable[[list[dict[str, Any]]], Optimizer]
MakeLambda = Callable[[Optimizer, Callable[[int], float]], LambdaLR]
# Of an optimizer and of what makes a LambdaLR for it; each scheduler of the list is stepped after each update.
MakeSchedulers = Callable[[Optimizer, MakeLambda], list[LRScheduler]]


def through_torch_save(kept: Any, weights_only: bool) -> Any:
    file = io.BytesIO()
    torch.save(kept, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)


@dataclass
class Run:
    """A model, its optimizer and schedulers; ``save`` and ``load`` as a user would write them."""

    make_optimizer: MakeOptimizer
    make_schedulers: MakeSchedulers
    lrs: Sequence[Any] = (0.1, 0.02)
    model: torch.nn.Linear = field(init=False)
    optimizer: Optimizer = field(init=False)
    schedulers: list[LRScheduler] = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)

    def __post_init__(self) -> None:
        self.model = copy.deepcopy(FRESH)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8, growth_interval=3)
        parameters = self.model.parameters()
        # Every run gets its own tensors: a scheduler fills them in place.
        self.optimizer = self.make_optimizer(
            [{"params": [p], "lr": copy.deepcopy(lr)} for p, lr in zip(parameters, self.lrs, strict=True)]
        )

    def build(self, make_lambda: MakeLambda) -> "Run":
        self.schedulers = self.make_schedulers(self.optimizer, make_lambda)
        return self

    def advance(self, steps: range, events: Sequence[str] = ()) -> list[list[float]]:
        """Train on; the LRs of all groups at each update."""
        used = []
        for step in steps:
            event = events[step] if events else "update"
            if event == "by hand":
                for group in self.optimizer.param_groups:
                    half = group["lr"] / 2
                    if isinstance(half, torch.Tensor):
                        group["lr"].copy_(half)
                    else:
                        group["lr"] = half
            x = torch.tensor([[1.0, step / 10, -1.0], [0.5, 0.2, step / 7]])
            if event == "overflow":  # which GradScaler answers by leaving the update out
                x = x * torch.inf
            self.scaler.scale((self.model(x) - 1).square().sum()).backward()  # type: ignore[no-untyped-call]
            if event == "accumulate":
                continue
            used.append([float(group["lr"]) for group in self.optimizer.param_groups])
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()
            for scheduler in self.schedulers:
                # A metric that never gets better: a plateau from the second call on.
                scheduler.step(1.0) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()  # type: ignore[arg-type]
        return used

    def save(self) -> dict[str, Any]:
        state = {
            "model": self.model.state_dict(),
            "gradients": [p.grad for p in self.model.parameters()],
            "scaler": self.scaler.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
        }
        return through_torch_save(state, weights_only=True)

    def load(self, state: dict[str, Any], order: Order) -> "Run":
        self.model.load_state_dict(state["model"])
        for parameter, gradient in zip(self.model.parameters(), state["gradients"], strict=True):
            parameter.grad = gradient
        self.scaler.load_state_dict(state["scaler"])
        load_optimizer = partial(self.optimizer.load_state_dict, state["optimizer"])
        if order == "load the optimizer, then build":
            load_optimizer()
        self.build(lambda_lr)
        if order == "build, then load":
            load_optimizer()
        for scheduler, scheduler_state in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(scheduler_state)
        if order == "load the scheduler first":
            load_optimizer()
        return self


def assert_same_end(resumed: Run, control: Run) -> None:
    for a, b in zip(resumed.model.parameters(), control.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)  # fused kernels round by where in memory a tensor lies


def assert_resumes_everywhere(
    make_optimizer: MakeOptimizer, make_schedulers: MakeSchedulers, orders: Sequence[Order], lrs: Sequence[Any]
) -> None:
    control = Run(make_optimizer, make_schedulers, lrs).build(LambdaLR)
    expected = control.advance(range(STEPS))
    interrupted = Run(make_optimizer, make_schedulers, lrs).build(lambda_lr)
    for step in range(STEPS + 1):
        state = interrupted.save()
        for order in orders:
            resumed = Run(make_optimizer, make_schedulers, lrs).load(copy.deepcopy(state), order)
            assert resumed.advance(range(step, STEPS)) == expected[step:], (order, step)
            assert_same_end(resumed, control)
        if step < STEPS:
            interrupted.advance(range(step, step + 1))


# --- whatever stands beside it ---------------------------------------------------------------------------------------

SCHEDULE = Schedule(STEPS, 4, stable_steps=1, start_factor=0.1)
CONSTANT = Schedule(STEPS, 3, decay="constant")


def alone(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    return [make_lambda(optimizer, SCHEDULE)]


def before_plateau(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    return [make_lambda(optimizer, CONSTANT), ReduceLROnPlateau(optimizer, patience=2)]


def after_plateau(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    return [ReduceLROnPlateau(optimizer, patience=2), make_lambda(optimizer, CONSTANT)]


def before_restarts(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    return [make_lambda(optimizer, CONSTANT), CosineAnnealingWarmRestarts(optimizer, 3)]


def after_restarts(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    return [CosineAnnealingWarmRestarts(optimizer, 3), make_lambda(optimizer, CONSTANT)]


def first_in_a_sequence(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    ramp = make_lambda(optimizer, Schedule(4, 4))
    return [SequentialLR(optimizer, [ramp, CosineAnnealingLR(optimizer, 6)], [4])]


def second_in_a_sequence(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    ramp = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    return [SequentialLR(optimizer, [ramp, make_lambda(optimizer, Schedule(6, end_factor=0.1))], [4])]


def twice_in_a_sequence(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    parts = [make_lambda(optimizer, schedule) for schedule in (Schedule(5, 3), Schedule(5, 2, decay="linear"))]
    return [SequentialLR(optimizer, parts, [5])]  # type: ignore[arg-type]


def in_a_chain(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
    return [ChainedScheduler([make_lambda(optimizer, SCHEDULE), ExponentialLR(optimizer, 0.9)])]


ALONGSIDE: list[MakeSchedulers] = [alone, before_plateau, after_plateau]
CONTAINED: list[MakeSchedulers] = [
    before_restarts,
    after_restarts,
    first_in_a_sequence,
    second_in_a_sequence,
    twice_in_a_sequence,
    in_a_chain,
]


@pytest.mark.parametrize("make_schedulers", [*ALONGSIDE, *CONTAINED])
@pytest.mark.parametrize("order", ORDERS)
def test_interrupted_at_every_step(make_schedulers: MakeSchedulers, order: Order) -> None:
    if make_schedulers in CONTAINED and order == "load the optimizer, then build":
        pytest.skip("building another scheduler overwrites the LR too, and torch does not take it back")
    assert_resumes_everywhere(partial(SGD, momentum=0.9), make_schedulers, [order], [0.1, 0.02])


OPTIMIZERS: dict[str, MakeOptimizer] = {
    "SGD": partial(SGD, lr=0.1),
    "SGD momentum": partial(SGD, lr=0.1, momentum=0.9),
    "SGD foreach": partial(SGD, lr=0.1, momentum=0.9, foreach=True),
    "SGD fused": partial(SGD, lr=0.1, momentum=0.9, fused=True),
    "Adam": partial(Adam, lr=0.1),
    "AdamW foreach": partial(AdamW, lr=0.1, foreach=True),
    "AdamW fused": partial(AdamW, lr=0.1, fused=True),
}
LRS: dict[str, list[Any]] = {
    "floats": [0.1, 0.02],
    "float32 tensors": [torch.tensor(0.1), torch.tensor(0.02)],
    "a float64 tensor and a float": [torch.tensor(0.1, dtype=torch.float64), 0.02],
    "tensors of one element": [torch.tensor([0.1]), torch.tensor([0.02])],
}


# Each of both; a form of LR by itself with two optimizers that read it in ways of their own.
OPTIMIZERS_AND_LRS = [(optimizer, "floats") for optimizer in OPTIMIZERS]
OPTIMIZERS_AND_LRS += [(optimizer, lrs) for optimizer in ("SGD fused", "Adam") for lrs in LRS if lrs != "floats"]


@pytest.mark.parametrize(("optimizer", "lrs"), OPTIMIZERS_AND_LRS)
def test_every_optimizer_and_form_of_lr(optimizer: str, lrs: str) -> None:
    assert_resumes_everywhere(OPTIMIZERS[optimizer], alone, ORDERS, LRS[lrs])


# --- drawn at random -------------------------------------------------------------------------------------------------


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    warmup = draw(st.sampled_from([*WARMUPS]))
    total = draw(st.integers(1, STEPS + 3))
    ramp = draw(st.integers(0, total))
    return Schedule(
        total,
        ramp,
        warmup=warmup,
        stable_steps=draw(st.integers(0, total - ramp)),
        decay=draw(st.sampled_from([*DECAYS])),
        start_factor=draw(st.floats(0 if WARMUPS[warmup].from_zero else 0.01, 1)),
        end_factor=draw(st.floats(0, 1)),
        count_from=draw(st.integers(0, 1)),
    )


one_lr = st.floats(1e-3, 0.2).flatmap(lambda lr: st.sampled_from([lr, torch.tensor(lr)]))
EVENTS = ["update", "update", "by hand", "overflow", "accumulate"]


def any_run_goes_on_as_if_nothing_had_happened(
    optimizer: str,
    schedule: Schedule,
    lrs: tuple[Any, Any],
    plateau: str,
    events: list[str],
    crashes: list[int],
    order: Order,
) -> None:
    def make_schedulers(optimizer: Optimizer, make_lambda: MakeLambda) -> list[LRScheduler]:
        made: list[LRScheduler] = [make_lambda(optimizer, schedule)]
        if plateau != "none":
            made.insert(0 if plateau == "before" else 1, ReduceLROnPlateau(optimizer, patience=1))
        return made

    def run(make_lambda: MakeLambda) -> Run:
        return Run(OPTIMIZERS[optimizer], make_schedulers, lrs).build(make_lambda)

    with warnings.catch_warnings():  # an overflow at the first step: torch warns that no update came before
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
        control, resumed = run(LambdaLR), run(lambda_lr)
        expected = control.advance(range(STEPS), events)
        used, at = [], 0
        for crash in sorted(crashes):
            used += resumed.advance(range(at, crash), events)
            state, at = resumed.save(), crash
            resumed = Run(OPTIMIZERS[optimizer], make_schedulers, lrs).load(state, order)
        used += resumed.advance(range(at, STEPS), events)
    assert used == expected
    assert_same_end(resumed, control)


random_runs = given(
    # Not fused SGD: its momentum is left uninitialised where GradScaler skips the first step (torch 2.13).
    optimizer=st.sampled_from(["SGD", "SGD momentum", "Adam", "AdamW fused"]),
    schedule=schedules(),
    lrs=st.tuples(one_lr, one_lr),
    plateau=st.sampled_from(["none", "before", "after"]),
    events=st.lists(st.sampled_from(EVENTS), min_size=STEPS, max_size=STEPS),
    crashes=st.lists(st.integers(0, STEPS), min_size=1, max_size=3),
    order=st.sampled_from(ORDERS),
)


def with_examples(count: int) -> Callable[[], None]:
    reproducible = settings(max_examples=count, deadline=None, derandomize=True, database=None)
    return reproducible(random_runs(any_run_goes_on_as_if_nothing_had_happened))


test_any_run_goes_on_as_if_nothing_had_happened = with_examples(40)
test_many_runs_go_on_as_if_nothing_had_happened = pytest.mark.slow(with_examples(300))


# --- other ways to keep a scheduler ----------------------------------------------------------------------------------


KEEP: list[Callable[[Run], Run]] = [
    lambda run: pickle.loads(pickle.dumps(run)),
    copy.deepcopy,
    partial(through_torch_save, weights_only=False),
]


# torch notices that the copy's optimizer is not the one that the scheduler watched.
@pytest.mark.filterwarnings("ignore:Seems like `optimizer.step:UserWarning")
@pytest.mark.parametrize("keep", KEEP, ids=["pickle", "deepcopy", "torch.save"])
@pytest.mark.parametrize("make_schedulers", [*ALONGSIDE, *CONTAINED])
def test_a_copy_goes_on_by_itself(keep: Callable[[Run], Run], make_schedulers: MakeSchedulers) -> None:
    run = Run(partial(SGD, momentum=0.9), make_schedulers).build(lambda_lr)
    run.advance(range(4))
    kept = keep(run)
    rest = run.advance(range(4, STEPS))
    assert kept.advance(range(4, STEPS)) == rest
    assert_same_end(kept, run)


def test_a_copy_of_one_just_built_is_repaired_like_the_original() -> None:
    run = Run(SGD, alone).build(lambda_lr)
    run.advance(range(6))
    fresh = Run(SGD, alone)
    fresh.optimizer.load_state_dict(run.optimizer.state_dict())
    fresh = copy.deepcopy(fresh.build(lambda_lr))
    fresh.schedulers[0].load_state_dict(run.schedulers[0].state_dict())
    assert fresh.optimizer.param_groups[0]["lr"] == run.optimizer.param_groups[0]["lr"]


def test_a_scheduler_pickles_just_when_its_function_does() -> None:
    for make_lambda in (lambda_lr, LambdaLR):
        with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
            pickle.dumps(make_lambda(Run(SGD, alone).optimizer, lambda step: 1.0))


def finish(run: Run, step: int) -> tuple[list[list[float]], list[list[float]]]:
    return run.advance(range(step, STEPS)), [p.tolist() for p in run.model.parameters()]


def resume(state: dict[str, Any], step: int, make_schedulers: MakeSchedulers) -> Any:
    return finish(Run(partial(Adam, lr=0.1), make_schedulers).load(state, "build, then load"), step)


@pytest.mark.process
def test_every_step_in_another_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for make_schedulers in (alone, after_plateau, in_a_chain, twice_in_a_sequence):
            control = Run(partial(Adam, lr=0.1), make_schedulers).build(LambdaLR)
            expected, weights = finish(control, 0)
            run = Run(partial(Adam, lr=0.1), make_schedulers).build(lambda_lr)
            there = []
            for step in range(STEPS):
                there.append(pool.apply_async(resume, (run.save(), step, make_schedulers)))
                there.append(pool.apply_async(finish, (pickle.loads(pickle.dumps(run)), step)))  # the object itself
                run.advance(range(step, step + 1))
            for number, result in enumerate(there):
                assert result.get(60) == (expected[number // 2 :], weights), (make_schedulers, number)


# --- an LR of somebody else, and errors ------------------------------------------------------------------------------


def fresh(groups: int = 1) -> Optimizer:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)], lr=0.1)


def saved(steps: int, schedule: Callable[[int], float] = SCHEDULE, groups: int = 1) -> tuple[dict[str, Any], ...]:
    optimizer = fresh(groups=groups)
    scheduler = lambda_lr(optimizer, schedule)
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
    return optimizer.state_dict(), scheduler.state_dict()


def test_an_lr_set_by_hand_between_building_and_loading_stays() -> None:
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, SCHEDULE)
    optimizer.param_groups[0]["lr"] = 0.007
    scheduler.load_state_dict(saved(6)[1])
    assert optimizer.param_groups[0]["lr"] == 0.007


def test_a_second_load_of_a_live_scheduler_writes_nothing() -> None:
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, Schedule(9, decay="constant"))  # its LR never moves: 0.1 looks like the first
    optimizer.step()
    scheduler.step()
    scheduler.load_state_dict(saved(6, Schedule(9, decay="constant"))[1] | {"_last_lr": [0.5]})
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_without_the_optimizers_state_the_lr_is_the_schedulers_last() -> None:
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, SCHEDULE)
    scheduler.load_state_dict(saved(6)[1])
    assert optimizer.param_groups[0]["lr"] == 0.1 * SCHEDULE(6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tensor_lr_stays_one_tensor_when_loading_writes_into_it(dtype: torch.dtype) -> None:
    """A compiled step holds on to it."""
    lr = torch.tensor(0.1, dtype=dtype)
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = lambda_lr(optimizer, SCHEDULE)
    scheduler.load_state_dict(saved(6)[1])
    for step in (6, 7):
        assert optimizer.param_groups[0]["lr"] is lr
        assert lr.item() == pytest.approx(0.1 * SCHEDULE(step), rel=1e-6)
        optimizer.step()
        scheduler.step()


class Ramp:
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.steps)


def test_loading_leaves_a_callable_object_as_it_was() -> None:
    ramp, optimizer = Ramp(50), fresh()
    scheduler = lambda_lr(optimizer, ramp)
    scheduler.load_state_dict(saved(9, Ramp(5))[1])
    assert ramp.steps == 50
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 11 / 50)


def everything(optimizer: Optimizer, scheduler: LRScheduler) -> str:
    return repr((optimizer.state_dict(), scheduler.state_dict(), vars(scheduler)))


@pytest.mark.parametrize(("in_file", "here"), [(1, 2), (2, 1)])
def test_another_number_of_groups_is_refused_and_changes_nothing(in_file: int, here: int) -> None:
    optimizer = fresh(groups=here)
    scheduler = lambda_lr(optimizer, SCHEDULE)
    before = everything(optimizer, scheduler)
    with pytest.raises(ValueError, match=f"checkpoint has {in_file} groups, this scheduler {here}"):
        scheduler.load_state_dict(saved(6, groups=in_file)[1])
    assert everything(optimizer, scheduler) == before


def test_a_group_added_later_is_named_and_a_new_scheduler_goes_on() -> None:
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, SCHEDULE)
    optimizer.step()
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.03})
    before = everything(optimizer, scheduler)
    with pytest.raises(ValueError, match=r"has 2 groups, and had 1.*step: schedule\(1 \+ step\) goes on"):
        scheduler.step()
    assert everything(optimizer, scheduler) == before
    lambda_lr(optimizer, lambda step: SCHEDULE(step + 1))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1 * SCHEDULE(1), 0.03 * SCHEDULE(1)]


@pytest.mark.parametrize(
    "other", [Schedule(60, 5), Schedule(60, 50, count_from=0), Schedule(60, 50, decay="linear"), lambda step: 1.0]
)
def test_a_checkpoint_of_another_schedule_is_refused_and_changes_nothing(other: Callable[[int], float]) -> None:
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, Schedule(60, 50))
    before = everything(optimizer, scheduler)
    with pytest.raises(ValueError, match=r"schedule differs.*50"):
        scheduler.load_state_dict(saved(9, other)[1])
    assert everything(optimizer, scheduler) == before


def test_another_plan_is_refused_and_taken_on_purpose() -> None:
    old, new = (Schedule(100, 5, stable_steps=75, decay="linear"), Schedule(200, 5, stable_steps=175, decay="linear"))
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, new)
    optimizer_state, state = saved(60, old)
    optimizer.load_state_dict(optimizer_state)
    with pytest.raises(ValueError, match="schedule differs") as error:
        scheduler.load_state_dict(state)
    way_out = str(error.value).partition("load ")[2]
    scheduler.load_state_dict(eval(way_out, {"state_dict": state, "scheduler": scheduler}))
    for step in range(60, 200):
        assert optimizer.param_groups[0]["lr"] == 0.1 * new(step)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("state", [None, [], {}, {"last_epoch": 3}, "state", SGD])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="state_dict must be one that this kind of scheduler gave"):
        lambda_lr(fresh(), SCHEDULE).load_state_dict(state)


@pytest.mark.parametrize("value", [None, "0.5", torch.nan, torch.inf, -0.1, [1.0], True])
def test_a_factor_that_is_none_is_refused_at_once_and_changes_nothing(value: Any) -> None:
    optimizer = fresh()
    before = repr((optimizer.state_dict(), vars(optimizer)))
    with pytest.raises(ValueError, match=r"schedule\(0\) must be a finite number at least 0"):
        lambda_lr(optimizer, lambda step: value)
    assert repr((optimizer.state_dict(), vars(optimizer))) == before


@pytest.mark.parametrize("value", ["0.5", torch.nan, -0.1])
def test_a_later_factor_that_is_none_is_named_by_its_step(value: Any) -> None:
    optimizer = fresh()
    scheduler = lambda_lr(optimizer, lambda step: value if step == 2 else 1.0)
    for step in itertools.count():
        optimizer.step()
        if step == 1:
            break
        scheduler.step()
    with pytest.raises(ValueError, match=r"schedule\(2\) must be a finite number"):
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.1
