"""A schedule as code to paste into a training script."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from warmup_course.arguments import instance, one_of, positive_number
from warmup_course.schedulers import Schedule
from warmup_course.shapes import DECAYS, WARMUPS, Decay, Shape

Library = Literal["torch", "transformers", "python"]

EXACT = 1e-10  # factors this close are the same
HEADER = """\
# `optimizer` must be new and built with lr={peak_lr!r}, the peak.
# Call scheduler.step() once after each optimizer.step(), {total_steps} times in all.
"""


def to_code(schedule: Schedule, peak_lr: float, library: Library) -> str:
    """Code that gives ``optimizer`` the LRs ``peak_lr * schedule(step)`` in steps 0 to T - 1.

    It needs one name, ``optimizer``, a torch optimizer. Numbers have 12 digits.

    - "torch": torch's own schedulers where they can: a linear ramp from above 0 (or a constant one), then a cosine or
      linear decay, or a polynomial one to 0. Else a LambdaLR, and the reason. CosineAnnealingLR's ``eta_min`` is an LR
      and not a factor: with an ``end_factor`` the code is right where all parameter groups have ``peak_lr``, and says
      so.
    - "transformers": that library's schedule where it has one: above all linear ramps with ``start_factor=0`` and
      ``count_from=0``, then a cosine, linear or polynomial decay. Else one that comes near, and the first line says by
      how much the LRs differ at most, in percent of the peak.
    - "python": a function from the step to the LR, and the loop that sets it; no scheduler.

    Args:
        schedule: the schedule.
        peak_lr: the LR where the schedule's factor is 1; more than 0.
        library: what the code is written with.

    Raises:
        ValueError: for what is no Schedule, an unknown library, or a ``peak_lr`` that is not a finite number above 0.

    >>> print(to_code(Schedule(total_steps=30, warmup_steps=5), peak_lr=0.1, library="torch"))
    # `optimizer` must be new and built with lr=0.1, the peak.
    # Call scheduler.step() once after each optimizer.step(), 30 times in all.
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
    <BLANKLINE>
    warmup = LinearLR(optimizer, start_factor=1 / 5, total_iters=4)
    decay = CosineAnnealingLR(optimizer, T_max=25)
    scheduler = SequentialLR(optimizer, [warmup, decay], milestones=[5])
    <BLANKLINE>
    """
    instance("schedule", schedule, Schedule, "a Schedule")
    peak_lr = positive_number("peak_lr", peak_lr)
    one_of("library", library, get_args(Library))
    return {"torch": _torch, "transformers": _transformers, "python": _python}[library](schedule, peak_lr)


class _Parts(NamedTuple):
    """A schedule's parts, whatever its count_from: a linear ramp that counts from 1 is a shorter one from higher up."""

    ramp: int  # steps before the first one at the peak
    first: float  # factor of step 0
    decay_start: int
    decay: int  # steps of the decay; 0 where the LR stays at the peak


def _parts(schedule: Schedule) -> _Parts:
    ramp = schedule.warmup_steps if schedule.warmup == "constant" else schedule.warmup_steps - schedule.count_from
    if ramp < 0 or 1 - schedule.start_factor < EXACT:
        ramp = 0
    decay_start = schedule.warmup_steps + schedule.stable_steps
    flat = schedule.decay == "constant" or 1 - schedule.end_factor < EXACT
    return _Parts(ramp, schedule(0), decay_start, 0 if flat else schedule.total_steps - decay_start)


def _number(x: float) -> str:
    return repr(float(f"{x:.12g}"))


def _times(x: float) -> str:
    return "" if x == 1 else f"{_number(x)} * "


def _assign(target: str, function: str, **arguments: object) -> str:
    """``target = function(optimizer, ...)`` on one line, or on one for each argument where that is too long."""
    named = (f"{name}={_number(x) if isinstance(x, float) else x}" for name, x in arguments.items())
    items = ["optimizer", *named]
    line = f"{target} = {function}({', '.join(items)})\n"
    return line if len(line) <= 88 else "".join([f"{target} = {function}(\n", *(f"    {x},\n" for x in items), ")\n"])


# --- plain functions -------------------------------------------------------------------------------------------------


