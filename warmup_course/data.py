"""The course's data sets: offline, split first, then standardised with the training rows' statistics only."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from warmup_course.arguments import MOST_SEED, MOST_SIZE, instance, one_of, refused, text, whole_number


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation rows of a classification problem.

    Attributes:
        x_train, x_valid: float32 inputs, (rows, features) or (rows, tokens, features), standardised: each feature has
            mean 0 and variance 1 over the *training* rows (a constant feature is left at 0). Or a text: the numbers of
            its tokens, int64, (rows, tokens).
        y_train, y_valid: int64 class labels, (rows,), or one for each token, (rows, tokens).
        n_classes: the number of classes.

    Raises:
        ValueError: for inputs that are neither finite floating-point numbers nor the numbers of tokens, labels that are
            not one whole number below n_classes for each row of inputs, or each of its tokens, a split without rows, or
            two splits that do not go together.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    n_classes: int

    def __post_init__(self) -> None:
        text("name", self.name)
        whole_number("n_classes", self.n_classes, 1)
        for split in ("train", "valid"):
            x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            is_text = isinstance(x, Tensor) and x.dtype == torch.int64
            (_tokens if is_text else _inputs)(f"x_{split}", x)
            _labels(f"y_{split}", y, x, self.n_classes)
        for name, train, valid in (("x", self.x_train, self.x_valid), ("y", self.y_train, self.y_valid)):
            if train.shape[1:] != valid.shape[1:] or train.is_floating_point() != valid.is_floating_point():
                raise refused(f"{name}_valid", f"like {name}_train, (rows, ...) of {tuple(train.shape[1:])}", valid)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Dataset":
        """The same rows on ``device`` with inputs of ``dtype``, torch.float32 or torch.float64; tokens stay int64.

        Raises:
            ValueError: for another dtype, or what is no torch.device.
        """
        instance("device", device, torch.device, "a torch.device")
        one_of("dtype", dtype, (torch.float32, torch.float64))
        inputs = [x.to(device, dtype if x.is_floating_point() else x.dtype) for x in (self.x_train, self.x_valid)]
        if inputs[0] is self.x_train and inputs[1] is self.x_valid:
            return self
        return replace(
            self,
            x_train=inputs[0],
            y_train=self.y_train.to(device),
            x_valid=inputs[1],
            y_valid=self.y_valid.to(device),
        )

    def train_loader(self, batch_size: int, seed: int) -> DataLoader[tuple[Tensor, ...]]:
        """A DataLoader over the training rows, shuffled anew each epoch in the order that ``seed`` fixes.

        The last batch of an epoch holds what is left: 1437 rows in batches of 64 are 22 batches and one of 29.

        >>> [len(x) for x, y in digits().train_loader(batch_size=500, seed=0)]
        [500, 500, 437]

        Raises:
            ValueError: for a batch_size not in [1, rows], or a seed not in [0, 2**63).
        """
        return DataLoader(
            TensorDataset(self.x_train, self.y_train),
            sampler=batch_order(len(self.x_train), batch_size, seed),
            batch_size=None,  # each draw of the sampler is a batch, taken at once: row by row is many times as slow
            generator=torch.Generator(),  # else each epoch would draw from the global random state
        )


def _inputs(name: str, x: Any) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2 or not x.numel():
        raise refused(name, "a tensor (rows, features) of floating-point numbers", x)
    if not x.isfinite().all():
        raise refused(name, "finite throughout", x)


def _tokens(name: str, x: Tensor) -> None:
    if x.dim() != 2 or not x.numel() or x.min() < 0:
        raise refused(name, "a tensor (rows, features) of floating-point numbers, or tokens (rows, tokens) from 0", x)


def _labels(name: str, y: Any, x: Tensor, n_classes: int) -> None:
    shapes, what = [x.shape[:1]], f"{len(x)} labels"
    if x.dim() > 2 or not x.is_floating_point():
        shapes, what = [*shapes, x.shape[:2]], f"{what}, or one for each token,"
    fits = isinstance(y, Tensor) and y.dtype == torch.int64 and y.shape in shapes
    if not fits or y.min() < 0 or y.max() >= n_classes:
        raise refused(name, f"an int64 tensor of {what} from 0 to n_classes - 1 = {n_classes - 1}", y)


def batch_order(rows: int, batch_size: int, seed: int) -> BatchSampler:
    """The row numbers of each batch; every iteration over it is one epoch, shuffled anew.

    Raises:
        ValueError: if batch_size is not in [1, rows], or seed not in [0, 2**63).
    """
    rows, batch_size = whole_number("rows", rows, 1), whole_number("batch_size", batch_size, 1)
    if batch_size > rows:
        raise ValueError(f"batch_size must be at most the {rows} training rows, got {batch_size}")
    generator = torch.Generator().manual_seed(whole_number("seed", seed, 0, MOST_SEED))
    return BatchSampler(RandomSampler(range(rows), generator=generator), batch_size, drop_last=False)


def standardised_split(name: str, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Dataset:
    """80 % training and 20 % validation rows, with equal class shares, standardised by the training rows.

    Args:
        x: (rows, features) inputs.
        y: (rows,) labels 0 ... n_classes - 1.

    Raises:
        ValueError: for rows that are not finite or do not fit together, labels that are not 0 ... n_classes - 1, or too
            few rows of a class for both splits.
    """
    from sklearn.model_selection import train_test_split

    text("name", name)
    _inputs("x", torch.as_tensor(x, dtype=torch.float64) if isinstance(x, np.ndarray) and x.dtype.kind in "iuf" else x)
    if not isinstance(y, np.ndarray) or y.shape != (len(x),) or set(y.tolist()) != set(range(len(set(y.tolist())))):
        raise refused("y", f"an array of {len(x)} labels 0 ... n_classes - 1", y)
    x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    if set(y_valid.tolist()) != set(y.tolist()):
        raise refused("y", "labels with enough rows of each class for both splits", y)
    return _standardised(name, (x_train, y_train), (x_valid, y_valid))


Rows = tuple[npt.NDArray[Any], npt.NDArray[Any]]  # inputs and labels


def _standardised(name: str, train: Rows, valid: Rows) -> Dataset:
    (x_train, y_train), (x_valid, y_valid) = train, valid
    constant = (x_train == x_train[0]).all(axis=0)  # of 0.1 a hundred times, neither mean nor deviation is exact
    mean, deviation = np.where(constant, x_train[0], x_train.mean(axis=0)), np.where(constant, 1, x_train.std(axis=0))

    def inputs(rows: npt.NDArray[Any]) -> Tensor:
        return torch.tensor((rows - mean) / deviation, dtype=torch.float32)

    def labels(rows: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(rows, dtype=torch.int64)

    return Dataset(name, inputs(x_train), labels(y_train), inputs(x_valid), labels(y_valid), len(np.unique(y_train)))


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
    """scikit-learn's 1797 handwritten digits, 8 x 8 pixels in 10 classes: 1437 rows train, 360 validate.

    The same as ``standardised_split("digits", *load_digits(return_X_y=True))``, but read straight from scikit-learn's
    file: to import scikit-learn takes a second, in each lesson and in each process that a sweep is shared with.
    """
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    rows = np.loadtxt(str(file), delimiter=",")
    split = json.loads(Path(__file__).with_name("digits_split.json").read_text("utf-8"))
    train, valid = (rows[split[part]] for part in ("train", "valid"))
    return _standardised("digits", (train[:, :-1], train[:, -1]), (valid[:, :-1], valid[:, -1]))


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


def waves(rows: int, seed: int) -> Rows:
    """Noisy pieces of a periodic wave, and its kind: 0 sine, 1 square, 2 sawtooth, 3 triangle, in turn.

    At sample i the wave has run through p = (f i / 32 + p0) mod 1 of a period. The four kinds are sin(2 pi p),
    1 in the first half and -1 in the second, 2 p - 1, and |4 p - 2| - 1. Each row draws its own f from [1.5, 4],
    p0 from [0, 1] and amplitude from [0.6, 1.4]; normal noise of standard deviation 0.15 comes on top.

    Args:
        rows: how many.
        seed: two seeds share no wave.

    Returns:
        (rows, 32) inputs and (rows,) labels 0 ... 3.

    Raises:
        ValueError: for rows not in [1, 10**6] or a negative seed.
    """
    whole_number("rows", rows, 1, MOST_SIZE)
    random = np.random.default_rng(whole_number("seed", seed, 0))
    frequency, start, amplitude = (random.uniform(a, b, (rows, 1)) for a, b in ((1.5, 4), (0, 1), (0.6, 1.4)))
    p = (frequency * np.arange(32) / 32 + start) % 1
    kinds = np.stack([np.sin(2 * np.pi * p), np.where(p < 0.5, 1, -1), 2 * p - 1, abs(4 * p - 2) - 1])
    labels = np.arange(rows) % 4
    return amplitude * kinds[labels, np.arange(rows)] + random.normal(0, 0.15, p.shape), labels


@cache
def waveforms() -> Dataset:
    """1200 waves of four kinds, (rows, 32 samples), see ``waves``: 960 rows train, 240 validate."""
    return _standardised("waveforms", waves(960, seed=0), waves(240, seed=1))


@cache
def waveforms_held_out() -> Dataset:
    """The training rows of ``waveforms`` and 960 other waves to validate on: for the one comparison after a search."""
    return _standardised("waveforms_held_out", waves(960, seed=0), waves(960, seed=2))


SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))  # the new line, and what ASCII can print
DOCSTRINGS = Path(__file__).with_name("docstrings.txt.gz")


@cache
def _text() -> Tensor:
    """The place in SYMBOLS of each character of the docstrings."""
    place = torch.zeros(128, dtype=torch.int64)
    place[list(SYMBOLS.encode())] = torch.arange(len(SYMBOLS))
    return place[torch.tensor(np.frombuffer(gzip.decompress(DOCSTRINGS.read_bytes()), np.uint8).astype(np.int64))]


def docstrings(tokens: int = 32, train_rows: int = 2048, valid_rows: int = 256) -> Dataset:
    """English text, character by character: the label of each token is the character that comes after it.

    A row is a piece of the text, a token a place in ``SYMBOLS``. The last rows of the text validate; those that train
    stand at equal distances in all that comes before. The text is docstrings of Python 3.11.7's standard library
    (copyright Python Software Foundation; its licence is in docstrings_licence.txt), as
    warmup_course.authoring.docstrings collected them: the same on every Python.

    Args:
        tokens: the length of a row.
        train_rows, valid_rows: how many there are.

    Raises:
        ValueError: for a number below 1, or more than the 550,000 characters have.

    >>> text = docstrings()
    >>> "".join(SYMBOLS[token] for token in text.x_train[0]), SYMBOLS[text.y_train[0, -1]]
    ('Return True if func is a decorat', 'e')
    """
    text = _text()
    whole_number("tokens", tokens, 1, (len(text) - 1) // 2)
    most = (len(text) - 1) // tokens
    whole_number("valid_rows", valid_rows, 1, most - 1)
    whole_number("train_rows", train_rows, 1, most - valid_rows)
    x, y = (text[start:][: most * tokens].view(most, tokens) for start in (0, 1))
    train = torch.arange(train_rows) * ((most - valid_rows) // train_rows)
    valid = slice(most - valid_rows, most)
    return Dataset("docstrings", x[train], y[train], x[valid], y[valid], len(SYMBOLS))


DATASETS: dict[str, Callable[[], Dataset]] = {
    "tabular": tabular,
    "imbalanced": imbalanced,
    "digits": digits,
    "digit_tokens": digit_tokens,
    "waveforms": waveforms,
    "waveforms_held_out": waveforms_held_out,
    "docstrings": docstrings,
}


def load(data: Dataset | str) -> Dataset:
    """The data set of that name in DATASETS; a data set itself is given back.

    Raises:
        ValueError: for another name.

    >>> load("digits").x_train.shape
    torch.Size([1437, 64])
    """
    if isinstance(data, Dataset):
        return data
    one_of("data", data, DATASETS)
    return DATASETS[data]()
