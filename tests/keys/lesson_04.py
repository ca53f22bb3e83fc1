"""Lesson 04."""

import warnings
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import LambdaLR, LinearLR

from keys import Choices, Verdicts, idle, key, verdicts
from warmup_course import Schedule, lambda_lr


def ramp(step: int, w: int = 5) -> float:
    return min((step + 1) / w, 1)


def used(optimizer: SGD, scheduler: Any, steps: int, *, early: bool = False) -> list[float]:
    """The LRs at optimizer.step(); ``early``: scheduler.step() comes before it."""
    lrs = []
    for _ in range(steps):
        if early:
            scheduler.step()
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if not early:
            scheduler.step()
    return lrs


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("linear-lr-one-call-too-many")
def one_call_too_many() -> list[float]:
    optimizer = idle()
    lrs = used(optimizer, LinearLR(optimizer, 0.25, total_iters=4), 3)
    four_steps = 0.1 * Schedule(9, 4, decay="constant")(1)
    return [lrs[1], four_steps, lrs[0], lrs[2], lrs[1] / 0.1]


@key("stepped-once-an-epoch")
def once_an_epoch() -> list[float]:
    optimizer = idle(0.4)
    scheduler = LambdaLR(optimizer, lambda step: ramp(step, 200))
    lrs = []
    for _ in range(10):
        for _ in range(40):
            lrs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
        scheduler.step()
    other = idle(0.4)
    per_batch = used(other, LambdaLR(other, lambda step: ramp(step, 200)), 400)
    return [max(lrs), max(per_batch), optimizer.param_groups[0]["lr"], 0.4 * 9 / 200, max(lrs) / 0.4]


