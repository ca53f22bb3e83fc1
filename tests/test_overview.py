"""The page of a class: merged from the learners' files, whatever is wrong with some of them."""

import io
import re
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from warmup_course.classroom import overview, store
from warmup_course.classroom.quiz import KINDS, load, quizzes, right_answer
from warmup_course.cli import main

LESSON = "03_linear_warmup"
HEADER = "at,lesson,kind,item,answer,state\n"


def hand_in(folder: Path, name: str, *events: tuple[str, str, str, str]) -> Path:
    """A learner's file, by way of the store."""
    store.reset()
    for kind, item, answer, state in events:
        store.record(LESSON, kind, item, answer, state)
    text = io.StringIO()
    store.export_csv(text)
    file = folder / name
    file.write_text(text.getvalue(), "utf-8")
    return file


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    tmp_path = tmp_path_factory.mktemp("handed in")
    locked = [("prediction", "How many?", answer, "locked") for answer in ("None", "All")]
    question = [("question", "final-00-two-things-differ", answer, state) for answer, state in
                (("Nothing yet", "right"), ("It helps", "wrong"), ("Too few", "wrong"))]  # fmt: skip
    return [
        hand_in(tmp_path, "a.csv", locked[0], locked[1], ("prediction", "How many?", "10 of 10", "held"), question[1]),
        hand_in(
            tmp_path, "b.csv", locked[0], ("prediction", "How many?", "10 of 10", "missed"), question[1], question[0]
        ),
        hand_in(tmp_path, "c.csv", locked[1], question[0]),
        hand_in(tmp_path, "d.csv", locked[1], question[2]),
    ]


@pytest.fixture
def files(handed_in: list[Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copy(file, tmp_path)) for file in handed_in]


def test_the_last_lock_and_the_first_try_count(files: list[Path]):
    learners, skipped = overview.merged(files)
    assert (len(learners), skipped) == (4, {})
    [asked] = overview.predictions(learners)
    assert (asked.lesson, asked.ask, asked.answers) == (LESSON, "How many?", Counter({"All": 3, "None": 1}))
    assert (asked.right, asked.split, asked.wrong) == ({"All"}, 1, 1)
    [asked] = overview.questions(learners)
    assert asked.answers == Counter({"It helps": 2, "Nothing yet": 1, "Too few": 1})
    assert (asked.right, asked.wrong) == ({"Nothing yet"}, 3)


def test_what_was_borne_out_is_forgotten_with_a_new_lock(tmp_path: Path):
    events = [("prediction", "How many?", *event) for event in (("A", "locked"), ("A", "held"), ("B", "locked"))]
    [asked] = overview.predictions(overview.merged([hand_in(tmp_path, "1.csv", *events)])[0])
    assert (asked.answers, asked.right) == (Counter("B"), frozenset())


@pytest.mark.parametrize("lesson", quizzes())
def test_what_nobody_got_right_is_told_as_a_right_try_is_recorded(lesson: str, tmp_path: Path):
    for question in load(lesson)["questions"]:
        card = KINDS[question["kind"]](lesson, question, "")
        if question["kind"] == "number":
            card.input.value = right_answer(question)
        elif question["kind"] == "order":
            card.order = [card.shuffled.index(step) for step in range(len(question["steps"]))]
        else:
            card.input.chosen = [n for n, choice in enumerate(question["choices"]) if choice.get("right")]
        right, recorded, _ = card.verdict()
        assert (right, recorded) == (True, right_answer(question))
        one = hand_in(tmp_path, "1.csv", ("question", question["id"], "x", "wrong"))
        [asked] = overview.questions(overview.merged([one])[0])
        assert (asked.answers, asked.right, asked.wrong) == (Counter("x"), {recorded}, 1)
    assert "✔ 0</td>" in overview.page([overview.read_answers(one)], {})


