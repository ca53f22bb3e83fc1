"""Gradient descent on a quadratic bowl, where everything is known in closed form."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def descend(
    lr: float,
    curvatures: Sequence[float],
    momentum: float = 0.0,
    start: Sequence[float] | None = None,
    steps: int = 40,
) -> npt.NDArray[np.float64]:
    """Gradient descent with momentum on the loss 0.5 * sum(curvature * weight**2).

    The update is that of torch.optim.SGD: v <- momentum * v + gradient; weight <- weight - lr * v. (Heavy ball: Polyak
    1964, doi 10.1016/0041-5553(64)90137-5.)

    Args:
        lr: the learning rate.
        curvatures: one for each weight.
        momentum: 0 means none.
        start: the weights to begin with; 1 each by default.
        steps: the number of updates.

    Returns:
        The weights before each step and after the last one, (steps + 1, weights); not finite once they overflow.

    >>> descend(0.5, [1.0], steps=3).ravel()
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    h = np.asarray(curvatures, dtype=float)
    weights = np.ones_like(h) if start is None else np.asarray(start, dtype=float)
    velocity, path = np.zeros_like(h), [weights]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            velocity = momentum * velocity + h * weights
            weights = weights - lr * velocity
            path.append(weights)
    return np.array(path)


def arrival(path: npt.NDArray[np.float64]) -> int | None:
    """The first step from which on the path stays within 1 % of its first distance to the minimum; None: not in it.

    >>> arrival(descend(0.5, [1.0])), arrival(descend(0.01, [1.0])), arrival(descend(0.5, [1.0], start=[0.0]))
    (7, None, 0)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        square = (path**2).sum(axis=1)
        away = int(max(np.flatnonzero(~(square <= 1e-4 * square[0])), default=-1))
    return None if away == len(path) - 1 else away + 1


def stability_limit(curvature: float, momentum: float = 0.0) -> float:
    """The highest LR that does not diverge: 2 (1 + momentum) / curvature.

    Source: Goh 2017, "Why Momentum Really Works", doi 10.23915/distill.00006.

    >>> stability_limit(10), stability_limit(10, momentum=0.9)
    (0.2, 0.38)
    """
    return 2 * (1 + momentum) / curvature


def verdict(lr: float, curvature: float, momentum: float, steps: int) -> str:
    """What a weight does, in words, from the eigenvalues of its update.

    The update maps (weight, v) to (weight - lr * v', v') with v' = momentum * v + curvature * weight. Its eigenvalues z
    solve z**2 - (1 + momentum - lr * curvature) z + momentum = 0.

    >>> verdict(0.1, 1.0, 0.0, steps=40), verdict(2.1, 1.0, 0.0, steps=40)
    ('creeps', 'diverges')
    """
    total = 1 + momentum - lr * curvature
    under = total * total - 4 * momentum
    size = math.sqrt(momentum) if under < 0 else (abs(total) + math.sqrt(under)) / 2
    if size > 1 + 1e-9:
        return "diverges"
    if size >= 1 - 1e-9:
        return "stays at the edge"
    if under < 0:
        return "settles, swinging to and fro"
    if total < 0:
        return "settles, bouncing from wall to wall"
    return "creeps" if size**steps > 0.01 else "settles without crossing"
