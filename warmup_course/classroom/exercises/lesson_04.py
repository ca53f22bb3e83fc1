"""Lesson 04."""

from collections.abc import Iterable
from functools import partial
from inspect import isgenerator
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from warmup_course.classroom.exercises.checker import Exercise, NotYet, close, not_yet, run, said_by, short
from warmup_course.classroom.exercises.loops import at_each_step, flight_recorder, ramp


def warm_run(head, body, peak, W, T):
    groups = [{"params": [head], "lr": peak}, {"params": [body], "lr": peak / 10}]
    optimizer = torch.optim.SGD(groups)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / W, 1),
    )
    used = []
    for _ in range(T):
        used.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return used


def resume(weight, checkpoint, W):
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / W, 1),
    )
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler


def judge_warm_run(answer: Any) -> str:
    # The first case tells the misconceptions apart.
    for peak, warmup_steps, steps in ((0.1, 5, 8), (0.3, 1, 3), (0.02, 12, 20)):
        case = f"With peak {peak}, W = {warmup_steps} and T = {steps}"
        head, body = torch.zeros(3, requires_grad=True), torch.zeros(2)
        with flight_recorder() as used, at_each_step(dict) as groups:
            log = run(answer, head, body, peak, warmup_steps, steps)
        if isgenerator(log) and not used:
            raise NotYet(
                "Your function has `yield`, so a call runs nothing in it. Collect the LRs in a list and `return` it."
            )
        if len(used) != steps:
            raise NotYet(f"{case} your function takes {len(used)} optimizer steps, expected {steps}.")
        if "dampening" not in groups[0][0]:  # which torch's SGD alone has
            raise NotYet(f"{case} your optimizer is no `SGD`.")
        for step, lrs in enumerate(used):
            if len(lrs) != 2:
                raise NotYet(f"{case} your optimizer has {len(lrs)} parameter groups, expected 2: head and body.")
            judge_lrs(case, peak, warmup_steps, step, lrs)
        judge_tensors([next(iter(group["params"]), None) for group in groups[0]], head, body)
        judge_log(case, peak, log, used)
    return "Both groups ran at the planned LRs, and your log says so."


def judge_lrs(case: str, peak: float, warmup_steps: int, step: int, lrs: list[float]) -> None:
    """NotYet unless head and body step at the LRs of the plan."""
    factor = ramp(warmup_steps, step)
    for name, got, top in zip(("head", "body"), lrs, (peak, peak / 10), strict=True):
        if not close(got / peak, top * factor / peak):
            first = 1 / warmup_steps
            slow = top * (first + (1 - first) * min(step / warmup_steps, 1))
            likely = [
                (top / 3 + top * 2 / 3 * step / 5, "A third of the peak is where `LinearLR` starts by default."),
                (
                    slow,
                    "The ramp is too slow: `total_iters` counts calls of `scheduler.step()`, and W steps need W - 1.",
                ),
                (top * min((step + 2) / warmup_steps, 1), "One step ahead: is `scheduler.step()` called too soon?"),
                (0.0, "That is the other convention, `step / W`."),
                (top * first, "Stuck at the first LR. Does anybody call `scheduler.step()`?"),
                (top, "That is its full peak. Was its LR ever warmed up?"),
                (peak * factor, "Body has head's LR. It runs at a tenth of it."),
                (top * (step + 1) / warmup_steps, "The ramp goes on above the peak."),
            ]
            raise not_yet(f"{case}, at step {step}, as LR of {name}", got, top * factor, likely)


def judge_tensors(held: list[Tensor | None], head: Tensor, body: Tensor) -> None:
    """NotYet unless the groups hold head and body, in this order."""
    for number, (got, right) in enumerate(zip(held, (head, body), strict=True)):
        # An nn.Parameter made of the tensor shares its memory.
        if got is None or got.data_ptr() != right.data_ptr():
            order = ("`head` comes first", "`body` comes second")[number]
            raise NotYet(f"The LRs are right, but group {number} holds the wrong tensor: {order}.")


def judge_log(case: str, peak: float, log: Any, used: list[list[float]]) -> None:
    """NotYet unless the learner's list says what the optimizer did."""
    try:
        logged = np.array(log).astype(float, casting="same_kind")  # which text is not
    except (TypeError, ValueError) as error:
        raise NotYet(f"{case} you return {short(log)}, which is not a list of lists of numbers.") from error
    if logged.shape != (len(used), 2):
        raise NotYet(f"{case} your list has the shape {logged.shape}, expected {(len(used), 2)}: a pair for each step.")
    if not np.allclose(logged, used):
        step = int(np.flatnonzero(~np.isclose(logged, used).all(axis=1))[0])
        likely: list[tuple[Any, Any, str]] = [
            (logged[:-1], used[1:], "Read the LRs before `scheduler.step()` writes the next ones."),
            (logged, logged[:1], "Does each step get a list of its own?"),
            (logged[:, ::-1], used, "In each pair `head` comes first."),
            (logged * [peak, peak / 10], used, "Those are factors, not LRs."),
        ]
        fits = (text for got, right, text in likely if np.allclose(got, right))
        raise NotYet(
            f"{case} the steps were right, and your log is not: for step {step} it has {rounded(logged[step])}, "
            f"the optimizer used {rounded(used[step])}. {next(fits, '')}".strip()
        )


