"""The questions of the lessons: their form, and each key against a computation or against what its lesson claims."""

import copy
import random
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import lessons as notebooks
import numpy as np
import pytest
import yaml
from keys import KEYS

from warmup_course import classroom
from warmup_course.classroom.quiz import load, quizzes

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "warmup_course" / "classroom" / "quizzes"
QUIZZES = {lesson: load(lesson) for lesson in quizzes()}
LESSONS = [lesson for lesson in QUIZZES if lesson != "final"]
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


def cells(lesson: str, kind: str) -> list[str]:
    return notebooks.sources(notebooks.FOLDER / f"{lesson}.ipynb", kind)


# ---- form ------------------------------------------------------------------------------------------------------------


def test_a_quiz_follows_the_schema():
    CHECK.check_schema(CHECK.schema)
    for quiz in QUIZZES.values():
        CHECK.validate(quiz)


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
        ("single", lambda q: q.update(rests_on=[])),
        ("single", lambda q: q.update(rests_on=["a", "a"])),
        ("single", lambda q: q.update(wording=" ")),
        ("order", lambda q: q.update(rests_on=["a"], wording="b")),
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
        ("number", lambda q: q.update(wording="its number is computed")),
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


# ---- a lesson's title and minutes stand in its quiz; wherever else they are read, they are the same ------------------


def named(lesson: str) -> str:
    return f"{lesson[:2]} · {QUIZZES[lesson]['title']}"


def rows(text: str) -> list[str]:
    """The rows of a table of lessons."""
    return re.findall(r"(?m)^\| \[\d\d\]\(.+\|$", text)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_header_has_the_title_the_minutes_and_the_neighbours(lesson: str):
    first, *_, last = cells(lesson, "markdown")[0].splitlines()
    assert first == f"# {named(lesson)}"
    place = LESSONS.index(lesson)
    before = [f"[← {named(other)}]({other}.ipynb)" for other in LESSONS[:place][-1:]]
    after = [f"[{named(other)} →]({other}.ipynb)" for other in LESSONS[place + 1 :][:1]]
    minutes = f"About {QUIZZES[lesson]['minutes']} minutes"
    assert last == f"*{' · '.join([minutes, *before, *after])}*"


def test_the_readme_lists_the_lessons():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert rows(readme) == [
        f"| [{lesson[:2]}](notebooks/{lesson}.ipynb) | {QUIZZES[lesson]['title']} | {QUIZZES[lesson]['minutes']} |"
        for lesson in LESSONS
    ]
    hours = sum(quiz["minutes"] for quiz in QUIZZES.values()) / 60
    assert f"{len(LESSONS)} lessons, about {hours:.0f} hours" in readme


def test_lesson_00_lists_the_others():
    [listed] = [found for cell in cells("00_start_here", "markdown") if (found := rows(cell))]
    assert listed == [f"| [{lesson[:2]}]({lesson}.ipynb) | {QUIZZES[lesson]['title']} |" for lesson in LESSONS[1:]]


def test_each_lesson_has_its_quiz():
    assert [lesson.stem for lesson in notebooks.LESSONS] == LESSONS


def test_the_final_quiz_draws_on_every_lesson():
    assert len(FINAL) == 20
    lessons = [question["id"].split("-")[1] for question in FINAL]
    assert lessons == sorted(lessons)
    assert set(lessons) == {lesson[:2] for lesson in LESSONS}
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


EVIDENCE = ("rests_on", "wording")


def each_computed(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name in KEYS if name in BY_ID and BY_ID[name]["kind"] in kinds])


def test_every_question_has_one_piece_of_evidence():
    pieces = Counter([*KEYS, *(question["id"] for _, question in QUESTIONS for field in EVIDENCE if field in question)])
    assert {name: pieces[name] for name in BY_ID | pieces if name not in BY_ID or pieces[name] != 1} == {}


@each_computed("number")
def test_a_number_and_its_mistakes_are_computed(name: str):
    question = BY_ID[name]
    stated = [question["answer"], *(mistake["value"] for mistake in question["mistakes"])]
    # Much nearer than the tolerance: a learner who rounds must not end up at the wrong one.
    assert KEYS[name]() == pytest.approx(stated, rel=0, abs=question["tolerance"] / 10)


@each_computed("single", "several")
def test_the_right_choices_are_computed_wherever_they_stand(name: str):
    choices = BY_ID[name]["choices"]
    shuffled = next(order for order in shuffles(choices, name) if rights(order) != rights(choices))
    assert KEYS[name](shuffled) == rights(shuffled)


@each_computed("order")
def test_an_order_is_computed_from_the_steps_wherever_they_stand(name: str):
    texts = [step["text"] for step in BY_ID[name]["steps"]]
    shuffled = next(order for order in shuffles(texts, name) if order != texts)
    keys = KEYS[name](shuffled)
    assert len(set(keys)) == len(texts)
    assert sorted(shuffled, key=dict(zip(shuffled, keys, strict=True)).__getitem__) == texts


def shuffles(things: list[Any], seed: str) -> Iterator[list[Any]]:
    chance = random.Random(seed)
    while True:
        yield chance.sample(things, len(things))


def rights(choices: list[dict[str, Any]]) -> list[bool]:
    return [bool(choice.get("right")) for choice in choices]


@cache
def claims_of(lesson: str) -> str:
    """The code of a lesson's cells that check claims; for the final quiz, of all lessons'."""
    lessons = LESSONS if lesson == "final" else [lesson]
    return "\n".join(cell for each in lessons for cell in cells(each, "code") if "claim(" in cell)


@pytest.mark.parametrize(
    ("lesson", "claim"), [(lesson, claim) for lesson, question in QUESTIONS for claim in question.get("rests_on", ())]
)
def test_the_lesson_still_claims_what_a_key_rests_on(lesson: str, claim: str):
    assert claim in claims_of(lesson), f"say in {lesson}.yaml which claim the question rests on now"


# ---- as the lessons show them ----------------------------------------------------------------------------------------


@each_lesson
def test_the_stored_lesson_shows_these_questions_without_their_answers(lesson: str):
    stored = LESSONS[-1] if lesson == "final" else lesson
    shown = [
        "".join(output["data"]["text/markdown"])
        for cell in notebooks.load(notebooks.FOLDER / f"{stored}.ipynb")["cells"]
        if f'quiz("{lesson}")' in "".join(cell["source"])
        for output in cell["outputs"]
    ]
    page = classroom.quiz(lesson)._repr_mimebundle_()
    text = page["text/plain"]
    assert page["text/markdown"] == text
    assert text in shown, f"python3 start.py refresh {stored[:2]} puts it right"
    for question in QUIZZES[lesson]["questions"]:
        assert question["ask"].strip() in text
        for choice in question.get("choices", []):
            assert choice["text"].strip() in text
            assert choice["why"].strip() not in text
        steps = [text.index(step["text"].strip()) for step in question.get("steps", [])]
        assert not steps or steps != sorted(steps)
        assert question.get("because", "?!").strip() not in text
