"""Many training runs at once: the models of a grid stacked into one, with torch.func."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from warmup_course.data import Dataset, batch_order
from warmup_course.training import LOSSES, TrainConfig, outcome

if TYPE_CHECKING:
    import xarray as xr

# One stacked model needs one shape, one data set and one number of steps; a function is no label of an axis.
FIXED = ("data", "model", "batch_size", "total_steps", "lr_lambda", "evaluate", "device", "dtype")
SWEEPABLE = tuple(f.name for f in fields(TrainConfig) if f.name not in FIXED)
# Of the sweepable fields, those that all runs of one stack share: its update rule, and how they are judged.
SHARED = ("loss", "optimizer", "momentum", "weight_decay", "trained_above")

# Parameters and batches of one stack, in bytes. It bounds the memory; larger stacks are hardly faster.
STACK_BYTES = {"cpu": 2**23, "cuda": 2**28}
EVALUATION_ROWS = 128
EPOCH_METRICS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


def sweep(
    config: TrainConfig,
    *,
    progress: Callable[[range], Iterable[int]] | None = None,
    on_epoch: Callable[[Callable[[], "xr.Dataset"]], None] | None = None,
    **axes: Sequence[Any],
) -> "xr.Dataset":
    """Train every combination of the given values, and give the same numbers as ``train`` run by run.

    Args:
        config: what all runs share.
        progress: wraps the range of training steps while they are counted through; by default a progress bar that
            appears when the sweep takes longer than two seconds. An exception from it ends the sweep.
        on_epoch: is called after each evaluation, with a function that gives the result so far, with NaN for what is
            still to come. Its outcomes are those of runs that would end there; that of a run not yet begun is "".
        axes: lists of values for fields of TrainConfig that leave the shapes alone, such as ``peak_lr=[0.1, 0.2]``.

    Returns:
        An xarray.Dataset with one dimension for each axis, in the order given, then "step" or "epoch". Its variables
        are those of History: lr and batch_loss (by step), train_loss, train_accuracy, valid_loss and valid_accuracy (by
        epoch), and outcome; ``epoch_step`` is a coordinate of "epoch". What a diverged run did not reach is NaN.

    Raises:
        ValueError: for an axis that is no such field or has no values, a combination that TrainConfig refuses, or a
            model with dropout or batch statistics, whose runs would not be independent.

    >>> runs = sweep(TrainConfig(total_steps=46), peak_lr=[0.05, 0.1], seed=range(3))
    >>> runs.train_accuracy.dims, runs.train_accuracy.shape
    (('peak_lr', 'seed', 'epoch'), (2, 3, 2))
    """
    values = {name: _axis(name, values) for name, values in axes.items()}
    if not values:
        raise ValueError(f"axes must name at least one of {SWEEPABLE}")
    configs = [
        replace(config, **dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]
    data = config.load_data()
    stacks = _stacks(configs, data)
    ticks = iter((progress or _bar)(range(len(stacks) * config.total_steps)))
    epoch_length = math.ceil(len(data.x_train) / config.batch_size)
    results: dict[str, npt.NDArray[Any]] = {}

    def store(rows: list[int], result: dict[str, npt.NDArray[Any]]) -> None:
        for name, of_rows in result.items():
            if name not in results:
                nothing = "" if name == "outcome" else np.nan
                results[name] = np.full((len(configs), *of_rows.shape[1:]), nothing, of_rows.dtype)
            results[name][rows] = of_rows

    for rows in stacks:
        for of_stack in _train_stack([configs[row] for row in rows], data, ticks):

            def so_far(rows: list[int] = rows, of_stack: Callable[[], dict[str, Any]] = of_stack) -> "xr.Dataset":
                store(rows, of_stack())
                return _labelled(results, values, config, epoch_length)

            if on_epoch is not None:
                on_epoch(so_far)
        runs = so_far()
    for _ in ticks:  # lets the progress bar close itself
        pass
    return runs


def _labelled(
    results: dict[str, npt.NDArray[Any]], axes: dict[str, list[Any]], config: TrainConfig, epoch_length: int
) -> "xr.Dataset":
    """The results, one row a run, as arrays with named dimensions."""
    import xarray as xr

    shape = tuple(len(axis) for axis in axes.values())
    dims = {"lr": ("step",), "batch_loss": ("step",), "outcome": ()} | dict.fromkeys(EPOCH_METRICS, ("epoch",))
    epoch, epoch_step = _evaluated(config, epoch_length)
    return xr.Dataset(
        {name: ((*axes, *dims[name]), rows.reshape(*shape, *rows.shape[1:]).copy()) for name, rows in results.items()},
        coords={
            **axes,
            "step": np.arange(config.total_steps),
            "epoch": epoch,
            "epoch_step": ("epoch", epoch_step),
        },
    )


def _axis(name: str, values: Any) -> list[Any]:
    if name not in SWEEPABLE:
        raise ValueError(f"axes must be among {SWEEPABLE}, which leave the shapes alone, got {name!r}")
    if isinstance(values, str) or not isinstance(values, Iterable) or not (values := list(values)):
        raise ValueError(f"{name} must be a list of values, got {values!r}")
    return values


def _bar(steps: range) -> Iterable[int]:
    from tqdm.auto import tqdm

    return tqdm(steps, desc="sweep", unit="step", delay=2, leave=False)


def _evaluated(config: TrainConfig, epoch_length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The epochs that end with an evaluation, counted from 1, and how many updates have been made by then."""
    last = math.ceil(config.total_steps / epoch_length)  # may be cut short
    epochs = np.arange(1 if config.evaluate == "epoch" else last, last + 1)
    return epochs, np.minimum(epochs * epoch_length, config.total_steps)


