"""Lessons made for a test."""

import json
from pathlib import Path
from typing import Any

from warmup_course.authoring.normal_form import METADATA

PARAMETERS = 'device: str = "auto"\nseed: int = 0\nlr = 0.5'


def code(source: str, **more: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": f"id{abs(hash(source))}", "metadata": {}, "source": source, "outputs": []}
    return cell | {"execution_count": None} | more


def write_lesson(path: Path, *cells: dict[str, Any], parameters: str = PARAMETERS) -> Path:
    first = code(parameters, metadata={"tags": ["parameters"]})
    notebook = {"cells": [first, *cells], "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notebook), "utf-8")
    return path
