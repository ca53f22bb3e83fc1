"""What the public functions say to arguments that they cannot use: the argument's name and the value, before any work.

The bad values come from the signatures: each parameter gets every value that is none of its kind.
"""

import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn

import warmup_course
from warmup_course import (
    MLP,
    ConvNet,
    Dataset,
    History,
    Schedule,
    TinyGPT,
    TinyTransformer,
    TrainConfig,
    classroom,
    data,
    lambda_lr,
    resolve_device,
    sweep,
    to_code,
    train,
    used_lrs,
)
from warmup_course.classroom import (
    Lesson,
    Number,
    QuadraticLab,
    ScheduleLab,
    SliderLab,
    StabilityLab,
    TrainingLab,
    begin,
    exercise,
    plots,
    quiz,
)
from warmup_course.classroom.capstone import Budget
from warmup_course.classroom.detective import log_of, trace
from warmup_course.classroom.exercises import EXERCISES
from warmup_course.probes import Probe, gradient_noise, gradient_norm, sharpness, update_size
from warmup_course.shapes import DECAYS, WARMUPS
from warmup_course.stacked import StackedMLP, StackedModule
from warmup_course.sweep import SWEEPABLE
from warmup_course.training import outcome

JUNK = {
    "None": None,
    "nan": math.nan,
    "inf": math.inf,
    "-1": -1,
    "2.5": 2.5,
    "True": True,
    "2**70": 2**70,
    "10**400": 10**400,
    "10**5000": 10**5000,  # too long for repr
    "empty text": "",
    "a word": "nope",
    "number as text": "3",
    "list": [1],
    "empty list": [],
    "ragged list": [1, [2]],
    "dict": {},
    "array": np.array([1.0, math.nan]),
    "module": nn.Linear(2, 2),  # its repr may have many lines
    "object": object(),
}
# What of that a parameter may take, by what its annotation holds; what is left is bad for every such parameter.
MAY_TAKE: dict[str, set[str]] = {
    "float": {"2.5", "2**70"},
    "str": {"a word", "number as text"},
    "bool": {"True"},
    "Callable": {"module"},
    "Module": {"module"},
    "Sequence[int]": {"list"},
    "Sequence[float]": {"list"},
    "None": {"None"},
    "Literal": set(),
}


class Call(NamedTuple):
    """A call that works, and what its signature does not tell.

    Attributes:
        may_take: for a parameter, the names in JUNK of what it may take, where that is not MAY_TAKE.
        called: for a parameter, what messages call it, where that is not its name.
    """

    function: Callable[..., Any]
    arguments: dict[str, Any]
    may_take: Mapping[str, set[str]] = MappingProxyType({})
    called: Mapping[str, str] = MappingProxyType({})

    def parameters(self) -> Iterator[tuple[str, str, set[str]]]:
        """Name, what messages call it, what it may take; for each parameter, the free ones included."""
        signature = inspect.signature(self.function).parameters
        for name in dict.fromkeys([*signature, *self.arguments]):
            if name in signature and signature[name].kind is inspect.Parameter.VAR_KEYWORD:
                continue
            kind = re.sub(r"Callable\[.*\]|Literal\[.*?\]", lambda found: found[0][:8], annotation(signature.get(name)))
            taken = {value for word, values in MAY_TAKE.items() if word in kind for value in values}
            yield name, self.called.get(name, name), self.may_take.get(name, taken)


def annotation(parameter: inspect.Parameter | None) -> str:
    return "" if parameter is None else inspect.formatannotation(parameter.annotation)


def drawn() -> dict[str, Any]:
    return {"title": "title", "ax": Figure().subplots()}


def draw_nothing(figure: Any, lr: float) -> None:
    pass


