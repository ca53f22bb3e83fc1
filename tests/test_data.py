"""Data sets recomputed from scikit-learn's raw rows, and the order of the batches."""

import gzip
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


def test_each_data_set_has_its_name() -> None:
    made = {name for name, f in vars(data).items() if getattr(f, "__annotations__", {}).get("return") is Dataset}
    assert made - {"standardised_split", "_standardised", "load"} == data.DATASETS.keys()


@pytest.mark.parametrize("name", ["tabular", "imbalanced", "digits", "waveforms"])
def test_standardised_by_training_rows_and_not_by_all(name: str) -> None:
    dataset = load(name)
    x = dataset.x_train.double()
    constant = (x == x[0]).all(dim=0)
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(x.shape[1]).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.var(dim=0, correction=0), (~constant).double(), rtol=0, atol=1e-5)
    assert dataset.x_valid.double().mean(dim=0)[~constant].abs().min() > 1e-4
    assert torch.isfinite(dataset.x_valid).all()


@pytest.mark.parametrize("name", RAW)
def test_rows_labels_and_scale_are_those_of_scikit_learn(name: str) -> None:
    x, y = RAW[name]()
    train, valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    scaler, dataset = StandardScaler().fit(train), load(name)
    np.testing.assert_allclose(dataset.x_train, scaler.transform(train), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dataset.x_valid, scaler.transform(valid), rtol=1e-6, atol=1e-6)
    assert (dataset.y_train.tolist(), dataset.y_valid.tolist()) == (y_train.tolist(), y_valid.tolist())


def test_two_percent_are_positive_in_both_splits() -> None:
    dataset = data.imbalanced()
    assert (dataset.y_train.sum().item(), dataset.y_valid.sum().item()) == (80, 20)


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


@pytest.mark.parametrize("value", [7.0, 0.1, 5.7, 123.456])  # the mean of forty 0.1 is not 0.1
def test_a_constant_training_column_becomes_zero(value: float) -> None:
    x = np.column_stack([np.full(50, value), np.arange(50.0)])
    dataset = standardised_split("constant", x, np.arange(50) % 2)
    assert torch.equal(dataset.x_train[:, 0], torch.zeros(40))
    assert torch.equal(dataset.x_valid[:, 0], torch.zeros(10))


def test_a_class_too_rare_for_both_splits_is_refused() -> None:
    with pytest.raises(ValueError, match="y must be labels with enough rows of each class for both splits"):
        standardised_split("rare", np.arange(100.0)[:, None], np.array([1, 1] + [0] * 98))


@pytest.mark.parametrize("x_valid", [torch.zeros(4, 2), torch.zeros(4, 3, dtype=torch.int64)])
def test_splits_that_do_not_go_together_are_refused(x_valid: torch.Tensor) -> None:
    y = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="x_valid must be like x_train"):
        Dataset("mine", torch.zeros(4, 3), y, x_valid, y, 2)


def test_a_numpy_number_is_a_batch_size() -> None:
    assert len(next(iter(data.digits().train_loader(np.int64(500), np.int64(0))))[0]) == 500


def test_a_data_set_is_made_once_and_moved_as_a_copy() -> None:
    dataset = load("tabular")
    assert load("tabular") is load(dataset) is dataset
    moved = dataset.to(torch.device("cpu"), torch.float64)
    assert moved.x_train.dtype == moved.x_valid.dtype == torch.float64
    assert moved.y_train.dtype == torch.int64
    assert dataset.x_train.dtype == torch.float32


def characters(tokens: torch.Tensor) -> str:
    return "".join(data.SYMBOLS[token] for token in tokens.flatten().tolist())


def test_each_token_of_a_text_is_followed_by_its_label() -> None:
    text, whole = load("docstrings"), gzip.decompress(data.DOCSTRINGS.read_bytes()).decode("ascii")
    assert (text.name, text.n_classes, len(data.SYMBOLS)) == ("docstrings", 96, 96)
    assert (text.x_train.shape, text.x_valid.shape) == ((2048, 32), (256, 32))
    assert {t.dtype for t in (text.x_train, text.y_train, text.x_valid, text.y_valid)} == {torch.int64}
    start = whole.rindex(characters(text.x_valid))
    assert characters(text.y_valid) == whole[start + 1 :][: 256 * 32]
    assert len(whole) - 32 <= start + 256 * 32 + 1 <= len(whole)
    for row in (0, 1, 700, 2047):
        piece = 8 * 32 * row  # every eighth of 16,931 rows
        assert characters(text.x_train[row]) == whole[piece : piece + 32]
        assert characters(text.y_train[row]) == whole[piece + 1 : piece + 33]
        assert piece + 33 <= start


def test_a_text_stays_a_text_when_it_is_moved() -> None:
    text = load("docstrings")
    assert text.to(torch.device("cpu"), torch.float64) is text


def test_all_of_the_text_can_train() -> None:
    rows = data.docstrings(tokens=5, train_rows=109_998, valid_rows=1)
    whole = gzip.decompress(data.DOCSTRINGS.read_bytes()).decode("ascii")
    assert characters(torch.cat([rows.x_train, rows.x_valid])) == whole[: 109_999 * 5]


TEXT = torch.tensor([[0, 1, 2], [2, 1, 0]])


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        (-TEXT, TEXT, "x_train must be .* tokens"),
        (TEXT[0], TEXT[0], "x_train must be .* tokens"),
        (TEXT[None], TEXT[None], "x_train must be .* tokens"),
        (TEXT, TEXT + 1, "y_train must be .* from 0 to n_classes - 1 = 2"),
        (TEXT, TEXT[:, :2], "y_train must be .* 2 labels, or one for each token"),
        (TEXT, TEXT.int(), "y_train must be .*int64"),
        (TEXT.float(), TEXT, "y_train must be .* 2 labels from"),  # features are no tokens
    ],
)
def test_a_text_that_is_none_is_refused(x: torch.Tensor, y: torch.Tensor, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        Dataset("text", x, y, TEXT, TEXT, 3)


def test_labels_are_of_rows_or_of_tokens() -> None:
    for x in (TEXT, torch.randn(2, 3, 5)):
        for y in (TEXT, TEXT[:, 0]):
            assert Dataset("text", x, y, x, y, 3).y_train is y


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


def test_iterating_leaves_the_global_random_states_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    epochs_of(ids(), 3, seed=0, epochs=2)
    data.standardised_split("rows", np.arange(20.0)[:, None], np.arange(20) % 2)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state  # noqa: NPY002


def test_the_order_does_not_depend_on_the_global_random_state() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = epochs_of(ids(), 3, seed=0)
        torch.manual_seed(2)
        assert epochs_of(ids(), 3, seed=0) == first
