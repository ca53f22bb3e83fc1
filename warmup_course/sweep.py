"""A grid of training runs: stacks of them at once, on every core."""

import itertools
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from warmup_course.arguments import elements, function, instance, refused, whole_number
from warmup_course.data import Dataset, batch_order
from warmup_course.device import resolve_device
from warmup_course.stacked import Stack, StackedMLP, StackedModule, check_stackable, kind_of_stack
from warmup_course.training import TrainConfig, check_model, keeps_random_state, outcome

if TYPE_CHECKING:
    import xarray as xr

Arrays = dict[str, npt.NDArray[Any]]

# One stacked model needs one shape, one data set and one number of steps; a function or a pair is no label of an axis.
FIXED = (
    "data", "model", "betas", "before_step", "batch_size", "total_steps", "lr_lambda", "evaluate", "device", "dtype"
)  # fmt: skip
SWEEPABLE = tuple(f.name for f in fields(TrainConfig) if f.name not in FIXED)
# Of the sweepable fields, those that all runs of one stack share: its update rule, and how they are judged.
SHARED = ("loss", "optimizer", "momentum", "weight_decay", "clip_norm", "trained_above")

# Parameters and batch of one stack, as a share of a GPU's memory; activations take some ten times as much.
GPU_SHARE = 1 / 64
EPOCH_METRICS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