X, Y = torch.randn(18, 4, generator=torch.Generator().manual_seed(0)), torch.arange(18) % 3
SMALL = Dataset("small", X, Y, X, Y, 3)
TINY = TrainConfig(data=SMALL, model=lambda: MLP(4, 3, hidden=[]), batch_size=3, total_steps=2, device="cpu")
MEASURED: dict[str, Any] = {"model": MLP(4, 3, hidden=[]), "loss_function": nn.functional.cross_entropy, "x": X, "y": Y}
TRAINED = replace(TINY, batch_size=16)  # as the lab's control can have it
PROBE = Probe(nn.functional.cross_entropy, X, Y)
LESSON = Lesson("03_linear_warmup", "cpu", seed=0, standard=True)
DIMS = ("peak_lr", "warmup_steps", "seed")
RUNS = xr.Dataset(
    {"outcome": (DIMS, np.full((1, 1, 1), "slow")), "batch_loss": ((*DIMS, "step"), np.ones((1, 1, 1, 2)))},
    {"peak_lr": [0.1], "warmup_steps": [0], "seed": [0], "step": range(2)},
)
TITLES = {"title": {"a word", "number as text", "empty text"}}
POSITIVE = {*MAY_TAKE["float"], "inf"}
NUMBERS = {"nan", "inf", "-1", "2.5", "2**70", "list", "array", "empty list"}

