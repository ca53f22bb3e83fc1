"""sweep() against train(), run by run; the grid's shape; what cannot be swept; memory and progress."""

import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from warmup_course.data import docstrings
from warmup_course.model import MLP, ConvNet, TinyGPT, TinyTransformer
from warmup_course.shapes import DECAYS, WARMUPS
from warmup_course.stacked import StackedMLP
from warmup_course.sweep import sweep
from warmup_course.training import LOSSES, TrainConfig, train

BY_EPOCH = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
GRID: dict[str, Any] = {"peak_lr": [0.003, 0.01], "warmup_steps": [0, 7], "seed": [0, 5]}


def small_mlp() -> nn.Module:
    return MLP(64, 10, hidden=[12])


RUN_BYTES = (sum(p.numel() for p in small_mlp().parameters()) + 64 * 64) * 8  # its parameters and batch, in float64


def config(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"model": small_mlp, "device": "cpu", "total_steps": 30, "dtype": torch.float64, **changes})


def padded(values: list[float], length: int) -> list[float]:
    return values + [np.nan] * (length - len(values))


def assert_agrees(runs: xr.Dataset, base: TrainConfig, axes: dict[str, Any], tolerance: float) -> set[str]:
    """Every cell of the grid holds what train() gives; returns the outcomes seen."""
    outcomes = set()
    for cell in itertools.product(*(range(len(values)) for values in axes.values())):
        chosen = {name: values[i] for (name, values), i in zip(axes.items(), cell, strict=True)}
        history = train(replace(base, **chosen))
        run = runs.isel(dict(zip(axes, cell, strict=True)))
        for name in ("lr", "batch_loss", *BY_EPOCH):
            expected = padded(getattr(history, name), run[name].size)
            if history.outcome == "diverged" and name == "batch_loss":  # inf or nan: either says it
                last = len(history.batch_loss) - 1
                assert not np.isfinite(run.batch_loss[last])
                expected[last] = run.batch_loss.values[last]
            message = f"{name} of {chosen}"
            np.testing.assert_allclose(run[name], expected, rtol=tolerance, atol=tolerance, err_msg=message)
        assert run.outcome.item() == history.outcome, chosen
        assert run.epoch_step.values[: len(history.epoch_step)].tolist() == history.epoch_step
        outcomes.add(history.outcome)
    return outcomes


def shrunk(optimizer: torch.optim.Optimizer, step: int) -> None:
    for p in optimizer.param_groups[0]["params"]:
        p.grad *= 0.1 if step == 2 else 1


RULES: list[dict[str, Any]] = [
    {"optimizer": "SGD"},
    {"optimizer": "SGD", "weight_decay": 0.1},
    {"optimizer": "SGD", "momentum": 0.9},
    {"optimizer": "SGD", "momentum": 0.8, "weight_decay": 0.1},
    {"optimizer": "SGD", "clip_norm": 0.5},
    {"optimizer": "SGD", "before_step": shrunk},
    {"optimizer": "AdamW", "clip_norm": 0.5, "weight_decay": 0.5, "before_step": shrunk},
    {"optimizer": "Adam"},
    {"optimizer": "Adam", "weight_decay": 0.1, "betas": (0.5, 0.9)},
    {"optimizer": "AdamW"},
    {"optimizer": "AdamW", "weight_decay": 0.5},
]


def named(rule: dict[str, Any]) -> str:
    """The same in each process."""
    return str({name: getattr(value, "__name__", value) for name, value in rule.items()})


# In their order, each optimizer, and SGD with and without momentum, meets both losses.
ALTERNATING = [
    pytest.param(rule, loss, id=f"{named(rule)}-{loss}")
    for rule, loss in zip(RULES, itertools.cycle(LOSSES), strict=False)
]


