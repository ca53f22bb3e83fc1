"""Each checker is fed what learners hand in: nothing, typical mistakes, and right answers in other words."""

import inspect

import numpy as np
import pytest
import torch

from warmup_course import Schedule
from warmup_course.classroom import store
from warmup_course.classroom.exercises import EXERCISES, exercise
from warmup_course.classroom.exercises.checker import DONE, NOT_ATTEMPTED, NOT_YET, Exercise


def nothing_yet(*arguments):
    """A starter cell."""


def hessian(x):
    return x.T @ x / len(x)


# exercise -> (answer, a word of the reason that it must be given)
WRONG = {
    "01_learning_rate_basics/highest_lr": [
        (lambda c: 1 / max(c), "in one step"),
        (lambda c: 2 / min(c), "flattest"),
        (lambda c: 2 / c[0], "first weight alone"),
        (lambda c: 2 / c[-1], "last weight alone"),
        (lambda c: 2 / (max(c) + min(c)), "fastest for the pair"),
        (lambda c: 2 / np.mean(c), "average"),
        (lambda c: 2 / sum(c), "add up"),
        (lambda c: 0.3, "expected 0.25"),
        (lambda c: c["a"], "TypeError"),
        (lambda c: "high", "not a number"),
        (lambda: 1, "TypeError"),
        (0.2, "should be a function"),
    ],
    "01_learning_rate_basics/valley": [
        (0.01, "Go higher"),
        (0.03, "Go higher"),
        (0.039, "Go lower"),
        (0.04, "never arrives"),
        (0.5, "never arrives"),
        (0.0, "above 0"),
        (-0.01, "above 0"),
        (float("nan"), "above 0"),
        ("0,0385", "not a number"),
    ],
    "02_high_lr_instability/lr_limit": [
        (lambda x: 2 / torch.linalg.eigvalsh(hessian(x))[0], "sorts upwards"),
        (lambda x: 2 / torch.linalg.eigvalsh(x.T @ x)[-1], "divide by the number of rows"),
        (lambda x: 1 / torch.linalg.eigvalsh(hessian(x))[-1], "The limit is higher"),
        (lambda x: torch.linalg.eigvalsh(hessian(x))[-1], "the sharpness itself"),
        (lambda x: 2 / hessian(x).trace(), "trace"),
        (lambda x: 2 / torch.linalg.svdvals(x)[0], "singular value"),
        (lambda x: torch.linalg.eigvalsh(hessian(x)), "not a number"),
        (lambda x: x @ x, "RuntimeError"),
    ],
    "03_linear_warmup/ramp": [
        (lambda step, w: min(step / w, 1) if w else 1, "counts from 1"),
        (lambda step, w: (step + 1) / w if w else 1, "above the peak"),
        (lambda step, w: 1.0, "has to come first"),
        (lambda step, w: 0.0 if step < w else 1.0, "rises at every step"),
        (lambda step, w: min((step + 1) / w, 1), "ZeroDivisionError"),
        (lambda step, w: 0.5, "expected 0.4"),
        (lambda step: step, "TypeError"),
        (0.1, "should be a function"),
    ],
    "03_linear_warmup/ramp_from_zero": [
        (lambda step, w: min((step + 1) / w, 1) if w else 1, "counts from 0"),
        (lambda step, w: step / w if w else 1, "above the peak"),
        (lambda step, w: min(step / w, 1), "ZeroDivisionError"),
        (lambda step, w: 1 - min(step / w, 1) if w else 1, "what is missing"),
        (lambda step, w: 1.0, "has to come first"),
    ],
}
# Right answers that are not the solution's words.
RIGHT = {
    "01_learning_rate_basics/highest_lr": [lambda c: 2 / np.max(c), lambda c: min(2 / h for h in c)],
    "01_learning_rate_basics/valley": [2 / 52, "0.0385", torch.tensor(0.0384), 0.038],
    "02_high_lr_instability/lr_limit": [
        lambda x: 2 * len(x) / torch.linalg.matrix_norm(x, 2).item() ** 2,
        lambda x: 2 / np.linalg.eigvalsh(hessian(x).numpy()).max(),
    ],
    "03_linear_warmup/ramp": [
        lambda step, w: Schedule(2000, w, decay="constant")(step),
        lambda step, w: 1 if step >= w else (1 + step) / w,
    ],
    "03_linear_warmup/ramp_from_zero": [
        lambda step, w: Schedule(2000, w, decay="constant", count_from=0)(step),
        lambda step, w: np.interp(step, [0, max(w, 1e-9)], [0, 1]) if w else 1,
    ],
}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list:
    """The texts that are displayed."""
    texts: list = []
    monkeypatch.setattr("warmup_course.classroom.exercises.checker.display", lambda shown: texts.append(shown))
    return texts


