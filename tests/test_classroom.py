"""What the notebooks use beside the training: seeds, claims and figures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr

from warmup_course import Schedule
from warmup_course.authoring.evidence import Evidence, write_csv
from warmup_course.classroom import Number, begin, plots
from warmup_course.classroom.capstone import HELD_OUT_SEEDS, TASK, Budget

mpl.use("agg")


@pytest.fixture(autouse=True)
def _no_figure_left() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def runs() -> xr.Dataset:
    """Two learning rates, two warmups, three seeds: at LR 0.5 nothing trains without warmup, and one run diverges."""
    rng = np.random.default_rng(0)
    outcome = np.full((2, 2, 3), "trained", dtype="<U8")
    outcome[1, 0] = ["diverged", "stalled", "slow"]
    loss = rng.uniform(0.1, 1, (2, 2, 3, 20))
    loss[1, 0, 0, 5:] = [np.inf, *[np.nan] * 14]
    dims = ("peak_lr", "warmup_steps", "seed")
    coords = {"peak_lr": [0.25, 0.5], "warmup_steps": [0, 8], "seed": [0, 1, 2], "step": range(20)}
    return xr.Dataset({"outcome": (dims, outcome), "batch_loss": ((*dims, "step"), loss)}, coords)


def test_two_notebook_seeds_share_no_run() -> None:
    seeds = [set(begin("03_linear_warmup", device="cpu", seed=seed).seeds(1000)) for seed in (0, 1, 7)]
    assert sum(map(len, seeds)) == len(set.union(*seeds)) == 3000


def test_begin_says_where_it_runs_and_caps_the_threads(capsys: pytest.CaptureFixture[str]) -> None:
    begin("03_linear_warmup", device="cpu", seed=4)
    assert "on the CPU, notebook seed 4" in capsys.readouterr().out
    assert torch.get_num_threads() <= 2


@pytest.mark.parametrize("value", [0, 1001, 2.5, "ten", None, True, 10**20, float("nan")])
def test_a_bad_number_is_called_what_the_notebook_calls_it(value: Any) -> None:
    with pytest.raises(ValueError, match="n_seeds must be a whole number from 1 to 1000, got"):
        begin("03_linear_warmup", device="cpu", seed=0, n_seeds=Number(value, usual=10))
    with pytest.raises(ValueError, match=r"good_lr must be a finite number in \[0.001, 2\], got"):
        begin("03_linear_warmup", device="cpu", seed=0, good_lr=Number(value, usual=0.3, least=0.001, most=2))


def test_begin_compares_the_numbers_with_the_usual_ones(capsys: pytest.CaptureFixture[str]) -> None:
    usual = {"n_seeds": Number(10, usual=10), "good_lr": Number(0.3, usual=0.3, least=0.1, most=3)}
    assert begin("03_linear_warmup", device="cpu", seed=7, **usual).standard
    assert "differ" not in capsys.readouterr().out
    assert not begin("03_linear_warmup", device="cpu", seed=7, **usual | {"n_seeds": Number(2, usual=10)}).standard
    assert "The parameters differ" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [4000, 10**20])
def test_no_notebook_seed_reaches_the_held_out_seeds(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed must be a whole number from 0 to 3999, got {seed}"):
        begin("14_capstone", device="cpu", seed=seed)
    last = begin("14_capstone", device="cpu", seed=3999).seeds(1000)[-1]
    assert last < HELD_OUT_SEEDS[0]
    with pytest.raises(ValueError, match=r"seed must be none of the held-out ones, .* got 4000003"):
        Budget(TASK, 10**6).sweep(seed=[last, 4_000_003])


@pytest.mark.parametrize(
    "holds",
    [np.nan, "False", "", None, 0, 1.0, [], [True], np.array([True]), torch.tensor([True, True]), np.array(0.5)],
)
def test_a_claim_takes_nothing_but_a_truth_value(holds: object) -> None:
    lesson = begin("03_linear_warmup", device="cpu", seed=0)
    with pytest.raises(ValueError, match="holds must be True or False, got"):
        lesson.claim("it holds", holds)


@pytest.mark.parametrize("holds", [True, np.True_, torch.tensor(True), xr.DataArray(True)])
def test_a_claim_that_holds_is_ticked(holds: object, capsys: pytest.CaptureFixture[str]) -> None:
    begin("03_linear_warmup", device="cpu", seed=0).claim("it holds", holds)
    assert capsys.readouterr().out.splitlines()[-1] == "✔ it holds"


@pytest.mark.parametrize("holds", [False, np.False_, np.nan < 1, xr.DataArray(np.nan) > 0.9])
def test_a_claim_that_fails_stops_a_lesson_that_is_checked(holds: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_COURSE_STRICT", "1")
    with pytest.raises(AssertionError, match="it holds"):
        begin("03_linear_warmup", device="cpu", seed=0).claim("it holds", holds)


@pytest.mark.parametrize(("statement", "known"), [("rare, so", " (at 39 of 40 other seeds it does)"), ("new", "")])
def test_a_learner_is_told_how_often_a_failing_claim_holds(
    statement: str, known: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WARMUP_COURSE_STRICT", raising=False)
    held = {"02_high_lr_instability": 7, "03_linear_warmup": 39}
    write_csv([Evidence(lesson, "rare, so", times, 40) for lesson, times in held.items()], tmp_path / "evidence.csv")
    monkeypatch.setattr("warmup_course.classroom.lesson.EVIDENCE", tmp_path / "evidence.csv")
    begin("03_linear_warmup", device="cpu", seed=0).claim(statement, False)
    assert capsys.readouterr().out.splitlines()[-1] == f"✘ does not hold at this seed: {statement}{known}"


def test_at_other_parameters_a_failing_claim_only_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lesson = begin("03_linear_warmup", device="cpu", seed=0, n_seeds=Number(3, usual=10))
    lesson.claim("it holds", False)
    assert "✘ does not hold at these settings: it holds" in capsys.readouterr().out


def test_lr_curves_draws_what_the_schedule_says() -> None:
    ax = plt.subplots()[1]
    schedule = Schedule(30, 5)
    plots.lr_curves({"no warmup": Schedule(30), "5 warmup steps": schedule}, 0.1, "title", ax)
    by_label = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(by_label["5 warmup steps"].get_ydata(), [0.1 * schedule(t) for t in range(30)])
    assert by_label["no warmup"].get_color() == plots.WITHOUT_WARMUP


def test_loss_by_step_counts_the_trained_and_marks_the_diverged(runs: xr.Dataset) -> None:
    ax = plt.subplots()[1]
    at = runs.sel(peak_lr=0.5)
    plots.loss_by_step({plots.warmup_label(w): at.sel(warmup_steps=w) for w in (0, 8)}, "title", ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["no warmup: 0 of 3 train", "8 warmup steps: 3 of 3 train"]
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert [line.get_xdata()[0] for line in crosses] == [5]  # the step whose loss is infinite


def test_where_all_runs_end_at_once_only_the_first_steps_are_drawn(runs: xr.Dataset) -> None:
    ended = runs.isel(peak_lr=0, warmup_steps=0).isel(step=[0] * 50).assign_coords(step=range(50))
    loss = ended.batch_loss.copy()
    loss[:, 3:] = np.inf
    _, (few, all_of_them) = plt.subplots(1, 2)
    plots.loss_by_step({"no warmup": ended.assign(batch_loss=loss)}, "title", few)
    loss[0] = 1.0
    plots.loss_by_step({"no warmup": ended.assign(batch_loss=loss)}, "title", all_of_them)
    plt.close()
    assert few.get_xlim()[1] == pytest.approx(1.01 * plots.FIRST_STEPS)
    assert "first 20" in few.get_xlabel()
    assert all_of_them.get_xlim()[1] == pytest.approx(1.01 * loss.step.size)


def test_trained_by_lr_and_stability_map_show_the_counts(runs: xr.Dataset) -> None:
    left, right = plt.subplots(1, 2)[1]
    plots.trained_by_lr(runs, "title", left)
    counts = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert counts == {"no warmup": [3, 0], "8 warmup steps": [3, 3]}
    plots.stability_map(runs.transpose("seed", "warmup_steps", "peak_lr", "step"), "title", right)
    assert [text.get_text() for text in right.texts] == ["0", "3", "3", "3"]  # the highest LR on top, warmup across
    assert [label.get_text() for label in right.get_yticklabels()] == [
        f"{lr:g}" for lr in sorted(runs.peak_lr.values)[::-1]
    ]


def test_outcome_shares_stacks_the_counts(runs: xr.Dataset) -> None:
    ax = plt.subplots()[1]
    plots.outcome_shares(runs.sel(warmup_steps=0), "title", ax)
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    assert heights == {"trained": [3, 0], "slow": [0, 1], "stalled": [0, 1], "diverged": [0, 1]}
    assert max(bar.get_y() + bar.get_height() for bars in ax.containers for bar in bars) == 3


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: plots.lr_curves({32: Schedule(3)}, 0.1, "title"),
        lambda: plots.by_epoch({3: [1.0]}, "title", "loss"),
        lambda: plots.by_epoch({"one": 0.5}, "title", "loss"),
        lambda: plots.traces(np.zeros((2, 2, 2)), [0.1], "title"),
        lambda: plots.descent_path([[np.nan], [0.5]], [1.0], "title"),
    ],
)
def test_what_cannot_be_drawn_leaves_no_empty_figure(drawn: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match="must be"):
        drawn()
    assert plt.get_fignums() == []


def test_labels_that_are_no_texts_leave_no_empty_figure(runs: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="must be"):
        plots.loss_by_step({32: runs.isel(peak_lr=0, warmup_steps=0)}, "title")
    assert plt.get_fignums() == []


def test_by_epoch_starts_at_the_first_epoch() -> None:
    ax = plt.subplots()[1]
    plots.by_epoch({"loss": [3.0, 2.0, 1.0]}, "title", "loss", ax, first=0)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 3], [1, 2], [2, 1]])


@pytest.mark.parametrize("curvatures", [[2.0], [1.0, 10.0]])
def test_descent_path_draws_every_step_and_rings_the_start(curvatures: list[float]) -> None:
    ax = plt.subplots()[1]
    path = np.array([[1.0], [0.5], [0.25]]) * np.ones(len(curvatures))
    plots.descent_path(path, curvatures, "title", ax)
    steps, ring = ax.lines[-2:]
    heights = path[:, 1] if len(curvatures) == 2 else 0.5 * 2.0 * path[:, 0] ** 2
    np.testing.assert_allclose(steps.get_xydata(), np.column_stack([path[:, 0], heights]))
    np.testing.assert_allclose(ring.get_xydata(), [[1.0, heights[0]]])