@pytest.mark.parametrize(("rule", "loss"), ALTERNATING)
@pytest.mark.parametrize(
    ("dtype", "steps", "batch_size", "tolerance"), [(torch.float64, 30, 64, 1e-9), (torch.float32, 5, 500, 1e-5)]
)
def test_agrees_with_train(
    dtype: torch.dtype, steps: int, batch_size: int, tolerance: float, rule: dict[str, Any], loss: Any
) -> None:
    base = config(loss=loss, decay="cosine", total_steps=steps, batch_size=batch_size, dtype=dtype, **rule)
    axes = {**GRID, "warmup_steps": [0, 4]}
    assert_agrees(sweep(base, **axes), base, axes, tolerance)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_agrees_with_train_for_transformers(norm: Any) -> None:
    model = partial(TinyTransformer, norm, layers=1, width=8, heads=2)
    base = config(data="digit_tokens", model=model, optimizer="Adam", total_steps=8)
    axes: dict[str, Any] = {"peak_lr": [0.001, 0.01], "seed": [0, 1]}
    assert_agrees(sweep(base, **axes), base, axes, 1e-9)


@pytest.mark.parametrize(("norm", "loss"), [("pre", "cross_entropy"), ("post", "squared_error")])
def test_agrees_with_train_on_text(norm: Any, loss: Any) -> None:
    text = docstrings(tokens=8, train_rows=300, valid_rows=70)
    model = partial(TinyGPT, norm, tokens=8, layers=2, width=8, heads=2)
    base = config(data=text, model=model, loss=loss, optimizer="AdamW", weight_decay=0.1, total_steps=6)
    axes: dict[str, Any] = {"peak_lr": [0.001, 0.01], "seed": [0, 1]}
    assert_agrees(sweep(base, **axes), base, axes, 1e-9)
    base = replace(base, dtype=torch.float32)
    runs = sweep(base, **axes)
    assert runs.batch_loss.dtype == runs.valid_loss.dtype == np.float32
    assert_agrees(runs, base, axes, 1e-4)


@pytest.mark.parametrize(
    "axes",
    [
        {"warmup": [*WARMUPS], "start_factor": [0.1, 0.5]},
        {"decay": [*DECAYS], "end_factor": [0.0, 0.4], "stable_steps": [0, 3]},
        {"count_from": [0, 1], "warmup_steps": [0, 5]},
        {"weight_decay": [0.0, 0.3], "momentum": [0.0, 0.5, 0.9]},
        {"clip_norm": [0.1, 1.0, math.inf]},
        {"optimizer": ["AdamW", "SGD", "Adam"], "seed": [2, 0, 1]},
        {"loss": ["squared_error", "cross_entropy"], "peak_lr": [0.02, 0.01]},
        {"trained_above": [0.0, 1.0], "peak_lr": [0.02, 0.01]},
    ],
    ids=lambda axes: " x ".join(axes),
)
def test_every_axis_agrees_with_train(axes: dict[str, Any]) -> None:
    base = config(total_steps=12, batch_size=500, warmup_steps=4, peak_lr=0.02)
    assert_agrees(sweep(base, **axes), base, axes, 1e-9)