@key("first-stair-of-a-decay")
def first_stair() -> list[float]:
    steps = np.arange(10_000)
    factors = np.where(steps < 500, (steps + 1) / 500, 0.5 ** ((steps - 500) // 4000))
    falls = (np.flatnonzero(np.diff(factors) < 0) + 1).tolist()
    end_of_ramp = int(np.argmax(factors == 1))
    return [falls[0], 4000, end_of_ramp + 1, end_of_ramp, falls[1]]


# ---- choices ---------------------------------------------------------------------------------------------------------


@key("both-groups-warmed")
def both_groups_warmed(choices: Choices) -> list[bool]:
    def warmed(code: str) -> bool:
        body, head = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
        optimizer = SGD([{"params": [body], "lr": 0.01}, {"params": [head], "lr": 0.1}])
        scope: dict[str, Any] = {"optimizer": optimizer, "ramp": ramp, "LambdaLR": LambdaLR}
        lrs = []
        for step in range(8):
            if "scheduler" not in scope:
                exec(code, scope | {"step": step}, scope)
            lrs.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            if "scheduler" in scope:
                scope["scheduler"].step()
        return np.allclose(lrs, np.outer([ramp(step) for step in range(8)], [0.01, 0.1]))

    return [warmed(choice["text"].strip("`")) for choice in choices]


@verdicts("one-step-ahead-of-plan")
def one_step_ahead() -> Verdicts:
    optimizers = [idle() for _ in range(4)]
    from_zero = LambdaLR(optimizers[0], lambda step: min(step / 5, 1))
    four = LambdaLR(optimizers[3], lambda step: ramp(step, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        early = used(optimizers[2], LambdaLR(optimizers[2], ramp), 5, early=True)
    traces = {
        "`step / W`": used(optimizers[0], from_zero, 5),
        "`LinearLR`": used(optimizers[1], LinearLR(optimizers[1]), 5),
        "before": early,
        "W is 4": used(optimizers[3], four, 5),
    }
    return {words: np.allclose(trace, [0.04, 0.06, 0.08, 0.1, 0.1]) for words, trace in traces.items()}


@key("lambda-lr-built-after-loading")
def built_after_loading(choices: Choices) -> list[bool]:
    optimizer = idle()
    scheduler = LambdaLR(optimizer, ramp)
    used(optimizer, scheduler, 12)
    resumed = idle()
    resumed.load_state_dict(optimizer.state_dict())
    late = LambdaLR(resumed, ramp)
    late.load_state_dict(scheduler.state_dict())
    lrs = used(resumed, late, 3)
    return [np.allclose(lrs, [float(lr) for lr in choice["text"].split(",")]) for choice in choices]


@verdicts("which-bugs-speak-up")
def speaks_up() -> Verdicts:
    def never_stepped() -> None:
        optimizer = idle()
        LambdaLR(optimizer, ramp)
        for _ in range(5):
            optimizer.step()

    def early() -> None:
        optimizer = idle()
        used(optimizer, LambdaLR(optimizer, ramp), 5, early=True)

    def from_zero() -> None:
        LinearLR(idle(), start_factor=0)

    def twice() -> None:
        optimizer = idle()
        LinearLR(optimizer, 0.2)
        used(optimizer, LinearLR(optimizer, 0.2), 5)

    def speaks(bug: Callable[[], Any]) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                bug()
            except (UserWarning, ValueError):
                return True
        return False

    bugs = {
        "never called": never_stepped,
        "called before": early,
        "`start_factor=0`": from_zero,
        "once an epoch": once_an_epoch,
        "twice": twice,
    }
    return {words: speaks(bug) for words, bug in bugs.items()}


# ---- order -----------------------------------------------------------------------------------------------------------


@key("one-pass-through-the-loop")
def one_pass(texts: Sequence[str]) -> list[float]:
    """The one order that moves the weight by the first LR and leaves the second."""

    def works(lines: Sequence[str]) -> bool:
        weight = torch.ones(1, requires_grad=True)
        optimizer = SGD([weight], lr=0.1)
        scope = {
            "model": lambda x: weight * x,
            "loss_of": lambda out, y: (out - y).sum(),
            "x": torch.ones(1),
            "y": torch.zeros(1),
            "optimizer": optimizer,
            "scheduler": LambdaLR(optimizer, ramp),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                exec("\n".join(lines), scope)
            except (NameError, UserWarning):
                return False
        return np.allclose([weight.item(), optimizer.param_groups[0]["lr"]], [1 - 0.02, 0.04])

    [order] = filter(works, permutations([text.strip("`") for text in texts]))
    return [order.index(text.strip("`")) for text in texts]


# ---- exercises: answers of learners ----------------------------------------------------------------------------------


def warm_run(
    factor=ramp, *, scheduler=None, early=False, log="before", stepped=True, head=0.1, steps=None, groups=2, kind=SGD
):
    """A learner's loop with one thing changed."""

    def answer(body, tail, peak, w, t):
        parts = [{"params": [body], "lr": peak}, {"params": [tail], "lr": peak * head}]
        optimizer = kind(parts if groups == 2 else [body, tail], lr=peak)
        make = scheduler or (lambda opt, w: LambdaLR(opt, lambda step: factor(step, w)))
        plan, used, same = make(optimizer, w), [], []
        for _ in range(steps or t):
            lrs = [group["lr"] for group in optimizer.param_groups]
            if early:
                plan.step()
            optimizer.step()
            if stepped and not early:
                plan.step()
            after = [group["lr"] for group in optimizer.param_groups]
            same[:] = lrs
            logs = {"before": lrs, "after": after, "one list": same, "first": lrs[0], "swapped": lrs[::-1]}
            logs |= {"factors": [lrs[0] / peak] * 2, "nothing": [0.0, 0.0], "text": [*map(str, lrs)]}
            used.append(logs[log])
        return used

    return answer


def by_index(body, head, peak, w, t):
    optimizer = SGD([{"params": [body], "lr": peak}, {"params": [head], "lr": peak / 10}])
    used = []
    for step in range(t):
        optimizer.param_groups[0]["lr"] = peak * ramp(step, w)
        used.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
    return used


def by_hand(body, head, peak, w, t):
    optimizer = SGD([{"params": [head]}, {"params": [body]}][::-1], lr=0.5)
    used = []
    for step in range(t):
        for group, share in zip(optimizer.param_groups, (1, 0.1), strict=True):
            group["lr"] = share * peak * ramp(step, w)
        optimizer.step()
        used.append(tuple(group["lr"] for group in optimizer.param_groups))
    return np.array(used)


def generator(head, body, peak, w, t):
    yield from warm_run()(head, body, peak, w, t)


def own_tensors(make):
    """The right LRs, for groups made of other tensors than those that were asked for."""
    return lambda head, body, *plan: warm_run()(*make(head, body), *plan)


def resume(
    order=("build", "optimizer", "scheduler"),
    *,
    momentum=0.9,
    extra=0,
    swap=False,
    other=False,
    counted=None,
    factor=ramp,
):
    """A learner's way of going on with one thing changed."""

    def answer(weight, checkpoint, w):
        optimizer, scheduler = SGD([weight], lr=0.1, momentum=momentum), None
        for action in order:
            if action == "build":
                at = {} if counted is None else {"last_epoch": checkpoint["scheduler"]["last_epoch"] + counted}
                target = idle() if other else optimizer
                scheduler = LambdaLR(target, lambda step: factor(step, w), **at)
            else:
                (optimizer if action == "optimizer" else scheduler).load_state_dict(checkpoint[action])
        for _ in range(extra):
            scheduler.step()
        return (scheduler, optimizer) if swap else (optimizer, scheduler)

    return answer


def without_momentum(weight, checkpoint, w):
    optimizer, scheduler = resume(["build", "scheduler"])(weight, checkpoint, w)
    optimizer.param_groups[0]["lr"] = scheduler.get_last_lr()[0]
    return optimizer, scheduler


def failing_later(weight, checkpoint, w):
    optimizer = SGD([weight], lr=0.1)
    return optimizer, LambdaLR(optimizer, lambda step: 1 if step == 0 else 1 / 0)


WRONG = {
    "04_warmup_in_pytorch/warm_run": [
        (warm_run(scheduler=lambda opt, w: LinearLR(opt)), "starts by default"),
        (warm_run(scheduler=lambda opt, w: LinearLR(opt, 1 / w, total_iters=w)), "W steps need W - 1"),
        (warm_run(early=True), "One step ahead"),
        (warm_run(lambda step, w: min(step / w, 1)), "other convention"),
        (warm_run(stepped=False), "Stuck at the first LR"),
        (warm_run(lambda step, w: 1), "ever warmed up"),
        (by_index, "as LR of body you have 0.01"),
        (warm_run(head=1), "Body has head's LR"),
        (warm_run(lambda step, w: (step + 1) / w), "above the peak"),
        (warm_run(lambda step, w: 0.7), "expected 0.02"),
        (warm_run(log="after"), "before `scheduler.step()`"),
        (warm_run(log="one list"), "list of its own"),
        (warm_run(log="first"), "a pair for each step"),
        (warm_run(log="swapped"), "In each pair `head` comes first."),
        (warm_run(log="factors"), "Those are factors, not LRs."),
        (warm_run(log="text"), "not a list of lists of numbers"),
        (warm_run(log="nothing"), "[0, 0], the optimizer used [0.02, 0.002]."),
        (generator, "has `yield`"),
        (warm_run(kind=Adam), "no `SGD`"),
        (warm_run(steps=4), "takes 4 optimizer steps"),
        (warm_run(groups=1), "1 parameter groups"),
        (own_tensors(lambda head, body: (body, head)), "group 0 holds the wrong tensor: `head` comes first"),
        (own_tensors(lambda head, body: (torch.zeros(1), body)), "group 0 holds the wrong tensor"),
        (own_tensors(lambda head, body: (head, body.clone())), "group 1 holds the wrong tensor: `body` comes second"),
        (lambda body, head, peak, w, t: [[peak, peak]] * t, "takes 0 optimizer steps"),
        (lambda body, head, peak, w, t: "done" if warm_run()(body, head, peak, w, t) else 0, "not a list of lists"),
        (lambda body: body, "TypeError"),
        (0.1, "should be a function"),
    ],
    "04_warmup_in_pytorch/resume": [
        (resume(["optimizer", "build", "scheduler"]), "and *after* the scheduler was built"),
        (resume(["build", "scheduler"]), "was the optimizer's state loaded"),
        (resume(["build", "optimizer"]), "starts all over"),
        (resume(["build"]), "LR of step 0 again"),
        (resume(extra=1), "counted once too often"),
        (resume(["optimizer", "build"], counted=0), "counted once too often"),
        (resume(other=True), "belong to this optimizer"),
        (resume(factor=lambda step, w: min(step / w, 1)), "the other convention"),
        (resume(factor=lambda step, w: min((step + 1) / 8, 1)), "With W = 5, stopped after 2 steps"),
        (lambda weight, *rest: resume()(torch.nn.Parameter(weight), *rest), "another tensor than `weight`"),
        (lambda weight, *rest: resume()(weight.detach().clone(), *rest), "another tensor than `weight`"),
        (without_momentum, "momentum"),
        (resume(swap=True), "the optimizer, then the scheduler"),
        (failing_later, "ZeroDivisionError"),
        (lambda weight, checkpoint, w: checkpoint, "expected a pair"),
        (lambda weight, checkpoint, w: checkpoint["model"], "KeyError"),
    ],
}
RIGHT = {
    "04_warmup_in_pytorch/warm_run": [
        by_hand,
        warm_run(scheduler=lambda opt, w: LinearLR(opt, 1 / w, total_iters=w - 1)),
        own_tensors(lambda head, body: (torch.nn.Parameter(head), torch.nn.Parameter(body))),
        warm_run(scheduler=lambda opt, w: lambda_lr(opt, Schedule(99, w, decay="constant"))),
    ],
    "04_warmup_in_pytorch/resume": [
        resume(["build", "scheduler", "optimizer"]),
        resume(["optimizer", "build"], counted=-1),
        resume(momentum=0),
    ],
}
