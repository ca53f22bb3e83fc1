"""Probes against whole Hessians, gradients row by row, closed forms and calculation by hand."""

import math
from collections import Counter
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


def made(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double()


def whole_hessian(model: nn.Module, loss_function: Any, x: Tensor, y: Tensor) -> Tensor:
    """In the trainable weights."""
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    start = torch.cat([p.flatten() for p in trained.values()])

    def loss(vector: Tensor) -> Tensor:
        pieces = vector.split([p.numel() for p in trained.values()])
        weights = {name: v.view_as(p) for (name, p), v in zip(trained.items(), pieces, strict=True)}
        return loss_function(functional_call(model, weights, (x,)), y)

    return hessian(loss, start, vectorize=True)


def hessian_eigenvalues(*case: Any) -> Tensor:
    """All of them, upwards."""
    return torch.linalg.eigvalsh(whole_hessian(*case))


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
    for seed in range(2):
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


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", MODELS)
def test_sharpness_is_the_largest_eigenvalue_of_the_whole_matrix(name: str, loss: Any) -> None:
    """Without a preconditioner P, and with one."""
    make, shape = MODELS[name]
    case = made(make), LOSSES[loss], random(11, *shape), labels(11)
    divisor = [random(*p.shape, seed=i).exp() for i, p in enumerate(case[0].parameters())]
    flat = torch.cat([p.flatten() for p in divisor])
    matrix = whole_hessian(*case)
    plain = torch.linalg.eigvalsh(matrix)[-1].item()
    assert sharpness(*case, tolerance=1e-7) == pytest.approx(plain, rel=1e-7)
    assert sharpness(*case) == pytest.approx(plain, rel=1e-3)
    exact = torch.linalg.eigvalsh(flat.rsqrt()[:, None] * matrix * flat.rsqrt())[-1].item()
    # P^-1 H is not symmetric; its eigenvalues are the same.
    assert torch.linalg.eigvals(matrix / flat[:, None]).real.max().item() == pytest.approx(exact, rel=1e-8)
    assert sharpness(*case, preconditioner=divisor, tolerance=1e-7) == pytest.approx(exact, rel=1e-7)
    assert sharpness(*case, preconditioner=iter(divisor)) == pytest.approx(exact, rel=1e-3)
    assert exact != pytest.approx(plain, rel=0.05)


def test_only_the_weights_that_are_trained_have_a_preconditioner() -> None:
    model = made(lambda: MLP(4, 3, hidden=[5]))
    model[0].requires_grad_(False)
    case = model, squared_error, random(9, 4), labels(9)
    divisor = [random(3, 5).exp(), random(3, seed=1).exp()]
    flat = torch.cat([p.flatten() for p in divisor])
    exact = torch.linalg.eigvalsh(flat.rsqrt()[:, None] * whole_hessian(*case) * flat.rsqrt())[-1].item()
    assert sharpness(*case, preconditioner=divisor, tolerance=1e-8) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize(("share", "arrives"), [(0.99, True), (1.01, False)])
def test_the_limit_of_adam_whose_divisor_stays_is_38_over_lr(share: float, arrives: bool) -> None:
    """torch's own Adam on a bowl, late, with a beta2 at which its average v stays as it is given."""
    model, loss, x, y = bowl([1.0, 5.0, 30.0])
    v, beta2, updates = random(1, 3, seed=1).exp(), 1 - 1e-15, 1e12
    lr = share * 2 * (1 + 0.9) / (1 - 0.9) / sharpness(model, loss, x, y, preconditioner=[v.sqrt()], tolerance=1e-9)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, beta2), eps=0)
    optimizer.state[model.weight] = {
        "step": torch.tensor(updates, dtype=DOUBLE),
        "exp_avg": torch.zeros(1, 3, dtype=DOUBLE),
        "exp_avg_sq": v * (1 - beta2**updates),
    }
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        losses.append(loss(model(x), y))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.01 * losses[0] if arrives else losses[-1] > 100 * losses[0]


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


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature() -> None:
    assert sharpness(nn.Linear(2, 1), lambda outputs, _: outputs.mean(), torch.ones(3, 2), torch.zeros(3)) == 0


# --- gradients and updates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_norm_is_that_of_backward(loss: Any) -> None:
    model, x, y = made(lambda: MLP(4, 3, hidden=[5])), random(9, 4), labels(9)
    expected = row_gradients(model, LOSSES[loss], x, y).mean(dim=0).norm().item()
    assert gradient_norm(model, LOSSES[loss], x, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("loss", "batch_size"), [("squared_error", 1), ("cross_entropy", 4), ("squared_error", 32)])
