"""The course's data sets: offline, split first, then standardised with the training rows' statistics only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from warmup_course.checks import one_of, whole_number


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation rows of a classification problem.

    Attributes:
        x_train, x_valid: float32 inputs, (rows, features) or (rows, tokens, features), standardised: each feature has
            mean 0 and variance 1 over the *training* rows (a constant feature is left at 0).
        y_train, y_valid: int64 class labels, (rows,).
        n_classes: the number of classes.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    n_classes: int

    def to(self, device: torch.device, dtype: torch.dtype) -> "Dataset":
        """A copy on ``device`` with inputs of ``dtype``."""
        return replace(
            self,
            x_train=self.x_train.to(device, dtype),
            y_train=self.y_train.to(device),
            x_valid=self.x_valid.to(device, dtype),
            y_valid=self.y_valid.to(device),
        )

    def train_loader(self, batch_size: int, seed: int) -> DataLoader[tuple[Tensor, ...]]:
        """A DataLoader over the training rows, shuffled anew each epoch in the order that ``seed`` fixes.

        The last batch of an epoch holds what is left: 1437 rows in batches of 64 are 22 batches and one of 29.

        >>> [len(x) for x, y in digits().train_loader(batch_size=500, seed=0)]
        [500, 500, 437]
        """
        return DataLoader(
            TensorDataset(self.x_train, self.y_train),
            batch_sampler=batch_order(len(self.x_train), batch_size, seed),
            generator=torch.Generator(),  # else each epoch would draw from the global random state
        )

    def valid_loader(self, batch_size: int) -> DataLoader[tuple[Tensor, ...]]:
        """A DataLoader over the validation rows, in their order."""
        return DataLoader(TensorDataset(self.x_valid, self.y_valid), batch_size, generator=torch.Generator())


def batch_order(rows: int, batch_size: int, seed: int) -> BatchSampler:
    """The row numbers of each batch; every iteration over it is one epoch, shuffled anew.

    Raises:
        ValueError: if batch_size is not in [1, rows].
    """
    if whole_number("batch_size", batch_size, 1) > rows:
        raise ValueError(f"batch_size must be at most the {rows} training rows, got {batch_size}")
    generator = torch.Generator().manual_seed(seed)
    return BatchSampler(RandomSampler(range(rows), generator=generator), batch_size, drop_last=False)


def standardised_split(name: str, x: npt.NDArray[Any], y: npt.NDArray[Any], *, seed: int = 0) -> Dataset:
    """80 % training and 20 % validation rows, with equal class shares, standardised by the training rows.

    Args:
        x: (rows, features) inputs.
        y: (rows,) labels 0 ... n_classes - 1.
        seed: fixes the split.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, stratify=y, random_state=seed)
    scaler = StandardScaler().fit(x_train)

    def inputs(rows: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(scaler.transform(rows), dtype=torch.float32)

    def labels(rows: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(rows, dtype=torch.int64)

    return Dataset(name, inputs(x_train), labels(y_train), inputs(x_valid), labels(y_valid), len(np.unique(y)))


@cache
def tabular() -> Dataset:
    """1000 rows of 10 features in two classes, as in the pipeline of lesson 01; 800 rows train, 200 validate."""
    from sklearn.datasets import make_classification

    x, y = make_classification(n_samples=1000, n_features=10, random_state=0)
    return standardised_split("tabular", x, y)


@cache
def imbalanced() -> Dataset:
    """5000 rows of 10 features, of which 2 % (80 training and 20 validation rows) are positive."""
    from sklearn.datasets import make_classification

    x, y = make_classification(n_samples=5000, n_features=10, weights=[0.98], flip_y=0, class_sep=0.8, random_state=0)
    return standardised_split("imbalanced", x, y)


@cache
def digits() -> Dataset:
    """scikit-learn's 1797 handwritten digits, 8 x 8 pixels in 10 classes: 1437 rows train, 360 validate."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return standardised_split("digits", x, y)


@cache
def digit_tokens() -> Dataset:
    """The same digits as sequences (rows, 8 tokens, 8 features): each row of 8 pixels is one token."""
    flat = digits()
    return replace(
        flat,
        name="digit_tokens",
        x_train=flat.x_train.unflatten(1, (8, 8)),
        x_valid=flat.x_valid.unflatten(1, (8, 8)),
    )


DATASETS: dict[str, Callable[[], Dataset]] = {
    "tabular": tabular,
    "imbalanced": imbalanced,
    "digits": digits,
    "digit_tokens": digit_tokens,
}


def load(name: str) -> Dataset:
    """The data set called ``name``: "tabular", "imbalanced", "digits" or "digit_tokens".

    Raises:
        ValueError: for another name.

    >>> load("digits").x_train.shape
    torch.Size([1437, 64])
    """
    one_of("data", name, DATASETS)
    return DATASETS[name]()