def test_a_function_of_the_step_agrees_with_train() -> None:
    base = config(total_steps=6, lr_lambda=lambda step: 1 if step < 3 else 1 / step)
    axes = {"peak_lr": [0.05, 0.02]}
    assert_agrees(sweep(base, **axes), base, axes, 1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_diverged_runs_end_as_in_train_and_leave_the_others_alone(optimizer: Any, loss: Any) -> None:
    huge = 1e12 if optimizer == "SGD" else 1e200
    base = config(loss=loss, optimizer=optimizer, batch_size=300, total_steps=20)
    axes: dict[str, Any] = {"peak_lr": [0.01, huge], "seed": [0, 1]}
    runs = sweep(base, **axes)
    assert "diverged" in assert_agrees(runs, base, axes, 1e-6)
    alone = sweep(base, peak_lr=[0.01], seed=[0, 1])
    xr.testing.assert_allclose(runs.isel(peak_lr=[0]), alone, rtol=1e-12)


def test_outputs_that_are_no_numbers_count_as_in_train() -> None:
    """The loss before the only update is finite, and every output after it is NaN."""
    overflows = TrainConfig(total_steps=1, peak_lr=1e30, device="cpu")
    alone, run = train(overflows), sweep(overflows, seed=[0]).isel(seed=0)
    assert alone.outcome == run.outcome.item() == "diverged"
    for name in BY_EPOCH:
        np.testing.assert_allclose(run[name], getattr(alone, name), rtol=1e-6)


def test_a_run_that_diverges_in_a_later_epoch_keeps_its_first_epochs() -> None:
    # A linear model grows steadily; in a deep one rounding, and so the processor, decides what the last epochs show.
    linear = partial(MLP, 64, 10, hidden=[])
    base = config(model=linear, loss="squared_error", batch_size=500, total_steps=30, warmup="cosine", warmup_steps=30)
    axes: dict[str, Any] = {"peak_lr": [0.1, 1e20], "start_factor": [0.0, 1e-21]}
    runs = sweep(base, **axes)
    assert_agrees(runs, base, axes, 1e-6)
    reached = np.isfinite(runs.train_loss).sum("epoch")
    assert (reached > 0).any()
    assert (reached < 10).any()


# --- modules of the learner's own ------------------------------------------------------------------------------------


class Scaled(nn.Module):
    """A module with a name for everything: shared weights, a constant buffer, and a random one for each seed."""

    scale: Tensor
    features: Tensor

    def __init__(self, random_buffer: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 10), nn.Linear(16, 10)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.tensor(0.5))
        draw = torch.randn(64, 16) if random_buffer else torch.linspace(-1, 1, 64 * 16).reshape(64, 16)
        self.register_buffer("features", draw)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.scale * x @ self.features)
        return self.first(h) + self.second(h.square())


class PartlyUsed(nn.Module):
    """A layer that nothing uses and a layer that is frozen."""

    def __init__(self, frozen: bool, unused: bool) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(64, 8), nn.Linear(8, 10)
        if frozen:
            self.body.requires_grad_(False)
        if unused:
            self.spare = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(x)))


class Counted(nn.Linear):
    """A layer that counts its calls."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counted.calls += 1
        return super().forward(x)


class Moody(nn.Linear):
    """A layer that computes something else in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.0 if self.training else -3.0)