def test_gradient_noise_is_the_covariance_of_the_rows_gradients(loss: Any, batch_size: int) -> None:
    case = made(lambda: MLP(4, 3, hidden=[5])), LOSSES[loss], random(20, 4), labels(20)
    rows = row_gradients(*case)
    exact = (rows.var(dim=0, correction=0).sum() / rows.mean(dim=0).square().sum()).item()
    estimates = [gradient_noise(*case, batch_size, batches=40, seed=seed) for seed in range(20)]
    mean, error = torch.tensor(estimates).mean().item(), torch.tensor(estimates).std().item() / math.sqrt(20)
    assert error < 0.06 * exact
    assert abs(mean - exact) < 4 * error


def test_gradient_noise_draws_every_row_as_often() -> None:
    drawn: Counter[int] = Counter()

    def loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        drawn.update(y.tolist())
        return outputs.square().mean()

    gradient_noise(nn.Linear(4, 1), loss, torch.ones(5, 4), torch.arange(5), batch_size=10, batches=50)
    assert [drawn[row] for row in range(5)] == pytest.approx([100] * 5, rel=0.4)  # four standard deviations


@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_noise_of_two_rows_one_at_a_time_has_no_spread(seed: int) -> None:
    case = made(lambda: MLP(4, 3, hidden=[5])), squared_error, random(2, 4), labels(2)
    one, two = row_gradients(*case)
    exact = ((one - two).square().sum() / (one + two).square().sum()).item()
    assert gradient_noise(*case, batch_size=1, batches=3, seed=seed) == pytest.approx(exact, rel=1e-12)


def test_update_size_of_several_tensors() -> None:
    before = [torch.tensor([[6.0, 0.0], [0.0, 0.0]]), torch.tensor([8.0, 0, 0, 0, 0])]
    after = [torch.tensor([[6.0, 3.0], [0.0, 0.0]]), torch.tensor([8.0, 0, 0, 0, -4])]
    assert update_size(before, after) == pytest.approx((5.0, 5 / 3))
    assert update_size(iter(before), iter(after)) == update_size(before, after)
    assert update_size([torch.zeros(4)], [torch.ones(4)]) == (2, 1)


def test_numbers_whose_squares_overflow_have_a_size() -> None:
    huge, weights = torch.tensor([3e30, 4e30]), nn.Linear(2, 1, bias=False)
    assert update_size([torch.ones(2)], [huge]).norm == pytest.approx(5e30, rel=1e-6)
    assert gradient_norm(weights, lambda outputs, y: outputs.sum(), huge[None], torch.zeros(1)) == pytest.approx(5e30)


# --- along a run -----------------------------------------------------------------------------------------------------


def config(**changes: Any) -> TrainConfig:
    fields = {"model": lambda: MLP(hidden=[12]), "loss": "squared_error", "device": "cpu", "total_steps": 13}
    return TrainConfig(**{**fields, "peak_lr": 0.05, "warmup_steps": 6, **changes})


def probe_of(run: TrainConfig, every: int = 4) -> Probe:
    data = run.load_data()
    return Probe(LOSSES[run.loss], data.x_train[:100], data.y_train[:100], every=every)


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


def test_a_tensor_lr_is_recorded_as_it_was() -> None:
    model, lr = nn.Linear(3, 3), torch.tensor(0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    probe = Probe(squared_error, torch.ones(2, 3), labels(2), every=1)
    probe.watch(model, optimizer)
    for now in (0.25, 0.5):
        lr.fill_(now)
        squared_error(model(torch.ones(2, 3)), labels(2)).backward()
        optimizer.step()
    assert probe.lr == [0.25, 0.5]


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


def test_a_run_that_diverges_is_recorded_to_its_end() -> None:
    run = config(peak_lr=1e6, warmup_steps=0)
    probe = probe_of(run, every=1)
    history = train(run, on_start=probe.watch)
    assert history.outcome == "diverged"
    assert probe.step == list(range(len(history.batch_loss)))
    assert len(probe.update_size) == len(probe.sharpness) == len(probe.step)
    assert probe.sharpness[1] > 1e6 * probe.sharpness[0]


def test_who_calls_watch_twice_before_the_run_is_told() -> None:
    model = nn.Linear(2, 2)
    probe = Probe(nn.functional.cross_entropy, torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64))
    probe.watch(model, torch.optim.SGD(model.parameters()))
    with pytest.raises(ValueError, match=r"new Probe.*0 measurements"):
        probe.watch(model, torch.optim.SGD(model.parameters()))


def test_a_part_that_is_frozen_in_evaluation_mode_stays_so() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    model[1].eval()
    x, y = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Probe(nn.functional.cross_entropy, x, y).watch(model, optimizer)
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    assert [module.training for module in model.modules()] == [True, True, False, True]
