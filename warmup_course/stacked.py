"""Many models that differ in their weights alone, trained as one.

There are two kinds of stack, with the same methods: StackedMLP is fast and knows plain MLPs alone, StackedModule
takes any module. ``kind_of_stack`` chooses.
"""

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from warmup_course.arguments import refused
from warmup_course.data import Dataset
from warmup_course.model import MLP
from warmup_course.training import LOSSES, Loss, TrainConfig, random_state_kept

# All rows of a split at once would take more memory, and more time, than pieces that fit a processor's cache.
EVALUATION_ROWS = 256
_relu_backward = torch.ops.aten.threshold_backward.grad_input


class Stack(Protocol):
    """Models that are trained together, at first with the weights that the seeds give them, each so many times.

    Attributes:
        BYTES: how much the parameters and the batch of one stack should take on a CPU. More is hardly faster.
    """

    BYTES: int

    def __init__(self, config: TrainConfig, seeds: Sequence[int], runs_per_seed: int) -> None: ...

    def step(self, x: Tensor, y: Tensor, lr: Tensor) -> Tensor:
        """Make one update of each run.

        Args:
            x, y: a batch for each seed, (seeds, rows, ...) and (seeds, rows) or (seeds, rows, tokens).
            lr: the LR of each run, (runs,).

        Returns:
            The loss of each run before the update, (runs,).
        """

    def evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy of each run, (runs,), over rows (rows, ...) that all of them see."""

    def models(self) -> list[nn.Module]:
        """Each run's model as it is now, a copy."""


def kind_of_stack(model: nn.Module, data: Dataset) -> "type[StackedMLP] | type[StackedModule]":
    """The kind that trains this model fastest: StackedMLP for linear layers with ReLU between them and nothing else."""
    layers = list(model.children())
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    trained = [p for layer in linear for p in (layer.weight, layer.bias) if p is not None and p.requires_grad]
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    is_plain_mlp = (
        type(model) in (MLP, nn.Sequential)
        and list(map(type, layers)) == [nn.Linear, nn.ReLU] * (len(linear) - 1) + [nn.Linear]
        and len(set(trained)) == 2 * len(linear)  # nothing is frozen or shared
        and not any(getattr(module, name) for module in model.modules() for name in hooks)
        and data.x_train.shape[1:] == (linear[0].in_features,)
        and data.n_classes <= linear[-1].out_features
    )
    return StackedMLP if is_plain_mlp else StackedModule


class StackedModule:
    """A stack of any module whose rows do not depend on each other, by torch.func."""

    BYTES = 2**23

    def __init__(self, config: TrainConfig, seeds: Sequence[int], runs_per_seed: int) -> None:
        models = _models(config, seeds)
        # A copy: while it computes, functional_call puts a stack's parameters into it, and models may share a module.
        self.model, self.loss, self.runs_per_seed = deepcopy(models[0]), LOSSES[config.loss], runs_per_seed
        self.dtype = config.dtype
        self.parameters, self.buffers = (
            {name: tensor.detach().repeat_interleave(runs_per_seed, dim=0) for name, tensor in of_seeds.items()}
            for of_seeds in stack_module_state(models)
        )
        trained = [name for name, p in self.model.named_parameters() if p.requires_grad]
        self.trained = [self.parameters[name].requires_grad_() for name in trained]
        self.optimizer = _Optimizer(config, self.trained)

    def _outputs(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.model, (parameters, buffers), (x,))

    def step(self, x: Tensor, y: Tensor, lr: Tensor) -> Tensor:
        self.model.train()
        x, y = (batch.repeat_interleave(self.runs_per_seed, dim=0) for batch in (x, y))
        losses = vmap(self.loss)(vmap(self._outputs)(self.parameters, self.buffers, x), y)
        self.optimizer.step(torch.autograd.grad(losses.sum(), self.trained, allow_unused=True), lr)
        return losses.detach()

    @torch.no_grad()
    def evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        self.model.eval()
        loss, hits = torch.zeros(2, 1, device=x.device, dtype=self.dtype)
        for x_rows, y_rows in zip(x.split(EVALUATION_ROWS), y.split(EVALUATION_ROWS), strict=True):
            outputs = vmap(self._outputs, in_dims=(0, 0, None))(self.parameters, self.buffers, x_rows)
            loss = loss + vmap(self.loss, in_dims=(0, None))(outputs, y_rows) * len(y_rows)
            hits = hits + (outputs.argmax(dim=-1) == y_rows).flatten(1).sum(dim=1)
        return loss / len(y), hits / y.numel()

    def models(self) -> list[nn.Module]:
        return _unstacked(self.model, [*self.parameters.values(), *self.buffers.values()])


def check_stackable(model: nn.Module, x: Tensor) -> None:
    """ValueError unless the module, in training, can see rows (rows, ...) as one of a stack."""
    parameters, buffers = (
        {name: p.detach()[None] for name, p in found} for found in (model.named_parameters(), model.named_buffers())
    )
    try:
        with random_state_kept():
            vmap(lambda p, b, rows: functional_call(model, (p, b), (rows,)))(parameters, buffers, x[None])
    except Exception as error:
        allowed = "a module for torch.func.vmap: without randomness, .item() or branches on values"
        raise refused("model", allowed, error) from error