def check(task: Exercise, answer: object, said: list) -> str:
    task.check(answer)
    return said[-1].text


def test_every_exercise_is_tried() -> None:
    assert set(WRONG) == set(RIGHT) == set(EXERCISES)


@pytest.mark.parametrize(
    ("name", "answer"),
    [(name, answer) for name in EXERCISES for answer in (None, ...)]
    + [(name, nothing_yet) for name, task in EXERCISES.items() if inspect.isfunction(task.answer)],
)
def test_a_starter_is_not_attempted(name: str, answer: object, said: list) -> None:
    task = exercise(name)
    assert check(task, answer, said).startswith("**○ Not attempted.**")
    assert task.state == NOT_ATTEMPTED


@pytest.mark.parametrize(("name", "answer", "reason"), [(n, *case) for n, cases in WRONG.items() for case in cases])
def test_a_wrong_answer_is_told_why(name: str, answer: object, reason: str, said: list) -> None:
    task = exercise(name)
    text = check(task, answer, said)
    assert text.startswith("**✘ Not yet.**")
    assert reason in text
    assert task.state == NOT_YET


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, answers in RIGHT.items() for a in answers])
def test_a_right_answer_in_other_words_is_done(name: str, answer: object, said: list) -> None:
    task = exercise(name)
    assert check(task, answer, said).startswith("**✔ Done.**")
    assert task.state == DONE


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_as_it_is_shown(name: str, said: list) -> None:
    task = exercise(name)
    task.solution()
    code = said[-1].data.split("```python\n")[1].split("\n```")[0]
    assert "#" not in code
    scope: dict = {"torch": torch}
    if inspect.isfunction(task.answer):
        exec(code, scope)
        answer = scope[name.partition("/")[2]]
    else:
        answer = eval(code)
    assert check(task, answer, said).startswith("**✔ Done.**")


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_come_one_by_one(name: str, said: list) -> None:
    task = exercise(name)
    task._hints_given = 0
    for given in range(1, len(task.hints) + 1):
        task.hint()
        assert said[-1].data.count("**Hint") == given
    task.hint()
    assert said[-1].data.count("**Hint") == len(task.hints) >= 2


def test_the_state_is_kept_once_a_browser_shows_it(said: list) -> None:
    task = exercise("01_learning_rate_basics/valley")
    for answer in (None, 0.5, 2 / 52):
        task.check(answer)
    assert store.events(kind="exercise", item=task.name) == []  # nobody has seen it yet
    for card in said:
        card.children[-1]._handle_custom_msg("shown", [])
    events = store.events(kind="exercise", item=task.name)
    assert [(event.answer, event.state) for event in events] == [("0.5", NOT_YET), (repr(2 / 52), DONE)]
    assert {event.lesson for event in events} == {"01_learning_rate_basics"}


def test_a_store_that_fails_does_not_stop_the_lesson(said: list, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise store.StoreError("It is full", "Make room.")

    monkeypatch.setattr(store, "record", fail)
    exercise("01_learning_rate_basics/valley").check(0.5)
    said[-1].children[-1]._handle_custom_msg("shown", [])
    assert "Make room." in said[-1].children[0].value


def test_an_unknown_exercise_is_refused() -> None:
    with pytest.raises(ValueError, match="name must be"):
        exercise("03_linear_warmup/rump")
