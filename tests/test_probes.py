"""Probes against whole Hessians, gradients row by row, closed forms and calculation by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from warmup_course.data import load
from warmup_course.model import MLP, TinyTransformer
from warmup_course.probes import Probe, gradient_noise, gradient_norm, sharpness, update_size
from warmup_course.training import LOSSES, TrainConfig, squared_error, train

CPU, DOUBLE = torch.device("cpu"), torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def labels(rows: int, classes: int = 3) -> Tensor:
    return torch.arange(rows) % classes


def made(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().double()


def hessian_eigenvalues(model: nn.Module, loss_function: Any, x: Tensor, y: Tensor) -> Tensor:
    """All of them, upwards, from the whole Hessian in the trainable weights."""
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    start = torch.cat([p.flatten() for p in trained.values()])

    def loss(vector: Tensor) -> Tensor:
        pieces = vector.split([p.numel() for p in trained.values()])
        weights = {name: v.view_as(p) for (name, p), v in zip(trained.items(), pieces, strict=True)}
        return loss_function(functional_call(model, weights, (x,)), y)

    return torch.linalg.eigvalsh(hessian(loss, start, vectorize=True))


def row_gradients(model: nn.Module, loss_function: Any, x: Tensor, y: Tensor) -> Tensor:
    """(rows, weights): backward() for one row after the other."""
    rows = []
    for row in range(len(x)):
        model.zero_grad()
        loss_function(model(x[row : row + 1]), y[row : row + 1]).backward()
        rows.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    model.zero_grad()
    return torch.stack(rows)


def bowl(eigenvalues: list[float]) -> tuple[nn.Module, Any, Tensor, Tensor]:
    """A model whose loss is a quadratic form of its weights with these curvatures, in directions drawn at random."""
    size = len(eigenvalues)
    rotation = torch.linalg.qr(random(size, size)).Q
    matrix = rotation @ torch.diag(torch.tensor(eigenvalues, dtype=DOUBLE)) @ rotation.T
    model = made(lambda: nn.Linear(size, 1, bias=False))

    def loss(outputs: Tensor, y: Tensor) -> Tensor:
        weights = model.weight[0]
        return 0.5 * weights @ matrix @ weights

    return model, loss, torch.ones(1, size, dtype=DOUBLE), torch.zeros(1)


# --- sharpness -------------------------------------------------------------------------------------------------------

MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: MLP(4, 3, hidden=[]), (4,)),
    "MLP": (lambda: MLP(4, 3, hidden=[6, 5]), (4,)),
    "post-norm": (lambda: TinyTransformer("post", 2, 3, 3, layers=1, width=4, heads=2, feedforward=4), (3, 2)),
    "pre-norm": (lambda: TinyTransformer("pre", 2, 3, 3, layers=1, width=4, heads=2, feedforward=4), (3, 2)),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", MODELS)
def test_sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(name: str, loss: Any) -> None:
    make, shape = MODELS[name]
    case = made(make), LOSSES[loss], random(11, *shape), labels(11)
    exact = hessian_eigenvalues(*case)[-1].item()
    assert sharpness(*case, tolerance=1e-7) == pytest.approx(exact, rel=1e-7)
    assert sharpness(*case) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_sharpness_of_the_linear_model_is_that_of_its_inputs(seed: int) -> None:
    digits = load("digits").to(CPU, DOUBLE)
    x, y = digits.x_train, digits.y_train
    with_bias = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    exact = torch.linalg.eigvalsh(with_bias.T @ with_bias / len(x))[-1].item()
    model = made(lambda: MLP(hidden=[]), seed)
    assert sharpness(model, squared_error, x, y, tolerance=1e-8) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize(
    "eigenvalues",
    [
        [2.0],
        [0.0, 0.0, 0.0],
        [-1000.0, -3.0, 0.5, 1.0],  # by size, the first would be the largest
        [-5.0, -4.0, -1.0],
        [-1.0, -1.0, -1.0],
        [-2.0, -1.0, 0.0],
        [7.0, 7.0, 7.0, 1.0],
        [-1e6, *(k / 40 for k in range(41))],
    ],
    ids=lambda values: f"{values[0]:g} to {values[-1]:g}, {len(values)}",
)
def test_sharpness_at_bowls_saddles_and_hills(eigenvalues: list[float]) -> None:
    exact = max(eigenvalues)
    for seed in range(5):
        assert sharpness(*bowl(eigenvalues), seed=seed) == pytest.approx(exact, rel=1e-3, abs=1e-12)
        assert sharpness(*bowl(eigenvalues), seed=seed, tolerance=1e-9) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_sharpness_above_a_crowd_of_eigenvalues() -> None:
    case = bowl([k / 300 for k in range(301)])
    assert 0.99 < sharpness(*case) < 1 - 1e-6
    assert sharpness(*case, tolerance=1e-6) == pytest.approx(1, rel=1e-6)


def test_sharpness_at_the_saddle_of_a_network() -> None:
    # Two linear layers of zeros: the eigenvalues come in pairs of opposite sign, apart from the last bias's 1.
    model = made(lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3)))
    for p in model.parameters():
        nn.init.zeros_(p)
    case = model, squared_error, 3 * random(7, 4), labels(7)
    eigenvalues = hessian_eigenvalues(*case)
    assert eigenvalues[0] < -1
    assert sharpness(*case, tolerance=1e-8) == pytest.approx(eigenvalues[-1].item(), rel=1e-8)


def test_sharpness_in_single_precision() -> None:
    digits = load("digits")
    x, y, model = digits.x_train[:200], digits.y_train[:200], made(MLP)
    double = sharpness(model, squared_error, x.double(), y, tolerance=1e-8)
    assert double > 20
    assert sharpness(model.float(), squared_error, x, y, tolerance=1e-5) == pytest.approx(double, rel=1e-5)
    assert sharpness(model, squared_error, x, y) == pytest.approx(double, rel=1e-3)


def test_too_few_rounds_give_a_warning_and_a_lower_bound() -> None:
    case = bowl([float(k) for k in range(1, 101)])
    values = []
    for max_rounds in (1, 5, 10):
        with pytest.warns(RuntimeWarning, match=rf"at least .* max_rounds={max_rounds} "):
            values.append(sharpness(*case, tolerance=1e-6, max_rounds=max_rounds))
    assert values == sorted(values)
    assert 40 < values[0] < 60  # of one direction drawn at random, the mean of all curvatures
    assert 80 < values[-1] < 100


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e200])
def test_sharpness_of_weights_that_overflow_is_nan(bad: float) -> None:
    model = made(lambda: MLP(4, 3, hidden=[5]))
    nn.init.constant_(model[0].weight, bad)
    assert math.isnan(sharpness(model, squared_error, random(6, 4), labels(6)))


def test_frozen_weights_do_not_count_and_unused_ones_are_flat() -> None:
    model = made(lambda: MLP(4, 3, hidden=[5]))
    x, y = random(9, 4), labels(9)
    model.unused = nn.Linear(2, 2).double()
    model.forward = lambda inputs: model[:3](inputs)
    everything = sharpness(model, squared_error, x, y, tolerance=1e-8)
    assert everything == pytest.approx(hessian_eigenvalues(model, squared_error, x, y)[-1].item())
    model[0].requires_grad_(False)
    features = torch.cat([model[:2](x), torch.ones(9, 1)], dim=1)
    exact = torch.linalg.eigvalsh(features.T @ features / 9)[-1].item()
    assert exact < 0.9 * everything
    assert sharpness(model, squared_error, x, y, tolerance=1e-8) == pytest.approx(exact, rel=1e-8)


def test_measuring_changes_nothing() -> None:
    model, x, y = made(lambda: MLP(4, 3, hidden=[5])), random(9, 4), labels(9)
    squared_error(model(x), y).backward()
    before = [t.clone() for p in model.parameters() for t in (p, p.grad)]
    state = torch.get_rng_state()
    sharpness(model, squared_error, x, y)
    gradient_norm(model, squared_error, x, y)
    gradient_noise(model, squared_error, x, y, batch_size=3)
    after = [t for p in model.parameters() for t in (p, p.grad)]
    assert all(map(torch.equal, before, after))
    assert torch.equal(torch.get_rng_state(), state)


# --- gradients and updates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_norm_is_that_of_backward(loss: Any) -> None:
    model, x, y = made(lambda: MLP(4, 3, hidden=[5])), random(9, 4), labels(9)
    expected = row_gradients(model, LOSSES[loss], x, y).mean(dim=0).norm().item()
    assert gradient_norm(model, LOSSES[loss], x, y) == pytest.approx(expected, rel=1e-12)


def test_gradient_norm_by_hand() -> None:
    model = made(lambda: MLP(2, 2, hidden=[]))
    nn.init.zeros_(model[0].weight)
    # Output (0, 0) for class 1 of 2: the error is (0, -1), for the bias once and for the weights times (3, 4).
    norm = gradient_norm(model, squared_error, torch.tensor([[3.0, 4.0]], dtype=DOUBLE), torch.tensor([1]))
    assert norm == pytest.approx(math.sqrt(1 + 9 + 16))


@pytest.mark.parametrize("batch_size", [1, 4, 32])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_noise_is_the_covariance_of_the_rows_gradients(loss: Any, batch_size: int) -> None:
    case = made(lambda: MLP(4, 3, hidden=[5])), LOSSES[loss], random(20, 4), labels(20)
    rows = row_gradients(*case)
    exact = (rows.var(dim=0, correction=0).sum() / rows.mean(dim=0).square().sum()).item()
    estimates = [gradient_noise(*case, batch_size, batches=40, seed=seed) for seed in range(20)]
    mean, error = torch.tensor(estimates).mean().item(), torch.tensor(estimates).std().item() / math.sqrt(20)
    assert error < 0.06 * exact
    assert abs(mean - exact) < 4 * error


@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_noise_of_two_rows_one_at_a_time_has_no_spread(seed: int) -> None:
    case = made(lambda: MLP(4, 3, hidden=[5])), squared_error, random(2, 4), labels(2)
    one, two = row_gradients(*case)
    exact = ((one - two).square().sum() / (one + two).square().sum()).item()
    assert gradient_noise(*case, batch_size=1, batches=3, seed=seed) == pytest.approx(exact, rel=1e-12)


def test_rows_that_are_all_alike_make_no_noise() -> None:
    case = made(lambda: MLP(4, 3, hidden=[5])), squared_error, random(1, 4).repeat(8, 1), torch.ones(8, dtype=int)
    assert gradient_noise(*case, batch_size=3) == pytest.approx(0, abs=1e-24)


def test_update_size_of_several_tensors() -> None:
    before = [torch.tensor([[6.0, 0.0], [0.0, 0.0]]), torch.tensor([8.0, 0, 0, 0, 0])]
    after = [torch.tensor([[6.0, 3.0], [0.0, 0.0]]), torch.tensor([8.0, 0, 0, 0, -4])]
    assert update_size(before, after) == pytest.approx((5.0, 5 / 3, 0.5))
    assert update_size(iter(before), iter(after)) == update_size(before, after)
    assert update_size([torch.zeros(4)], [torch.ones(4)]) == (2, 1, math.inf)


def test_numbers_whose_squares_overflow_have_a_size() -> None:
    huge, weights = torch.tensor([3e30, 4e30]), nn.Linear(2, 1, bias=False)
    assert update_size([torch.ones(2)], [huge]).norm == pytest.approx(5e30, rel=1e-6)
    assert gradient_norm(weights, lambda outputs, y: outputs.sum(), huge[None], torch.zeros(1)) == pytest.approx(5e30)


# --- along a run -----------------------------------------------------------------------------------------------------


def config(**changes: Any) -> TrainConfig:
    fields = {"model": lambda: MLP(hidden=[12]), "loss": "squared_error", "device": "cpu", "total_steps": 13}
    return TrainConfig(**{**fields, "peak_lr": 0.05, "warmup_steps": 6, **changes})


def probe_of(run: TrainConfig, every: int = 4, rows: int = 100) -> Probe:
    data = run.load_data()
    return Probe(LOSSES[run.loss], data.x_train[:rows], data.y_train[:rows], every=every)


def regularised() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 10))


@pytest.mark.parametrize(
    "changes", [{}, {"model": regularised}, {"optimizer": "Adam"}, {"momentum": 0.9, "seed": 1}, {"peak_lr": 1e12}]
)
def test_a_run_that_is_watched_gives_the_same_numbers(changes: dict[str, Any]) -> None:
    run = config(**changes)
    probe = probe_of(run)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # dropout draws from it
        alone = train(run)
        torch.manual_seed(0)
        watched = train(run, on_start=probe.watch)
    assert repr(watched) == repr(alone)  # a diverged run has nan in it, which is not equal to itself
    assert probe.step


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_what_a_probe_records(optimizer: Any) -> None:
    run = config(optimizer=optimizer, dtype=DOUBLE)
    probe = probe_of(run)
    history = train(run, on_start=probe.watch)
    assert probe.step == [0, 4, 8, 12]
    assert probe.lr == [history.lr[step] for step in probe.step]

    at_step: dict[int, list[Tensor]] = {0: list(run.make_model().parameters())}

    def copy(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.register_step_post_hook(
            lambda *_: at_step.update({len(at_step): [p.detach().clone() for p in model.parameters()]})
        )

    train(run, on_start=copy)
    model, measured_on = run.make_model(), (squared_error, probe.x, probe.y)
    for row, step in enumerate(probe.step):
        for p, then in zip(model.parameters(), at_step[step], strict=True):
            p.data = then.data
        assert probe.sharpness[row] == sharpness(model, *measured_on)
        assert probe.gradient_norm[row] == gradient_norm(model, *measured_on)
        assert probe.update_size[row] == update_size(at_step[step], at_step[step + 1])


def test_a_probe_looks_closely_at_the_first_steps() -> None:
    run = config()
    close, coarse = probe_of(run, every=1), probe_of(run)
    coarse.first = 3
    train(run, on_start=close.watch)
    train(run, on_start=coarse.watch)
    assert coarse.step == [0, 1, 2, 4, 8, 12]
    assert coarse.sharpness == [close.sharpness[step] for step in coarse.step]
    assert coarse.update_size == [close.update_size[step] for step in coarse.step]


def test_on_all_rows_at_once_a_step_of_sgd_is_lr_times_gradient() -> None:
    run = config(batch_size=1437, dtype=DOUBLE)
    probe = probe_of(run, every=1, rows=1437)
    train(run, on_start=probe.watch)
    expected = [lr * norm for lr, norm in zip(probe.lr, probe.gradient_norm, strict=True)]
    assert len(expected) == 13
    assert [size.norm for size in probe.update_size] == pytest.approx(expected, rel=1e-9)


def test_the_first_step_of_adam_moves_each_weight_by_the_lr() -> None:
    run = config(optimizer="Adam", peak_lr=0.01, warmup_steps=0, total_steps=1, model=lambda: MLP(hidden=[], gain=3))
    probe = probe_of(run)
    train(run, on_start=probe.watch)
    # Pixels that are the same in all training rows are 0: their ten weights have no gradient, and stay.
    moved = 10 * (1 + (run.load_data().x_train != 0).any(dim=0).sum().item())
    assert moved < 650
    assert probe.update_size[0].rms == pytest.approx(0.01 * math.sqrt(moved / 650), rel=1e-3)


def test_the_linear_model_is_equally_sharp_all_along() -> None:
    run = config(model=lambda: MLP(hidden=[]))
    probe = probe_of(run, every=1)
    history = train(run, on_start=probe.watch)
    assert history.batch_loss[-1] < 0.5 * history.batch_loss[0]
    assert probe.sharpness == pytest.approx([probe.sharpness[0]] * 13, rel=1e-3)


def test_a_run_that_diverges_is_recorded_to_its_end() -> None:
    run = config(peak_lr=1e6, warmup_steps=0)
    probe = probe_of(run, every=1)
    history = train(run, on_start=probe.watch)
    assert history.outcome == "diverged"
    assert probe.step == list(range(len(history.batch_loss)))
    assert len(probe.update_size) == len(probe.sharpness) == len(probe.step)
    assert probe.sharpness[1] > 1e6 * probe.sharpness[0]


def test_each_run_needs_a_new_probe() -> None:
    run = config(total_steps=6)
    probe = probe_of(run)
    train(run, on_start=probe.watch)
    with pytest.raises(ValueError, match=r"new Probe.*2 measurements"):
        train(run, on_start=probe.watch)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda *case: sharpness(*case, tolerance=0), ["tolerance", "more than 0", "got 0"]),
        (lambda *case: sharpness(*case, tolerance=-1), ["tolerance", "-1"]),
        (lambda *case: sharpness(*case, max_rounds=0), ["max_rounds", "at least 1", "0"]),
        (lambda *case: sharpness(*case, seed=0.5), ["seed", "0.5"]),
        (lambda *case: gradient_noise(*case, batch_size=0), ["batch_size", "at least 1", "0"]),
        (lambda *case: gradient_noise(*case, 2, batches=0), ["batches", "at least 1", "0"]),
        (lambda *case: gradient_noise(*case, 2, seed=-1), ["seed", "-1"]),
        (lambda model, *rest: Probe(*rest, every=0), ["every", "at least 1", "0"]),
        (lambda model, *rest: Probe(*rest, first=-1), ["first", "at least 0", "-1"]),
        (lambda model, loss, x, y: sharpness(model, loss, x, y[:5]), ["x and y", "6 and 5"]),
        (lambda model, loss, x, y: gradient_norm(model, loss, x[:0], y[:0]), ["x and y", "0 and 0"]),
        (lambda model, loss, x, y: gradient_noise(model, loss, x[:4], y, 2), ["x and y", "4 and 6"]),
        (lambda model, *_: update_size(model.parameters(), []), ["before and after", "[(3, 4), (3,)] and []"]),
        (lambda model, *_: update_size([], []), ["before and after", "[] and []"]),
        (lambda model, *_: update_size([torch.ones(1)], [torch.ones(3)]), ["before and after", "[(1,)] and [(3,)]"]),
    ],
)
def test_bad_arguments_are_named(call: Any, names: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        call(made(lambda: MLP(4, 3, hidden=[])), squared_error, random(6, 4), labels(6))
    assert all(name in str(error.value) for name in names)
