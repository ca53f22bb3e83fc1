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
    TinyTransformer,
    TrainConfig,
    classroom,
    data,
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
from warmup_course.classroom.exercises import EXERCISES
from warmup_course.probes import Probe, gradient_noise, gradient_norm, sharpness, update_size
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
MEASURED: dict[str, Any] = {"model": MLP(4, 3), "loss_function": nn.functional.cross_entropy, "x": X, "y": Y}
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
    "from_json": Call(Schedule.from_json, {"text": Schedule(3).to_json()}, {"text": set()}),
    "TrainConfig": Call(
        TrainConfig, {"data": "digits", "device": "cpu"}, {"data": set(), "device": set(), "clip_norm": POSITIVE}
    ),
    "MLP": Call(MLP, {"hidden": [3]}, {"hidden": {"list", "empty list"}}),
    "TinyTransformer": Call(TinyTransformer, {"layers": 1}),
    "ConvNet": Call(ConvNet, {}),
    "resolve_device": Call(resolve_device, {"name": "cpu"}, {"name": set()}, {"name": "device"}),
    "to_code": Call(to_code, {"schedule": Schedule(3), "peak_lr": 0.1, "library": "torch"}),
    "train": Call(train, {"config": TINY}),
    "sweep": Call(partial(sweep, seed=[0]), {"config": TINY}),
    "an axis": Call(
        partial(sweep, TINY),
        {name: [getattr(TINY, name)] for name in SWEEPABLE},
        {name: {"list"} for name in SWEEPABLE},
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
    "valid_loader": Call(SMALL.valid_loader, {"batch_size": 3}),
    "batch_order": Call(data.batch_order, {"rows": 6, "batch_size": 3, "seed": 0}),
    "load": Call(data.load, {"name": "digits"}, {"name": set()}, {"name": "data"}),
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
    assert exported - CALLS.keys() - {"InsideLab", "Number", "lambda_lr"} == set()


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


def test_more_choices_than_letters() -> None:
    with pytest.raises(ValueError, match="choices must be from 2 to 26 different texts"):
        LESSON.predict("Which?", [f"choice {number}" for number in range(27)])


class NoFloat:
    """Raises whatever one does with it."""

    def __float__(self) -> float:
        raise RuntimeError("no float")

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def stops() -> None:
    sys.exit("enough")


@pytest.mark.parametrize("name", ["01_learning_rate_basics", "03_linear_warmup"])
def test_check_never_raises(name: str) -> None:
    for task in [task for task in EXERCISES.values() if task.lesson == name]:
        for answer in (NoFloat(), lambda *_: NoFloat(), lambda *_: stops(), *JUNK.values()):
            task.check(answer)
            assert task.state != "done"