def _stacks(configs: list[TrainConfig], data: Dataset) -> list[list[int]]:
    """The row numbers of the runs that are trained together: same update rule, and no more than fit the memory."""
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row, config in enumerate(configs):
        alike[tuple(getattr(config, name) for name in SHARED)].append(row)
    model = configs[0].make_model()
    _refuse_shared_state(model)
    numbers = sum(p.numel() for p in model.parameters()) + configs[0].batch_size * data.x_train[0].numel()
    size = max(1, STACK_BYTES[data.x_train.device.type] // (numbers * data.x_train.element_size()))
    return [rows[start : start + size] for rows in alike.values() for start in range(0, len(rows), size)]


def _refuse_shared_state(model: nn.Module) -> None:
    for name, module in model.named_modules():
        rate = getattr(module, "p" if "Dropout" in type(module).__name__ else "dropout", 0)
        dropout = isinstance(rate, float | int) and rate > 0
        statistics = getattr(module, "track_running_stats", False) or isinstance(
            module, nn.modules.batchnorm._BatchNorm
        )
        if dropout or statistics:
            raise ValueError(
                f"model must have neither dropout nor batch statistics, got {type(module).__name__} at {name!r}"
            )


def _train_stack(
    configs: list[TrainConfig], data: Dataset, ticks: Iterator[int]
) -> Iterator[Callable[[], dict[str, npt.NDArray[Any]]]]:
    """Train runs that differ in seed and LR alone; after each evaluation, a function that gives the result so far.

    Each result has one row a run, and NaN for what is still to come.
    """
    shared, device = configs[0], data.x_train.device
    seeds = sorted({config.seed for config in configs})
    which = torch.tensor([seeds.index(config.seed) for config in configs], device=device)
    models = [replace(shared, seed=seed).make_model() for seed in seeds]

    def stacked(tensors: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
        by_seed = list(tensors)
        return {name: torch.stack([t[name] for t in by_seed]).detach()[which] for name in by_seed[0]}

    buffers = stacked(dict(model.named_buffers()) for model in models)
    parameters = stacked(dict(model.named_parameters()) for model in models)
    trained = [parameters[name].requires_grad_() for name, p in models[0].named_parameters() if p.requires_grad]
    loss_function = LOSSES[shared.loss]

    def run(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(models[0], (parameters, buffers), (x,))

    def evaluate(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss, hits = torch.zeros(2, len(configs), device=device, dtype=shared.dtype)
        for x_rows, y_rows in zip(x.split(EVALUATION_ROWS), y.split(EVALUATION_ROWS), strict=True):
            outputs = vmap(run, in_dims=(0, 0, None))(parameters, buffers, x_rows)
            loss += vmap(loss_function, in_dims=(0, None))(outputs, y_rows) * len(y_rows)
            hits += (outputs.argmax(dim=-1) == y_rows).sum(dim=-1)
        return loss / len(y), hits / len(y)

    # Every update rule here is linear in the LR: torch's optimizer makes the step at LR 1, each run takes its share.
    optimizer = shared.make_optimizer(trained, lr=1.0)
    before = [torch.empty_like(p) for p in trained]
    lr = np.stack([config.peak_lr * config.schedule(np.arange(shared.total_steps)) for config in configs])
    lr_by_step = torch.tensor(lr.T, device=device, dtype=shared.dtype)

    def update(losses: Tensor, lr: Tensor) -> None:
        gradients = torch.autograd.grad(losses.sum(), trained, allow_unused=True)
        with torch.no_grad():
            for p, gradient, old in zip(trained, gradients, before, strict=True):
                p.grad = gradient
                old.copy_(p)
            optimizer.step()
            for p, old in zip(trained, before, strict=True):
                torch.lerp(old, p, lr.view(-1, *[1] * (p.dim() - 1)), out=p)

    orders = [batch_order(len(data.x_train), shared.batch_size, seed) for seed in seeds]
    _, epoch_step = _evaluated(shared, len(orders[0]))
    loss: list[Tensor] = []
    metrics: dict[str, list[Tensor]] = defaultdict(list)

    def by_run(records: list[Tensor], length: int) -> npt.NDArray[Any]:
        known = torch.stack(records, dim=1).cpu().numpy()
        return np.pad(known, ((0, 0), (0, length - len(records))), constant_values=np.nan)

    def so_far() -> dict[str, npt.NDArray[Any]]:
        by_epoch = {name: by_run(records, len(epoch_step)) for name, records in metrics.items()}
        result = {"lr": lr.copy(), "batch_loss": by_run(loss, shared.total_steps), **by_epoch}
        _forget_after_divergence(result, epoch_step)
        epochs = len(metrics["train_loss"])
        reached = {"batch_loss": len(loss), "train_loss": epochs, "valid_loss": epochs}
        finite = [np.isfinite(result[name][:, :length]).all(axis=1) for name, length in reached.items()]
        accuracy = result["train_accuracy"][:, epochs - 1]
        ended = outcome(np.logical_and.reduce(finite), accuracy, 1 / data.n_classes, shared.trained_above)
        return {**result, "outcome": ended}

    for end in epoch_step:
        models[0].train()
        while len(loss) < end:  # one epoch, or all
            for batches in itertools.islice(zip(*orders, strict=True), end - len(loss)):
                rows = torch.tensor(batches, device=device)[which]
                losses = vmap(loss_function)(vmap(run)(parameters, buffers, data.x_train[rows]), data.y_train[rows])
                update(losses, lr_by_step[len(loss)])
                loss.append(losses.detach())
                next(ticks, None)
        models[0].eval()
        with torch.no_grad():
            for split, x, y in (("train", data.x_train, data.y_train), ("valid", data.x_valid, data.y_valid)):
                for metric, values in zip(("loss", "accuracy"), evaluate(x, y), strict=True):
                    metrics[f"{split}_{metric}"].append(values)
        yield so_far


def _forget_after_divergence(result: dict[str, npt.NDArray[Any]], epoch_step: npt.NDArray[np.int64]) -> None:
    """As train() does, record nothing after the first loss that is not finite, and no epoch that contains it."""
    steps = np.arange(result["batch_loss"].shape[1])
    last_step = np.where(np.isfinite(result["batch_loss"]), len(steps), steps).min(axis=1)[:, None]
    for name, values in result.items():
        values[epoch_step > last_step if name in EPOCH_METRICS else steps > last_step] = np.nan
