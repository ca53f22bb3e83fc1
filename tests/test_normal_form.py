"""What is stored of an executed notebook, on small ones made here."""

import copy
import json
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_lessons import code, write_lesson

from warmup_course import lesson_files
from warmup_course.authoring import normal_form
from warmup_course.authoring.execution import execute_all
from warmup_course.authoring.normal_form import normalise, refresh
from warmup_course.classroom import plots


def display(data: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": metadata, "data": data}


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def png(mode: str) -> str:
    """A picture as a notebook stores it: a small square of each of the course's colours on a grey ramp."""
    ramp = np.tile(np.linspace(0, 255, 200, dtype=np.uint8), (60, 1))
    picture = Image.fromarray(ramp).convert("RGB")
    for number, colour in enumerate(plots.COLOURS):
        picture.paste(colour, (10 * number, 0, 10 * number + 3, 3))
    with BytesIO() as data:
        picture.convert(mode, palette=Image.Palette.ADAPTIVE).save(data, "png")
        return b64encode(data.getvalue()).decode()


def test_a_figure_is_stored_with_a_palette_and_keeps_its_colours():
    output = display({"image/png": png("RGBA")})
    cells = [code("f()", execution_count=1, outputs=[output])]
    normal = normalise({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    [stored] = normal["cells"][0]["outputs"]
    before, after = (Image.open(BytesIO(b64decode(o["data"]["image/png"]))) for o in (output, stored))
    assert after.mode == "P"
    difference = np.asarray(before.convert("RGB"), int) - np.asarray(after.convert("RGB"), int)
    assert abs(difference).max() <= 8


def test_normal_form():
    view = display({normal_form.WIDGET_VIEW: {}, "text/plain": "HBox()"})
    picture = display({"image/png": png("P")}, **{"image/png": {"alt": "a curve"}})
    result = {"output_type": "execute_result", "execution_count": 7, "metadata": {}, "data": {"text/plain": "3"}}
    noisy = code(
        "f()",
        execution_count=7,
        metadata={"tags": [], "execution": {"iopub.status.busy": "2026-01-01T00:00:00Z"}, "jupyter": {"x": 1}},
        outputs=[stream("a"), view, stream("b"), stream("c", "stderr"), picture, stream("d"), result],
    )
    hello = {"cell_type": "markdown", "metadata": {}, "source": "hello"}
    notebook = {
        "cells": [hello, noisy, code(""), code("1", execution_count=9)],
        "metadata": {"widgets": {"application/vnd.jupyter.widget-state+json": {}}, "papermill": {"duration": 3}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    before = copy.deepcopy(notebook)
    normal = normalise(notebook)
    assert notebook == before
    assert normal["metadata"] == normal_form.METADATA
    assert normal["cells"][0]["id"] == "cell-0"
    cell = normal["cells"][1]
    assert cell["metadata"] == {"jupyter": {"source_hidden": True, "x": 1}, "tags": ["hide-input"]}
    counted = result | {"execution_count": 1}
    assert cell["outputs"] == [stream("ab"), stream("c", "stderr"), picture, stream("d"), counted]
    assert [cell.get("execution_count") for cell in normal["cells"]] == [None, 1, None, 2]
    assert normalise(normal) == normal


def test_the_code_of_a_lessons_subject_stays_open():
    tags = [[], ["parameters"], ["subject", "picture"], ["subject", "hide-input"]]
    cells = [code("1", metadata={"tags": of_cell, "jupyter": {"source_hidden": bool(of_cell)}}) for of_cell in tags]
    normal = normalise({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    hidden = {"source_hidden": True}
    assert [cell["metadata"] for cell in normal["cells"]] == [
        {"tags": ["hide-input"], "jupyter": hidden},
        {"tags": ["hide-input", "parameters"], "jupyter": hidden},
        {"tags": ["picture", "subject"]},
        {"tags": ["subject"]},
    ]


@pytest.mark.process
def test_a_second_refresh_changes_nothing(tmp_path: Path):
    lesson = write_lesson(tmp_path / "00_good.ipynb", code("print(1)\nprint(2)"), code("1 + 1"))
    changes = []
    for _ in range(2):
        [ended] = execute_all([lesson], {})
        assert ended.notebook is not None
        changes.append(refresh(ended.notebook, lesson))
    assert changes == [True, False]
    text = lesson.read_text("utf-8")
    assert text == lesson_files.as_text(normalise(json.loads(text)))
    assert text.endswith("}\n")
    assert [cell["execution_count"] for cell in json.loads(text)["cells"]] == [1, 2, 3]
    assert json.loads(text)["cells"][1]["outputs"] == [stream("1\n2\n") | {"text": ["1\n", "2\n"]}]