class Named(nn.Module):
    """A module that keeps a layer under the name "dropout"."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.dropout = nn.Linear(64, 10), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.layer(x))


class Block(nn.Module):
    """One of torch's own encoder layers over the 8 rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(x.unflatten(1, (8, 8))).flatten(1))


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch's fused attention under vmap
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: Moody(64, 10), id="evaluation mode"),
        pytest.param(lambda: Scaled(False), id="tied weights and constant buffers"),
        pytest.param(lambda: Scaled(True), id="buffers that depend on the seed"),
        pytest.param(lambda: PartlyUsed(frozen=False, unused=False), id="plain"),
        pytest.param(lambda: PartlyUsed(frozen=True, unused=False), id="a frozen layer"),
        pytest.param(lambda: PartlyUsed(frozen=False, unused=True), id="an unused layer"),
        pytest.param(lambda: nn.Sequential(nn.Linear(64, 9), nn.LayerNorm(9), nn.GELU(), nn.Linear(9, 10)), id="norm"),
        pytest.param(
            lambda: nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(108, 10)),
            id="convolution",
        ),
        pytest.param(Named, id="dropout of 0"),
        pytest.param(Block, id="dropout of 0 inside"),
    ],
)
def test_agrees_with_train_for_the_learners_own_module(model: Any) -> None:
    base = config(model=model, total_steps=6, batch_size=500, optimizer="AdamW", weight_decay=0.1)
    axes: dict[str, Any] = {"peak_lr": [0.01, 0.03], "seed": [0, 4, 2]}
    assert_agrees(sweep(base, **axes), base, axes, 1e-9)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.Dropout(0.1), "Dropout"),
        (nn.AlphaDropout(0.1), "AlphaDropout"),
        (nn.BatchNorm1d(64), "BatchNorm1d"),
        (nn.BatchNorm1d(64, track_running_stats=False), "BatchNorm1d"),
        (nn.SyncBatchNorm(64), "SyncBatchNorm"),
        (nn.InstanceNorm1d(64, track_running_stats=True), "InstanceNorm1d"),
        (nn.MultiheadAttention(8, 2, dropout=0.1), "MultiheadAttention"),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1), "(TransformerEncoderLayer|MultiheadAttention)"),
        (nn.LSTM(64, 8, 2, dropout=0.1), "LSTM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_dropout_and_batch_statistics_are_refused(layer: nn.Module, name: str) -> None:
    model = nn.Sequential(nn.Linear(64, 10), nn.Sequential(layer))
    with pytest.raises(ValueError, match=rf"model must have neither dropout nor batch statistics.*{name}.*1\.0"):
        sweep(config(model=lambda: model, total_steps=1), seed=[0, 1])


def test_evaluated_at_the_end_only_agrees_with_train_and_keeps_the_last_epoch() -> None:
    base = config(total_steps=50, evaluate="end")
    axes: dict[str, Any] = {"peak_lr": [0.05, 0.1, 1e4], "seed": [0, 5]}
    runs = sweep(base, **axes)
    assert "diverged" in assert_agrees(runs, base, axes, 1e-9)
    assert dict(runs.train_loss.sizes) == {"peak_lr": 3, "seed": 2, "epoch": 1}
    each_epoch = sweep(replace(base, evaluate="epoch"), **axes)
    assert each_epoch.epoch.values.tolist() == [1, 2, 3]
    xr.testing.assert_identical(runs, each_epoch.isel(epoch=[-1]))


# --- the grid --------------------------------------------------------------------------------------------------------


def test_the_result_is_labelled_by_the_axes_in_their_order() -> None:
    runs = sweep(config(total_steps=24), seed=[3, 1], peak_lr=[0.1, 0.2, 0.4], warmup=["cosine", "linear"])
    sizes = {"seed": 2, "peak_lr": 3, "warmup": 2}
    by_step: dict[str, dict[str, int]] = {"lr": {"step": 24}, "batch_loss": {"step": 24}, "outcome": {}}
    for name, extra in (by_step | {name: {"epoch": 2} for name in BY_EPOCH}).items():
        assert dict(runs[name].sizes) == sizes | extra
        assert runs[name].dims == (*sizes, *extra)
    assert set(runs.data_vars) == {"lr", "batch_loss", "outcome", *BY_EPOCH}
    assert runs.seed.values.tolist() == [3, 1]
    assert runs.peak_lr.values.tolist() == [0.1, 0.2, 0.4]
    assert runs.warmup.values.tolist() == ["cosine", "linear"]
    assert runs.step.values.tolist() == list(range(24))
    assert runs.epoch.values.tolist() == [1, 2]
    assert runs.epoch_step.values.tolist() == [23, 24]
    assert runs.sel(seed=1, peak_lr=0.2, warmup="linear").outcome.item() in {"trained", "slow", "stalled", "diverged"}


@pytest.mark.parametrize("seeds", [range(3), (0, 1, 2), np.arange(3), iter([0, 1, 2])], ids=lambda v: type(v).__name__)
def test_axes_may_be_any_list_of_values(seeds: Any) -> None:
    runs = sweep(config(total_steps=2), seed=seeds)
    assert runs.seed.values.tolist() == [0, 1, 2]
    np.testing.assert_allclose(runs.batch_loss[1], train(config(total_steps=2, seed=1)).batch_loss, rtol=1e-9)


@pytest.mark.parametrize("seeds", [[4, 4], [0, 1, np.int64(0)], torch.zeros(2, dtype=torch.int64)])
def test_a_value_that_comes_twice_is_refused(seeds: Sequence[int]) -> None:
    """One network would count as several."""
    with pytest.raises(ValueError, match="seed must be a list with each value once, got"):
        sweep(config(total_steps=2), seed=seeds)


class DroppedOut(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.1, training=self.training))


class Reading(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 if x.sum().item() > 0 else 2)


