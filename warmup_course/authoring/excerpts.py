"""What handouts, slides and pages take from a lesson as stored: its predictions, and the words beside a figure."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from warmup_course.authoring.normal_form import PNG, SUBJECT
from warmup_course.classroom.cards import html_of
from warmup_course.lesson_files import Notebook, outputs

ROOM = 400  # letters that explain a figure or code; what is longer is the teacher's to say
FOLLOWS = r"- |\d+\. |\||\$\$"  # how a list, a table and a formula begin
# What is asked, the choices (is it right? None: no box to tick), and what follows them; None is a line to write on.
Parts = tuple[str, Sequence[tuple[bool | None, str]], str | None]


def question_in(shown: str) -> tuple[str, list[str]] | None:
    """The question and the choices of a stored prediction, if it is one."""
    if not shown.startswith("**Predict.** "):
        return None
    question, *choices = re.split(r"\n+- [A-Z]\. ", shown.removeprefix("**Predict.** "))
    return question, [choice.strip() for choice in choices]


def reveal_in(shown: str) -> tuple[str, str] | None:
    """What was measured, and the choice that it bears out, of a stored reveal, if it is one."""
    found = re.search(r"\*\*Measured:\*\* (.*?)\. \*\*So:\*\* (.*)\.", shown, re.S)
    return (found[1], found[2]) if found else None


def predictions(notebook: Notebook, answers: bool) -> Iterator[Parts]:
    asked: list[tuple[str, list[str]]] = []
    for output in outputs(notebook):
        text = "".join(output.get("data", {}).get("text/markdown", ""))
        if prediction := question_in(text):
            asked.append(prediction)
        elif found := reveal_in(text):  # they come in the order of their predictions
            question, choices = asked.pop(0)
            judged = [(answers and choice.rstrip(".") == found[1], choice) for choice in choices]
            yield question, judged, f"*Measured: {found[0]}.*" if answers else None


def words_after(cells: Sequence[dict[str, Any]]) -> str:
    """The next paragraph, which explains what came before these cells; empty if other things are seen first."""
    for cell in cells:
        if cell["cell_type"] == "markdown":
            [first, *_] = blocks("".join(cell["source"]))
            return "" if first.startswith(("#", "*The short path")) else fitting(first, ROOM)
        shown = any(PNG in output.get("data", {}) for output in cell.get("outputs", []))
        if shown or SUBJECT in cell["metadata"].get("tags", ()) or "predict(" in "".join(cell["source"]):
            break
    return ""


def blocks(text: str) -> list[str]:
    """The paragraphs of a text, each with the list, table or formula that follows it; at least one."""
    return re.split(rf"\n\s*\n(?!{FOLLOWS})", text.strip())


def fitting(block: str, room: int) -> str:
    """As much of a block as takes at most so many letters: first without its list or table, then fewer sentences.

    No end announces what is not there, or leaves a bracket open.
    """
    if len(block) > room:
        block = re.split(rf"(?:^|\n\s*\n)(?={FOLLOWS})", block)[0]
    ends = [*(found.start() for found in re.finditer(r"(?<=[.?!])\s+(?=[A-Z\"*`(])", block)), len(block)]
    kept = (block[:end] for end in reversed(ends) if end <= room)
    return next((text for text in kept if not text.endswith(":") and text.count("(") == text.count(")")), "")


def to_html(markdown: str) -> str:
    """Markdown as HTML, without links, which lead out of the page, and without the frames of keys."""
    return html_of(re.sub(r"\[([^]]+)\]\([^)]+\)|</?kbd>", r"\1", markdown)).strip()
