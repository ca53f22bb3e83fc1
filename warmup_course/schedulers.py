"""Learning-rate schedules: pure functions of the optimizer step."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from functools import partial
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from warmup_course.arguments import array, elements, function, instance, one_of, real_number, refused, whole_number
from warmup_course.shapes import DECAYS, WARMUPS, Decay, Warmup


@dataclass(frozen=True)
class Schedule:
    r"""The factor of the peak learning rate at each optimizer step.

    With s = start_factor, e = end_factor, W = warmup_steps, S = stable_steps, T = total_steps:

    ===============  ==========================================  ==========================================
    step             progress                                    factor
    ===============  ==========================================  ==========================================
    [0, W)           u = (step + count_from) / W                 linear: s + (1 - s) u
                                                                 cosine: s + (1 - s) (1 - cos(pi u)) / 2
                                                                 exponential: s ** (1 - u)
                                                                 constant: s
                                                                 polynomial: s + (1 - s) u ** 2
    [W, W + S)                                                   1
    [W + S, T)       v = (step - W - S) / (T - W - S)            constant: 1
                                                                 cosine: e + (1 - e) (1 + cos(pi v)) / 2
                                                                 linear: 1 - (1 - e) v
                                                                 sqrt: 1 - (1 - e) sqrt(v)
                                                                 polynomial: e + (1 - e) (1 - v) ** 2
    from T on        v = 1 (where W + S = T, no decay: 1)
    ===============  ==========================================  ==========================================

    The polynomial has one power, 2. Elsewhere it is a parameter: by default 1 in torch's PolynomialLR and transformers'
    get_polynomial_decay_schedule_with_warmup, which is "linear" here, and 0.5 in timm's PolyLRScheduler; and elsewhere
    it is a decay alone, after a linear ramp.

    Sources: linear warmup, Goyal et al. 2017 (arXiv 1706.02677); cosine decay, Loshchilov & Hutter 2016
    (1608.03983); warmup-stable-decay, Hu et al. 2024 (2404.06395).

    Args:
        total_steps: number of optimizer steps T, at least 1 and at most 2**53.
        warmup_steps: length W of the ramp, in optimizer steps; 0 means no warmup.
        warmup: shape of the ramp.
        stable_steps: steps S at the peak between the ramp and the decay.
        decay: shape of the decay.
        start_factor: where the ramp starts, in [0, 1]; more than 0 for "exponential" and "constant".
        end_factor: where the decay ends, in [0, 1].
        count_from: 1 gives the first step (s + 1/W of the way), so that no step is wasted at factor 0;
            0 gives the first step exactly s, as transformers and optax do.

    Raises:
        ValueError: for an unknown name, a negative or fractional step count, W + S > T, T < 1, a factor outside
            [0, 1], another count_from, more than 2**53 steps, or an "exponential" or "constant" ramp from 0.

    >>> schedule = Schedule(total_steps=30, warmup_steps=5)
    >>> [round(0.1 * schedule(step), 4) for step in range(7)]
    [0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.0996]
    >>> schedule(np.arange(3))
    array([0.2, 0.4, 0.6])
    """

    total_steps: int
    warmup_steps: int = 0
    _: KW_ONLY
    warmup: Warmup = "linear"
    stable_steps: int = 0
    decay: Decay = "cosine"
    start_factor: float = 0.0
    end_factor: float = 0.0
    count_from: int = 1

    def __post_init__(self) -> None:
        for name, least in {"total_steps": 1, "warmup_steps": 0, "stable_steps": 0, "count_from": 0}.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("start_factor", "end_factor"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), 0, 1))
        one_of("warmup", self.warmup, WARMUPS)
        one_of("decay", self.decay, DECAYS)
        one_of("count_from", self.count_from, (0, 1))
        if self.warmup_steps + self.stable_steps > self.total_steps:
            raise ValueError(
                f"warmup_steps + stable_steps = {self.warmup_steps} + {self.stable_steps} "
                f"must be at most total_steps = {self.total_steps}"
            )
        if self.start_factor == 0 and not WARMUPS[self.warmup].from_zero:
            raise ValueError(f"start_factor must be more than 0 for warmup={self.warmup!r}, got 0")

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: npt.ArrayLike) -> npt.NDArray[np.float64]: ...
    def __call__(self, step: Any) -> Any:
        """The factor of the peak LR for 0-based optimizer steps: a float for an int, an array for an array.

        Raises:
            ValueError: if a step is negative, not a whole number, or 2**64 or more.
        """
        allowed = "a whole number from 0 to 2**64 - 1, or an array of them"
        whole = array("step", step, allowed, "iu")
        if (whole < 0).any():
            raise refused("step", allowed, step)
        steps = whole.astype(np.float64)  # no integer type holds all steps; exact up to total_steps
        factors = np.ones(steps.shape)
        in_warmup = steps < self.warmup_steps
        progress = (steps[in_warmup] + self.count_from) / max(self.warmup_steps, 1)
        factors[in_warmup] = WARMUPS[self.warmup].factor(self.start_factor, progress)
        decay_start = self.warmup_steps + self.stable_steps
        if decay_start < self.total_steps:
            in_decay = steps >= decay_start
            progress = (steps[in_decay] - decay_start) / (self.total_steps - decay_start)
            factors[in_decay] = DECAYS[self.decay].factor(self.end_factor, np.minimum(progress, 1.0))
        return float(factors) if np.ndim(step) == 0 else factors

    def to_json(self) -> str:
        """The fields as one JSON object, to be stored beside a checkpoint.

        >>> Schedule(**json.loads(Schedule(30, 5).to_json())) == Schedule(30, 5)
        True
        """
        return json.dumps(asdict(self))


def lambda_lr(optimizer: Optimizer, schedule: Callable[[int], float]) -> LambdaLR:
    """A torch LambdaLR that multiplies every group's LR by ``schedule(step)``.

    The optimizer's own ``lr`` is the peak. Call ``scheduler.step()`` after each ``optimizer.step()``.

    To resume, load both state dicts, in whichever order, into a fresh optimizer and a fresh ``lambda_lr`` of the same
    schedule: the LR goes on exactly. A Schedule travels in the state dict as JSON and is never altered by loading.

    What loading may write into the optimizer: building a scheduler overwrites the LR with that of step 0. Loading takes
    this one write back, and nothing else. An LR that came later, from the loaded optimizer, another scheduler or by
    hand, stays. (Inside SequentialLR or ChainedScheduler, whose own building writes too, build all before you load the
    optimizer, as torch asks.)

    Args:
        optimizer: any torch optimizer; groups with different LRs keep their ratio.
        schedule: a Schedule, or any function of the 0-based optimizer step that returns a finite factor of at least 0.
            It is called for steps 0 to T, the last time after the last update. The scheduler can be pickled if the
            function can.

    Raises:
        ValueError: if ``optimizer`` is none, ``schedule`` is no function or returns something else, at once for step 0;
            on ``step``, if the optimizer has got another group since; on ``load_state_dict``, which then changes
            nothing, if the checkpoint is of another Schedule or another number of groups.

    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    >>> scheduler = lambda_lr(optimizer, Schedule(total_steps=30, warmup_steps=5))
    >>> round(optimizer.param_groups[0]["lr"], 6)
    0.02
    """
    instance("optimizer", optimizer, Optimizer, "a torch.optim.Optimizer")
    if not callable(schedule):
        raise refused("schedule", "a Schedule or a function of the optimizer step", schedule)
    _factor(schedule, 0)  # an error here leaves the optimizer as it was
    return _ResumableLambdaLR(optimizer, schedule)


def _factor(schedule: Callable[[int], float], step: int) -> float:
    return real_number(f"schedule({step})", schedule(step), 0)


class _ResumableLambdaLR(LambdaLR):
    """LambdaLR that checks a checkpoint before it loads it, and takes back what building wrote into the optimizer."""

    def __init__(self, optimizer: Optimizer, schedule: Callable[[int], float]) -> None:
        self.schedule_json = schedule.to_json() if isinstance(schedule, Schedule) else None
        # Only an optimizer that a scheduler has driven before has an LR that building must not lose.
        overwritten = [float(group["lr"]) if "initial_lr" in group else None for group in optimizer.param_groups]
        # A partial: LambdaLR would save the attributes of a callable object, and overwrite them when loading.
        super().__init__(optimizer, partial(_factor, schedule))
        groups = optimizer.param_groups
        self._built = [(group, lr, float(group["lr"])) for group, lr in zip(groups, overwritten, strict=True)]

    def step(self, epoch: int | None = None) -> None:
        if (groups := len(self.optimizer.param_groups)) != len(self.base_lrs):
            raise ValueError(
                f"the optimizer has {groups} groups, and had {len(self.base_lrs)} when this scheduler was built; "
                "after add_param_group, build it anew; now, "
                f"lambda step: schedule({self.last_epoch + 1} + step) goes on where this one stands"
            )
        self._built = []  # the LR that building wrote has been used
        super().step(epoch)

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "_built"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not isinstance(state_dict, dict) or not {"last_epoch", "base_lrs", "lr_lambdas"} <= state_dict.keys():
            raise refused("state_dict", "one that this kind of scheduler gave", state_dict)
        saved = state_dict.get("schedule_json")
        if saved != self.schedule_json:
            raise ValueError(
                f"the checkpoint's schedule differs: it has {saved}, this scheduler has {self.schedule_json}; to go on "
                "under this scheduler's, load {**state_dict, 'schedule_json': scheduler.schedule_json}"
            )
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"the checkpoint has {len(state_dict['base_lrs'])} groups, this scheduler {len(self.base_lrs)}"
            )
        super().load_state_dict(state_dict)
        # Loading an optimizer gives it new group dictionaries: in one that is still the same, and still has the LR that
        # building wrote, that LR is taken back.
        pairs = zip(self.optimizer.param_groups, self._built, self.get_last_lr(), strict=False)
        for now, (group, overwritten, written), last in pairs:
            if now is group and float(group["lr"]) == written:
                lr = float(last) if overwritten is None else overwritten
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(lr)  # in place: a compiled step holds on to this tensor
                else:
                    group["lr"] = lr


class _Resting(torch.optim.SGD):
    """Updates nothing, and spares its user torch._dynamo, which takes seconds to import: torch's own optimizers all
    ask for it, in these two methods.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        pass


