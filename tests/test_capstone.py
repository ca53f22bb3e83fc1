"""The budget of training steps, with a stand-in for the browser; and the runs that judge a handed-in schedule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from IPython.core.interactiveshell import InteractiveShell
from pretended_browser import is_shown

from warmup_course import MLP, TrainConfig, sweep
from warmup_course.classroom import capstone, store
from warmup_course.classroom.capstone import BASELINE, BEST, HELD_OUT_SEEDS, TASK, Budget, OverBudgetError

SMALL = TrainConfig(data="tabular", model=lambda: MLP(10, 2, hidden=[]), total_steps=10, device="cpu")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def begin_anew(budget: Budget) -> None:
    budget.children[2].click()


# ---- paying ----------------------------------------------------------------------------------------------------------


def test_a_sweep_costs_its_runs_times_their_steps(capsys: pytest.CaptureFixture[str]):
    budget = Budget(SMALL, 100)
    runs = budget.sweep(peak_lr=[0.1, 0.2], seed=[0, 1, 2])
    assert budget.left == budget.bar.value == 40
    assert "40 of 100" in budget.status.value
    assert capsys.readouterr().out == "60 steps for 6 runs. 40 of 100 steps are left.\n"
    xr.testing.assert_identical(runs, sweep(SMALL, peak_lr=[0.1, 0.2], seed=[0, 1, 2]))


def test_single_values_replace_the_tasks():
    runs = Budget(SMALL, 100).sweep(peak_lr=0.2, decay="linear", warmup_steps=3, total_steps=8, seed=(5,))
    expected = replace(SMALL, peak_lr=0.2, decay="linear", warmup_steps=3, total_steps=8)
    xr.testing.assert_identical(runs, sweep(expected, seed=[5]))


def test_a_value_of_an_earlier_sweep_replaces_the_tasks():
    rate = sweep(SMALL, peak_lr=[0.1, 0.2], seed=[0]).peak_lr[1]
    runs = Budget(SMALL, 100).sweep(peak_lr=rate, seed=[5])
    xr.testing.assert_identical(runs, sweep(replace(SMALL, peak_lr=0.2), seed=[5]))


def test_what_does_not_fit_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch):
    budget = Budget(SMALL, 50)
    monkeypatch.setattr(capstone, "sweep", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(
        OverBudgetError, match=r"6 runs of 10 steps would cost 60 steps, and 50 are left\. Nothing was trained"
    ):
        budget.sweep(peak_lr=[0.1, 0.2], seed=[0, 1, 2])
    assert budget.left == 50


def test_a_sweep_that_just_fits_is_made():
    budget = Budget(SMALL, 20)
    budget.sweep(seed=[0, 1])
    assert budget.left == 0


def test_a_notebook_shows_a_refusal_without_a_traceback(capsys: pytest.CaptureFixture[str]):
    shell = InteractiveShell()
    shell.user_ns["budget"] = Budget(SMALL, 5)
    shell.run_cell("budget.sweep(seed=[0])")
    said = capsys.readouterr()
    assert (said.out + said.err).strip().startswith("✘ 1 run of 10 steps would cost 10 steps")
    assert "Traceback" not in said.out + said.err


def test_the_same_sweep_again_is_free_however_it_is_written():
    budget = Budget(SMALL, 30)
    first = budget.sweep(peak_lr=[0.1], seed=range(3))
    again = budget.sweep(seed=np.arange(3), peak_lr=(np.float64(0.1),))
    assert budget.left == 0
    xr.testing.assert_identical(first, again.transpose(*first.batch_loss.dims[:-1], ...))
    with pytest.raises(OverBudgetError):
        budget.sweep(peak_lr=[0.1], seed=[3])


def test_a_sweep_that_fails_costs_nothing():
    budget = Budget(SMALL, 100)
    with pytest.raises(ValueError, match="warmup_steps"):
        budget.sweep(warmup_steps=[11], seed=[0])
    assert budget.left == 100


@pytest.mark.parametrize("name", ["model", "data", "batch_size", "loss", "optimizer", "rubbish"])
def test_only_the_schedule_and_the_seed_are_the_learners(name: str):
    with pytest.raises(ValueError, match=f"what a sweep changes must be one of .*'peak_lr'.* got '{name}'"):
        Budget(SMALL, 100).sweep(**{name: [1]}, seed=[0])


@pytest.mark.parametrize("values", [{}, {"peak_lr": 0.1}])
def test_a_sweep_has_a_list(values: dict[str, Any]):
    with pytest.raises(ValueError, match=r"values must be at least one list, such as peak_lr=\[0.01, 0.02\], got {"):
        Budget(SMALL, 100).sweep(**values)


# ---- remembering -----------------------------------------------------------------------------------------------------


def test_without_a_browser_nothing_is_read_or_kept(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "events", lambda *_: pytest.fail("nobody has seen it"))
    Budget(SMALL, 100).sweep(seed=[0])
    assert not home.exists()


def test_what_was_spent_outlives_the_kernel():
    first = Budget(SMALL, 100)
    first.sweep(seed=[0])  # before it is seen, as with Run All
    is_shown(first)
    first.sweep(seed=[0, 1])
    later = Budget(SMALL, 100)
    is_shown(later)
    assert later.left == later.bar.value == 70
    later.sweep(seed=[0])  # paid for on the earlier day
    assert later.left == 70
    events = store.events("14_capstone", "sweep")
    assert [(event.answer, event.state) for event in events] == [("10", "paid"), ("20", "paid")]


def test_the_same_notebook_run_again_from_its_top_spends_nothing_twice():
    for _ in range(3):
        budget = Budget(SMALL, 100)
        budget.sweep(seed=[0])
        is_shown(budget)
        budget.sweep(seed=[1])
        assert budget.left == 80
    is_shown(budget)  # a second view
    assert budget.left == 80
    assert len(store.events(kind="sweep")) == 2


def test_more_spent_than_there_is_leaves_nothing():
    first, second = Budget(SMALL, 30), Budget(SMALL, 30)
    first.sweep(seed=[0, 1])
    second.sweep(seed=[2, 3])
    is_shown(first)
    is_shown(second)
    assert second.left == second.bar.value == 0


def test_a_new_budget_has_all_steps_and_the_next_number():
    budget = Budget(SMALL, 100)
    is_shown(budget)
    budget.sweep(seed=[0])
    begin_anew(budget)
    assert budget.left == 100
    assert "Budget 2" in budget.status.value
    budget.sweep(seed=[0, 1])
    later = Budget(SMALL, 100)
    is_shown(later)
    assert later.left == 80
    assert "Budget 2" in later.status.value
    assert [event.state for event in store.events(kind="sweep")] == ["paid", "given back", "paid"]  # nothing is erased


@pytest.mark.usefixtures("full_store")
def test_a_store_that_fails_does_not_stop_the_search():
    budget = Budget(SMALL, 100)
    is_shown(budget)
    budget.sweep(seed=[0])
    assert budget.left == 90
    assert "Make room." in budget.status.value


def test_readers_without_a_kernel_get_a_sentence():
    assert "budget of 100 training steps" in Budget(SMALL, 100)._repr_mimebundle_()["text/markdown"]


# ---- judging ---------------------------------------------------------------------------------------------------------


def test_the_stored_schedules_are_for_the_task_and_far_apart():
    accuracies = []
    for peak, schedule in (BASELINE, BEST):
        assert schedule.total_steps == TASK.total_steps
        lrs = tuple(float(peak * schedule(step)) for step in range(TASK.total_steps))
        with torch.no_grad():  # as a cell may have left it
            accuracies.append(capstone.held_out_accuracy.__wrapped__(lrs))
        assert len(accuracies[-1]) == len(HELD_OUT_SEEDS)
    baseline, best = accuracies
    assert np.median(best) > np.median(baseline) + 0.15