class StackedMLP:
    """A stack of plain MLPs: backpropagation written out, as batched matrix products into memory allocated once.

    Activations are (runs, features, rows), so that the weights keep nn.Linear's layout, (runs, out, in), and the first
    layers of all runs that see the same rows are one matrix.

    Only ``step`` writes into ``layers``, the parameters, and ``gradients``: those of the latest batch or, of plain SGD,
    the velocity that momentum keeps. Rooms of all sizes share one memory, which the next ``_forward`` overwrites: it
    puts each layer's outputs into ``out``, where the next layer's ReLU makes them activations and, at the top,
    ``_loss_and_error`` makes them the error. ``_backward`` puts the errors of the layers below into ``error``.
    """

    BYTES = 2**21

    def __init__(self, config: TrainConfig, seeds: Sequence[int], runs_per_seed: int) -> None:
        models = _models(config, seeds)
        linear = [[m for m in model.children() if isinstance(m, nn.Linear)] for model in models]
        self.model, self.loss = models[0], config.loss
        self.layers = [
            (_rows([p.weight for p in layer], runs_per_seed), _rows([p.bias[:, None] for p in layer], runs_per_seed))
            for layer in zip(*linear, strict=True)
        ]
        # Plain SGD adds its steps to the parameters at once, or its gradients to the velocity that momentum keeps. What
        # torch or the learner makes of gradients needs these by themselves.
        rule = (config.optimizer, config.weight_decay, config.clip_norm, config.before_step)
        is_plain_sgd = rule == ("SGD", 0, math.inf, None) and type(config).make_optimizer is TrainConfig.make_optimizer
        self.optimizer = None if is_plain_sgd else _Optimizer(config, chain(*self.layers))
        self.momentum = config.momentum
        self.gradients = [(torch.zeros_like(weight), torch.zeros_like(bias)) for weight, bias in self.layers]
        most_rows = max(config.batch_size, EVALUATION_ROWS)
        self._memory = [bias.new_empty(2, bias.numel() * most_rows) for _, bias in self.layers]
        self._rooms: dict[int, list[_Room]] = {}

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor, lr: Tensor) -> Tensor:
        outputs = self._forward(x)
        losses, error = _loss_and_error(self.loss, outputs, y)
        lr_of_run = lr.view(-1, 1, 1)
        if self.optimizer is not None:
            self._backward(x, error, into=self.gradients, keep=0)
            self.optimizer.step(list(chain(*self.gradients)), lr)
        elif self.momentum == 0:
            self._backward(x, error.mul_(-lr_of_run), into=self.layers, keep=1)
        else:
            self._backward(x, error, into=self.gradients, keep=self.momentum)
            for p, velocity in zip(chain(*self.layers), chain(*self.gradients), strict=True):
                p.addcmul_(velocity, lr_of_run, value=-1)
        return losses

    @torch.no_grad()
    def evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss, hits = x.new_zeros(2, 1)
        # The first of the greatest outputs has the highest rank; argmax itself would take longer than a layer.
        rank = torch.arange(len(self.layers[-1][1][0]), 0, -1, device=x.device, dtype=x.dtype)[:, None]
        for x_rows, y_rows in zip(x.split(EVALUATION_ROWS), y.split(EVALUATION_ROWS), strict=True):
            outputs = self._forward(x_rows[None])
            values = outputs.nan_to_num(math.inf)  # as in argmax, NaN is greater than infinity, which becomes finite
            is_greatest = torch.eq(values, values.amax(dim=1, keepdim=True), out=values)
            hits = hits + (is_greatest.mul_(rank).amax(dim=1) == rank[y_rows, 0]).sum(dim=1)
            loss = loss + _loss_and_error(self.loss, outputs, y_rows[None])[0] * len(y_rows)
        return loss / len(y), hits / len(y)

    def models(self) -> list[nn.Module]:
        return _unstacked(self.model, list(chain(*self.layers)))

    def _room(self, rows: int) -> list["_Room"]:
        """Where the activations and errors of so many rows go, layer by layer."""
        if rows not in self._rooms:
            self._rooms[rows] = []
            for (_, bias), memory in zip(self.layers, self._memory, strict=True):
                out, error = memory[:, : bias.numel() * rows].view(2, *bias.shape[:2], rows)
                self._rooms[rows].append(_Room(out, error))
        return self._rooms[rows]

    def _forward(self, x: Tensor) -> Tensor:
        """The outputs, (runs, classes, rows), for x (groups, rows, features): one group for each of equal parts."""
        inputs: Tensor | None = None
        for (weight, bias), room in zip(self.layers, self._room(x.shape[1]), strict=True):
            if inputs is None:
                torch.bmm(_grouped(weight, x.shape[0]), x.mT, out=_grouped(room.out, x.shape[0]))
            else:
                torch.bmm(weight, inputs.relu_(), out=room.out)
            inputs = room.out.add_(bias)
        return room.out

    def _backward(self, x: Tensor, error: Tensor, into: list[tuple[Tensor, Tensor]], keep: float) -> None:
        """Add gradients to ``keep`` times what is there; ``error`` is the loss's derivative by the outputs, scaled."""
        rooms = self._room(x.shape[1])
        for layer in reversed(range(len(into))):
            of_weight, of_bias = into[layer]
            torch.add(error.sum(dim=2, keepdim=True), of_bias, alpha=keep, out=of_bias)
            if layer == 0:
                _grouped(of_weight, x.shape[0]).baddbmm_(_grouped(error, x.shape[0]), x, beta=keep)
            else:
                inputs, of_inputs = rooms[layer - 1]
                torch.bmm(self.layers[layer][0].mT, error, out=of_inputs)  # before the weights change
                of_weight.baddbmm_(error, inputs.mT, beta=keep)
                error = _relu_backward(of_inputs, inputs, 0, grad_input=of_inputs)


