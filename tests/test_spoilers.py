"""Nothing tells a prediction's answer before its reveal: what a reader sees until then is listed, to be read.

The listing has the first line of the prediction's own cell, then each cell up to the reveal's, and that one without the
comparison itself: its figures and prints appear with it, and who has locked nothing yet sees them first. What is drawn
is a stored figure's alternative text, which has its titles, its axes and its legends.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lessons import LESSONS, each_lesson, load

LISTING = Path(__file__).with_name("visible_before_reveal.md")


@dataclass
class Asked:
    """What one cell asks, most often a single question, and where its answers are revealed."""

    cards: list[str]
    answers: list[str]
    seen: list[tuple[str, str]]  # how it is seen: "text", "open code", "folded code", "drawn" or "printed"; and what

    def listed(self) -> str:
        seen = "\n\n".join(f"{how}:\n\n" + re.sub("(?m)^(?=.)", "    ", what) for how, what in self.seen)
        return "\n\n".join(["---", *self.cards, seen]) + "\n"


def calls(cell: dict[str, Any], function: str) -> set[str]:
    """The variables that hold what ``predict`` returns, or whose ``reveal`` is called, in a cell."""
    if cell["cell_type"] != "code":
        return set()
    tree = ast.parse("".join(cell["source"]))
    if function == "predict":
        made = [node for node in tree.body if isinstance(node, ast.Assign) and "predict(" in ast.unparse(node.value)]
        return {ast.unparse(node.targets[0]) for node in made}
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    owners = [node.value for node in called if isinstance(node, ast.Attribute) and node.attr == "reveal"]
    return {ast.unparse(owner).partition("[")[0] for owner in owners}


def written(cell: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a cell shows, and how: its source, its figures' words and its output."""
    source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
    if cell["cell_type"] == "markdown":
        yield "text", source
    else:
        yield ("folded code", source.partition("\n")[0]) if "hide-input" in tags else ("open code", source)
    for output in cell.get("outputs", []):
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "image/png" in data:
            yield "drawn", output["metadata"]["image/png"]["alt"]
        elif text := "".join(data.get("text/markdown", data["text/plain"])).strip():
            yield "printed", text


@cache
def asked(lesson: Path) -> list[Asked]:
    cells = load(lesson)["cells"]
    found = []
    for start, cell in enumerate(cells):
        for name in sorted(calls(cell, "predict")):
            reveals = [number for number, other in enumerate(cells) if name in calls(other, "reveal")]
            assert len(reveals) == 1, f"{lesson.stem}: {name} has {len(reveals)} cells that reveal it, not one"
            assert start < reveals[0], f"{lesson.stem}: {name} is revealed before it is asked"
            [source, *asks], after = written(cell), cells[start + 1 : reveals[0] + 1]
            cards = [text for _, text in asks if text.startswith("**Predict.**")]
            seen = [source, *(shown for other in after for shown in written(other))]
            answers = [text.partition(" **So:** ")[2] for _, text in seen if text.startswith("**Measured:**")]
            found.append(Asked(cards, answers, [shown for shown in seen if not shown[1].startswith("**Measured:**")]))
    return found


def listing() -> str:
    parts = [part for lesson in LESSONS for part in [f"# {lesson.stem}\n", *(one.listed() for one in asked(lesson))]]
    return "\n".join(["What stands between each prediction and its reveal. From `tests/test_spoilers.py`.\n", *parts])


def test_what_stands_before_each_reveal_was_read() -> None:
    stored = LISTING.read_text("utf-8")
    unread = [f"{of.stem}: {one.cards[0]}" for of in LESSONS for one in asked(of) if one.listed() not in stored]
    assert unread == [], "Does anything tell the answer? Once it is read: python tests/test_spoilers.py"
    assert stored == listing(), "Something was taken out or moved: python tests/test_spoilers.py"


@each_lesson
def test_each_answer_is_shown(lesson: Path) -> None:
    """A cell shows what stands last in it."""
    assert [one.cards for one in asked(lesson) if not 0 < len(one.cards) == len(one.answers)] == []


def test_no_question_is_asked_twice() -> None:
    times = Counter(card.partition("\n")[0] for lesson in LESSONS for one in asked(lesson) for card in one.cards)
    assert [card for card, count in times.items() if count > 1] == []


@each_lesson
def test_what_can_be_read_before_the_run_has_no_answer_in_it(lesson: Path) -> None:
    """What is printed and drawn is the measurement itself."""
    for one in asked(lesson):
        text = "\n".join(what for how, what in one.seen if how not in ("printed", "drawn"))
        answers = [re.escape(answer.rstrip(".")) for answer in one.answers]
        assert [answer for answer in answers if re.search(rf"(?i)(?<!\w){answer}(?!\w)", text)] == [], one.cards[0]


if __name__ == "__main__":
    LISTING.write_text(listing(), "utf-8")
