"""Measurements of a model at one point of its training, and a recorder that takes them along a run.

The loss functions are those of warmup_course.training or any other that takes (outputs, labels) and gives the mean over
the rows. The model is measured in the mode it is in; its weights and their ``.grad`` are left alone.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from warmup_course.arguments import MOST_SEED, elements, function, instance, positive_number, refused, whole_number

LossFunction = Callable[[Tensor, Tensor], Tensor]


def sharpness(
    model: nn.Module,
    loss_function: LossFunction,
    x: Tensor,
    y: Tensor,
    *,
    preconditioner: Iterable[Tensor] | None = None,
    tolerance: float = 1e-3,
    max_rounds: int = 200,
    seed: int = 0,
) -> float:
    """The largest eigenvalue of the Hessian of the loss: its curvature where it curves most.

    Gradient descent on a bowl of this curvature arrives where LR < 2 / sharpness. That limit is for plain gradient
    descent on these rows; momentum and Adam have other limits.

    An optimizer that divides each weight's step by a number of its own, P, is plain descent in weights stretched by the
    root of P. Their Hessian is P^(-1/2) H P^(-1/2), with the eigenvalues of P^(-1) H. With a ``preconditioner`` the
    result is the largest of these, the preconditioned sharpness. For Adam P is (1 - beta1^t) (sqrt(v_hat) + eps) at its
    update t = 1, 2, ..., and the limit is 2 (1 + beta1) / ((1 - beta1) LR), or 38 / LR at beta1 = 0.9 (Cohen et al.
    2022, arXiv 2207.14484).

    Found by the Lanczos method (Golub & Van Loan, Matrix Computations, chapter 10) from products of Hessian and
    direction, each of which is one differentiation of the gradient. Power iteration would find the eigenvalue of
    largest size, which at a saddle may be negative.

    Args:
        model: frozen weights (requires_grad is False) do not count.
        x, y: the rows that the loss is the mean over, (rows, ...) inputs and (rows,) labels.
        preconditioner: P, one tensor of positive numbers for each tensor of trainable weights, in their order.
        tolerance: stops when an eigenvalue is certain to lie within this share of the value. The value is mostly far
            closer, unless many eigenvalues crowd together just below the largest.
        max_rounds: products of Hessian and direction at most.
        seed: fixes the direction to start from.

    Returns:
        In units of the loss per squared weight, divided by those of P; nan where the numbers overflow. Where max_rounds
        are too few there is a RuntimeWarning, and the value is a lower bound.

    Raises:
        ValueError: for a tolerance that is not positive, max_rounds below 1, rows that do not fit together, a
            preconditioner that is not positive or does not fit the weights, or a model or loss_function that is none.

    The curvature of x^2 - 3 y^2 is 2 along x and -6 along y:

    >>> weights = nn.Linear(2, 1, bias=False)
    >>> saddle = lambda outputs, y: weights.weight[0, 0] ** 2 - 3 * weights.weight[0, 1] ** 2
    >>> round(sharpness(weights, saddle, torch.zeros(1, 2), torch.zeros(1)), 4)
    2.0
    >>> halved = [torch.tensor([[0.5, 1.0]])]
    >>> round(sharpness(weights, saddle, torch.zeros(1, 2), torch.zeros(1), preconditioner=halved), 4)
    4.0
    """
    positive_number("tolerance", tolerance)
    max_rounds = whole_number("max_rounds", max_rounds, 1)
    generator = torch.Generator().manual_seed(whole_number("seed", seed, 0, MOST_SEED))
    gradient = _gradient(model, loss_function, x, y, create_graph=True)
    weights = _weights(model)
    stretch = 1.0 if preconditioner is None else _positive_like(weights, preconditioner).rsqrt()
    if not gradient.requires_grad:  # the loss is linear in the weights
        return 0.0

    # In the basis of directions that the rounds make, the Hessian is tridiagonal.
    on_diagonal: list[float] = []
    beside_it: list[float] = []
    direction = torch.randn(len(gradient), generator=generator, dtype=torch.float64).to(gradient.device)
    direction, previous = direction / direction.norm(), torch.zeros_like(direction)
    for _ in range(max_rounds):
        along = (stretch * direction).to(gradient)
        product = stretch * _vector(
            torch.autograd.grad(gradient, weights, along, retain_graph=True, materialize_grads=True)
        )
        on_diagonal.append((product @ direction).item())
        product -= on_diagonal[-1] * direction + (beside_it[-1] if beside_it else 0) * previous
        if not math.isfinite(length := product.norm().item()):
            return math.nan
        matrix = np.diag(on_diagonal) + np.diag(beside_it, 1) + np.diag(beside_it, -1)
        eigenvalues, eigenvectors = np.linalg.eigh(matrix)
        # An eigenvalue of the Hessian is no further away from the matrix's largest than this.
        distance = length * abs(eigenvectors[-1, -1])
        rounding = torch.finfo(gradient.dtype).eps * abs(eigenvalues).max()
        if distance <= max(tolerance * abs(eigenvalues[-1]), rounding):
            return float(eigenvalues[-1])
        beside_it.append(length)
        direction, previous = product / length, direction
    warnings.warn(
        f"sharpness is at least {eigenvalues[-1]:.4g}; max_rounds={max_rounds} were too few for tolerance={tolerance}",
        RuntimeWarning,
        stacklevel=2,
    )
    return float(eigenvalues[-1])


def gradient_norm(model: nn.Module, loss_function: LossFunction, x: Tensor, y: Tensor) -> float:
    """The Euclidean norm of the gradient of the loss on (rows, ...) inputs and (rows,) labels, over all weights.

    Raises:
        ValueError: for rows that do not fit together, or a model or loss_function that is none.
    """
    return _gradient(model, loss_function, x, y).norm(dtype=torch.float64).item()


def gradient_noise(
    model: nn.Module,
    loss_function: LossFunction,
    x: Tensor,
    y: Tensor,
    batch_size: int,
    *,
    batches: int = 100,
    seed: int = 0,
) -> float:
    """The simple noise scale of McCandlish et al. 2018 (arXiv 1812.06162), in rows.

    The gradient on a batch of B rows is the gradient g on all rows plus noise. Its expected squared norm is
    |g|^2 (1 + scale / B): batches far below the scale are mostly noise, batches far above it waste rows.

    scale = tr(C) / |g|^2, where C is the covariance of the gradients of single rows. The rows given count as all there
    are, so g is exact, and a batch drawn from them with replacement has E |g_B - g|^2 = tr(C) / B. The mean of
    B |g_B - g|^2 over batches therefore has the expected value tr(C) at every B: the estimate is unbiased.

    Args:
        x, y: all rows, (rows, ...) inputs and (rows,) labels.
        batch_size: rows in a batch.
        batches: how many are drawn; the error falls with the square root of the rows in all of them.
        seed: fixes the batches.

    Raises:
        ValueError: for a batch_size or batches below 1, rows that do not fit together, or a model or loss_function that
            is none.
    """
    batch_size, batches = whole_number("batch_size", batch_size, 1), whole_number("batches", batches, 1)
    generator = torch.Generator().manual_seed(whole_number("seed", seed, 0, MOST_SEED))
    mean = _gradient(model, loss_function, x, y)
    draws = torch.randint(len(x), (batches, batch_size), generator=generator).to(x.device)
    off = [(_gradient(model, loss_function, x[rows], y[rows]) - mean).square().sum() for rows in draws]
    return (batch_size * torch.stack(off).mean() / mean.square().sum()).item()


class UpdateSize(NamedTuple):
    """How far a step moved the weights.

    Attributes:
        norm: the Euclidean norm of the change.
        rms: the root of the mean of its squares: what a typical weight changed by.
    """

    norm: float
    rms: float


def update_size(before: Iterable[Tensor], after: Iterable[Tensor]) -> UpdateSize:
    """The size of the change from one list of weights to another.

    Args:
        before: a copy of the weights before the step, ``[p.detach().clone() for p in model.parameters()]``.
        after: the weights after it, such as ``model.parameters()``.

    Raises:
        ValueError: for what are no lists of tensors, or if the shapes differ.

    >>> update_size([torch.tensor([0.0, 10.0]), torch.zeros(2)], [torch.tensor([3.0, 6.0]), torch.zeros(2)])
    UpdateSize(norm=5.0, rms=2.5)
    """
    before, after = _tensors("before", before), _tensors("after", after)
    shapes = [[tuple(p.shape) for p in weights] for weights in (before, after)]
    if not before or shapes[0] != shapes[1]:
        raise ValueError(f"before and after must be the same weights, got shapes {shapes[0]} and {shapes[1]}")
    change = _vector(after) - _vector(before)
    norm = change.norm()
    return UpdateSize(norm.item(), (norm / math.sqrt(len(change))).item())


@dataclass
class Probe:
    """Measures a model at every few steps of its training. Each run needs a new one.

    Args:
        loss_function, x, y: what sharpness and gradient norm are measured on; on the model's device, in its dtype.
        every: measures at the steps 0, every, 2 * every, ...; a measurement on 500 rows costs as much as some
            twenty training steps on 64.
        first: measures at each of this many first steps too.

    Attributes:
        step: the steps measured, as they count in History.lr and History.batch_loss.
        lr: the LR of those steps.
        sharpness, gradient_norm: at the weights before the step, on ``x`` and ``y``.
        update_size: what the step did to the weights.

    >>> inputs, labels = torch.eye(4), torch.tensor([0, 1, 0, 1])
    >>> model = nn.Linear(4, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    >>> probe = Probe(nn.functional.cross_entropy, inputs, labels, every=2)
    >>> probe.watch(model, optimizer)
    >>> for _ in range(5):
    ...     loss = nn.functional.cross_entropy(model(inputs), labels)
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    >>> probe.step, len(probe.sharpness)
    ([0, 2, 4], 3)
    """

    loss_function: LossFunction
    x: Tensor
    y: Tensor
    every: int = 5
    first: int = 0
    step: list[int] = field(default_factory=list, init=False)
    lr: list[float] = field(default_factory=list, init=False)
    sharpness: list[float] = field(default_factory=list, init=False)
    gradient_norm: list[float] = field(default_factory=list, init=False)
    update_size: list[UpdateSize] = field(default_factory=list, init=False)
    _watches: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        function("loss_function", self.loss_function)
        _check_rows(self.x, self.y)
        self.every = whole_number("every", self.every, 1)
        self.first = whole_number("first", self.first, 0)

    def watch(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Measure from now on, before and after ``optimizer.step()``. The numbers of the run stay the same.

        The model is measured in evaluation mode. In a plain loop, call this before it begins; for train() this is what
        ``on_start`` asks for.

        Raises:
            ValueError: if the probe watches another run, or for what is no model or no optimizer.
        """
        _check_model(model)
        instance("optimizer", optimizer, torch.optim.Optimizer, "a torch optimizer")
        if self._watches:
            raise ValueError(f"each run needs a new Probe, this one watches another: {len(self.step)} measurements")
        self._watches = True
        steps = itertools.count()
        before: list[Tensor] = []

        def measure(*_: Any) -> None:
            if (step := next(steps)) >= self.first and step % self.every:
                return
            self.step.append(step)
            self.lr.append(float(optimizer.param_groups[0]["lr"]))  # a tensor LR would go on changing
            modes = [(module, module.training) for module in model.modules()]
            model.eval()
            self.sharpness.append(sharpness(model, self.loss_function, self.x, self.y))
            self.gradient_norm.append(gradient_norm(model, self.loss_function, self.x, self.y))
            for module, training in modes:  # not model.train(training): a part may be frozen in evaluation mode
                module.training = training
            before.extend(p.detach().clone() for p in _weights(model))

        def compare(*_: Any) -> None:
            if before:
                self.update_size.append(update_size(before, _weights(model)))
                before.clear()

        optimizer.register_step_pre_hook(measure)
        optimizer.register_step_post_hook(compare)


def _tensors(name: str, tensors: Iterable[Tensor]) -> list[Tensor]:
    found = elements(name, tensors, "a list of tensors", least=0)
    for tensor in found:
        instance(name, tensor, Tensor, "a list of tensors")
    return found


def _positive_like(weights: list[Tensor], preconditioner: Iterable[Tensor]) -> Tensor:
    """The preconditioner as one vector."""
    given = _tensors("preconditioner", preconditioner)
    shapes = [[tuple(t.shape) for t in tensors] for tensors in (given, weights)]
    if shapes[0] != shapes[1]:
        raise refused("preconditioner", f"tensors of the shapes {shapes[1]}", shapes[0])
    vector = _vector(given)
    if not bool((vector > 0).all()) or not bool(vector.isfinite().all()):
        raise refused("preconditioner", "positive and finite", given)
    return vector


def _check_model(model: nn.Module) -> None:
    instance("model", model, nn.Module, "a torch.nn.Module")
    if not _weights(model):
        raise refused("model", "a module with weights to train", model)


def _check_rows(x: Tensor, y: Tensor) -> None:
    for name, rows in {"x": x, "y": y}.items():
        if not isinstance(rows, Tensor) or rows.dim() == 0:
            raise refused(name, "a tensor with one entry for each row", rows)
    if not len(x) == len(y) > 0:
        raise ValueError(f"x and y must have the same number of rows, at least 1, got {len(x)} and {len(y)}")


def _weights(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]


def _vector(tensors: Iterable[Tensor]) -> Tensor:
    """All numbers in one vector, in float64, where the squares of a diverging run have room."""
    return torch.cat([t.detach().flatten() for t in tensors]).double()


def _gradient(
    model: nn.Module, loss_function: LossFunction, x: Tensor, y: Tensor, *, create_graph: bool = False
) -> Tensor:
    """The gradient of the loss as one vector; weights that do not matter have gradient 0."""
    _check_model(model)
    function("loss_function", loss_function)
    _check_rows(x, y)
    loss = loss_function(model(x), y)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise refused("loss_function", "a function that gives the mean over the rows, one number", loss_function)
    gradients = torch.autograd.grad(loss, _weights(model), create_graph=create_graph, materialize_grads=True)
    return torch.cat([g.flatten() for g in gradients])