CALLS = {
    "Schedule": Call(Schedule, {"total_steps": 30, "warmup_steps": 5}),
    "Schedule()": Call(Schedule(30, 5), {"step": 3}, {"step": {"list"}}),
    "used_lrs": Call(
        used_lrs,
        {"make_scheduler": lambda optimizer: None, "steps": 2, "peak_lr": 0.1},
        {"peak_lr": {*MAY_TAKE["float"], "list"}},
    ),
    "lambda_lr": Call(lambda_lr, {"optimizer": torch.optim.SGD(MLP(4, 3).parameters()), "schedule": Schedule(3)}),
    "TrainConfig": Call(
        TrainConfig, {"data": "digits", "device": "cpu"}, {"data": set(), "device": set(), "clip_norm": POSITIVE}
    ),
    "MLP": Call(MLP, {"hidden": [3]}, {"hidden": {"list", "empty list"}}),
    "MLP.for_data": Call(
        MLP.for_data, {"data": "digits", "hidden": [3]}, {"data": set(), "hidden": {"list", "empty list"}}
    ),
    "TinyTransformer": Call(TinyTransformer, {"layers": 1}),
    "TinyGPT": Call(TinyGPT, {"layers": 1}),
    "ConvNet": Call(ConvNet, {}),
    "resolve_device": Call(resolve_device, {"name": "cpu"}, {"name": set()}, {"name": "device"}),
    "to_code": Call(to_code, {"schedule": Schedule(3), "peak_lr": 0.1, "library": "torch"}),
    "train": Call(train, {"config": TINY}),
    "sweep": Call(partial(sweep, seed=[0]), {"config": TINY}, {"keep_models": {"list", "empty list"}}),
    "an axis": Call(
        partial(sweep, TINY),
        {name: [getattr(TINY, name)] for name in SWEEPABLE},
        {"keep_models": {"list", "empty list"}, **{name: {"list"} for name in SWEEPABLE}},
    ),
    "a value of an axis": Call(
        lambda **values: sweep(TINY, **{name: [value] for name, value in values.items()}),
        {name: getattr(TINY, name) for name in SWEEPABLE},
        {name: MAY_TAKE["float"] for name in SWEEPABLE if isinstance(getattr(TINY, name), float)}
        | {"clip_norm": POSITIVE},
    ),
    "Dataset": Call(Dataset, {name: getattr(SMALL, name) for name in inspect.signature(Dataset).parameters}),
    "Dataset.to": Call(SMALL.to, {"device": torch.device("cpu"), "dtype": torch.float64}),
    "train_loader": Call(SMALL.train_loader, {"batch_size": 3, "seed": 0}),
    "batch_order": Call(data.batch_order, {"rows": 6, "batch_size": 3, "seed": 0}),
    "load": Call(data.load, {"data": "digits"}, {"data": set()}),
    "docstrings": Call(data.docstrings, {"tokens": 32, "train_rows": 5, "valid_rows": 5}),
    "waves": Call(data.waves, {"rows": 4, "seed": 0}),
    "standardised_split": Call(data.standardised_split, {"name": "d", "x": np.eye(30), "y": np.arange(30) % 2}),
    "outcome": Call(
        outcome,
        {"finite": True, "train_accuracy": 0.5, "chance": 0.1, "trained_above": 0.9},
        {"finite": {"True"}, "train_accuracy": NUMBERS},
    ),
    "History": Call(
        lambda chance, trained_above: History(MLP(4, 3), chance, trained_above).outcome,
        {"chance": 0.1, "trained_above": 0.9},
    ),
    "sharpness": Call(sharpness, MEASURED),
    "gradient_norm": Call(gradient_norm, MEASURED),
    "gradient_noise": Call(gradient_noise, {**MEASURED, "batch_size": 2}),
    "update_size": Call(update_size, {"before": [X], "after": [X]}),
    "Probe": Call(Probe, {name: MEASURED[name] for name in ("loss_function", "x", "y")}),
    "watch": Call(PROBE.watch, {"model": MLP(4, 3), "optimizer": torch.optim.SGD(MLP(4, 3).parameters())}),
    "begin": Call(
        begin,
        {"name": "03_linear_warmup", "device": "cpu", "seed": 0, "n_seeds": Number(2, usual=10)},
        {"name": set(), "device": set()},
    ),
    "a number of begin": Call(
        lambda n_seeds, lr: begin(
            "03_linear_warmup", device="cpu", seed=0, n_seeds=Number(n_seeds, usual=10), lr=Number(lr, usual=1.0)
        ),
        {"n_seeds": 2, "lr": 1.0},
        {"lr": {"2.5"}},
    ),
    "Lesson": Call(Lesson, {"name": "03", "device": "cpu", "seed": 0, "standard": True}, {"device": set()}),
    "seeds": Call(LESSON.seeds, {"count": 3}),
    "claim": Call(LESSON.claim, {"statement": "it holds", "holds": True}, {"holds": {"True"}}),
    "predict": Call(LESSON.predict, {"question": "What?", "choices": ["this", "that"]}, {"choices": set()}),
    "reveal": Call(
        LESSON.predict("What?", ["this", "that"]).reveal, {"choice": "this", "measured": "1"}, {"choice": set()}
    ),
    "quiz": Call(quiz, {"lesson": "final"}, {"lesson": set()}),
    "exercise": Call(exercise, {"name": "03_linear_warmup/ramp"}, {"name": set()}),
    "ScheduleLab": Call(ScheduleLab, {"schedule": Schedule(9), "peak_lr": 0.1, "compare": Schedule(9)}),
    "QuadraticLab": Call(QuadraticLab, {}),
    "StabilityLab": Call(StabilityLab, {"runs": RUNS}, called={"chosen": "(chosen|peak_lr|warmup_steps)"}),
    "TrainingLab": Call(TrainingLab, {"config": TRAINED, "warmup_steps": 2, "seeds": [0]}),
    "SliderLab": Call(SliderLab, {"draw": draw_nothing, "lr": widgets.FloatSlider(0.1)}),
    "arm_looks": Call(plots.arm_looks, {"labels": ["no warmup"]}, {"labels": {"empty list", "dict"}}),
    "warmup_label": Call(plots.warmup_label, {"steps": 3}),
    "lr_curves": Call(plots.lr_curves, {"schedules": {"one": Schedule(3)}, "peak_lr": 0.1, **drawn()}, TITLES),
    "traces": Call(
        plots.traces, {"meant": [0.1], "used": [0.1], **drawn()}, {**TITLES, "meant": NUMBERS, "used": NUMBERS}
    ),
    "loss_by_step": Call(
        plots.loss_by_step, {"arms": {"one": RUNS.isel(peak_lr=0, warmup_steps=0)}, **drawn()}, TITLES
    ),
    "trained_by_lr": Call(plots.trained_by_lr, {"runs": RUNS, **drawn()}, TITLES),
    "stability_map": Call(plots.stability_map, {"runs": RUNS, **drawn()}, TITLES),
    "outcome_shares": Call(plots.outcome_shares, {"runs": RUNS.isel(warmup_steps=0), **drawn()}, TITLES),
    "by_epoch": Call(plots.by_epoch, {"series": {"one": [1.0]}, "ylabel": "loss", **drawn()}, TITLES),
    "descent_path": Call(plots.descent_path, {"path": [[1.0], [0.5]], "curvatures": [1.0], **drawn()}, TITLES),
    "trace": Call(trace, {"milestone": 6, "t_max": 24, "calls": 1}),
    "log_of": Call(log_of, {"case": "A"}, {"case": set()}),
    "Budget": Call(Budget, {"task": TINY, "steps": 100}),
    "Budget.sweep": Call(
        lambda **values: Budget(TINY, 100).sweep(**values),
        {"peak_lr": 0.1, "seed": [0], "decay": "linear"},
        {"peak_lr": {"2.5", "2**70", "list"}, "seed": {"list"}},
    ),
}


