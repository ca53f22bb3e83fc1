"""train() against loops written out here with torch's own parts."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from warmup_course.data import Dataset, docstrings, load
from warmup_course.model import MLP, TinyGPT, TinyTransformer
from warmup_course.sweep import sweep
from warmup_course.training import LOSSES, TrainConfig, squared_error, train


def small_mlp() -> nn.Module:
    return MLP(64, 10, hidden=[12])


def config(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"model": small_mlp, "device": "cpu", "total_steps": 30, "peak_lr": 0.1, **changes})


def rows(labels: list[int], n_classes: int) -> Dataset:
    """A data set whose inputs are zero, so that a linear model can only learn the shares of the classes."""
    x, y = torch.zeros(len(labels), 3), torch.tensor(labels)
    return Dataset("rows", x, y, x, y, n_classes)


def first_class() -> nn.Module:
    """A model that always says class 0."""
    model = nn.Linear(3, 10)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


def shrunk(optimizer: torch.optim.Optimizer, step: int) -> None:
    """A tenth of the gradient at step 7."""
    for p in optimizer.param_groups[0]["params"]:
        p.grad *= 0.1 if step == 7 else 1


OPTIMIZERS: dict[str, tuple[dict[str, Any], Callable[[Any], torch.optim.Optimizer]]] = {
    "SGD": ({}, lambda p: torch.optim.SGD(p, lr=0.03)),
    "momentum": ({"momentum": 0.9, "weight_decay": 0.01}, lambda p: torch.optim.SGD(p, 0.03, 0.9, weight_decay=0.01)),
    "clipped": ({"clip_norm": 1.5, "before_step": shrunk}, lambda p: torch.optim.SGD(p, lr=0.03)),
    "Adam": ({"optimizer": "Adam", "weight_decay": 0.02}, lambda p: torch.optim.Adam(p, lr=0.03, weight_decay=0.02)),
    "AdamW": (
        {"optimizer": "AdamW", "weight_decay": 0.03, "betas": (0.8, 0.95)},
        lambda p: torch.optim.AdamW(p, lr=0.03, betas=(0.8, 0.95), weight_decay=0.03),
    ),
}


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_train_is_the_loop_one_would_write(name: str, loss: str) -> None:
    fields, make_optimizer = OPTIMIZERS[name]
    run = config(loss=loss, peak_lr=0.03, warmup_steps=5, decay="cosine", seed=4, dtype=torch.float64, **fields)
    history = train(run)

    def criterion(outputs: Tensor, y: Tensor) -> Tensor:
        if loss == "cross_entropy":
            return -(outputs.log_softmax(dim=1)[torch.arange(len(y)), y]).mean()
        return nn.MSELoss()(outputs, torch.eye(10, dtype=torch.float64)[y]) * 5

    data = load("digits").to(torch.device("cpu"), torch.float64)
    torch.manual_seed(4)
    model = small_mlp().double()
    optimizer = make_optimizer(model.parameters())
    scheduler = SequentialLR(
        optimizer, [LinearLR(optimizer, 1 / 5, total_iters=4), CosineAnnealingLR(optimizer, 25)], milestones=[5]
    )
    loader, losses, lrs, epochs = data.train_loader(64, seed=4), [], [], []
    for stop in (23, 30):
        for x, y in loader:
            value = criterion(model(x), y)
            optimizer.zero_grad()
            value.backward()
            times = 0.1 if name == "clipped" and len(losses) == 7 else 1
            norm = times * torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
            for p in model.parameters():
                assert p.grad is not None
                p.grad *= times * min(1.0, run.clip_norm / (norm.item() + 1e-6))
            losses.append(value.item())
            lrs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
            if len(losses) == stop:
                break
        for x, y in ((data.x_train, data.y_train), (data.x_valid, data.y_valid)):
            with torch.no_grad():
                outputs = model(x)
            epochs.append([criterion(outputs, y).item(), np.mean(outputs.numpy().argmax(axis=1) == y.numpy())])

    assert history.lr == pytest.approx(lrs, abs=1e-14)
    assert history.batch_loss == pytest.approx(losses, rel=1e-9)
    ours = [history.train_loss, history.train_accuracy, history.valid_loss, history.valid_accuracy]
    np.testing.assert_allclose(ours, np.array(epochs).reshape(2, 4).T, rtol=1e-9)
    assert history.epoch_step == [23, 30]
    for kept, by_hand in zip(history.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(kept, by_hand)
    if name == "clipped":
        for without in ({"clip_norm": math.inf}, {"before_step": None}):
            assert history.batch_loss[-1] != pytest.approx(train(replace(run, **without)).batch_loss[-1], rel=1e-4)


def test_the_recorded_lr_is_the_schedule_times_the_peak() -> None:
    run = config(warmup_steps=7, stable_steps=3, decay="sqrt", end_factor=0.2, peak_lr=0.03)
    history = train(run)
    assert history.lr[:8] == pytest.approx([0.03 * step / 7 for step in range(1, 8)] + [0.03])
    assert history.lr[10] == pytest.approx(0.03)
    assert history.lr[15] == pytest.approx(0.03 * (1 - 0.8 * math.sqrt(5 / 20)))
    assert {type(lr) for lr in history.lr} == {float}


def test_any_function_of_the_step_can_be_the_schedule() -> None:
    run = config(lr_lambda=lambda step: 0.5 if step % 2 else 1 / (step + 1))
    history = train(run)
    assert history.lr[:5] == pytest.approx([0.1, 0.05, 0.1 / 3, 0.05, 0.02])
    assert {type(lr) for lr in history.lr} == {float}
    assert run.schedule(np.array([[0, 1], [2, 4]])) == pytest.approx(np.array([[1, 0.5], [1 / 3, 0.2]]))


@pytest.mark.parametrize(
    ("total_steps", "batch_size", "epoch_step"),
    [(1, 64, [1]), (23, 64, [23]), (24, 64, [23, 24]), (46, 64, [23, 46]), (7, 500, [3, 6, 7]), (2, 1437, [1, 2])],
)
def test_lengths_of_the_history(total_steps: int, batch_size: int, epoch_step: list[int]) -> None:
    history = train(config(total_steps=total_steps, batch_size=batch_size))
    assert len(history.batch_loss) == len(history.lr) == total_steps
    assert history.epoch_step == epoch_step
    for values in (history.train_loss, history.train_accuracy, history.valid_loss, history.valid_accuracy):
        assert len(values) == len(epoch_step)


def test_evaluated_at_the_end_only_a_run_keeps_the_last_epoch() -> None:
    each, last = train(config(total_steps=50)), train(config(total_steps=50, evaluate="end"))
    assert (last.batch_loss, last.lr, last.outcome) == (each.batch_loss, each.lr, each.outcome)
    assert last.epoch_step == [50]
    for name in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy"):
        assert getattr(last, name) == getattr(each, name)[-1:]


def test_one_config_gives_the_same_numbers_and_another_seed_others() -> None:
    assert train(config(seed=1)) == train(config(seed=1))
    assert train(config(seed=1)).batch_loss[0] != train(config(seed=2)).batch_loss[0]


def test_the_seed_decides_the_order_of_the_batches_too() -> None:
    def same_weights() -> nn.Module:
        model = nn.Linear(64, 10, bias=False)
        nn.init.zeros_(model.weight)
        return model

    first, other = (train(config(model=same_weights, seed=seed)).batch_loss for seed in (0, 1))
    assert first[0] == other[0]
    assert first[3] != other[3]


def test_the_global_random_states_are_left_alone_and_do_not_matter() -> None:
    torch_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first = train(config())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert train(config()) == first


def test_a_model_function_may_train() -> None:
    """As one that goes on from another's weights, which once waited for itself; in a thread, so that it cannot here."""
    parent = config(total_steps=3, seed=5)
    ended = ThreadPoolExecutor().submit(train, config(model=lambda: train(parent).model, total_steps=2))
    again = train(parent).model
    assert ended.result(timeout=30).batch_loss == train(config(model=lambda: deepcopy(again), total_steps=2)).batch_loss