def _function(schedule: Schedule, peak: float, signature: str, docstring: str) -> str:
    """The source of a function from the 0-based step to ``peak * schedule(step)``."""
    warmup_steps = schedule.warmup_steps
    ramp, _, decay_start, decay = _parts(schedule)
    body = [f'"""{docstring}"""']
    if ramp:
        u = f"(step + 1) / {warmup_steps}" if schedule.count_from else f"step / {warmup_steps}"
        rise = WARMUPS[schedule.warmup].code.format(u=u, **_lrs(schedule.start_factor, peak))
        body += [f"if step < {warmup_steps}:", f"    return {rise}"]
    if decay:
        if decay_start > (warmup_steps if ramp else 0):
            body += [f"if step < {decay_start}:", f"    return {_number(peak)}"]
        since = f"(step - {decay_start})" if decay_start else "step"
        fall = DECAYS[schedule.decay].code.format(u="progress", **_lrs(schedule.end_factor, peak))
        body += [f"progress = min(1.0, {since} / {decay})", f"return {fall}"]
    else:
        body += [f"return {_number(peak)}"]
    return "\n    ".join([f"def {signature}:", *body]) + "\n"


def _lrs(low: float, peak: float) -> dict[str, str]:
    """The numbers in a shape's templates, where its low end has this factor."""
    span = (1 - low) * peak
    return {
        "share": _number(low),
        "low": _number(low * peak),
        "low_plus": f"{_number(low * peak)} + " if low else "",
        "span_times": _times(span),
        "half_span": _number(span / 2),
        "peak": _number(peak),
        "peak_times": _times(peak),
    }


def _python(schedule: Schedule, peak_lr: float) -> str:
    function = _function(schedule, peak_lr, "learning_rate(step)", "The LR of optimizer step 0, 1, 2, ...")
    header = "# Needs `optimizer`; all its parameter groups get the same LR. There is no scheduler.step() here.\n"
    loop = f"""\
for step in range({schedule.total_steps}):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    # Here: forward pass, loss.backward().
    optimizer.step()
"""
    header += "import math\n" if "math." in function else ""
    return "\n\n".join([header, function, loop])


# --- torch -----------------------------------------------------------------------------------------------------------


def _torch(schedule: Schedule, peak_lr: float) -> str:
    header = HEADER.format(peak_lr=peak_lr, total_steps=schedule.total_steps)
    reason = _why_not_sequential(schedule)
    if reason:
        function = _function(schedule, 1.0, "factor(step)", "What multiplies the peak LR in step 0, 1, 2, ...")
        header += f"# LambdaLR, because {reason}.\n"
        header += "import math\n\n" if "math." in function else ""
        header += "from torch.optim.lr_scheduler import LambdaLR\n"
        return "\n\n".join([header, function, "scheduler = LambdaLR(optimizer, factor)\n"])

    ramp, first, decay_start, decay = _parts(schedule)
    calls: dict[str, tuple[str, dict[str, str]]] = {}
    if ramp:
        # Where the ramp rises from 0, the first step is at 1 / W of the peak.
        start = _number(first) if schedule.start_factor else f"1 / {schedule.warmup_steps}"
        calls["warmup"] = _call(WARMUPS[schedule.warmup], steps=ramp, first=start)
    elif decay_start or not decay:
        calls["stable"] = _call(DECAYS["constant"])
    if decay:
        calls["decay"] = _call(DECAYS[schedule.decay], steps=decay, **_lrs(schedule.end_factor, peak_lr))
        if schedule.end_factor == 0:
            calls["decay"][1].pop("eta_min", None)  # it is torch's default
        if "eta_min" in calls["decay"][1]:
            header += f"# eta_min is an LR, not a factor: all parameter groups must have lr={peak_lr!r}.\n"

    names = {function for function, _ in calls.values()}
    if len(calls) == 1:
        [(function, arguments)] = calls.values()
        code = _assign("scheduler", function, **arguments)
    else:
        names.add("SequentialLR")
        code = "".join(_assign(target, function, **arguments) for target, (function, arguments) in calls.items())
        code += f"scheduler = SequentialLR(optimizer, [{', '.join(calls)}], milestones=[{decay_start}])\n"
    return f"{header}from torch.optim.lr_scheduler import {', '.join(sorted(names))}\n\n{code}"


def _call(shape: Shape, **values: object) -> tuple[str, dict[str, str]]:
    """The name and the arguments of torch's scheduler of that shape."""
    assert not isinstance(shape.torch, str)
    function, arguments = shape.torch
    return function, {name: template.format(**values) for name, template in arguments.items()}


