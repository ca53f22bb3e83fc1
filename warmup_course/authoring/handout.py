"""Two printed pages of a lesson: its predictions with space to write, two figures and its quiz; or the same with key.

The pages are made from the lesson as stored. They are HTML, and PDF where there is a Chromium to print them.
"""

import math
import re
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import ascii_uppercase
from tempfile import TemporaryDirectory
from typing import Any

from warmup_course.authoring.excerpts import Parts, predictions, to_html, words_after
from warmup_course.authoring.headless import FLAGS, find_chromium
from warmup_course.authoring.normal_form import ONE_PANEL, PNG, width_of
from warmup_course.classroom.cards import html_of
from warmup_course.classroom.quiz import KINDS, OrderCard, load
from warmup_course.lesson_files import CommandError, Notebook, check_place, read, write

FIGURES = 2
# What fits a page, in letters of the size that is usual in print, 10 pt; more makes the letters smaller.
LETTERS = {"predictions": 3400, "questions": 2900, "answers": 2600}
LARGEST = 12.0  # pt
BOXES = {True: "☒ ", False: "☐ ", None: ""}  # of what is put in order, none is ticked
STYLE = """
@page { size: A4; margin: 13mm; }
body { font: 10pt/1.3 "DejaVu Sans", Verdana, sans-serif; margin: 0 auto; max-width: 184mm; }
body { color: black; background: white; }
h1 { font-size: 15pt; margin: 0 0 2mm; } h1 small { float: right; font-size: 9pt; font-weight: normal; }
h2 { font-size: 11pt; margin: 0 0 1.5mm; border-bottom: 0.3mm solid; }
p { margin: 0 0 0.8mm; } p, li { overflow-wrap: anywhere; }
pre { margin: 0; white-space: pre-wrap; } code { font-size: 90%; }
ol.boxes { list-style: none; margin: 0 0 1mm; padding: 0; } ol.boxes li { padding-left: 1.9em; text-indent: -1.9em; }
ol.boxes p { display: inline; }
.line { border-bottom: 0.2mm dotted; height: 5.5mm; }
section { break-inside: avoid; margin: 0 0 2.5mm; }
.columns { columns: 2; column-gap: 7mm; counter-reset: asked; }
.columns section { counter-increment: asked; }
.columns section > :first-child::before { content: counter(asked) ". "; font-weight: bold; }
.second { break-before: page; }
.figures { display: flex; gap: 4mm; align-items: flex-start; margin: 0 0 2mm; }
.figures div { max-width: 110mm; font-size: 7.5pt; } .figures img { width: 100%; }
"""


def handout(lesson: Path, answers: bool) -> str:
    """The two pages as HTML that needs no other file.

    Args:
        lesson: the lesson's file.
        answers: with what was measured, and the right answers with their reasons.

    Raises:
        CommandError: for a file that is no lesson of this course.
    """
    notebook = read(lesson)
    try:
        quiz = load(lesson.stem)
    except ValueError as error:
        raise CommandError(str(error)) from error
    asked = [_section(*parts) for parts in predictions(notebook, answers)]
    questions = [_section(*_question(question, answers)) for question in quiz["questions"]]
    letters = LETTERS["answers" if answers else "questions"]
    kind = "Answers" if answers else "Name or sign:&emsp;&emsp;&emsp;&emsp;&emsp;&emsp;"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(quiz["title"])}</title>'
        f"<style>{STYLE}</style></head><body>"
        f"<h1>{lesson.stem[:2]} · {escape(quiz['title'])} <small>{kind}</small></h1>"
        f"<h2>Before you see it: what do you expect?</h2>{_columns(asked, LETTERS['predictions'])}"
        f'<div class="second"><h2>After it: what does each figure say?</h2>{_figures(notebook, answers)}'
        f"<h2>Check yourself</h2>{_columns(questions, letters)}</div></body></html>\n"
    )


def write_handout(lesson: Path, folder: Path, answers: bool) -> Path:
    """Write the pages into ``folder``, as PDF if there is a Chromium that prints them, else as HTML; the new file.

    Raises:
        CommandError: if the folder cannot be written to.
    """
    page = folder / f"{lesson.stem}{'_answers' if answers else ''}.html"
    check_place(page)
    text, browser = handout(lesson, answers), find_chromium()
    if browser is not None:
        try:
            return _printed(text, page.with_suffix(".pdf"), browser)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
            why = said.splitlines()[-1] if said else error
            print(f"{browser} prints no PDF ({why}): any browser prints the page", file=sys.stderr)
    write(page, text)
    return page