def test_many_gpus_bring_no_warning_and_are_not_started_by_a_run_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)  # whatever another test has done
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda *_: pytest.fail("CUDA was started"))
    sweep(config(device="cpu", total_steps=2, model=lambda: nn.Linear(64, 10).double()), peak_lr=[0.1, 0.2])
    assert len(train(config(device="cpu", total_steps=2)).batch_loss) == 2


def test_a_model_is_trained_in_training_mode_and_evaluated_in_evaluation_mode() -> None:
    modes = []

    class Spy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            modes.append((self.training, len(x)))
            return super().forward(x)

    train(config(model=lambda: Spy(64, 10), batch_size=1000, total_steps=4))
    assert modes[1:] == [(True, 1000), (True, 437), (False, 1437), (False, 360)] * 2  # after a look at its outputs


def test_on_start_is_given_model_and_optimizer_before_the_first_step() -> None:
    run = config(warmup_steps=10, optimizer="Adam", seed=3)
    given = []

    def look(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        given.append((model, optimizer))
        assert all(map(torch.equal, model.parameters(), run.make_model().parameters()))
        assert all(p is q for p, q in zip(optimizer.param_groups[0]["params"], model.parameters(), strict=True))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
        assert not optimizer.state

    history = train(run, on_start=look)
    assert history == train(run)
    assert len(given) == 1
    assert type(given[0][1]) is torch.optim.Adam
    with torch.no_grad():
        outputs = given[0][0](load("digits").x_train)  # the model that was trained
    accuracy = (outputs.argmax(dim=1) == load("digits").y_train).double().mean().item()
    assert accuracy == history.train_accuracy[-1]


def test_float64_runs_in_float64() -> None:
    single, double = train(config(total_steps=3)), train(config(total_steps=3, dtype=torch.float64))
    assert single.batch_loss == pytest.approx(double.batch_loss, rel=1e-4)
    assert all(float(np.float32(loss)) == loss for loss in single.batch_loss)
    assert any(float(np.float32(loss)) != loss for loss in double.batch_loss)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformers_train_on_tokens(norm: Any) -> None:
    run = config(data="digit_tokens", model=lambda: TinyTransformer(norm, layers=1), optimizer="Adam", peak_lr=0.01)
    history = train(run)
    assert history.batch_loss[-1] < 0.7 * history.batch_loss[0]


def test_numpy_numbers_from_a_grid_are_welcome() -> None:
    run = config(peak_lr=np.float64(0.1), seed=np.int64(3), warmup_steps=np.int64(4), total_steps=5)
    history = train(run)
    assert history == train(config(seed=3, warmup_steps=4, total_steps=5))
    assert {type(lr) for lr in history.lr} == {float}


# --- how runs end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_a_run_that_diverges_stops_at_the_first_loss_that_is_not_finite(loss: Any) -> None:
    history = train(config(loss=loss, peak_lr=1e12, total_steps=100))
    assert history.outcome == "diverged"
    assert not math.isfinite(history.batch_loss[-1])
    assert all(map(math.isfinite, history.batch_loss[:-1]))
    assert len(history.lr) == len(history.batch_loss) < 23
    assert history.epoch_step == history.train_loss == history.valid_accuracy == []


def test_a_run_whose_last_evaluation_is_not_finite_has_diverged() -> None:
    history = train(config(loss="squared_error", peak_lr=1e25, total_steps=1))
    assert math.isfinite(history.batch_loss[0])
    assert history.outcome == "diverged"


@pytest.mark.parametrize(
    ("hits", "n_rows", "n_classes", "trained_above", "expected"),
    [
        (6, 10, 10, 0.59, "trained"),
        (6, 10, 10, 0.6, "slow"),  # "above" is not "at"
        (7, 10, 10, 0.7, "slow"),
        (9, 10, 10, 0.9, "slow"),
        (10, 10, 10, 0.99, "trained"),
        (3, 4, 2, 0.9, "slow"),  # .75 is not below 1.5 times .5
        (2, 4, 2, 0.9, "stalled"),
        (2, 20, 10, 0.9, "stalled"),
        (2, 20, 10, 0.05, "stalled"),
    ],
)
def test_the_limits_of_the_outcomes(
    hits: int, n_rows: int, n_classes: int, trained_above: float, expected: str
) -> None:
    data = rows([0] * hits + [1] * (n_rows - hits), n_classes)
    run = config(data=data, model=first_class, batch_size=4, total_steps=1, peak_lr=0, trained_above=trained_above)
    assert train(run).outcome == expected
    assert sweep(run, seed=[0]).outcome.item() == expected


# --- losses ----------------------------------------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    outputs, y = torch.tensor([[0.0, 2.0], [1.0, 1.0]]), torch.tensor([1, 0])
    assert LOSSES["squared_error"](outputs, y).item() == pytest.approx((0.5 * 1 + 0.5 * 1) / 2)
    assert LOSSES["cross_entropy"](outputs, y).item() == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2)


