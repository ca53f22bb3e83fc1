"""The printed pages: all that a lesson asks, the key on request only, and no third page."""

import re
import sys
from html import escape
from pathlib import Path

import pytest
from browser import in_chromium
from lessons import LESSONS, each_lesson

from warmup_course.authoring import excerpts
from warmup_course.authoring import handout as printed
from warmup_course.classroom.cards import html_of
from warmup_course.classroom.quiz import load
from warmup_course.cli import main
from warmup_course.lesson_files import read


@each_lesson
def test_it_has_each_prediction_and_each_question_of_the_lesson(lesson: Path):
    pages = {answers: printed.handout(lesson, answers) for answers in (False, True)}
    predictions = lesson.read_text("utf-8").count("**Predict.** ") // 2  # each as Markdown and as plain text
    questions = load(lesson.stem)["questions"]
    for page in pages.values():
        assert page.count("<img ") == (1 if lesson == LESSONS[0] else printed.FIGURES)
        assert "\\(" not in page  # no formula waits for a program that the page does not have
        assert page.count("<section>") == predictions + len(questions)
        assert all(html_of(question["ask"].strip()).partition("</p>")[0] in page for question in questions)
    assert pages[True].count("<em>Measured: ") == predictions
    right = sum(bool(choice.get("right")) for question in questions for choice in question.get("choices", []))
    assert pages[True].count("☒") == predictions + right
    assert "☒" not in pages[False]
    assert "Measured" not in pages[False]
    assert_the_key_of_a_figure_is_what_the_lesson_says_of_it(lesson, pages[True])


def assert_the_key_of_a_figure_is_what_the_lesson_says_of_it(lesson: Path, page: str):
    cells = ["".join(cell["source"]) for cell in read(lesson)["cells"] if cell["cell_type"] == "markdown"]
    said = {excerpts.to_html(excerpts.fitting(excerpts.blocks(cell)[0], excerpts.ROOM)) for cell in cells}
    figures = page.partition('<div class="figures">')[2].partition("<h2>")[0]
    keys = re.findall(r"<img [^>]*>(.+?)</div>", figures, re.S)
    assert len(keys) == figures.count("<img ")
    assert said.issuperset(keys)


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        ("One. Two is long.", "One."),
        ("So:\n\n| a |\n|---|\n| b |", ""),
        ("Yes. So:\n\n- a\n- b and c", "Yes."),
        ("So:\n\n- a", "So:\n\n- a"),
        ("A. (B. C.)", "A. (B. C.)"),
        ("A. (B. C. D.)", "A."),
        ("- a list is cut nowhere. Not here", ""),
    ],
)
def test_what_does_not_fit_is_cut_where_it_makes_sense(block: str, kept: str):
    assert excerpts.fitting(block, 10) == kept


def test_the_key_of_an_order_is_that_of_its_shuffled_letters():
    [question] = [q for q in load("03_linear_warmup")["questions"] if q["kind"] == "order"]
    sections = re.findall(r"<section>.*?</section>", printed.handout(LESSONS[3], answers=True), re.S)
    [section] = [text for text in sections if html_of(question["ask"].strip()).partition("</p>")[0] in text]
    by_letter = dict(re.findall(r"<li>([A-Z])\. (.*?)</li>", section, re.S))
    letters = re.search(r"<strong>([A-Z ]+)\.</strong>", section)[1].split()
    assert [by_letter[letter] for letter in letters] == [html_of(step["text"]) for step in question["steps"]]


@pytest.mark.slow
@pytest.mark.process
@in_chromium
@pytest.mark.parametrize("answers", [False, True])
@each_lesson
def test_there_are_two_pages(lesson: Path, answers: bool, tmp_path: Path):
    pdf = printed.write_handout(lesson, tmp_path, answers).read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page[^s]", pdf)) == 2


def test_without_a_chromium_it_is_html(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(printed, "find_chromium", lambda: None)
    assert main(["handout", "00", "--answers", "--out", str(tmp_path / "new")]) == 0
    page = tmp_path / "new" / "00_start_here_answers.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert f"<h1>00 · {escape(load('00_start_here')['title'])} <" in page.read_text("utf-8")


@pytest.mark.process
def test_it_goes_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert main(["handout", "00"]) == 0
    [page] = tmp_path.glob("handouts/*")
    assert page.stem == "00_start_here"


@pytest.mark.skipif(sys.platform == "win32", reason="a script of POSIX's stands for the browser")
@pytest.mark.parametrize(
    ("browser", "why"),
    [
        ("#!/bin/sh\necho Starting.; echo no display >&2; exit 1", "no display"),
        ("#!/bin/sh\nexit 1", "returned non-zero exit status 1"),
        ("#!/bin/sh\n", "No such file or directory"),  # it printed nothing
        ("#!/nowhere/sh", "No such file or directory"),
    ],
)
def test_a_chromium_that_does_not_print_leaves_html_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], browser: str, why: str
):
    program = tmp_path / "chromium"
    program.write_text(browser)
    program.chmod(0o755)
    monkeypatch.setattr(printed, "find_chromium", lambda: str(program))
    assert main(["handout", "00", "--out", str(tmp_path / "new")]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'new/00_start_here.html'}\n"
    assert said.err.startswith(f"{program} prints no PDF (")
    assert why in said.err
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["00_start_here.html"]


def test_what_is_no_lesson_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["handout", "glossary", "--out", str(tmp_path)]) != 0
    assert "warmup-course: " in capsys.readouterr().err