def used_lrs(
    make_scheduler: Callable[[Optimizer], Any], steps: int, peak_lr: float | Sequence[float] = 0.1
) -> npt.NDArray[np.float64]:
    """The LR of each ``optimizer.step()`` in a loop that calls ``scheduler.step()`` after it.

    Args:
        make_scheduler: makes the scheduler, or several things in one that has a ``step``, for a torch SGD optimizer;
            None is no scheduler at all.
        steps: updates that the loop makes.
        peak_lr: the optimizer's LR; one for each of its groups, if they are several.

    Returns:
        (steps,), or (steps, groups) if ``peak_lr`` is several.

    Raises:
        ValueError: if an argument is none of these.

    >>> from torch.optim.lr_scheduler import StepLR
    >>> used_lrs(lambda optimizer: StepLR(optimizer, step_size=2, gamma=0.5), steps=5)
    array([0.1  , 0.1  , 0.05 , 0.05 , 0.025])
    """
    function("make_scheduler", make_scheduler)
    lrs = elements("peak_lr", peak_lr) if isinstance(peak_lr, Sequence) else [peak_lr]
    for lr in lrs:
        real_number("peak_lr", lr, 0)
    # Schedulers fill a tensor LR in place: they get a copy of it.
    lrs = [lr.clone() if isinstance(lr, torch.Tensor) else lr for lr in lrs]
    optimizer = _Resting([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs])
    scheduler = make_scheduler(optimizer)
    used = np.empty((whole_number("steps", steps, 1), len(lrs)))
    for row in used:
        row[:] = [float(group["lr"]) for group in optimizer.param_groups]
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return used if isinstance(peak_lr, Sequence) else used[:, 0]
