"""Everything that computes, on a GPU: a tensor left on the CPU is an error there. Without a GPU, one is pretended."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from lessons import each_lesson
from pretended_gpu import pretended_gpu
from torch import nn

from warmup_course import TrainConfig, data, sweep, train
from warmup_course.authoring.evidence import run_cells
from warmup_course.classroom import InsideLab, TrainingLab, begin
from warmup_course.classroom.capstone import TASK, Budget
from warmup_course.model import ConvNet, TinyGPT, TinyTransformer
from warmup_course.probes import Probe, gradient_noise, gradient_norm, sharpness, update_size
from warmup_course.training import LOSSES, squared_error

TRANSFORMER = {"data": "digit_tokens", "model": partial(TinyTransformer, layers=1, width=8)}
TEXT = data.docstrings(tokens=8, train_rows=600, valid_rows=40)
DECODER = {"data": TEXT, "model": partial(TinyGPT, tokens=8, layers=1, width=8)}
MODELS: dict[str, dict[str, Any]] = {
    "MLP": {},
    "ConvNet": {"data": "waveforms", "model": ConvNet},
    "TinyTransformer": TRANSFORMER,
    "TinyGPT": DECODER,
}
RULES: list[dict[str, Any]] = [
    {"optimizer": "SGD", "loss": "squared_error"},
    {"optimizer": "SGD", "momentum": 0.9, "loss": "squared_error", "evaluate": "end"},
    {"optimizer": "Adam", "loss": "cross_entropy"},
    {"optimizer": "AdamW", "weight_decay": 0.1, "loss": "cross_entropy", "warmup_steps": 2},
]
# Each model, and each rule with both kinds of stack.
each_case = pytest.mark.parametrize(
    ("model", "rule"),
    [
        pytest.param(model, rule, id=f"{name}-{rule['optimizer']}-{rule['loss']}")
        for name, model in MODELS.items()
        for rule in (RULES if name in ("MLP", "ConvNet") else RULES[-1:])
    ],
)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule['optimizer']}-{rule['loss']}")
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def short(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"device": "cuda", "total_steps": 3, "batch_size": 256} | changes)


@pytest.fixture
def gpu() -> Iterator[None]:
    with pretended_gpu():
        yield


# ---- the pretence itself --------------------------------------------------------------------------------------------


def on(place: str) -> torch.Tensor:
    return torch.tensor([1.0, 2.0], device=place)


MIXED: dict[str, Callable[[], Any]] = {
    "sum": lambda: on("cuda") + on("cpu"),
    "in place": lambda: on("cpu").add_(on("cuda")),
    "product": lambda: on("cuda") @ on("cpu"),
    "mask": lambda: torch.where(on("cpu") > 1, on("cuda"), on("cuda")),
    "indices on the GPU": lambda: on("cpu")[torch.tensor([1], device="cuda")],
    "out": lambda: torch.add(on("cuda"), on("cuda"), out=on("cpu")),
    "stack": lambda: torch.stack([on("cuda")[0], on("cpu")[0]]),
    "generator": lambda: torch.randn(2, device="cuda", generator=torch.Generator()),
    "numpy": lambda: np.asarray(on("cuda")),
    "loss": lambda: nn.functional.cross_entropy(on("cuda"), torch.tensor(1)),
    "layer": lambda: nn.Linear(2, 1)(on("cuda")),
    "vmap": lambda: torch.func.vmap(lambda a, b: a * b)(on("cuda"), on("cpu")),
    "equal": lambda: torch.equal(on("cuda"), on("cpu")),
}
ALLOWED: dict[str, Callable[[], Any]] = {
    "number": lambda: on("cuda") * torch.tensor(2.0),
    "indices on the CPU": lambda: on("cuda")[torch.tensor([1])],
    "list": lambda: on("cuda")[[1]],
    "copy": lambda: on("cpu").copy_(on("cuda")),
    "item": lambda: on("cuda").sum().item(),
    "back": lambda: on("cuda").cpu().numpy(),
    "module": lambda: nn.Linear(2, 1).to("cuda")(on("cuda")),
    "mask": lambda: on("cuda")[on("cuda") > 1],
}


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_it_refuses_what_a_gpu_refuses(mixed: Callable[[], Any]):
    with pytest.raises((RuntimeError, TypeError), match=r"device|cuda"):
        mixed()


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("allowed", ALLOWED.values(), ids=ALLOWED)
def test_it_allows_what_a_gpu_allows(allowed: Callable[[], Any]):
    allowed()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU rounds otherwise")
@each_rule
def test_it_computes_the_true_numbers(rule: dict[str, Any]):
    on_cpu = train(short(**rule, device="cpu"))
    with pretended_gpu():
        assert train(short(**rule)) == on_cpu


# ---- the package ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("name", data.DATASETS)
def test_data_loaders(name: str):
    rows = data.load(name).to(torch.device("cuda"), torch.float32)
    assert all(x.is_cuda and y.is_cuda for x, y in rows.train_loader(100, seed=0))


@pytest.mark.usefixtures("gpu")
@each_case
def test_train(model: dict[str, Any], rule: dict[str, Any]):
    assert len(train(short(**model, **rule)).batch_loss) == 3


@pytest.mark.usefixtures("gpu")
@each_case
def test_both_kinds_of_sweep(model: dict[str, Any], rule: dict[str, Any]):
    runs = sweep(short(**model, **rule), progress=iter, peak_lr=[0.01, 0.02], seed=[0, 1])
    assert np.isfinite(runs.batch_loss).all()


@pytest.mark.usefixtures("gpu")
@each_model
def test_probes(model: dict[str, Any]):
    config = short(**model)
    rows = config.load_data()
    network, loss, x, y = config.make_model(), LOSSES["cross_entropy"], rows.x_train[:50], rows.y_train[:50]
    assert sharpness(network, loss, x, y, tolerance=0.1) > 0
    assert gradient_norm(network, LOSSES["squared_error"], x, y) > 0
    assert gradient_noise(network, loss, x, y, batch_size=10, batches=3) > 0
    weights = list(network.parameters())
    assert update_size(weights, [w + 1 for w in weights]).rms == pytest.approx(1)


def recorded(**changes: Any) -> tuple[Probe, Any]:
    config = short(**changes)
    rows = config.load_data()
    probe = Probe(squared_error, rows.x_train[:50], rows.y_train[:50], every=2)
    return probe, train(config, on_start=probe.watch)


@pytest.mark.usefixtures("gpu")
def test_inside_lab():
    runs = {("MLP", lr, 0): recorded(peak_lr=lr) for lr in (0.1, 0.2)}
    lab = InsideLab(runs, ("MLP", 0.1, 0))
    lab.controls["peak_lr"].value = 0.2
    assert "sharpness" in lab.status.said


@pytest.mark.usefixtures("gpu")
def test_training_lab(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TrainingLab, "on_move", lambda lab: lab.run(lab.values))  # in this thread, as the pretence is
    lab = TrainingLab(short(), warmup_steps=2, seeds=range(2))
    for name, value in {"optimizer": "Adam", "loss": "squared_error", "hidden_layers": 1}.items():
        lab.controls[name].value = value
        assert "failed" not in lab.status.said
        assert lab.runs.batch_loss.notnull().all()


@pytest.mark.usefixtures("gpu")
def test_a_budgets_sweep():
    budget = Budget(replace(TASK, device="cuda"), 100)
    assert budget.sweep(peak_lr=[0.01], seed=[0], total_steps=3).batch_loss.size == 3


@pytest.mark.usefixtures("gpu")
def test_a_lesson_begins(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WARMUP_COURSE_DEVICE", raising=False)
    assert begin("03_linear_warmup", device="auto", seed=0).device.startswith("cuda")
    assert "on the GPU" in capsys.readouterr().out


# ---- the lessons ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("gpu")
@pytest.mark.filterwarnings("ignore:More than 20 figures have been opened")  # a notebook closes them
@each_lesson
def test_a_lesson_with_the_functions_that_it_defines(lesson: Path):
    """In this process, one cell after the other, with two seeds: what comes out is not looked at."""
    run_cells(lesson, {"device": "cuda", "n_seeds": 2}, ast.NodeTransformer(), {}, lambda *_: None)
    plt.close("all")