def _printed(text: str, page: Path, browser: str) -> Path:
    """Let a Chromium print the pages into the file ``page``; that file."""
    with TemporaryDirectory(dir=page.parent) as scratch:  # where a Chromium that is a snap may read and write
        source, printed = Path(scratch) / "page.html", Path(scratch) / "page.pdf"
        source.write_text(text, "utf-8")
        options = ["--headless", *FLAGS, f"--user-data-dir={scratch}/profile", "--no-pdf-header-footer"]
        command = [browser, *options, f"--print-to-pdf={printed}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return printed.replace(page)


def _question(question: dict[str, Any], answers: bool) -> Parts:
    card = KINDS[question["kind"]]("", question, "")
    ask = card.asked.strip()
    if "choices" in question:
        choices = [(answers and bool(choice.get("right")), choice["text"]) for choice in question["choices"]]
        whys = " ".join(choice["why"].strip() for choice in question["choices"] if choice.get("right"))
        return ask, choices, whys if answers else ""
    key = f"{question['answer']:g}" if "answer" in question else ""
    if isinstance(card, OrderCard):
        key = " ".join(ascii_uppercase[card.shuffled.index(place)] for place in range(len(card.shuffled)))
    return ask, [(None, text) for text in card.options()], f"**{key}.** {question['because']}" if answers else None


def _section(ask: str, choices: Sequence[tuple[bool | None, str]], after: str | None) -> str:
    boxes = "".join(
        f"<li>{BOXES[right]}{ascii_uppercase[number]}. {html_of(text)}</li>"
        for number, (right, text) in enumerate(choices)
    )
    rest = '<div class="line"></div>' if after is None else html_of(after)
    return f"<section>{html_of(ask)}{f'<ol class=boxes>{boxes}</ol>' if boxes else ''}{rest}</section>"


def _columns(sections: list[str], letters: int) -> str:
    """The sections in two columns, in letters as large as the page has room for."""
    text = re.sub(r"<[^>]*>", "", "".join(sections))
    lines = sum(section.count("<li>") + section.count("<section>") for section in sections)
    size = min(LARGEST, 10 * math.sqrt(letters / max(len(text) + 25 * lines, 1)))
    return f'<div class="columns" style="font-size: {size:.1f}pt">{"".join(sections)}</div>'


# Its width in pixels, the PNG, its alt text, and what the lesson says of it.
Figure = tuple[int, str, str, str]


def _figures(notebook: Notebook, answers: bool) -> str:
    """Two of the figures; what the lesson says of them is the key. Narrow ones first: their letters are larger."""
    found: list[Figure] = [
        (width_of(png), png, alt, words_after(notebook["cells"][place + 1 :]))
        for place, cell in enumerate(notebook["cells"])
        for output in cell.get("outputs", [])
        if (png := "".join(output.get("data", {}).get(PNG, "")).strip())
        and not (alt := output["metadata"].get(PNG, {}).get("alt", "")).startswith("A lab with")
    ]
    chosen: list[Figure] = []
    for explained, narrow in ((True, True), (True, False), (False, True), (False, False)):
        alike = [figure for figure in found if bool(figure[3]) == explained and (figure[0] <= ONE_PANEL) == narrow]
        chosen += _evenly(alike, FIGURES - len(chosen))
    boxes = "".join(
        # As wide as its pixels ask: the letters of both are equally large.
        f'<div style="flex: {width} 0"><img src="data:image/png;base64,{png}" alt="{escape(alt)}">'
        + (to_html(words or alt) if answers else '<div class="line"></div>' * 2)
        + "</div>"
        for width, png, alt, words in sorted(chosen, key=found.index)
    )
    return f'<div class="figures">{boxes}</div>'


def _evenly(found: list[Figure], count: int) -> list[Figure]:
    """At most so many of them, the last one of each part of the lesson."""
    count = min(count, len(found))
    return [found[len(found) * part // count - 1] for part in range(1, count + 1)]
