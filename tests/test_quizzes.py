"""The questions of the lessons: their form, and each key against a computation or against what its lesson claims."""

import copy
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from keys import CHOICES, CLAIMED, NUMBERS, ORDERS, WORDING

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "warmup_course" / "classroom" / "quizzes"
QUIZZES = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem != "schema"
}
FINAL = QUIZZES["final"]["questions"]
QUESTIONS = [(lesson, question) for lesson, quiz in QUIZZES.items() for question in quiz["questions"]]
BY_ID = {question["id"]: question for _, question in QUESTIONS}
CHECK = jsonschema.Draft202012Validator(yaml.safe_load((FOLDER / "schema.yaml").read_text("utf-8")))

each_lesson = pytest.mark.parametrize("lesson", QUIZZES)
each_question = pytest.mark.parametrize("question", [pytest.param(q, id=q["id"]) for _, q in QUESTIONS])


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [question for _, question in QUESTIONS if question["kind"] == kind]


def each_of_kind(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("question", [pytest.param(q, id=q["id"]) for q in of_kind(kind)])


def place_of_right(question: dict[str, Any]) -> int:
    return [bool(choice.get("right")) for choice in question["choices"]].index(True)


def first_cell(lesson: str) -> str:
    notebook = json.loads((ROOT / "notebooks" / f"{lesson}.ipynb").read_text("utf-8"))
    return "".join(notebook["cells"][0]["source"])


# ---- form ------------------------------------------------------------------------------------------------------------


def test_there_are_quizzes():
    assert list(QUIZZES)[:4] == [
        "00_start_here",
        "01_learning_rate_basics",
        "02_high_lr_instability",
        "03_linear_warmup",
    ]


@each_lesson
def test_a_quiz_follows_the_schema(lesson: str):
    CHECK.check_schema(CHECK.schema)
    CHECK.validate(QUIZZES[lesson])


def spoilt(kind: str, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A good quiz in which the first question of one kind was changed."""
    quiz = next(q for q in QUIZZES.values() if any(question["kind"] == kind for question in q["questions"]))
    quiz = copy.deepcopy(quiz)
    change(next(question for question in quiz["questions"] if question["kind"] == kind))
    return quiz


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("single", lambda q: q.update(hint="none")),
        ("single", lambda q: q.update(kind="multiple")),
        ("single", lambda q: q.pop("kind")),
        ("single", lambda q: q.pop("id")),
        ("single", lambda q: q.update(id="Not kebab")),
        ("single", lambda q: q.update(ask=" ")),
        ("single", lambda q: q["choices"].__delitem__(slice(2, None))),
        ("single", lambda q: [choice.update(right=True) for choice in q["choices"]]),
        ("single", lambda q: q["choices"][place_of_right(q)].pop("right")),
        ("single", lambda q: q["choices"][0].update(right=False)),
        ("single", lambda q: q["choices"][0].pop("why")),
        ("several", lambda q: [choice.pop("right", None) for choice in q["choices"]]),
        ("number", lambda q: q.update(choices=[])),
        ("number", lambda q: q.update(answer="0.1")),
        ("number", lambda q: q.update(tolerance=0)),
        ("number", lambda q: q.update(mistakes=[])),
        ("number", lambda q: q["mistakes"][0].pop("why")),
        ("number", lambda q: q.pop("otherwise")),
        ("order", lambda q: q["steps"].__delitem__(slice(2, None))),
        ("order", lambda q: q["steps"].append(q["steps"][0])),
        ("order", lambda q: q.pop("because")),
    ],
)
def test_the_schema_refuses_what_breaks_the_format(kind: str, change: Callable[[dict[str, Any]], Any]):
    assert not CHECK.is_valid(spoilt(kind, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda quiz: quiz.update(author="me"),
        lambda quiz: quiz.pop("title"),
        lambda quiz: quiz.update(minutes=0),
        lambda quiz: quiz["questions"].__delitem__(slice(4, None)),
    ],
)
def test_the_schema_refuses_a_quiz_with_a_bad_head(change: Callable[[dict[str, Any]], Any]):
    quiz = copy.deepcopy(QUIZZES["00_start_here"])
    change(quiz)
    assert not CHECK.is_valid(quiz)


@pytest.mark.parametrize("lesson", [lesson for lesson in QUIZZES if lesson != "final"])
def test_title_and_minutes_are_those_of_the_notebook(lesson: str):
    header = first_cell(lesson)
    title = re.match(rf"# {lesson[:2]} · (.+)\n", header)
    minutes = re.search(r"\*About (\d+) minutes", header)
    assert title is not None
    assert minutes is not None
    assert (title[1], int(minutes[1])) == (QUIZZES[lesson]["title"], QUIZZES[lesson]["minutes"])


def test_the_final_quiz_draws_on_every_lesson():
    assert len(FINAL) == 20
    lessons = [question["id"].split("-")[1] for question in FINAL]
    assert lessons == sorted(lessons)
    assert set(lessons) == {f"{number:02d}" for number in range(12)}
    to_run = [question for question in FINAL if "**Run this.**" in question["ask"]]
    assert len(to_run) == 5
    for question in to_run:
        assert question["kind"] == "number"
        [code] = re.findall(r"```python\n(.+?)```", question["ask"], re.DOTALL)
        with warnings.catch_warnings():  # one of them has a bug that PyTorch warns of
            warnings.simplefilter("ignore")
            exec(code, {})  # what is to be completed runs as it stands


def test_ids_are_unique_in_the_course():
    assert Counter(question["id"] for _, question in QUESTIONS).most_common(1)[0][1] == 1


@each_question
def test_no_text_stands_twice_in_a_question(question: dict[str, Any]):
    parts = question.get("choices") or question.get("steps") or question["mistakes"]
    for field in parts[0].keys() - {"right", "value"}:
        texts = [part[field] for part in parts]
        assert len(set(texts)) == len(texts)


@each_of_kind("number")
def test_mistakes_can_be_told_apart(question: dict[str, Any]):
    values = sorted([question["answer"], *(mistake["value"] for mistake in question["mistakes"])])
    assert min(np.diff(values)) > question["tolerance"]


def test_the_kinds_are_mixed():
    counts = Counter(question["kind"] for _, question in QUESTIONS)
    assert counts.keys() == {"single", "several", "number", "order"}
    assert counts["single"] <= 2 / 3 * len(QUESTIONS)


@each_of_kind("single")
def test_the_right_choice_is_not_the_longest(question: dict[str, Any]):
    lengths = [len(choice["text"]) for choice in question["choices"]]
    assert lengths[place_of_right(question)] < max(lengths)


def test_the_right_choice_moves_about():
    for lesson in QUIZZES:
        places = [place_of_right(q) for of, q in QUESTIONS if of == lesson and q["kind"] == "single"]
        assert len(set(places)) > 1 or len(places) < 2, lesson
    common = Counter(place_of_right(question) for question in of_kind("single")).most_common(1)[0][1]
    assert common <= len(of_kind("single")) / 2


@each_of_kind("several")
def test_ticking_everything_is_wrong(question: dict[str, Any]):
    assert not all(choice.get("right") for choice in question["choices"])


# ---- the keys --------------------------------------------------------------------------------------------------------


def test_no_key_goes_unchecked():
    checked = [*NUMBERS, *CHOICES, *ORDERS, *CLAIMED, *WORDING]
    assert sorted(checked) == sorted(BY_ID)
    assert sorted(NUMBERS) == sorted(question["id"] for question in of_kind("number"))
    assert sorted(ORDERS) == sorted(question["id"] for question in of_kind("order"))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_and_its_mistakes_are_computed(name: str):
    question = BY_ID[name]
    stated = [question["answer"], *(mistake["value"] for mistake in question["mistakes"])]
    # Much nearer than the tolerance: a learner who rounds must not end up at the wrong one.
    assert NUMBERS[name]() == pytest.approx(stated, rel=0, abs=question["tolerance"] / 10)


@pytest.mark.parametrize("name", CHOICES)
def test_the_right_choices_are_computed(name: str):
    choices = BY_ID[name]["choices"]
    assert CHOICES[name](choices) == [bool(choice.get("right")) for choice in choices]


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_computed(name: str):
    keys = ORDERS[name]([step["text"] for step in BY_ID[name]["steps"]])
    assert len(keys) == len(BY_ID[name]["steps"])
    assert all(before < after for before, after in pairwise(keys))


@cache
def claims_of(lesson: str) -> str:
    """The code of a lesson's cells that check claims; for the final quiz, of all lessons'."""
    paths = (ROOT / "notebooks").glob("[0-9]*.ipynb" if lesson == "final" else f"{lesson}.ipynb")
    notebooks = [json.loads(path.read_text("utf-8")) for path in paths]
    cells = ["".join(cell["source"]) for nb in notebooks for cell in nb["cells"] if cell["cell_type"] == "code"]
    return "\n".join(cell for cell in cells if "claim(" in cell)


@pytest.mark.parametrize(("name", "claim"), [(name, claim) for name, claims in CLAIMED.items() for claim in claims])
def test_the_lesson_still_claims_what_a_key_rests_on(name: str, claim: str):
    lesson = next(lesson for lesson, question in QUESTIONS if question["id"] == name)
    assert claim in claims_of(lesson)