@pytest.mark.parametrize("model", [lambda: DroppedOut(64, 10), lambda: Reading(64, 10)])
def test_a_module_that_cannot_be_stacked_is_refused_before_any_step(model: Callable[[], nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"model must be a module for torch\.func\.vmap: without randomness, \.item"):
        sweep(config(model=model, total_steps=2), seed=[0, 1])


def same_runs(first: xr.Dataset, second: xr.Dataset) -> None:
    xr.testing.assert_allclose(first.drop_vars("outcome"), second.drop_vars("outcome"), rtol=1e-11)
    assert (first.outcome.values == second.outcome.values).all()


@pytest.mark.parametrize("rule", [{}, {"momentum": 0.9}, {"optimizer": "Adam"}], ids=str)
@pytest.mark.parametrize("runs_per_stack", [1, 3])
def test_the_numbers_do_not_depend_on_the_stacks(
    runs_per_stack: int, rule: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = config(total_steps=25, **rule)
    whole = sweep(base, **GRID)
    monkeypatch.setattr(StackedMLP, "BYTES", RUN_BYTES * runs_per_stack)
    stacks: list[int] = []

    def progress(steps: range) -> range:
        stacks.append(len(steps) // 25)
        return steps

    same_runs(sweep(base, progress=progress, **GRID), whole)
    assert stacks == [{1: 8, 3: 3}[runs_per_stack]]


class Summed(nn.Linear):
    def __init__(self) -> None:
        super().__init__(64, 10)
        self.shift = nn.Parameter(torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias + self.shift)


@pytest.mark.parametrize("rule", [{"clip_norm": 0.1}, {"before_step": shrunk}], ids=lambda rule: next(iter(rule)))
def test_parameters_with_one_gradient_for_both_agree_with_train(rule: dict[str, Any]) -> None:
    base, axes = config(model=Summed, total_steps=5, **rule), {**GRID, "warmup_steps": [0, 3]}
    assert_agrees(sweep(base, **axes), base, axes, 1e-9)


@pytest.mark.parametrize(
    "model", [small_mlp, ConvNet, lambda: Scaled(True), lambda: PartlyUsed(frozen=True, unused=True)]
)
def test_kept_models_are_those_of_train(model: Callable[[], nn.Module]) -> None:
    base = config(model=model, data="waveforms" if model is ConvNet else "digits", total_steps=5)
    axes: dict[str, Any] = {"peak_lr": [0.05, 0.02], "seed": [3, 0, 1]}
    runs = sweep(base, keep_models=[5, 0, 2], **axes)
    assert runs.model.dims == (*axes, "before")
    assert runs.before.values.tolist() == [0, 2, 5]
    for peak_lr, seed, before in itertools.product(*axes.values(), (0, 2, 5)):
        run = replace(base, peak_lr=peak_lr, seed=seed, total_steps=max(before, 1))
        expected = train(run).model if before else run.make_model()
        kept = runs.model.sel(peak_lr=peak_lr, seed=seed, before=before).item()
        torch.testing.assert_close(kept.state_dict(), expected.state_dict(), rtol=1e-9, atol=1e-9)


def test_the_numbers_do_not_depend_on_the_order_of_the_runs() -> None:
    base = config(total_steps=25)
    backwards = sweep(base, **{name: GRID[name][::-1] for name in ("seed", "warmup_steps", "peak_lr")})
    same_runs(backwards.sortby([*GRID]).transpose(*GRID, ...), sweep(base, **GRID))


def test_the_global_random_state_is_left_alone_and_does_not_matter() -> None:
    before = torch.get_rng_state()
    first = sweep(config(total_steps=3), seed=[0, 1])
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        xr.testing.assert_identical(sweep(config(total_steps=3), seed=[0, 1]), first)


def test_all_runs_go_through_the_model_at_once() -> None:
    counts = []
    for lrs in ([0.1], [0.1, 0.2, 0.3, 0.4, 0.5]):
        Counted.calls = 0
        sweep(config(model=lambda: Counted(64, 10), total_steps=4), peak_lr=lrs)
        counts.append(Counted.calls)
    assert counts[0] == counts[1]


def test_a_sweep_has_an_axis() -> None:
    with pytest.raises(ValueError, match=r"axes must be a list of values for at least one of .*peak_lr.* got {}"):
        sweep(config())


# --- progress and memory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs_per_stack", [1, 100])
def test_progress_counts_every_step_and_is_driven_to_its_end(
    runs_per_stack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StackedMLP, "BYTES", RUN_BYTES * runs_per_stack)
    seen: list[int] = []
    closed = []

    def progress(steps: range) -> Iterator[int]:
        for step in steps:
            seen.append(step)
            yield step
        closed.append(len(steps))

    sweep(config(total_steps=4), progress=progress, seed=[0, 1, 2])
    expected = 4 * (3 if runs_per_stack == 1 else 1)
    assert seen == list(range(expected))
    assert closed == [expected]


def test_progress_that_raises_stops_the_sweep() -> None:
    def progress(steps: range) -> Iterator[int]:
        Counted.calls = 0  # sweep has looked at the model
        yield from steps[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(config(model=lambda: Counted(64, 10), total_steps=20), progress=progress, seed=[0, 1])
    assert Counted.calls == 3


def test_a_short_sweep_shows_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    sweep(config(total_steps=2), seed=[0])
    assert capsys.readouterr() == ("", "")


MEMORY = """
import resource, torch
from warmup_course import Dataset, sweep
from warmup_course.model import MLP
from warmup_course.stacked import StackedMLP
from warmup_course.training import TrainConfig

torch.set_num_threads(1)
model = lambda: MLP(10, 2, hidden=[512, 512])
run_bytes = 4 * sum(p.numel() for p in model().parameters())
StackedMLP.BYTES = 8 * run_bytes
x, y = torch.randn(16, 10), torch.arange(16) % 2
data = Dataset("noise", x, y, x, y, 2)
config = TrainConfig(data=data, model=model, device="cpu", total_steps=2, batch_size=8, optimizer="Adam")
peaks = []
for stacks in (1, 12):
    sweep(config, peak_lr=[0.001 + 1e-6 * run for run in range(8 * stacks)])
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(8 * run_bytes // 1024, *peaks)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the resource module is POSIX")
@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_grid() -> None:
    output = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True).stdout
    stack, first, many = (int(number) for number in output.split())
    if sys.platform == "darwin":  # bytes there, kilobytes on Linux
        first, many = first // 1024, many // 1024
    assert many - first < 10 * stack  # all at once would add 11 stacks of weights, gradients and two moments


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("rule", [{}, {"optimizer": "AdamW", "weight_decay": 0.1}], ids=str)
def test_agrees_with_train_on_a_gpu(rule: dict[str, Any]) -> None:
    base = config(device="cuda", **rule)
    assert_agrees(sweep(base, **GRID), base, GRID, 1e-9)


def test_on_epoch_is_given_what_shorter_sweeps_end_with():
    config = TrainConfig(peak_lr=0.1, loss="squared_error", total_steps=60)
    seen = []
    runs = sweep(config, on_epoch=lambda so_far: seen.append(so_far()), peak_lr=[0.05, 1e4], seed=range(2))
    assert len(seen) == 3
    for so_far, steps in zip(seen, (23, 46, 60), strict=True):
        shorter = sweep(replace(config, total_steps=steps), peak_lr=[0.05, 1e4], seed=range(2))
        np.testing.assert_array_equal(so_far.batch_loss[..., :steps], shorter.batch_loss)
        assert so_far.batch_loss[..., steps:].isnull().all()
        np.testing.assert_array_equal(so_far.valid_loss[..., : shorter.epoch.size], shorter.valid_loss)
        assert (so_far.outcome == shorter.outcome).all()
    xr.testing.assert_identical(seen[-1], runs)


def test_on_epoch_knows_runs_that_have_not_begun():
    seen = []
    base = TrainConfig(total_steps=10)
    sweep(base, on_epoch=lambda so_far: seen.append(so_far()), optimizer=["SGD", "Adam"], seed=range(2))
    assert (seen[0].outcome.sel(optimizer="SGD") != "").all()
    assert (seen[0].outcome.sel(optimizer="Adam") == "").all()
    assert seen[0].lr.sel(optimizer="Adam").isnull().all()
