"""Each checker is fed what learners hand in: nothing, typical mistakes, and right answers in other words."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from keys import RIGHT, WRONG
from lessons import each_lesson, sources
from pretended_browser import is_shown

from warmup_course import Schedule
from warmup_course.classroom import store
from warmup_course.classroom.exercises import EXERCISES, exercise
from warmup_course.classroom.exercises.checker import DONE, NOT_YET, Exercise, NotYet, run


def nothing_yet(*arguments):
    """A starter cell."""
    return ...


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
    for what, tried in (("wrong", WRONG), ("right", RIGHT)):
        assert set(tried) == set(EXERCISES), f"tests/keys/ has {what} answers to each exercise, and to no other"


@each_lesson
def test_every_exercise_stands_in_its_lesson(lesson: Path) -> None:
    code = "\n".join(sources(lesson, "code"))
    there = {f"{lesson.stem}/{name}" for name in re.findall(rf'exercise\("{lesson.stem}/(\w+)"\)', code)}
    assert there == {name for name, task in EXERCISES.items() if task.lesson == lesson.stem}


@pytest.mark.parametrize(
    ("name", "answer"),
    [(name, answer) for name in EXERCISES for answer in (None, ...)]
    + [(name, nothing_yet) for name, task in EXERCISES.items() if inspect.isfunction(task.answer)],
)
def test_a_starter_is_not_attempted(name: str, answer: object, said: list) -> None:
    assert check(exercise(name), answer, said).startswith("**○ Not attempted.**")


@pytest.mark.parametrize(("name", "answer", "reason"), [(n, *case) for n, cases in WRONG.items() for case in cases])
def test_a_wrong_answer_is_told_why(name: str, answer: object, reason: str, said: list) -> None:
    text = check(exercise(name), answer, said)
    assert text.startswith("**✘ Not yet.**")
    assert reason in text


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, answers in RIGHT.items() for a in answers])
def test_a_right_answer_in_other_words_is_done(name: str, answer: object, said: list) -> None:
    assert check(exercise(name), answer, said).startswith("**✔ Done.**")


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
    task = replace(exercise(name))  # one to which no hint was given yet
    for given in range(1, len(task.hints) + 1):
        task.hint()
        assert said[-1].data.count("**Hint") == given
    task.hint()
    assert said[-1].data.count("**Hint") == len(task.hints) >= 2


def test_what_stops_a_function_is_told_with_the_learners_own_names() -> None:
    with pytest.raises(NotYet, match=r"^For \(step = `5`, w = `0`\) your function stops with `ZeroDivisionError"):
        run(lambda step, w: step / w, 5, 0)
    with pytest.raises(NotYet, match=r"^For \(`5`, `0`\) your function stops with `TypeError"):
        run(lambda step: step, 5, 0)


def test_what_stops_a_function_is_told_in_one_short_line() -> None:
    def answer() -> None:
        raise ValueError("this\n# or" + " that" * 1000)

    with pytest.raises(NotYet, match=r"stops with `ValueError: this # or that.{1,300} \.\.\.`\.$") as told:
        run(answer)
    assert len(str(told.value)) < 400


def test_an_answer_has_gradients_and_cannot_switch_them_off() -> None:
    with torch.no_grad():
        assert run(torch.is_grad_enabled)
    run(lambda: torch.set_grad_enabled(False))
    assert torch.is_grad_enabled()


def test_the_code_of_a_hint_runs_in_its_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    [hint] = [hint for hint in exercise("14_capstone/learning_rate").hints if "```" in hint]
    code = hint.split("```python\n")[1].split("```")[0]
    exec(code, {"Schedule": Schedule, "ramp": 80, "fall": "cosine", "peak": 0.3})  # the names that lesson 14 has
    scope: dict = {}
    exec(capsys.readouterr().out.partition("for step in")[0], scope)
    assert scope["learning_rate"](79) == pytest.approx(0.3)


def test_the_state_is_kept_once_a_browser_shows_it(said: list) -> None:
    task = exercise("01_learning_rate_basics/valley")
    for answer in (None, 0.5, 2 / 52):
        task.check(answer)
    assert store.events(kind="exercise", item=task.name) == []  # nobody has seen it yet
    for card in said[1:]:
        for kept in (card.text, card.children[0].value):
            assert "Not remembered here:" in kept
            assert "pip install anywidget" in kept
        is_shown(card)
        for kept in (card.text, card.children[0].value):
            assert "Not remembered" not in kept
    assert "remembered" not in said[0].text  # there is no answer yet
    events = store.events(kind="exercise", item=task.name)
    assert [(event.answer, event.state) for event in events] == [("0.5", NOT_YET), (repr(2 / 52), DONE)]
    assert {event.lesson for event in events} == {"01_learning_rate_basics"}


@pytest.mark.usefixtures("full_store")
def test_a_store_that_fails_does_not_stop_the_lesson(said: list) -> None:
    exercise("01_learning_rate_basics/valley").check(0.5)
    is_shown(said[-1])
    assert "Make room." in said[-1].children[0].value
    assert "Make room." in said[-1].text  # on a saved page, too, "Done" is not all