def _why_not_sequential(schedule: Schedule) -> str | None:
    """Why torch's own schedulers cannot make this schedule; None where they can."""
    ramp, first, _, decay = _parts(schedule)
    warmup, fall = WARMUPS[schedule.warmup].torch, DECAYS[schedule.decay].torch
    if ramp and isinstance(warmup, str):
        return warmup
    if ramp and first < EXACT:
        return "torch's ramps multiply their way up, and cannot start at 0"
    if not decay:
        return None
    if isinstance(fall, str):
        return fall
    function, arguments = fall
    if schedule.end_factor and not re.search("{(low|share)}", "".join(arguments.values())):
        return f"torch's {function} falls to 0"
    return None


# --- transformers ----------------------------------------------------------------------------------------------------


def _transformers(schedule: Schedule, peak_lr: float) -> str:
    steps = np.arange(schedule.total_steps)
    factors = schedule(steps)
    options = [(np.abs(s(steps) - factors).max(), name, args) for s, name, args in _options(schedule, peak_lr)]
    difference, name, arguments = min(options, key=lambda option: option[0])  # the plainest if several
    header = HEADER.format(peak_lr=peak_lr, total_steps=schedule.total_steps)
    if difference > EXACT:
        differ = f"These LRs differ by up to {100 * difference:.3g}% of the peak."
        header = f"# Not exact: transformers has no such schedule. {differ}\n{header}"
    return f"{header}from transformers import {name}\n\n{_assign('scheduler', name, **arguments)}"


def _options(schedule: Schedule, peak_lr: float) -> Iterator[tuple[Schedule, str, Mapping[str, object]]]:
    """Schedules of transformers near this one, the plainest first: as a Schedule, and as a function and arguments."""
    total_steps, warmup_steps, e = schedule.total_steps, schedule.warmup_steps, schedule.end_factor
    ramp, first, _, decay = _parts(schedule)
    like = partial(Schedule, total_steps, decay=schedule.decay, count_from=0)
    polynomial = "get_polynomial_decay_schedule_with_warmup"
    w = {"num_warmup_steps": warmup_steps}
    w_and_t = {**w, "num_training_steps": total_steps}
    if not decay:
        yield Schedule(total_steps, decay="constant"), "get_constant_schedule", {}
        yield like(warmup_steps, decay="constant"), "get_constant_schedule_with_warmup", w
    elif schedule.decay == "linear" and e == 0:
        yield like(warmup_steps), "get_linear_schedule_with_warmup", w_and_t
    elif schedule.decay == "linear":
        yield like(warmup_steps, end_factor=e), polynomial, {**w_and_t, "lr_end": e * peak_lr}
    elif schedule.decay == "polynomial":
        yield like(warmup_steps, end_factor=e), polynomial, {**w_and_t, "lr_end": e * peak_lr, "power": 2.0}
    elif schedule.decay == "cosine":
        min_lr = "get_cosine_with_min_lr_schedule_with_warmup"
        if e == 0:
            yield like(warmup_steps), "get_cosine_schedule_with_warmup", w_and_t
        else:
            yield like(warmup_steps, end_factor=e), min_lr, {**w_and_t, "min_lr_rate": e}
        # This one counts the first step at the peak as the ramp's last, and ends in the last step.
        plus_1 = {"num_warmup_steps": ramp + 1, "num_training_steps": total_steps + 1}
        rates = {"min_lr_rate": e, "warmup_lr_rate": first}
        yield like(ramp, start_factor=first, end_factor=e), f"{min_lr}_lr_rate", {**plus_1, **rates}
    # The last one starts its ramp at the factor that its decay ends at.
    end = e if decay else first
    stable = total_steps - ramp - decay
    steps = {"num_warmup_steps": ramp, "num_stable_steps": stable, "num_decay_steps": decay}
    near: Decay = schedule.decay if DECAYS[schedule.decay].wsd else "linear"
    decay_type = {"decay_type": f'"{DECAYS[near].wsd}"'} if decay else {}
    for warmup, shape in WARMUPS.items():
        if shape.wsd:
            warmup_type = {"warmup_type": f'"{shape.wsd}"'} if ramp else {}
            wsd = like(ramp, warmup=warmup, decay=near, stable_steps=stable, start_factor=end, end_factor=end)
            yield wsd, "get_wsd_schedule", {**steps, **warmup_type, **decay_type, "min_lr_ratio": end}
