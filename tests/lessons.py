"""The course's lessons, for tests that go through all of them."""

from functools import cache
from pathlib import Path

import pytest

from warmup_course.lesson_files import find, read

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = find(FOLDER)

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
load = cache(read)


def sources(lesson: Path, kind: str) -> list[str]:
    """The texts of the cells of one kind that have any."""
    texts = ["".join(cell["source"]) for cell in load(lesson)["cells"] if cell["cell_type"] == kind]
    return [text for text in texts if text.strip()]
