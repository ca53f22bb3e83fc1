"""Progress over a course of two lessons made here, and its widget, with a stand-in for the browser."""

import re
from pathlib import Path
from types import SimpleNamespace

import ipywidgets as widgets
import pytest
from bs4 import BeautifulSoup
from pretended_browser import is_shown

from warmup_course.classroom import progress, store
from warmup_course.classroom.cards import Status
from warmup_course.classroom.progress import (
    LessonProgress,
    as_text,
    predictions,
    progress_table,
    results_page,
    summary,
    totals,
    verdict,
)

START, RAMP = "00_start_here", "03_linear_warmup"


@pytest.fixture(autouse=True)
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lesson 00: 10 minutes, one question.

    Lesson 03: 20 minutes, three questions, two exercises, three predictions, and two goals of labs.
    """
    quizzes = {
        START: {"title": "What & why?", "minutes": 10, "questions": [{"id": "why"}]},
        RAMP: {"title": "What does linear warmup do?", "minutes": 20, "questions": [{"id": item} for item in "abc"]},
    }
    exercises = {name: SimpleNamespace(name=name, lesson=RAMP) for name in ("03_ramp", "03_more")}
    monkeypatch.setattr(progress, "quizzes", lambda: list(quizzes))
    monkeypatch.setattr(progress, "load", quizzes.__getitem__)
    monkeypatch.setattr(progress, "EXERCISES", exercises)
    monkeypatch.setattr(progress, "asked_in", lambda lesson: (3, 2) if lesson == RAMP else (0, 0))
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "home"))
    return tmp_path


def counts(one: LessonProgress) -> tuple[int, ...]:
    return (one.questions_right, one.exercises_done, one.predictions_locked, one.predictions_held, one.minutes_left)


# ---- counting -------------------------------------------------------------------------------------------------------


def test_at_first_nothing_is_done():
    start, ramp = summary()
    assert (start.lesson, start.title, start.minutes) == (START, "What & why?", 10)
    assert (start.questions, start.exercises) == (1, 0)
    assert (ramp.lesson, ramp.minutes, ramp.questions, ramp.exercises) == (RAMP, 20, 3, 2)
    assert (counts(start), counts(ramp)) == ((0, 0, 0, 0, 10), (0, 0, 0, 0, 20))
    assert not start.done
    assert not ramp.done


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # 20 minutes for 10 things, 2 for each. A question counts once it was right, whatever came before or after.
        ([("question", "a", "wrong")], (0, 0, 0, 0, 20)),
        ([("question", "a", "wrong"), ("question", "a", "right")], (1, 0, 0, 0, 18)),
        ([("question", "a", "right"), ("question", "a", "right"), ("question", "a", "wrong")], (1, 0, 0, 0, 18)),
        ([("exercise", "03_ramp", "not yet")], (0, 0, 0, 0, 20)),
        ([("exercise", "03_ramp", "done"), ("exercise", "03_ramp", "not yet")], (0, 1, 0, 0, 18)),
        # What a later version of the course has no longer does not count.
        ([("question", "gone", "right"), ("exercise", "gone", "done")], (0, 0, 0, 0, 20)),
        # A prediction counts once it was made, whether or not it held; the latest reveal counts for that.
        ([("prediction", "p", "locked"), ("prediction", "q", "locked")], (0, 0, 2, 0, 16)),
        ([("prediction", "p", "locked"), ("prediction", "p", "held")], (0, 0, 1, 1, 18)),
        ([("prediction", "p", "locked"), ("prediction", "p", "held"), ("prediction", "p", "missed")], (0, 0, 1, 0, 18)),
        ([("prediction", "p", "locked"), ("prediction", "p", "missed"), ("prediction", "p", "held")], (0, 0, 1, 1, 18)),
        # A goal counts once.
        ([("goal", "g", "reached"), ("goal", "g", "reached")], (0, 0, 0, 0, 18)),
    ],
)
def test_what_counts(events: list[tuple[str, str, str]], expected: tuple[int, ...]):
    for kind, item, state in events:
        store.record(RAMP, kind, item, "x", state)
    start, ramp = summary()
    assert counts(ramp) == expected
    assert counts(start) == (0, 0, 0, 0, 10)


def test_predictions_of_the_same_name_belong_to_their_lessons():
    for state in ("locked", "held"):
        store.record(START, "prediction", "p", "x", state)
    store.record(RAMP, "prediction", "p", "x", "locked")
    start, ramp = summary()
    assert counts(start)[2:4] == (1, 1)
    assert counts(ramp)[2:4] == (1, 0)


def test_minutes_are_rounded_up():
    lesson = LessonProgress(RAMP, "?", 25, 1, 6, 0, 1, 0, 0)
    assert lesson.minutes_left == 22  # 25 * 6 / 7 = 21.4
    assert not lesson.done


def finish_all() -> None:
    store.record(START, "question", "why", "B", "right")
    for item in "abc":
        store.record(RAMP, "question", item, "B", "right")
    for item in ("03_ramp", "03_more"):
        store.record(RAMP, "exercise", item, "x", "done")


def test_all_done():
    finish_all()
    assert [(one.done, one.minutes_left) for one in summary()] == [(True, 0), (True, 0)]
    assert totals(summary()) == "2 of 2 done."


def test_the_lessons_own_files_say_how_much_they_ask_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert progress.asked_in("final") == (0, 0)
    predictions, goals = progress.asked_in(RAMP)
    assert predictions >= 2
    assert goals >= 1
    assert progress.asked_in("09_scale")[0] == 11  # of which one line asks four


# ---- as text --------------------------------------------------------------------------------------------------------


def test_the_text_is_a_table_with_totals():
    store.record(START, "question", "why", "B", "right")
    store.record(RAMP, "question", "a", "B", "right")
    for state in ("locked", "missed"):
        store.record(RAMP, "prediction", "p", "x", state)
    assert as_text(summary()) == (
        "lesson            questions  exercises  predictions  goals   left\n"
        "00_start_here     1 of 1     none       none         none    done\n"
        "03_linear_warmup  1 of 3     0 of 2     1 of 3       0 of 2  16 min\n"
        "\n"
        "1 of 2 done, about 16 minutes left."
    )


def test_the_text_fits_80_columns_for_long_names():
    longest = LessonProgress("02_high_lr_instability", "?" * 60, 120, 11, 12, 10, 12, 12, 10, 12, 1, 2)
    assert max(map(len, as_text([longest]).splitlines())) <= 80
    assert totals([LessonProgress(RAMP, "?", 5, 4, 5, 0, 0, 0, 0)]) == "0 of 1 done, about 1 minute left."


# ---- as a widget ----------------------------------------------------------------------------------------------------


def cells(html: str) -> list[list[str]]:
    return [[cell.get_text() for cell in row(["th", "td"])] for row in BeautifulSoup(html, "html.parser")("tr")]


def parts(card: widgets.VBox) -> tuple[widgets.HTML, widgets.Button, Status]:
    [table] = [child for child in card.children if type(child) is widgets.HTML]
    [button] = [child for child in card.children if isinstance(child, widgets.Button)]
    [status] = [child for child in card.children if isinstance(child, Status)]
    return table, button, status


NOTHING_DONE = [
    ["lesson", "questions", "exercises", "predictions", "goals", "left"],
    ["00 · What & why?", "0 of 1", "none", "none", "none", "10 min"],
    ["03 · What does linear warmup do?", "0 of 3", "0 of 2", "0 of 3", "0 of 2", "20 min"],
]


def test_the_store_is_read_when_a_browser_shows_the_table(course: Path, monkeypatch: pytest.MonkeyPatch):
    finish_all()
    with monkeypatch.context() as patch:
        patch.setattr(store, "events", lambda: pytest.fail("nobody has seen the widget yet"))
        card = progress_table()
        table, button, status = parts(card)
    assert cells(table.value) == NOTHING_DONE
    assert "<strong>Refresh</strong> reads your answers" in status.value
    is_shown(card)
    assert "reads your answers" not in status.value
    assert [row[-1] for row in cells(table.value)[1:]] == ["done", "done"]
    assert "2 of 2 done." in status.value
    store.reset()
    button.click()
    assert cells(table.value) == NOTHING_DONE
    assert "0 of 2 done, about 30 minutes left." in status.value


def test_once_it_is_seen_what_is_done_counts_at_once():
    card = progress_table()
    table, *_ = parts(card)
    store.record(RAMP, "question", "a", "B", "right")
    assert cells(table.value) == NOTHING_DONE
    is_shown(card)
    store.record(RAMP, "prediction", "p", "x", "locked")
    store.record(RAMP, "prediction", "p", "x", "held")
    store.record(RAMP, "goal", "g", "", "reached")
    assert cells(table.value)[2][1:] == ["1 of 3", "0 of 2", "1 of 3, 1 held", "1 of 2", "14 min"]


def test_the_table_can_be_listened_to_and_makes_no_file(course: Path):
    table, button, _ = parts(progress_table())
    assert not (course / "home").exists()
    soup = BeautifulSoup(table.value, "html.parser")
    assert [header["scope"] for header in soup("th")] == 6 * ["col"] + 2 * ["row"]
    assert soup.select_one("table > caption:first-child")
    assert button.description == "Refresh"


def test_colours_follow_the_theme():
    table, *_ = parts(progress_table())
    colours = re.findall(r"color: ([^;\"]+)|solid ([^;\"]+)", table.value)
    assert colours
    assert all("".join(colour).startswith("var(--jp-") and "," in "".join(colour) for colour in colours)


def test_what_is_wrong_with_the_store_is_shown_and_passes():
    card = progress_table()
    table, button, status = parts(card)
    store.record(RAMP, "question", "a", "B", "right")
    good = store.path().read_bytes()
    store.path().write_bytes(good[:60] + (2).to_bytes(4, "big") + good[64:])
    is_shown(card)
    assert cells(table.value) == NOTHING_DONE
    assert 'role="status"' in status.value
    assert "newer version" in status.value
    assert "done" not in status.value  # nothing was read, so nothing is counted
    store.path().write_bytes(good)
    button.click()
    assert cells(table.value)[2][1] == "1 of 3"
    assert "newer" not in status.value


def test_damage_that_was_mended_is_said_beside_what_is_left():
    table, button, status = parts(progress_table())
    store.record(RAMP, "question", "a", "B", "right")
    store.path().write_bytes(b"\xaa" * 4096 + store.path().read_bytes()[4096:])
    button.click()
    assert cells(table.value)[2][1] == "1 of 3"
    assert "was damaged. 1 answer could still be read." in status.value
    assert "0 of 2 done" in status.value
    button.click()
    assert "damaged" not in status.value


def test_readers_without_a_kernel_get_a_sentence():
    bundle = progress_table()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "`python3 start.py progress` prints the same" in bundle["text/markdown"]


# ---- which predictions held ----------------------------------------------------------------------------------------


def predict(lesson: str, question: str, *answers: tuple[str, str]) -> None:
    for answer, state in answers:
        store.record(lesson, "prediction", question, answer, state)


def make_predictions() -> None:
    predict(RAMP, "At `lr` 1?", ("all", "locked"), ("3 of 10", "missed"))
    predict(START, "Which?", ("A & B", "locked"))
    predict(RAMP, "At 2?", ("none", "locked"), ("0 of 10", "held"), ("9 of 10", "missed"), ("1 of 10", "held"))
    predict(RAMP, "Changed?", ("old", "locked"), ("x", "held"), ("new", "locked"))
    predict(RAMP, "Never locked?", ("x", "held"))


def test_a_prediction_stands_beside_what_was_measured():
    make_predictions()
    store.record(RAMP, "question", "a", "B", "right")
    assert [(p.lesson, p.question, p.predicted, p.measured, p.state) for p in predictions(store.events())] == [
        (START, "Which?", "A & B", "", "not compared"),
        (RAMP, "At `lr` 1?", "all", "3 of 10", "missed"),
        (RAMP, "At 2?", "none", "1 of 10", "held"),
        (RAMP, "Changed?", "new", "", "not compared"),
    ]


def test_the_verdict_counts_them():
    assert verdict([]) == "No predictions yet. Those that you lock in the lessons will stand here."
    make_predictions()
    compared = predictions(store.events())
    assert verdict(compared) == "Of 4 predictions 1 held, 1 did not, and 2 are not compared yet."
    assert verdict(compared[1:2]) == "Of 1 prediction 0 held, 1 did not."
    assert verdict(compared[:2]) == "Of 2 predictions 0 held, 1 did not, and 1 is not compared yet."


def test_the_results_page_shows_both_tables_once_it_is_seen(monkeypatch: pytest.MonkeyPatch):
    make_predictions()
    store.record(START, "question", "why", "B", "right")
    with monkeypatch.context() as patch:
        patch.setattr(store, "events", lambda: pytest.fail("nobody has seen the widget yet"))
        page = results_page()
    table, button, _ = parts(page)
    beside = page.children[1]
    assert cells(table.value) == NOTHING_DONE
    assert beside.value == ""
    is_shown(page)
    assert cells(table.value)[1][-1] == "done"
    shown = cells(beside.value)
    assert [cell.strip() for cell in shown[0]] == ["lesson", "question", "you predicted", "measured", "verdict"]
    assert [[cell.strip() for cell in row] for row in shown[1:4]] == [
        ["00", "Which?", "A & B", "", "not compared yet"],
        ["03", "At lr 1?", "all", "3 of 10", "✘ missed"],
        ["03", "At 2?", "none", "1 of 10", "✔ held"],
    ]
    assert "<code>lr</code>" in beside.value
    said = page.children[3].value
    assert "1 of 2 done" in said
    assert "Of 4 predictions 1 held" in said
    store.reset()
    button.click()
    assert beside.value == ""
    assert "No predictions yet." in page.children[3].value
    assert cells(table.value) == NOTHING_DONE


def test_what_somebody_typed_becomes_no_tag():
    image = "<img src=x onerror=alert(1)>"
    for answer, state in ((image, "locked"), (image, "missed")):
        store.record(f"{image}_{RAMP}", "prediction", f"Is ${image}$ in `{image}`?", answer, state)
    page = results_page()
    _, button, _ = parts(page)
    button.click()
    shown = cells(page.children[1].value)
    assert not BeautifulSoup(page.children[1].value, "html.parser")("img")
    assert shown[1][0] == image
    assert [cell.strip() for cell in shown[1][2:4]] == [image, image]


def test_the_results_page_for_readers_without_a_kernel(course: Path):
    assert "each prediction" in results_page()._repr_mimebundle_()["text/markdown"]
    assert not (course / "home").exists()
