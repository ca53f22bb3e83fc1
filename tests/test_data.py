"""Data sets recomputed from scikit-learn's raw rows, and the order of the batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from warmup_course import data
from warmup_course.data import Dataset, batch_order, load, standardised_split

RAW: dict[str, Callable[[], tuple[npt.NDArray[Any], npt.NDArray[Any]]]] = {
    "tabular": lambda: make_classification(n_samples=1000, n_features=10, random_state=0),
    "digits": lambda: load_digits(return_X_y=True),
}


def by_value(x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.lexsort(x.T[::-1])


def ids(rows: int = 10) -> Dataset:
    x, y = torch.arange(rows, dtype=torch.float32)[:, None], torch.arange(rows) % 2
    return Dataset("ids", x, y, x[:4] + 100, y[:4], 2)


def epochs_of(dataset: Dataset, batch_size: int, seed: int, epochs: int = 1) -> list[list[list[int]]]:
    loader = dataset.train_loader(batch_size, seed)
    return [[x.flatten().int().tolist() for x, y in loader] for _ in range(epochs)]


@pytest.mark.parametrize(
    ("name", "train", "valid", "shape", "n_classes"),
    [
        ("tabular", 800, 200, (10,), 2),
        ("imbalanced", 4000, 1000, (10,), 2),
        ("digits", 1437, 360, (64,), 10),
        ("digit_tokens", 1437, 360, (8, 8), 10),
        ("waveforms", 960, 240, (32,), 4),
        ("waveforms_held_out", 960, 960, (32,), 4),
    ],
)
def test_shapes_types_and_classes(name: str, train: int, valid: int, shape: tuple[int, ...], n_classes: int) -> None:
    dataset = load(name)
    assert dataset.name == name
    assert dataset.n_classes == n_classes
    for x, y, rows in ((dataset.x_train, dataset.y_train, train), (dataset.x_valid, dataset.y_valid, valid)):
        assert (x.shape, x.dtype) == ((rows, *shape), torch.float32)
        assert (y.shape, y.dtype) == ((rows,), torch.int64)
        assert y.unique().tolist() == list(range(n_classes))


@pytest.mark.parametrize("name", RAW)
def test_the_rows_are_the_raw_ones_standardised_by_the_training_rows(name: str) -> None:
    raw_x, raw_y = RAW[name]()
    dataset = load(name)
    x = torch.cat([dataset.x_train, dataset.x_valid]).double().numpy()
    y = torch.cat([dataset.y_train, dataset.y_valid]).numpy()
    # Standardising keeps the order of values in each column, so sorting pairs every row with its raw row.
    ours, raws = by_value(x), by_value(raw_x)
    raw = np.empty_like(raw_x)
    raw[ours] = raw_x[raws]
    train = raw[: len(dataset.x_train)]
    spread = train.std(axis=0)
    expected = (raw - train.mean(axis=0)) / np.where(spread > 0, spread, 1)
    np.testing.assert_allclose(x, expected, atol=1e-5)  # each raw row once: none in both splits, none lost
    assert (y[ours] == raw_y[raws]).all()


@pytest.mark.parametrize("name", ["tabular", "imbalanced", "digits", "waveforms"])
def test_standardised_by_training_rows_and_not_by_all(name: str) -> None:
    dataset = load(name)
    x = dataset.x_train.double()
    constant = (x == x[0]).all(dim=0)
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(x.shape[1]).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.var(dim=0, correction=0), (~constant).double(), rtol=0, atol=1e-5)
    assert dataset.x_valid.double().mean(dim=0)[~constant].abs().min() > 1e-4
    assert torch.isfinite(dataset.x_valid).all()


def test_digits_are_those_of_scikit_learn_split_by_it() -> None:
    ours, its = data.digits(), standardised_split("digits", *load_digits(return_X_y=True))
    for name in ("x_train", "y_train", "x_valid", "y_valid"):
        torch.testing.assert_close(getattr(ours, name), getattr(its, name), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", RAW)
def test_the_scale_is_that_of_scikit_learn(name: str) -> None:
    x, y = RAW[name]()
    train, valid = train_test_split(x, test_size=0.2, stratify=y, random_state=0)
    scaler, dataset = StandardScaler().fit(train), load(name)
    np.testing.assert_allclose(dataset.x_train, scaler.transform(train), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dataset.x_valid, scaler.transform(valid), rtol=1e-6, atol=1e-6)


def test_two_percent_are_positive_in_both_splits() -> None:
    dataset = data.imbalanced()
    assert (dataset.y_train.sum().item(), dataset.y_valid.sum().item()) == (80, 20)


@pytest.mark.parametrize("name", ["tabular", "digits"])
def test_classes_have_equal_shares_in_both_splits(name: str) -> None:
    dataset = load(name)
    train, valid = (torch.bincount(y).double() for y in (dataset.y_train, dataset.y_valid))
    assert (valid - 0.2 * (train + valid)).abs().max() <= 1


def test_tokens_are_the_rows_of_the_images() -> None:
    images, tokens = data.digits(), data.digit_tokens()
    for row, column in ((0, 3), (5, 0), (7, 6)):
        assert torch.equal(tokens.x_train[:, row, column], images.x_train[:, 8 * row + column])
        assert torch.equal(tokens.x_valid[:, row, column], images.x_valid[:, 8 * row + column])
    assert torch.equal(tokens.y_train, images.y_train)
    blank = (load_digits().images == 0).all(axis=0)  # (row, column): rows are not columns
    assert blank.sum() == 3
    assert (blank != blank.T).any()
    for x in (tokens.x_train, tokens.x_valid):
        assert not x[:, blank].any()
        assert x[:, blank.T].any()


def test_a_wave_is_of_its_kind() -> None:
    """Fitted to each row over a grid of frequencies and starts, with formulas of its own for the four shapes."""
    x, kinds = data.waves(40, seed=5)
    assert kinds.tolist() == [0, 1, 2, 3] * 10
    turns = np.linspace(1.5, 4, 61)[:, None, None] * np.arange(32) / 32 + np.linspace(0, 1, 41)[None, :, None]
    angle = 2 * np.pi * turns
    shapes = [np.sin(angle), np.sign(np.sin(angle)), 2 * np.arctan(np.tan(angle / 2 - np.pi / 2)) / np.pi]
    shapes.append(2 / np.pi * np.arcsin(np.sin(angle + np.pi / 2)))
    rest = np.empty((len(x), 4))
    for number, row in enumerate(x):
        for kind, shape in enumerate(shapes):
            amplitude = (shape * row).sum(axis=-1, keepdims=True) / (shape**2).sum(axis=-1, keepdims=True)
            rest[number, kind] = (row - amplitude.clip(0.6, 1.4) * shape).std(axis=-1).min()
    by_kind = np.array([rest[kinds == kind].mean(axis=0) for kind in range(4)])
    assert by_kind.argmin(axis=1).tolist() == [0, 1, 2, 3]
    assert by_kind.diagonal() == pytest.approx(0.15, abs=0.1)  # the noise, and what the grid misses


def test_held_out_waves_are_other_ones_for_the_same_training_rows() -> None:
    searched, held_out = data.waveforms(), data.waveforms_held_out()
    assert torch.equal(searched.x_train, held_out.x_train)
    assert torch.equal(searched.y_train, held_out.y_train)
    seen = {tuple(row) for part in (searched.x_train, searched.x_valid) for row in part.tolist()}
    assert not seen & {tuple(row) for row in held_out.x_valid.tolist()}


@pytest.mark.parametrize(("rows", "seed", "named"), [(0, 0, "rows"), (4, -1, "seed"), (2.5, 0, "rows")])
def test_bad_arguments_of_waves_are_refused(rows: Any, seed: int, named: str) -> None:
    with pytest.raises(ValueError, match=f"{named} must be a whole number"):
        data.waves(rows, seed)


def test_a_constant_training_column_becomes_zero() -> None:
    x = np.column_stack([np.full(50, 7.0), np.arange(50.0)])
    dataset = standardised_split("constant", x, np.arange(50) % 2)
    assert torch.equal(dataset.x_train[:, 0], torch.zeros(40))
    assert torch.equal(dataset.x_valid[:, 0], torch.zeros(10))


def test_the_seed_decides_the_split() -> None:
    x, y = np.arange(50.0)[:, None], np.arange(50) % 2
    first, again, other = (standardised_split("rows", x, y, seed=seed).x_train for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_data_set_is_made_once_and_moved_as_a_copy() -> None:
    dataset = load("tabular")
    assert load("tabular") is dataset
    moved = dataset.to(torch.device("cpu"), torch.float64)
    assert moved.x_train.dtype == moved.x_valid.dtype == torch.float64
    assert moved.y_train.dtype == torch.int64
    assert dataset.x_train.dtype == torch.float32


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data must be one of .*'tabular'.*'mnist'"):
        load("mnist")


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 10), (3, [3, 3, 3, 1]), (5, [5, 5]), (10, [10])])
def test_each_epoch_sees_every_row_once(batch_size: int, sizes: list[int]) -> None:
    for batches in epochs_of(ids(), batch_size, seed=0, epochs=3):
        assert [len(batch) for batch in batches] == sizes
        assert sorted(row for batch in batches for row in batch) == list(range(10))


def test_the_order_is_repeatable_and_differs_between_epochs_and_seeds() -> None:
    first = epochs_of(ids(50), 8, seed=3, epochs=3)
    assert epochs_of(ids(50), 8, seed=3, epochs=3) == first
    assert first[0] != first[1] != first[2] != first[0]
    assert epochs_of(ids(50), 8, seed=4)[0] != first[0]
    assert first[0][0] != list(range(8))


def test_every_label_stays_with_its_row() -> None:
    for x, y in ids().train_loader(3, seed=0):
        assert torch.equal(x.flatten().long() % 2, y)


def test_batch_order_is_the_order_of_the_loader() -> None:
    order = batch_order(50, 8, seed=3)
    assert [list(order), list(order)] == epochs_of(ids(50), 8, seed=3, epochs=2)


def test_validation_rows_keep_their_order() -> None:
    assert [x.flatten().tolist() for x, y in ids().valid_loader(3)] == [[100, 101, 102], [103]]


def test_iterating_leaves_the_global_random_states_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    epochs_of(ids(), 3, seed=0, epochs=2)
    list(ids().valid_loader(3))
    data.standardised_split("rows", np.arange(20.0)[:, None], np.arange(20) % 2)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state  # noqa: NPY002


def test_the_order_does_not_depend_on_the_global_random_state() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = epochs_of(ids(), 3, seed=0)
        torch.manual_seed(2)
        assert epochs_of(ids(), 3, seed=0) == first


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8", None, True, 11])
def test_bad_batch_sizes_are_refused(batch_size: Any) -> None:
    with pytest.raises(ValueError, match=rf"batch_size must .*(whole number|10 training rows).*{batch_size}"):
        ids().train_loader(batch_size, seed=0)