def test_the_most_split_and_the_most_wrong_come_first(tmp_path: Path):
    ids = [question["id"] for question in load("final")["questions"][:2]]
    one = hand_in(
        tmp_path, "1.csv", ("question", ids[0], "x", "right"), ("question", ids[1], "y", "wrong"),
        ("prediction", "all agree", "A", "locked"), ("prediction", "half each", "A", "locked"),
    )  # fmt: skip
    two = hand_in(
        tmp_path, "2.csv", ("prediction", "all agree", "A", "locked"), ("prediction", "half each", "B", "locked")
    )
    learners, _ = overview.merged([one, two])
    assert [asked.ask for asked in overview.predictions(learners)] == ["half each", "all agree"]
    assert [asked.wrong for asked in overview.questions(learners)] == [1, 0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no file of"),
        (b"\x89PNG\xff", "is no file of"),
        (b"name,age\nx,1\n", "does not begin with the line"),
        (HEADER.encode() + b"2026,03,prediction\n", "3 values in place of 6 in its row 2"),
        (HEADER.encode() + b"2026,03,grade,x,y,z\n", "row 2: kind must be"),
        (HEADER.encode() + b"2026,03,goal,x,y,lost\n", "row 2: state must be"),
        (HEADER.encode() + b'2026,03,goal,x,"y', "is no file of"),
        (HEADER.encode(), "has no answers yet"),
        (None, "cannot be read (No such file"),
    ],
)
def test_a_damaged_file_is_named_and_skipped(files: list[Path], tmp_path: Path, content: bytes | None, told: str):
    bad = tmp_path / "bad.csv"
    if content is not None:
        bad.write_bytes(content)
    learners, skipped = overview.merged([files[0], bad, *files[1:]])
    assert len(learners) == 4
    assert list(skipped) == [bad]
    assert told in skipped[bad]


def test_who_hands_in_twice_counts_once(files: list[Path], tmp_path: Path):
    earlier, again = tmp_path / "earlier.csv", tmp_path / "again.csv"
    earlier.write_text("".join(files[0].read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    again.write_bytes(files[1].read_bytes())
    learners, skipped = overview.merged([earlier, *files, again])
    assert len(learners) == 4
    assert set(skipped) == {earlier, again}


def test_rows_that_are_empty_are_passed_over(files: list[Path]):
    whole = overview.read_answers(files[0])
    files[0].write_text(files[0].read_text("utf-8").replace("\n", "\n,,,,,\n\n"), "utf-8")
    assert overview.read_answers(files[0]) == whole


def test_a_huge_file_is_not_read(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(overview, "MOST_BYTES", 10)
    assert overview.merged(files)[0] == []


def test_the_page_escapes_what_learners_typed(tmp_path: Path):
    typed = "<img src=x onerror=alert(1)> ![x](http://elsewhere/x.png)"
    file = hand_in(tmp_path, "<i>.csv", ("prediction", f"Why {typed}?", typed, "locked"))
    learners, skipped = overview.merged([file, tmp_path / "<b>none</b>"])
    page = overview.page(learners, skipped)
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;img src=x" in page
    ET.fromstring(page.partition(overview.MARK)[2].strip().replace('<meta charset="utf-8">', "").replace(
        '<meta name="viewport" content="width=device-width">', ""))  # fmt: skip


def test_the_command(files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "class.html"
    bad = tmp_path / "bad.csv"
    assert main(["class", *map(str, files), str(bad), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert f"4 learners are in {out}" in told.out
    assert f"Skipped: {bad} cannot be read" in told.err
    assert "How many?" in out.read_text("utf-8")
    assert main(["class", f"{files[0].parent}/*.csv", "--out", str(out)]) == 0  # as a shell of Windows leaves it
    assert "4 learners are in" in capsys.readouterr().out
    bracketed = files[0].rename(files[0].with_name("a[b].csv"))  # as a pattern it would be another learner's file
    assert main(["class", str(bracketed), "--out", str(out)]) == 0  # its own earlier page
    assert "<h1>1 learner</h1>" in out.read_text("utf-8")
    assert ">All<" in out.read_text("utf-8")


@pytest.mark.parametrize("given", [["a.csv", "--out", "notes.txt"], ["nothing.csv"], ["a.csv", "--out", "b.csv/x"]])
def test_the_command_overwrites_nothing_else(
    files: list[Path], given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(files[0].parent)
    Path("notes.txt").write_text("mine", "utf-8")
    try:
        status = main(["class", *given])
    except SystemExit as refused:  # of an argument
        status = refused.code
    assert status not in (0, None)
    assert re.search("^warmup-course( class: error)?: ", capsys.readouterr().err, re.MULTILINE)
    assert Path("notes.txt").read_text("utf-8") == "mine"


@pytest.mark.parametrize("given", ["", ".", "..", "a**", "[", "folder"])
def test_what_is_no_file_is_named(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["class", given]) == 2
    assert capsys.readouterr().err.startswith(f"Skipped: {Path(given)} cannot be read (")


def test_one_learner_is_in_the_page(files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["class", str(files[0]), "--out", str(tmp_path / "class.html")]) == 0
    assert capsys.readouterr().out == f"1 learner is in {tmp_path / 'class.html'}.\n"