def rounded(lrs: Iterable[float]) -> str:
    """Two LRs without the digits of rounding."""
    return f"[{', '.join(f'{lr:.4g}' for lr in lrs)}]"


def judge_resume(answer: Any) -> str:
    steps = 20
    for warmup_steps, stop in ((8, 3), (5, 2), (8, 8), (4, 12)):
        case = f"With W = {warmup_steps}, stopped after {stop} steps,"
        weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(ramp, warmup_steps))
        go_on(weight, optimizer, scheduler, stop)
        file, restored = BytesIO(), weight.detach().clone().requires_grad_()
        torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
        file.seek(0)
        expected = go_on(weight, optimizer, scheduler, steps - stop)

        with flight_recorder():
            pair = run(answer, restored, torch.load(file, weights_only=True), warmup_steps)
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], Optimizer):
                raise NotYet(f"{case} you return {short(pair)}, expected a pair: the optimizer, then the scheduler.")
            if not any(held is restored for group in pair[0].param_groups for held in group["params"]):
                raise NotYet(f"{case} your optimizer holds another tensor than `weight`.")
            try:
                got = go_on(restored, pair[0], pair[1], steps - stop)
            except Exception as error:
                raise NotYet(f"{case} going on fails with {said_by(error)}.") from error
        judge_resumed(case, warmup_steps, stop, got, expected)
        if not torch.allclose(restored, weight, rtol=1e-9, atol=0):
            raise NotYet(
                f"{case} the LRs are right, and the weights end at {restored.tolist()}, expected {weight.tolist()}. "
                "What else does an optimizer with momentum remember?"
            )
    return "Same LRs and same weights as the run that never stopped."


def go_on(weight: Tensor, optimizer: Optimizer, scheduler: Any, steps: int) -> list[float]:
    """Descend a bowl; the LR at each step."""
    with flight_recorder() as used:
        for _ in range(steps):
            weight.grad = weight.detach() * torch.tensor([1.0, 10.0])
            optimizer.step()
            scheduler.step()
    return [lrs[0] for lrs in used]


def judge_resumed(case: str, warmup_steps: int, stop: int, got: list[float], expected: list[float]) -> None:
    """NotYet unless the LRs go on as they would have."""
    for step, (lr, right) in enumerate(zip(got, expected, strict=True), start=stop):
        if not close(lr, right):
            first = 0.1 / warmup_steps
            likely = [
                (
                    first,
                    "The LR of step 0 again: was the optimizer's state loaded, and *after* the scheduler was built?",
                ),
                (0.1 * min((step + 2) / warmup_steps, 1), "One step ahead: it was stepped or counted once too often."),
                (0.1 * (step - stop + 1) / warmup_steps, "The ramp starts all over: the scheduler's state is missing."),
                (0.1, "That is the full peak. Where is the ramp?"),
                (0.1 * step / warmup_steps, "That is the other convention, `step / W`."),
            ]
            if step > stop and all(close(other, lr) for other in got):
                likely = [(lr, "The LR stands still. Does the scheduler belong to this optimizer?")]
            raise not_yet(f"{case} at step {step}, as LR", lr, right, likely)


EXERCISES = (
    Exercise(
        name="04_warmup_in_pytorch/warm_run",
        judge=judge_warm_run,
        hints=(
            "A group is a dict with `params` (a list of tensors) and, if you like, its own `lr`.",
            "One `LambdaLR` multiplies the LR of both groups. Its function is the ramp of lesson 03.",
            'Read every group\'s `["lr"]` first, then `optimizer.step()`, then `scheduler.step()`.',
        ),
        answer=warm_run,
        why="""The scheduler keeps the ratio of the groups, so one function does for both. The log is read where the
optimizer reads it: after the last `scheduler.step()` and before the next `optimizer.step()`.""",
    ),
    Exercise(
        name="04_warmup_in_pytorch/resume",
        judge=judge_resume,
        hints=(
            "Build both as the run did at its start: same LR, same momentum, same ramp.",
            "Both have `load_state_dict`. Building one of the two writes an LR. What if that happens last?",
        ),
        answer=resume,
        why="""Building a `LambdaLR` writes the LR of step 0 into the optimizer. So build first and load afterwards: the
optimizer's state brings back the LR and the momentum, the scheduler's state the number of steps.""",
    ),
)