def test_nothing_that_is_exported_is_left_out() -> None:
    """But for what takes no arguments, a place for data, and what the tests of its own module ask."""
    exported = {*warmup_course.__all__, *classroom.__all__} - {"data", "plots", "progress_table", "results_page"}
    assert exported - CALLS.keys() - {"InsideLab", "Number"} == set()


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_work(name: str) -> None:
    """So what is refused below is refused for its one bad value."""
    CALLS[name].function(**CALLS[name].arguments)


@pytest.fixture
def no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: Any) -> None:
        raise AssertionError("a training step was made")

    for kind in (StackedMLP, StackedModule, torch.optim.SGD):
        monkeypatch.setattr(kind, "step", step)


BAD = [
    (name, parameter, called, {junk: value for junk, value in JUNK.items() if junk not in taken})
    for name, call in CALLS.items()
    for parameter, called, taken in call.parameters()
]


def test_they_are_many() -> None:
    assert sum(len(values) for *_, values in BAD) > 2000


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize(("name", "parameter", "called", "values"), BAD, ids=[f"{b[0]}-{b[1]}" for b in BAD])
def test_a_bad_argument_is_named_before_any_work(
    name: str, parameter: str, called: str, values: dict[str, Any]
) -> None:
    call, faults = CALLS[name], []
    for junk, value in values.items():
        try:
            call.function(**{**call.arguments, parameter: value})
        except ValueError as error:
            said = str(error)
            if not re.search(rf"\b{called}\b.*\bgot\b", said, re.DOTALL) or said.count("\n") > 1:
                faults.append(f"{junk}: {said}")
        except Exception as error:
            faults.append(f"{junk}: {error!r}")
        else:
            faults.append(f"{junk} is taken")
    assert faults == []