def sweep(
    config: TrainConfig,
    *,
    keep_models: Sequence[int] = (),
    progress: Callable[[range], Iterable[int]] | None = None,
    on_epoch: Callable[[Callable[[], "xr.Dataset"]], None] | None = None,
    **axes: Sequence[Any],
) -> "xr.Dataset":
    """Train every combination of the given values, and give the same numbers as ``train`` run by run.

    Where nobody watches, by ``progress`` or ``on_epoch``, it is shared among all cores of this machine, or among what
    ``joblib.parallel_config`` names, such as a Dask cluster. The numbers stay the same.

    Args:
        config: what all runs share.
        keep_models: steps before which each run's model is kept, from 0 to total_steps, which stands for the end.
        progress: wraps the range of training steps while they are counted through; by default a progress bar that
            appears when the sweep takes longer than two seconds. An exception from it ends the sweep.
        on_epoch: is called after each evaluation, with a function that gives the result so far, with NaN for what is
            still to come. Its outcomes are those of runs that would end there; that of a run not yet begun is "".
        axes: lists of values for fields of TrainConfig that leave the shapes alone, such as ``peak_lr=[0.1, 0.2]``.

    Returns:
        An xarray.Dataset with one dimension for each axis, in the order given, then "step" or "epoch". Its variables
        are those of History: lr and batch_loss (by step), train_loss, train_accuracy, valid_loss and valid_accuracy (by
        epoch), and outcome; ``epoch_step`` is a coordinate of "epoch". What a diverged run did not reach is NaN. With
        ``keep_models`` there is "model" too, by the step "before" which it was so.

    Raises:
        ValueError: for an axis that is no such field, has no values, or has one twice; a combination that TrainConfig
            refuses; a model that ``train`` refuses, that has dropout or batch statistics, whose runs would not be
            independent, or that torch.func.vmap cannot stack.

    >>> runs = sweep(TrainConfig(total_steps=46), peak_lr=[0.05, 0.1], seed=range(3))
    >>> runs.train_accuracy.dims, runs.train_accuracy.shape
    (('peak_lr', 'seed', 'epoch'), (2, 3, 2))
    """
    instance("config", config, TrainConfig, "a TrainConfig")
    function("progress", progress, or_none=True)
    function("on_epoch", on_epoch, or_none=True)
    if not axes:
        raise refused("axes", f"a list of values for at least one of {', '.join(SWEEPABLE)}", axes)
    values = {name: _axis(name, values) for name, values in axes.items()}
    kept = elements("keep_models", keep_models, "a list of steps", least=0)
    kept = sorted({whole_number("keep_models", step, 0, config.total_steps) for step in kept})
    config = replace(config, device=str(resolve_device(config.device)))  # the same one wherever a stack is trained
    configs = [
        replace(config, **dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]
    for name, axis in values.items():
        if len({getattr(c, name) for c in configs}) < len(axis):  # it would count the same runs more than once
            raise refused(name, "a list with each value once", axis)
    model, data = config.make_model(), config.load_data()
    _refuse_shared_state(model)
    check_model(model, data)
    kind = kind_of_stack(model, data)
    if kind is StackedModule:
        check_stackable(model, data.x_train[:2])
    run_size = sum(p.numel() for p in model.parameters()) + config.batch_size * data.x_train[0].numel()
    device, stack_bytes = data.x_train.device, kind.BYTES
    if device.type == "cuda":
        stack_bytes = int(GPU_SHARE * torch.cuda.get_device_properties(device).total_memory)
    stacks = _stacks(configs, at_most=max(1, stack_bytes // (run_size * config.dtype.itemsize)))
    ticks = iter((progress or _bar)(range(len(stacks) * config.total_steps)))
    results: Arrays = {}
    train_stack = partial(_train_stack, kind, kept)

    def store(rows: list[int], of_stack: Arrays) -> None:
        for name, of_rows in of_stack.items():
            if name not in results:
                nothing = "" if name == "outcome" else np.nan
                results[name] = np.full((len(configs), *of_rows.shape[1:]), nothing, of_rows.dtype)
            results[name][rows] = of_rows

    watched = progress is not None or on_epoch is not None
    # A stack of MLPs gains little from a second thread, and other modules a lot.
    with _processor(threads=1 if kind is StackedMLP else torch.get_num_threads()):
        threads = 1 if watched or device.type != "cpu" or len(stacks) == 1 else _threads_for(config)
        if threads != 1:
            share = _by_joblib if threads is None else partial(_in_threads, at_once=threads)
            for number, of_stack in share([[configs[row] for row in rows] for rows in stacks], train_stack):
                store(stacks[number], of_stack)
                for _ in range(config.total_steps):
                    next(ticks, None)
        else:
            for rows in stacks:
                for record in train_stack([configs[row] for row in rows], lambda: next(ticks, None)):

                    def so_far(rows: list[int] = rows, record: _Record = record) -> "xr.Dataset":
                        store(rows, record.arrays())
                        return _labelled(results, values, config, data, kept)

                    if on_epoch is not None:
                        on_epoch(so_far)
                store(rows, record.arrays())
    for _ in ticks:  # lets the progress bar close itself
        pass
    return _labelled(results, values, config, data, kept)


@contextmanager
def _processor(threads: int) -> Iterator[None]:
    """So many threads, and no denormal numbers, which can make Adam half as fast."""
    before, flushes = torch.get_num_threads(), torch.tensor(1e-310, dtype=torch.float64).add(0).item() == 0
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushes)


class _StoppedError(Exception):
    """In a thread whose sweep has ended before it, by Ctrl-C or an error elsewhere."""


def _threads_for(config: TrainConfig) -> int | None:
    """How many stacks to train at once in this process; None where joblib's backend trains them in others."""
    import joblib

    backend, _ = joblib.parallel.get_active_backend(prefer="threads")
    if not getattr(backend, "supports_sharedmem", False):
        return None
    # The learner's function may have a state, and a thread would wait for this one's random state.
    if config.before_step is not None or keeps_random_state():
        return 1
    return int(joblib.effective_n_jobs(_n_jobs()))


def _n_jobs() -> int:
    """What joblib.parallel_config says; -1, all cores, where it says nothing."""
    import joblib

    _, said = joblib.parallel.get_active_backend(prefer=None, require=None)
    return -1 if said is None else int(said)


def _by_joblib(stacks: list[list[TrainConfig]], train_stack: "_TrainStack") -> Iterator[tuple[int, Arrays]]:
    """Each stack's number and result as it ends, where joblib's backend says."""
    import joblib

    train_alone = joblib.delayed(partial(_train_alone, train_stack, lambda: None))
    parallel = joblib.Parallel(_n_jobs(), return_as="generator_unordered", batch_size=1)
    yield from parallel(train_alone(*stack) for stack in enumerate(stacks))


def _in_threads(
    stacks: list[list[TrainConfig]], train_stack: "_TrainStack", at_once: int
) -> Iterator[tuple[int, Arrays]]:
    """The same here, so many stacks at once. However this ends, no thread trains any more.

    Threads, since torch computes outside Python's lock; each process would take a copy of torch, and seconds to import
    it. Not joblib's, which train on until Python itself ends.
    """
    ended = threading.Event()

    def tick() -> None:
        if ended.is_set():
            raise _StoppedError

    with ThreadPoolExecutor(at_once) as pool:
        running = set[Future[tuple[int, Arrays]]]()
        try:
            running = {pool.submit(_train_alone, train_stack, tick, *stack) for stack in enumerate(stacks)}
            while running:  # on Windows, Ctrl-C does not end a wait, and has to find its end
                trained, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                yield from (stack.result() for stack in trained)
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            # In Python 3.11, a second Ctrl-C while a thread is joined makes it count as ended.
            wait([stack for stack in running if not stack.cancelled()])


def _train_alone(
    train_stack: "_TrainStack", tick: Callable[[], object], number: int, configs: list[TrainConfig]
) -> tuple[int, Arrays]:
    with _processor(threads=1):  # the other cores have stacks too
        *_, record = train_stack(configs, tick)
    return number, record.arrays()


def _labelled(
    results: Arrays, axes: dict[str, list[Any]], config: TrainConfig, data: Dataset, kept: list[int]
) -> "xr.Dataset":
    """The results, one row a run, as arrays with named dimensions."""
    import xarray as xr

    shape = tuple(len(axis) for axis in axes.values())
    dims = {"lr": ("step",), "batch_loss": ("step",), "outcome": (), "model": ("before",)}
    dims |= dict.fromkeys(EPOCH_METRICS, ("epoch",))
    epoch, epoch_step = _evaluated(config, data)
    return xr.Dataset(
        {name: ((*axes, *dims[name]), rows.reshape(*shape, *rows.shape[1:]).copy()) for name, rows in results.items()},
        coords={
            **axes,
            "step": np.arange(config.total_steps),
            "epoch": epoch,
            "epoch_step": ("epoch", epoch_step),
        }
        | ({"before": kept} if kept else {}),
    )


def _axis(name: str, values: Any) -> list[Any]:
    if name not in SWEEPABLE:
        raise refused("axes", f"fields that leave the shapes alone, {', '.join(SWEEPABLE)}", name)
    return elements(name, values)


def _bar(steps: range) -> Iterable[int]:
    from tqdm.auto import tqdm

    return tqdm(steps, desc="sweep", unit="step", delay=2, leave=False)


def _evaluated(config: TrainConfig, data: Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The epochs that end with an evaluation, counted from 1, and how many updates have been made by then."""
    epoch_length = math.ceil(len(data.x_train) / config.batch_size)
    last = math.ceil(config.total_steps / epoch_length)  # may be cut short
    epochs = np.arange(1 if config.evaluate == "epoch" else last, last + 1)
    return epochs, np.minimum(epochs * epoch_length, config.total_steps)


def _stacks(configs: list[TrainConfig], at_most: int) -> list[list[int]]:
    """The row numbers of the runs that are trained together: same update rule, and no more than so many.

    In each stack, the runs of one seed stand together, and each seed has as many.
    """
    alike: dict[tuple[Any, ...], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, config in enumerate(configs):
        alike[tuple(getattr(config, name) for name in SHARED)][config.seed].append(row)
    stacks: list[list[int]] = []
    for by_seed in alike.values():
        pieces = [rows[i : i + at_most] for rows in by_seed.values() for i in range(0, len(rows), at_most)]
        for length, equal in itertools.groupby(sorted(pieces, key=len), key=len):
            seeds, together = list(equal), at_most // length
            stacks += [list(itertools.chain(*seeds[i : i + together])) for i in range(0, len(seeds), together)]
    return stacks


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


class _Record:
    """What the runs of a stack recorded so far, one column a run; NaN is what is still to come."""

    def __init__(self, configs: Sequence[TrainConfig], data: Dataset, kept: list[int]) -> None:
        config = configs[0]
        self.config, self.chance = config, 1 / data.n_classes
        self.epoch_step = _evaluated(config, data)[1]
        self.lr = np.stack([c.peak_lr * c.schedule(np.arange(config.total_steps)) for c in configs], axis=1)
        nothing = torch.full((), math.nan, dtype=config.dtype, device=data.x_train.device)
        self.batch_loss = nothing.repeat(*self.lr.shape)
        self.by_epoch = {name: nothing.repeat(len(self.epoch_step), len(configs)) for name in EPOCH_METRICS}
        self.epochs, self.kept = 0, kept
        self.models = np.full((len(configs), len(kept)), None)

    def keep(self, step: int, stack: Stack) -> None:
        """Keep the models if they are wanted before this step."""
        if step in self.kept:
            for of_run, model in zip(self.models, stack.models(), strict=True):
                of_run[self.kept.index(step)] = model

    def arrays(self) -> Arrays:
        """One row a run."""
        by_run = {"batch_loss": self.batch_loss, **self.by_epoch}
        result = {"lr": self.lr.T.copy()} | {name: values.T.cpu().numpy().copy() for name, values in by_run.items()}
        _forget_after_divergence(result, self.epoch_step)
        reached = dict.fromkeys(("train_loss", "valid_loss"), self.epochs)
        reached["batch_loss"] = self.epoch_step[self.epochs - 1]
        finite = [np.isfinite(result[name][:, :length]).all(axis=1) for name, length in reached.items()]
        accuracy = result["train_accuracy"][:, self.epochs - 1]
        ended = outcome(np.logical_and.reduce(finite), accuracy, self.chance, self.config.trained_above)
        return {**result, "outcome": ended} | ({"model": self.models} if self.kept else {})


_TrainStack = Callable[[Sequence[TrainConfig], Callable[[], object]], Iterator[_Record]]


def _train_stack(
    kind: type[Stack], kept: list[int], configs: Sequence[TrainConfig], tick: Callable[[], object]
) -> Iterator[_Record]:
    """Train runs that differ in seed and LR alone; after each evaluation, what is recorded so far.

    ``tick`` is called before each step.
    """
    config, data = configs[0], configs[0].load_data()
    record = _Record(configs, data, kept)
    seeds = list(dict.fromkeys(c.seed for c in configs))
    orders = [batch_order(len(data.x_train), config.batch_size, seed) for seed in seeds]
    lr = torch.as_tensor(record.lr).to(record.batch_loss)
    stack = kind(config, seeds, len(configs) // len(seeds))
    step = 0
    for epoch, end in enumerate(record.epoch_step):
        while step < end:  # one epoch, or all
            in_order = torch.tensor(np.array([list(order.sampler) for order in orders]), device=lr.device)
            for rows in in_order.split(config.batch_size, dim=1)[: end - step]:
                tick()
                record.keep(step, stack)
                record.batch_loss[step] = stack.step(data.x_train[rows], data.y_train[rows], lr[step])
                step += 1
        if end == config.total_steps:
            record.keep(end, stack)
        for split, x, y in (("train", data.x_train, data.y_train), ("valid", data.x_valid, data.y_valid)):
            for metric, values in zip(("loss", "accuracy"), stack.evaluate(x, y), strict=True):
                record.by_epoch[f"{split}_{metric}"][epoch] = values
        record.epochs = epoch + 1
        yield record


def _forget_after_divergence(result: dict[str, npt.NDArray[Any]], epoch_step: npt.NDArray[np.int64]) -> None:
    """As train() does, record nothing after the first loss that is not finite, and no epoch that contains it."""
    steps = np.arange(result["batch_loss"].shape[1])
    last_step = np.where(np.isfinite(result["batch_loss"]), len(steps), steps).min(axis=1)[:, None]
    for name, values in result.items():
        values[epoch_step > last_step if name in EPOCH_METRICS else steps > last_step] = np.nan
