"""Both kinds of stack against each other, and which models are trained by the fast one."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from warmup_course import sweep
from warmup_course.data import digit_tokens, digits, tabular
from warmup_course.model import MLP, ConvNet
from warmup_course.stacked import StackedMLP, StackedModule, kind_of_stack
from warmup_course.training import TrainConfig

KINDS = (StackedMLP, StackedModule)
RULES: list[dict[str, Any]] = [
    {},
    {"loss": "squared_error"},
    {"momentum": 0.9},
    {"weight_decay": 0.1},
    {"clip_norm": 0.5},
    {"optimizer": "Adam", "betas": (0.5, 0.9)},
    {"optimizer": "AdamW", "weight_decay": 0.3},
]


def without_bias() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8, bias=False), nn.ReLU(), nn.Linear(8, 10))


def frozen() -> nn.Module:
    model = MLP(hidden=[8])
    model[0].requires_grad_(False)
    return model


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    model[2].weight = model[0].weight
    return model


def twice() -> nn.Module:
    layer = nn.Linear(64, 64)
    return nn.Sequential(layer, nn.ReLU(), layer)


def hooked(register: str, inside: bool) -> nn.Module:
    model = MLP(hidden=[8])
    getattr(model.get_submodule("0") if inside else model, register)(lambda *_: None)
    return model


class Halved(MLP):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


class OwnLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


@pytest.mark.parametrize(
    "model",
    [
        MLP(),
        MLP(hidden=[]),
        MLP(hidden=[7, 5, 3], init="torch"),
        MLP(64, 12),
        nn.Sequential(nn.Linear(64, 9), nn.ReLU(inplace=True), nn.Linear(9, 10)),
    ],
)
def test_plain_mlps_are_known(model: nn.Module) -> None:
    assert kind_of_stack(model, digits()) is StackedMLP


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(64, 10),
        nn.Sequential(),
        nn.Sequential(nn.Linear(64, 8), nn.ReLU()),
        nn.Sequential(nn.Linear(64, 8), nn.Linear(8, 10)),
        nn.Sequential(nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 10)),
        nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 10)),
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        nn.Sequential(OwnLinear(64, 10)),
        nn.Sequential(MLP(64, 8), nn.ReLU(), nn.Linear(8, 10)),
        Halved(),
        without_bias(),
        frozen(),
        tied(),
        twice(),
        *(
            hooked(register, inside)
            for register in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook")
            for inside in (False, True)
        ),
        nn.utils.parametrizations.weight_norm(MLP()[0]),
        MLP(10, 2),
        MLP(64, 9),
        ConvNet(),
    ],
)
def test_nothing_else_is_taken_for_one(model: nn.Module) -> None:
    assert kind_of_stack(model, digits()) is StackedModule


def test_the_data_decide_too() -> None:
    assert kind_of_stack(MLP(10, 2), tabular()) is StackedMLP
    assert kind_of_stack(MLP(8, 10), digit_tokens()) is StackedModule


def trained(kind: Any, config: TrainConfig, seeds: Sequence[int], runs_per_seed: int) -> list[Tensor]:
    """What a stack gives after each of some steps, at LRs of its own for each run: losses, then loss and accuracy."""
    data, models = config.load_data(), kind(config, seeds, runs_per_seed)
    generator = torch.Generator().manual_seed(1)
    lr = torch.linspace(0.001, 0.02, len(seeds) * runs_per_seed, dtype=config.dtype)
    order = torch.randint(len(data.x_train), (config.total_steps, len(seeds), config.batch_size), generator=generator)
    losses = [models.step(data.x_train[rows], data.y_train[rows], lr) for rows in order]
    return [*losses, *models.evaluate(data.x_train, data.y_train), *models.evaluate(data.x_valid, data.y_valid)]


# Each rule in a deep network: what becomes of the gradients does not depend on how deep they come from.
DEEP_AND_SHALLOW: list[tuple[dict[str, Any], list[int], Any]] = [
    *((rule, [12, 5, 9, 4], "torch") for rule in RULES),
    ({}, [], "he"),
    ({}, [7], "xavier"),
]


@pytest.mark.parametrize(("rule", "hidden", "init"), DEEP_AND_SHALLOW, ids=str)
def test_both_kinds_agree(rule: dict[str, Any], hidden: list[int], init: Any) -> None:
    model = partial(MLP, hidden=hidden, init=init)
    config = TrainConfig(model=model, total_steps=6, device="cpu", dtype=torch.float64, **rule)
    fast, general = (trained(kind, config, seeds=[3, 0], runs_per_seed=3) for kind in KINDS)
    for one, other in zip(fast, general, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@dataclass(frozen=True, kw_only=True)
class Halving(TrainConfig):
    """The learner's own rule: half of each step."""

    def make_optimizer(self, parameters: Any, lr: float) -> torch.optim.Optimizer:
        return super().make_optimizer(parameters, lr / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_learners_own_optimizer_is_used(kind: Any) -> None:
    common: dict[str, Any] = {"total_steps": 5, "device": "cpu", "dtype": torch.float64}
    halving, plain = Halving(peak_lr=0.2, **common), TrainConfig(peak_lr=0.1, **common)
    losses = []
    for config in (halving, plain):
        data, models = config.load_data(), kind(config, [0], 1)
        rows, lr = torch.arange(64)[None], torch.tensor([config.peak_lr], dtype=torch.float64)
        losses.append([models.step(data.x_train[rows], data.y_train[rows], lr).item() for _ in range(5)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_outputs_the_first_counts_as_argmax_has_it(kind: Any) -> None:
    """A network of zeros gives the same output for each class, so it says class 0 of every row."""

    def zeros() -> nn.Module:
        model = MLP(hidden=[4])
        for p in model.parameters():
            nn.init.zeros_(p)
        return model

    config = TrainConfig(model=zeros, device="cpu")
    data = config.load_data()
    _, accuracy = kind(config, [0], 2).evaluate(data.x_valid, data.y_valid)
    assert accuracy.tolist() == pytest.approx([(data.y_valid == 0).double().mean().item()] * 2)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_bear_large_outputs(kind: Any) -> None:
    config = TrainConfig(model=lambda: MLP(hidden=[4], gain=100.0), device="cpu")
    data, [model] = config.load_data(), [config.make_model()]
    loss, accuracy = kind(config, [0], 1).evaluate(data.x_valid, data.y_valid)
    outputs = model(data.x_valid)
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(outputs, data.y_valid).item(), rel=1e-5)
    assert accuracy.item() == pytest.approx((outputs.argmax(dim=1) == data.y_valid).double().mean().item())


def test_the_headline_ends_alike_by_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """How runs of the headline map end; near the edge, rounding may decide about one."""
    config = TrainConfig(
        model=lambda: MLP(hidden=[64] * 4), loss="squared_error", total_steps=100, evaluate="end", device="cpu"
    )
    axes: dict[str, Any] = {"peak_lr": [0.03125, 0.25, 0.5], "warmup_steps": [0, 32], "seed": range(6)}
    fast = sweep(config, **axes)
    monkeypatch.setattr(sys.modules[sweep.__module__], "kind_of_stack", lambda *_: StackedModule)
    general = sweep(config, **axes)
    assert (fast.outcome != general.outcome).sum() <= 2
    trained_by = [(runs.outcome == "trained").mean("seed") for runs in (fast, general)]
    assert abs(trained_by[0] - trained_by[1]).max() <= 1 / 3
    xr.testing.assert_allclose(fast.lr, general.lr)
    np.testing.assert_allclose(fast.batch_loss[..., 0], general.batch_loss[..., 0], rtol=1e-5)


def test_a_step_takes_no_new_memory_for_activations() -> None:
    config = TrainConfig(model=lambda: MLP(hidden=[500]), device="cpu")
    models, data = StackedMLP(config, [0], 2), config.load_data()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        for rows in (64, 29, 64):
            models.step(data.x_train[None, :rows], data.y_train[None, :rows], torch.tensor([0.1, 0.2]))
    assert 0 < max(event.self_cpu_memory_usage for event in seen.key_averages()) < 29 * 500 * 4