# What the kind of a value does not tell: the ends of a range, what does not fit together, and what is allowed instead.
BEYOND: list[tuple[str, dict[str, Any], str]] = [
    ("Schedule", {"total_steps": 0}, "total_steps must be a whole number of at least 1, got 0"),
    ("Schedule", {"warmup_steps": 31}, "warmup_steps + stable_steps = 31 + 0 must be at most total_steps = 30"),
    ("Schedule", {"stable_steps": 26}, "warmup_steps + stable_steps = 5 + 26 must be at most total_steps = 30"),
    ("Schedule", {"warmup": "quadratic"}, f"warmup must be one of {[*WARMUPS]}, got 'quadratic'"),
    ("Schedule", {"decay": "step"}, f"decay must be one of {[*DECAYS]}, got 'step'"),
    ("Schedule", {"start_factor": 1.1}, "start_factor must be a finite number in [0, 1], got 1.1"),
    ("Schedule", {"end_factor": -1e-9}, "end_factor must be a finite number in [0, 1], got -1e-09"),
    ("Schedule", {"end_factor": 1.1}, "end_factor must be a finite number in [0, 1], got 1.1"),
    ("Schedule", {"count_from": 2}, "count_from must be one of [0, 1], got 2"),
    ("Schedule", {"warmup": "exponential"}, "start_factor must be more than 0 for warmup='exponential', got 0"),
    ("Schedule", {"warmup": "constant"}, "start_factor must be more than 0 for warmup='constant', got 0"),
    ("Schedule()", {"step": [0, -1]}, "from 0 to 2**64 - 1, or an array of them, got [0, -1]"),
    ("Schedule()", {"step": 1.0}, "from 0 to 2**64 - 1, or an array of them, got 1.0"),
    ("TrainConfig", {"data": "mnist"}, f"data must be one of {[*data.DATASETS]}, got 'mnist'"),
    ("TrainConfig", {"model": nn.Linear(1, 1)}, "model must be a function that makes a new model, got Linear("),
    ("TrainConfig", {"loss": "hinge"}, "loss must be one of ['cross_entropy', 'squared_error'], got 'hinge'"),
    ("TrainConfig", {"optimizer": "sgd"}, "optimizer must be one of ['SGD', 'Adam', 'AdamW'], got 'sgd'"),
    ("TrainConfig", {"momentum": 1.1}, "momentum must be a finite number in [0, 1], got 1.1"),
    ("TrainConfig", {"momentum": 0.9, "optimizer": "Adam"}, "momentum must be 0 for optimizer='Adam', got 0.9"),
    ("TrainConfig", {"betas": (0.9, 1), "optimizer": "Adam"}, "betas must be below 1, and (0.9, 0.999) for"),
    ("TrainConfig", {"betas": (0.9, 0.95)}, "(0.9, 0.999) for optimizer='SGD', got (0.9, 0.95)"),
    ("TrainConfig", {"betas": 0.9}, "betas must be two numbers, got 0.9"),
    ("TrainConfig", {"before_step": 3}, "before_step must be a function or None, got 3"),
    ("TrainConfig", {"peak_lr": -0.1}, "peak_lr must be a finite number at least 0, got -0.1"),
    ("TrainConfig", {"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ("TrainConfig", {"total_steps": 0}, "total_steps must be a whole number of at least 1, got 0"),
    ("TrainConfig", {"warmup_steps": 201}, "warmup_steps + stable_steps = 201 + 0 must be at most total_steps = 200"),
    ("TrainConfig", {"warmup_steps": 3, "lr_lambda": abs}, "lr_lambda must be None beside the fields of Schedule(t"),
    ("TrainConfig", {"decay": "cosine", "lr_lambda": abs}, "decay='cosine', start_factor=0.0, end_factor=0.0, count_"),
    ("TrainConfig", {"seed": -1}, "seed must be a whole number from 0 to 9223372036854775807, got -1"),
    ("TrainConfig", {"evaluate": "never"}, "evaluate must be one of ['epoch', 'end'], got 'never'"),
    ("TrainConfig", {"trained_above": 1.2}, "trained_above must be a finite number in [0, 1], got 1.2"),
    ("TrainConfig", {"dtype": torch.float16}, "dtype must be one of [torch.float32, torch.float64], got torch.float16"),
    ("train", {"config": replace(TINY, batch_size=19)}, "at most the 18 training rows, got 19"),
    ("sweep", {"config": replace(TINY, batch_size=19)}, "at most the 18 training rows, got 19"),
    ("train_loader", {"batch_size": 19}, "at most the 18 training rows, got 19"),
    ("train_loader", {"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    *(
        ("sweep", {name: [getattr(TINY, name)]}, f"fields that leave the shapes alone, {', '.join(SWEEPABLE)}")
        for name in ("batch_size", "total_steps", "model", "data", "dtype")
    ),
    ("sweep", {"learning_rate": [0.1]}, "got 'learning_rate'"),
    ("sweep", {"keep_models": [3]}, "keep_models must be a whole number from 0 to 2, got 3"),
    ("sweep", {"peak_lr": [0.1, -0.2]}, "peak_lr must be a finite number at least 0, got -0.2"),
    ("sweep", {"warmup_steps": [0, 3]}, "warmup_steps + stable_steps = 3 + 0"),
    ("sweep", {"optimizer": ["SGD", "sgd"]}, "got 'sgd'"),
    ("sweep", {"momentum": [0.9], "optimizer": ["SGD", "Adam"]}, "momentum must be 0 for optimizer='Adam', got 0.9"),
    ("MLP", {"hidden": [64, 0]}, "hidden must be a whole number from 1 to 1000000, got 0"),
    ("MLP", {"init": "orthogonal"}, "init must be one of ['he', 'xavier', 'torch'], got 'orthogonal'"),
    *(
        (name, {parameter: 0}, f"{parameter} must be a whole number from 1 to 1000000, got 0")
        for name in ("MLP", "ConvNet", "TinyTransformer", "TinyGPT")
        for parameter, of in inspect.signature(CALLS[name].function).parameters.items()
        if isinstance(of.default, int)
    ),
    *((name, {"gain": 0}, "gain must be a finite number and more than 0, got 0") for name in ("MLP", "ConvNet")),
    *(
        row
        for name in ("TinyTransformer", "TinyGPT")
        for row in (
            (name, {"norm": "both"}, "norm must be one of ['pre', 'post'], got 'both'"),
            (name, {"width": 10, "heads": 4}, "width must be a multiple of heads = 4, got 10"),
        )
    ),
    ("waves", {"rows": 0}, "rows must be a whole number"),
    ("docstrings", {"tokens": 0}, "tokens must be a whole number from 1 to 274999, got 0"),
    ("docstrings", {"tokens": 10**6}, "tokens must be a whole number from 1 to 274999, got 1000000"),
    ("docstrings", {"train_rows": 20_000}, "train_rows must be a whole number from 1 to 17182, got 20000"),
    ("docstrings", {"valid_rows": 17_187}, "valid_rows must be a whole number from 1 to 17186, got 17187"),
    ("to_code", {"peak_lr": 0}, "peak_lr must be a finite number and more than 0, got 0"),
    ("to_code", {"library": "optax"}, "library must be one of ['torch', 'transformers', 'python'], got 'optax'"),
    ("sharpness", {"tolerance": 0}, "tolerance must be a finite number and more than 0, got 0"),
    ("sharpness", {"max_rounds": 0}, "max_rounds must be a whole number of at least 1, got 0"),
    ("sharpness", {"preconditioner": []}, "[(3, 4), (3,)], got []"),
    ("sharpness", {"preconditioner": 2.0}, "preconditioner must be a list of tensors, got 2.0"),
    ("sharpness", {"preconditioner": [torch.ones(4, 3), torch.ones(3)]}, "[(3, 4), (3,)], got [(4, 3), (3,)]"),
    ("sharpness", {"preconditioner": [torch.ones(3, 4), torch.zeros(3)]}, "positive and finite, got [tensor"),
    ("sharpness", {"y": Y[:5]}, "x and y must have the same number of rows, at least 1, got 18 and 5"),
    ("gradient_norm", {"x": X[:0], "y": Y[:0]}, "x and y must have the same number of rows, at least 1, got 0 and 0"),
    ("gradient_noise", {"x": X[:4]}, "x and y must have the same number of rows, at least 1, got 4 and 18"),
    ("gradient_noise", {"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ("gradient_noise", {"batches": 0}, "batches must be a whole number of at least 1, got 0"),
    ("Probe", {"every": 0}, "every must be a whole number of at least 1, got 0"),
    ("update_size", {"after": []}, "before and after must be the same weights, got shapes [(18, 4)] and []"),
    ("update_size", {"before": [], "after": []}, "got shapes [] and []"),
    ("update_size", {"after": [X[0]]}, "must be the same weights, got shapes [(18, 4)] and [(4,)]"),
    ("ScheduleLab", {"goal": "x"}, "goal and reached must be given together"),
    ("ScheduleLab", {"controls": ["lr"]}, "controls must be one of ['peak_lr', 'total_steps',"),
    ("ScheduleLab", {"peak_lr": 0}, "peak_lr must be a finite number in [1e-06, 100.0], got 0"),
    ("ScheduleLab", {"compare_peak_lr": -1}, "peak_lr must be a finite number in [1e-06, 100.0], got -1"),
    ("ScheduleLab", {"schedule": Schedule(200_000)}, "total_steps must be a whole number from 1 to 100000, got 200000"),
    ("ScheduleLab", {"compare": None, "compare_peak_lr": 0.1}, "compare_peak_lr must be None without compare, got 0.1"),
    ("QuadraticLab", {"reached": bool}, "goal and reached must be given together"),
    ("QuadraticLab", {"controls": "lr"}, "controls must be"),
    ("QuadraticLab", {"curvatures": (1, 2, 3)}, "curvatures must be one or two numbers"),
    ("QuadraticLab", {"curvatures": (0,)}, "curvatures must be a finite number in [0.1, 100.0], got 0"),
    ("QuadraticLab", {"lr": 11}, "lr must be a finite number in [0.001, 10.0], got 11"),
    ("QuadraticLab", {"momentum": 1}, "momentum must be a finite number in [0.0, 0.99], got 1"),
    ("StabilityLab", {"runs": RUNS.isel(peak_lr=0)}, "outcome has the dimensions ('peak_lr', 'warmup_steps', 'seed')"),
    ("StabilityLab", {"runs": RUNS.drop_vars("batch_loss")}, "'step'), got None"),
    ("StabilityLab", {"chosen": (0.1, 7)}, "warmup_steps must be one of [0], got 7"),
    ("SliderLab", {"goal": "x"}, "goal and reached must be given together"),
    ("TrainingLab", {"seeds": []}, "seeds must be a list of values, got []"),
    ("TrainingLab", {"warmup_steps": 0}, "warmup_steps must be a whole number from 1 to 2, got 0"),
    ("TrainingLab", {"warmup_steps": 3}, "warmup_steps must be a whole number from 1 to 2, got 3"),
    ("TrainingLab", {"hidden_layers": 7}, "hidden_layers must be a whole number from 0 to 6, got 7"),
    ("TrainingLab", {"config": replace(TRAINED, peak_lr=5.0)}, "peak_lr must be"),
    ("TrainingLab", {"config": replace(TRAINED, batch_size=17)}, "batch_size must be one of"),
    ("TrainingLab", {"config": replace(TRAINED, optimizer="AdamW")}, "optimizer must be one of"),
    *(("trace", {name: 0}, f"{name} must be a whole number of at least 1, got 0") for name in CALLS["trace"].arguments),
    ("Budget", {"steps": 0}, "steps must be a whole number from 1 to 2147483647, got 0"),
    ("begin", {"seed": 4000}, "seed must be a whole number from 0 to 3999, got 4000"),
    ("seeds", {"count": 1001}, "count must be a whole number from 1 to 1000, got 1001"),
    ("predict", {"question": " "}, "question must be a text, not blank, got"),
    ("predict", {"choices": ["a"]}, "choices must be from 2 to 26 different texts"),
    ("predict", {"choices": ["a", "a"]}, "choices must be from 2 to 26 different texts"),
    ("predict", {"choices": [*map(str, range(27))]}, "choices must be from 2 to 26 different texts"),
]


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize(("name", "changes", "said"), BEYOND)
def test_what_is_allowed_is_told_before_any_work(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        CALLS[name].function(**{**CALLS[name].arguments, **changes})


class Outputs(nn.Linear):
    """A linear layer that gives something else."""

    def __init__(self, what: Any) -> None:
        super().__init__(4, 3)
        self.what = what

    def forward(self, x: Tensor) -> Any:
        return self.what


MODELS: dict[str, Callable[[], Any]] = {
    "no module": lambda: None,
    "a class": lambda: MLP,
    "other inputs": lambda: MLP(5, 3),
    "too few outputs": lambda: MLP(4, 2),
    "outputs None": lambda: Outputs(None),
    "a pair": lambda: Outputs((X[:2], X[:2])),
    "one number a row": lambda: Outputs(torch.zeros(2)),
    "no rows": lambda: Outputs(torch.zeros(1, 3)),
    "no weights": lambda: nn.Flatten(),
    "frozen": lambda: MLP(4, 3).requires_grad_(False),
}
LR_LAMBDAS: dict[str, Callable[[int], Any]] = {
    "text": lambda step: "0.5",
    "nan": lambda step: math.nan,
    "later": lambda step: 1.0 if step == 0 else math.inf,
    "negative": lambda step: -1.0,
    "truth": lambda step: True,
    "nothing": lambda step: None,
    "tensor": lambda step: torch.ones(2),
    "too short": [1.0].__getitem__,
}


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("run", [train, partial(sweep, seed=[0])], ids=["train", "sweep"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_that_cannot_learn_the_data_is_refused_before_any_step(
    run: Callable[[TrainConfig], object], model: Callable[[], nn.Module]
) -> None:
    with pytest.raises(ValueError, match=r"^model must be .* got .*$"):
        run(replace(TINY, model=model))


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("run", [train, partial(sweep, seed=[0])], ids=["train", "sweep"])
@pytest.mark.parametrize(
    "model", [lambda: TinyGPT(symbols=95), lambda: TinyGPT(tokens=31), lambda: nn.Embedding(96, 95), MLP]
)
def test_a_model_that_cannot_learn_the_text_is_refused(
    run: Callable[[TrainConfig], object], model: Callable[[], nn.Module]
) -> None:
    with pytest.raises(
        ValueError, match=r"^model must be .* outputs \(rows, tokens, classes\) for 96 classes, got .*$"
    ):
        run(replace(TINY, data="docstrings", model=model))


@pytest.mark.parametrize("lr_lambda", LR_LAMBDAS.values(), ids=LR_LAMBDAS)
def test_an_lr_lambda_gives_a_factor_for_every_step(lr_lambda: Callable[[int], Any]) -> None:
    with pytest.raises(ValueError, match=r"^lr_lambda.* must be .* got .*$"):
        replace(TINY, lr_lambda=lr_lambda)


def test_a_list_of_as_many_factors_as_steps_is_enough_for_train_and_sweep() -> None:
    """torch's LambdaLR asks for one factor more."""
    listed = replace(TINY, lr_lambda=[0.5, 0.25].__getitem__)
    assert train(listed).lr == sweep(listed, seed=[0]).lr[0].values.tolist() == [0.05, 0.025]


@pytest.mark.parametrize("step", [2**53 + 1, 2**63, 2**64 - 1, np.uint64(2**63)])
def test_the_factor_after_the_end_does_not_overflow(step: int) -> None:
    assert Schedule(30, 5)(step) == Schedule(30, 5)(30) == 0.0


def test_outcome_compares_run_by_run() -> None:
    with pytest.raises(ValueError, match=r"same shape, got \(2,\) and \(3,\)"):
        outcome([True, True], [0.1, 0.5, 0.9], chance=0.1, trained_above=0.9)


class NoFloat:
    """Raises whatever one does with it."""

    def __float__(self) -> float:
        raise RuntimeError("no float")

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def stops() -> None:
    sys.exit("enough")


@pytest.mark.parametrize("name", ["01_learning_rate_basics", "03_linear_warmup"])
def test_check_never_raises(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for task in [task for task in EXERCISES.values() if task.lesson == name]:
        for answer in (NoFloat(), lambda *_: NoFloat(), lambda *_: stops(), *JUNK.values()):
            task.check(answer)
            assert re.search("Not (yet|attempted)", capsys.readouterr().out)
