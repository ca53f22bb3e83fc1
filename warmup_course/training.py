"""One training run, as a plain PyTorch loop."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property, partial, wraps
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warmup_course import data as datasets
from warmup_course.arguments import (
    MOST_SEED,
    array,
    function,
    instance,
    one_of,
    pair,
    positive_number,
    real_number,
    refused,
    whole_number,
)
from warmup_course.device import resolve_device
from warmup_course.model import MLP
from warmup_course.schedulers import Schedule, lambda_lr
from warmup_course.shapes import Decay, Warmup

Loss = Literal["cross_entropy", "squared_error"]
OptimizerName = Literal["SGD", "Adam", "AdamW"]
Evaluate = Literal["epoch", "end"]

_one_thread, _here = threading.RLock(), threading.local()


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Inside, torch's global random state is this thread's alone; afterwards it is as it was."""
    # On CUDA where that is in use. Asking for its state would start it, and fork_rng warns where there are many GPUs.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    before = keeps_random_state()
    with _one_thread, torch.random.fork_rng(devices):
        _here.keeps = True
        try:
            yield
        finally:
            _here.keeps = before


def keeps_random_state() -> bool:
    """Whether this thread is inside ``random_state_kept``, where others that make a model wait for it."""
    return getattr(_here, "keeps", False)


def squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Half the squared distance to the one-hot label, summed over classes, averaged over rows.

    >>> squared_error(torch.tensor([[0.0, 2.0]]), torch.tensor([1]))
    tensor(0.5000)
    """
    errors = outputs - F.one_hot(labels, outputs.shape[-1])
    return 0.5 * errors.square().sum(dim=-1).mean(dim=-1)


RowLoss = Callable[[Tensor, Tensor], Tensor]


def _each_label(loss: RowLoss) -> RowLoss:
    """The loss of outputs (rows, classes) for outputs (rows, tokens, classes) too: each token counts as a row."""

    @wraps(loss)
    def of_all(outputs: Tensor, labels: Tensor) -> Tensor:
        return loss(outputs.flatten(0, -2), labels.flatten())

    return of_all


LOSSES: dict[Loss, RowLoss] = {
    "cross_entropy": _each_label(F.cross_entropy),
    "squared_error": _each_label(squared_error),
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training run. Two runs of one config give the same numbers.

    Attributes:
        data: a data set, or its name in warmup_course.data.
        model: a function without arguments that makes the model, such as ``lambda: MLP(hidden=[64] * 4)``. It is
            called under torch.manual_seed(seed).
        loss: "cross_entropy", or "squared_error" to the one-hot label; the mean over all labels, be they one a row or
            one a token.
        optimizer: torch.optim's "SGD", "Adam" or "AdamW".
        momentum: SGD's momentum.
        betas: Adam's and AdamW's.
        weight_decay: as the optimizer defines it.
        before_step: is given the optimizer, with its gradients, and the step, before each update. In a sweep the
            tensors are those of many runs, (runs, ...), and the optimizer's LR is 1; and since it may have a state,
            the sweep keeps to one core of this machine.
        clip_norm: a gradient whose norm, over all parameters, is greater is shortened to it after that.
        batch_size: training rows per step; the last batch of an epoch may be smaller.
        total_steps: optimizer steps.
        peak_lr: the LR where the schedule's factor is 1.
        warmup_steps ... count_from: the fields of Schedule, here with constant decay as the default.
        lr_lambda: any other schedule, as a function of the step that gives the factor of peak_lr, as torch's
            LambdaLR takes it, but for the steps 0 to T - 1 alone. The fields of Schedule then keep their defaults.
        seed: in [0, 2**63); fixes the initial weights and the order of the batches.
        trained_above: the training accuracy that counts as trained.
        evaluate: measure loss and accuracy over all rows after each "epoch", or at the "end" only, which is quicker.
        device: see resolve_device.
        dtype: of inputs and weights.

    Raises:
        ValueError: for any value out of its range, before any work starts.
    """

    data: datasets.Dataset | str = "digits"
    model: Callable[[], nn.Module] = MLP
    loss: Loss = "cross_entropy"
    optimizer: OptimizerName = "SGD"
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    before_step: Callable[[torch.optim.Optimizer, int], object] | None = None
    clip_norm: float = math.inf
    batch_size: int = 64
    total_steps: int = 200
    peak_lr: float = 0.1
    warmup_steps: int = 0
    warmup: Warmup = "linear"
    stable_steps: int = 0
    decay: Decay = "constant"
    start_factor: float = 0.0
    end_factor: float = 0.0
    count_from: int = 1
    lr_lambda: Callable[[int], float] | None = None
    seed: int = 0
    trained_above: float = 0.9
    evaluate: Evaluate = "epoch"
    device: str = "auto"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if not isinstance(self.data, datasets.Dataset):
            one_of("data", self.data, datasets.DATASETS)
        if not callable(self.model) or isinstance(self.model, nn.Module):
            raise refused("model", "a function that makes a new model", self.model)
        one_of("loss", self.loss, get_args(Loss))
        one_of("optimizer", self.optimizer, get_args(OptimizerName))
        one_of("evaluate", self.evaluate, get_args(Evaluate))
        one_of("dtype", self.dtype, (torch.float32, torch.float64))
        for name, most in {"momentum": 1, "trained_above": 1, "weight_decay": math.inf, "peak_lr": math.inf}.items():
            object.__setattr__(self, name, real_number(name, getattr(self, name), 0, most))
        object.__setattr__(self, "clip_norm", positive_number("clip_norm", self.clip_norm, or_infinite=True))
        object.__setattr__(self, "seed", whole_number("seed", self.seed, 0, MOST_SEED))
        object.__setattr__(self, "batch_size", whole_number("batch_size", self.batch_size, 1))
        if self.momentum and self.optimizer != "SGD":
            raise ValueError(f"momentum must be 0 for optimizer={self.optimizer!r}, got {self.momentum!r}")
        betas = tuple(real_number("betas", beta, 0, 1) for beta in pair("betas", self.betas, "two numbers"))
        object.__setattr__(self, "betas", betas)
        if max(betas) == 1 or (self.optimizer == "SGD" and betas != TrainConfig.betas):
            raise refused("betas", f"below 1, and {TrainConfig.betas} for optimizer='SGD'", betas)
        if not isinstance(self.device, str) or self.device != "auto":  # which is decided where the run is
            resolve_device(self.device)
        function("lr_lambda", self.lr_lambda, or_none=True)
        function("before_step", self.before_step, or_none=True)
        _ = self.schedule  # raises where its fields do not fit together

    @cached_property
    def schedule(self) -> Callable[[Any], Any]:
        """The factor of the peak LR as a function of the step, or of an array of steps: a Schedule, or lr_lambda."""
        schedule = Schedule(**{f.name: getattr(self, f.name) for f in fields(Schedule)})
        if self.lr_lambda is None:
            return schedule
        if schedule != Schedule(self.total_steps, decay="constant"):
            raise refused("lr_lambda", f"None beside the fields of {schedule}", self.lr_lambda)
        return partial(_at, np.array([_factor(self.lr_lambda, step) for step in range(self.total_steps)]))

    def load_data(self) -> datasets.Dataset:
        """The data set on this run's device, in its dtype."""
        return datasets.load(self.data).to(resolve_device(self.device), self.dtype)

    def make_model(self) -> nn.Module:
        """The model at this run's initial weights; the global random state is left as it was."""
        with random_state_kept():
            torch.manual_seed(self.seed)
            model = self.model()
        instance("model", model, nn.Module, "a function that makes a torch.nn.Module")
        return model.to(resolve_device(self.device), self.dtype)

    def make_optimizer(self, parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """This run's torch optimizer over ``parameters``."""
        options = {"momentum": self.momentum} if self.optimizer == "SGD" else {"betas": self.betas}
        return getattr(torch.optim, self.optimizer)(parameters, lr=lr, weight_decay=self.weight_decay, **options)


def _factor(lr_lambda: Callable[[int], float], step: int) -> float:
    """What the learner's function gives for one step."""
    try:
        factor = lr_lambda(step)
    except Exception as error:
        raise refused("lr_lambda", f"a function of all steps, at step {step} too", error) from error
    return real_number(f"lr_lambda({step})", factor, 0)


def _at(factors: npt.NDArray[np.float64], step: Any) -> Any:
    """The factor at a step, or an array of them; torch's LambdaLR asks once more after the last update."""
    return factors[np.minimum(step, len(factors) - 1)]


@dataclass
class History:
    """What a run recorded.

    Attributes:
        model: the network as the run left it; histories are equal if their numbers are.
        chance, trained_above: what ``outcome`` compares the training accuracy with; chance is 1 / n_classes.
        lr: per step, the LR read from the optimizer at the moment of ``optimizer.step()``.
        batch_loss: per step, the training loss of that step's batch, before the update.
        epoch_step: per evaluated epoch (all, or the last), how many updates had been made at its end; total_steps may
            cut the last epoch short.
        train_loss, train_accuracy, valid_loss, valid_accuracy: per evaluated epoch, over all rows of the split. A run
            that diverges stops there, and the unfinished epoch has no entry.
    """

    model: nn.Module = field(repr=False, compare=False)
    chance: float
    trained_above: float
    lr: list[float] = field(default_factory=list)
    batch_loss: list[float] = field(default_factory=list)
    epoch_step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    valid_accuracy: list[float] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """How the run ended, see ``outcome`` in this module."""
        finite = all(map(math.isfinite, self.batch_loss + self.train_loss + self.valid_loss))
        accuracy = self.train_accuracy[-1] if self.train_accuracy else math.nan
        return str(outcome(finite, accuracy, self.chance, self.trained_above))


def outcome(
    finite: npt.ArrayLike, train_accuracy: npt.ArrayLike, chance: float, trained_above: float
) -> npt.NDArray[np.str_]:
    """How runs ended.

    "diverged": some loss was not finite; "stalled": the last training accuracy is below 1.5 times chance; "trained": it
    is above ``trained_above``; "slow": it lies between.

    Args:
        finite: whether all losses of a run were finite; True or False, or an array of them.
        train_accuracy: the last training accuracy, or NaN where there is none; of the same shape.
        chance, trained_above: numbers in [0, 1].

    Raises:
        ValueError: for an argument that is none of these, or shapes that differ.

    >>> outcome([False, True, True, True], [0.1, 0.14, 0.5, 0.95], chance=0.1, trained_above=0.9)
    array(['diverged', 'stalled', 'slow', 'trained'], dtype='<U8')
    """
    real_number("chance", chance, 0, 1)
    real_number("trained_above", trained_above, 0, 1)
    all_finite = array("finite", finite, "True or False, or an array of them", "b")
    accuracy = array("train_accuracy", train_accuracy)
    if all_finite.shape != accuracy.shape:
        raise ValueError(
            f"finite and train_accuracy must have the same shape, got {all_finite.shape} and {accuracy.shape}"
        )
    conditions = [~all_finite, accuracy < 1.5 * chance, accuracy > trained_above]
    return np.select(conditions, ["diverged", "stalled", "trained"], default="slow")


def check_model(model: nn.Module, data: datasets.Dataset) -> None:
    """ValueError unless the model can learn the data: it has weights to train, and gives a number for each class."""
    if not any(p.requires_grad for p in model.parameters()):
        raise refused("model", "a module with parameters to train", model)
    x, y, training = data.x_train[:2], data.y_train[:2], model.training
    outputs_of = "(rows, classes)" if y.dim() == 1 else "(rows, tokens, classes)"
    wanted = f"a module from inputs {tuple(x.shape)} to outputs {outputs_of} for {data.n_classes} classes"
    try:
        with random_state_kept(), torch.no_grad():
            outputs = model.eval()(x)
    except Exception as error:
        raise refused("model", wanted, error) from error
    finally:
        model.train(training)
    if not isinstance(outputs, Tensor):
        raise refused("model", wanted, outputs)
    if outputs.shape[:-1] != y.shape or outputs.shape[-1] < data.n_classes:
        raise refused("model", wanted, tuple(outputs.shape))


def train(
    config: TrainConfig,
    on_start: Callable[[nn.Module, torch.optim.Optimizer], None] | None = None,
) -> History:
    """Train one model.

    Args:
        config: what to train.
        on_start: is given the model and the optimizer before the first step, such as ``Probe.watch``.

    Raises:
        ValueError: if an argument is none of these, batch_size exceeds the training rows, or the model does not fit
            the data.

    >>> history = train(TrainConfig(total_steps=60, peak_lr=0.1, warmup_steps=20))
    >>> history.outcome, round(history.lr[0], 6), len(history.batch_loss), history.epoch_step
    ('trained', 0.005, 60, [23, 46, 60])
    """
    instance("config", config, TrainConfig, "a TrainConfig")
    function("on_start", on_start, or_none=True)
    data = config.load_data()
    loader = data.train_loader(config.batch_size, config.seed)
    loss_function = LOSSES[config.loss]
    model = config.make_model()
    check_model(model, data)
    optimizer = config.make_optimizer(model.parameters(), lr=config.peak_lr)
    scheduler = lambda_lr(optimizer, config.schedule)
    history = History(model, chance=1 / data.n_classes, trained_above=config.trained_above)
    if on_start is not None:
        on_start(model, optimizer)

    for _ in range(math.ceil(config.total_steps / len(loader))):
        model.train()
        for x, y in islice(loader, config.total_steps - len(history.batch_loss)):
            loss = loss_function(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            if config.before_step is not None:
                config.before_step(optimizer, len(history.batch_loss))
            if config.clip_norm < math.inf:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            history.batch_loss.append(loss.item())
            history.lr.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
            if not math.isfinite(history.batch_loss[-1]):
                return history
        if config.evaluate == "end" and len(history.batch_loss) < config.total_steps:
            continue

        model.eval()
        history.epoch_step.append(len(history.batch_loss))
        with torch.no_grad():
            on_train, on_valid = model(data.x_train), model(data.x_valid)
        history.train_loss.append(loss_function(on_train, data.y_train).item())
        history.valid_loss.append(loss_function(on_valid, data.y_valid).item())
        history.train_accuracy.append(_accuracy(on_train, data.y_train))
        history.valid_accuracy.append(_accuracy(on_valid, data.y_valid))
    return history


def _accuracy(outputs: Tensor, labels: Tensor) -> float:
    return (outputs.argmax(dim=-1) == labels).double().mean().item()