class _Room(NamedTuple):
    """Memory for a layer's activations, and for the loss's derivatives by them, (runs, features, rows)."""

    out: Tensor
    error: Tensor


def _grouped(of_runs: Tensor, groups: int) -> Tensor:
    """(runs, features, n) as (groups, runs / groups * features, n): what sees the same rows as one matrix."""
    return of_runs.view(groups, -1, of_runs.shape[2])


def _loss_and_error(loss: Loss, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each run's mean loss over its rows, and its derivative by the outputs (runs, classes, rows), in their place.

    The labels are (groups, rows).
    """
    groups, rows = labels.shape
    by_group = outputs.view(groups, -1, *outputs.shape[1:])
    at_label = labels[:, None, None].expand(groups, by_group.shape[1], 1, rows)
    minus_one = torch.full((), -1.0, dtype=outputs.dtype, device=outputs.device).expand_as(at_label)
    if loss == "squared_error":
        by_group.scatter_add_(2, at_label, minus_one)
        losses = torch.linalg.vector_norm(outputs, dim=(1, 2)).square_().mul_(0.5 / rows)
    else:
        outputs -= outputs.amax(dim=1, keepdim=True)  # so that exp does not overflow
        of_label = by_group.gather(2, at_label).view(len(outputs), rows)
        total = outputs.exp_().sum(dim=1)
        losses = (total.log() - of_label).mean(dim=1)
        outputs /= total[:, None]
        by_group.scatter_add_(2, at_label, minus_one)
    return losses, outputs.div_(rows)


class _Optimizer:
    """A config's optimizer over the parameters of many runs, (runs, ...), each of which has an LR of its own.

    Every update rule here is linear in the LR: torch's optimizer makes the step at LR 1, each run takes its share.
    """

    def __init__(self, config: TrainConfig, parameters: Iterable[Tensor]) -> None:
        self.parameters, self.config, self.steps_made = list(parameters), config, 0
        self.at_lr_one = config.make_optimizer(self.parameters, lr=1.0)
        for group in self.at_lr_one.param_groups:
            group["fused"] = "fused" in group  # one pass over the memory instead of some ten
        self.before = [torch.empty_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], lr: Tensor) -> None:
        changed = self.config.before_step is not None or self.config.clip_norm < math.inf
        for p, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None and changed:
                gradient = gradient.clone()  # two parameters may have got the same one
            p.grad = None if gradient is None else gradient.contiguous()  # a fused step goes by their place in memory
        if self.config.before_step is not None:
            self.config.before_step(self.at_lr_one, self.steps_made)
        self.steps_made += 1
        if self.config.clip_norm < math.inf:
            _clip([p.grad for p in self.parameters if p.grad is not None], self.config.clip_norm)
        for p, old in zip(self.parameters, self.before, strict=True):
            old.copy_(p)
        self.at_lr_one.step()
        for p, old in zip(self.parameters, self.before, strict=True):
            torch.lerp(old, p, lr.view(-1, *[1] * (p.dim() - 1)), out=p)


def _clip(gradients: Sequence[Tensor], most: float) -> None:
    """What nn.utils.clip_grad_norm_ does to the gradients of each run, (runs, ...)."""
    norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]
    share = (most / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + 1e-6)).clamp(max=1)
    for g in gradients:
        g.mul_(share.view(-1, *[1] * (g.dim() - 1)))


def _models(config: TrainConfig, seeds: Sequence[int]) -> list[nn.Module]:
    return [replace(config, seed=seed).make_model() for seed in seeds]


def _rows(of_seeds: Sequence[Tensor], runs_per_seed: int) -> Tensor:
    """One row for each run."""
    return torch.stack(list(of_seeds)).detach().repeat_interleave(runs_per_seed, dim=0)


@torch.no_grad()
def _unstacked(model: nn.Module, stacked: Sequence[Tensor]) -> list[nn.Module]:
    """Copies of the model, one with each row of what stands for its parameters and buffers."""
    models = [deepcopy(model) for _ in stacked[0]]
    for run, copy in enumerate(models):
        for own, of_runs in zip([*copy.parameters(), *copy.buffers()], stacked, strict=True):
            own.copy_(of_runs[run].view_as(own))
    return models