def test_losses_of_tokens_are_those_of_as_many_rows() -> None:
    outputs, y = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(35).view(5, 7) % 4
    by_hand = -torch.stack([outputs[i, t].log_softmax(0)[y[i, t]] for i in range(5) for t in range(7)]).mean()
    torch.testing.assert_close(LOSSES["cross_entropy"](outputs, y), by_hand)
    as_rows = squared_error(outputs.view(35, 4), y.view(35))
    torch.testing.assert_close(LOSSES["squared_error"](outputs, y), as_rows)


def test_a_text_is_trained_as_in_a_loop_by_hand() -> None:
    text = docstrings(train_rows=5, valid_rows=20)
    run = config(data=text, model=lambda: TinyGPT(layers=1), optimizer="AdamW", batch_size=5, total_steps=3)
    history, model = train(run), run.make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0)
    for loss in history.batch_loss:
        by_hand = F.cross_entropy(model(text.x_train).view(-1, 96), text.y_train.view(-1))
        assert loss == pytest.approx(by_hand.item(), rel=1e-4)
        optimizer.zero_grad()
        by_hand.backward()
        optimizer.step()
    outputs = history.model(text.x_valid)
    assert history.valid_loss[-1] == pytest.approx(F.cross_entropy(outputs.mT, text.y_valid).item(), rel=1e-5)
    assert history.valid_accuracy[-1] == pytest.approx((outputs.argmax(-1) == text.y_valid).float().mean().item())
    assert history.chance == 1 / 96
