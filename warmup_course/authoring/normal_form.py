"""Notebooks as they are stored: executed, without what differs from run to run, and readable without a kernel."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from warmup_course.lesson_files import Notebook, write

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# An output's metadata: what a lab that computes in the browser starts from, for pages without a kernel.
LAB = "lab"
PNG = "image/png"
ONE_PANEL = 660  # pixels; figures with panels in a row are wider
READABLE = ("text/markdown", PNG)
# Cell metadata that tools leave behind.
NOISE = ("ExecuteTime", "collapsed", "execution", "lines_to_next_cell", "papermill", "scrolled", "vscode")
# A code cell with this tag is what the lesson is about, and open. All others are collapsed, as JupyterLab keeps it, and
# have the tag by which site builders such as Jupyter Book collapse them.
SUBJECT, HIDDEN = "subject", "hide-input"
# Fixed, so that it does not matter on which machine a lesson was executed last.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


def width_of(png: str) -> int:
    """Of a stored picture, in pixels."""
    return int.from_bytes(b64decode(png[:32])[16:20])  # where a PNG has it


def normalise(notebook: Notebook) -> Notebook:
    """An executed notebook without what differs from run to run: times, widget state, the machine's versions.

    All code but that of cells tagged "subject" is collapsed.
    """
    cells, models = [], notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for number, old in enumerate(notebook["cells"]):
        cell = dict(old, id=old.get("id", f"cell-{number}"))
        cell["metadata"] = {key: value for key, value in old["metadata"].items() if key not in NOISE and value != []}
        if cell["cell_type"] == "code":
            cell["outputs"] = list(_normal_outputs(old["outputs"], models))
            _collapse(cell["metadata"])
        cells.append(cell)
    for number, cell in enumerate((cell for cell in cells if cell.get("execution_count") is not None), start=1):
        cell["execution_count"] = number
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = number
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def _collapse(metadata: dict[str, Any]) -> None:
    """Hide a cell's code, unless it is a lesson's subject: in place."""
    tags = {*metadata.pop("tags", ())} - {HIDDEN}
    jupyter = {key: value for key, value in metadata.pop("jupyter", {}).items() if key != "source_hidden"}
    if SUBJECT not in tags:
        tags.add(HIDDEN)
        jupyter["source_hidden"] = True
    if tags:
        metadata["tags"] = sorted(tags)
    if jupyter:
        metadata["jupyter"] = jupyter


def _normal_outputs(
    outputs: Sequence[Mapping[str, Any]], models: Mapping[str, dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    stream: dict[str, Any] | None = None
    for output in map(dict, outputs):
        if WIDGET_VIEW in output.get("data", {}):
            # It would show nothing without its kernel. What stands beside it does: a figure, or the text of a question.
            shown = {kind: content for kind, content in output["data"].items() if kind in READABLE}
            if not shown:
                continue
            lab = _lab_in(output["data"][WIDGET_VIEW], models)
            output["data"] = shown | {"text/plain": output["data"]["text/plain"]}
            output["metadata"] = output["metadata"] | ({LAB: lab} if lab else {})
        if stream and output["output_type"] == "stream" and output["name"] == stream["name"]:
            stream["text"] = "".join(stream["text"]) + "".join(output["text"])
            continue
        stream = output if output["output_type"] == "stream" else None
        if PNG in output.get("data", {}):
            output["data"] = {**output["data"], PNG: _with_palette(output["data"][PNG])}
        yield output


def _lab_in(view: Mapping[str, Any], models: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The state of the browser lab in a box, without what its class knows, its bytes packed; empty if none is there."""
    for child in models.get(view.get("model_id", ""), {}).get("state", {}).get("children", ()):
        model = models[child.removeprefix("IPY_MODEL_")]
        if "goal" in model["state"]:
            state = model["state"] | {buffer["path"][0]: _packed(buffer["data"]) for buffer in model.get("buffers", ())}
            names = (name for name in state if name == "_anywidget_id" or not name.startswith(("_", "layout")))
            return {name: state[name] for name in names if state[name] is not None}
    return {}


def _packed(text: str) -> str:
    return b64encode(zlib.compress(b64decode(text), 9)).decode()


def _with_palette(png: str) -> str:
    """The same figure in 256 colours, a third of the size. One that has a palette stays."""
    from PIL import Image

    with Image.open(BytesIO(b64decode(png))) as picture, BytesIO() as smaller:
        if picture.mode == "P":
            return png
        picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(smaller, "png", optimize=True)
        return b64encode(smaller.getvalue()).decode()


def pictures(notebook: Notebook) -> Iterator[bytes]:
    """The PNG figures of the cells tagged "picture"."""
    for cell in notebook["cells"]:
        if "picture" in cell["metadata"].get("tags", ()):
            for output in cell["outputs"]:
                if PNG in output.get("data", {}):
                    yield b64decode(output["data"][PNG])


def refresh(notebook: Notebook, lesson: Path) -> bool:
    """Store an executed notebook, normalised, and its picture for the README; whether that changed the lesson."""
    import nbformat

    normal = nbformat.from_dict(normalise(notebook))
    nbformat.validate(normal)
    for picture in pictures(normal):
        path = lesson.parent.parent / "docs" / f"{lesson.stem}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
    text = nbformat.writes(normal) + "\n"
    if lesson.read_text("utf-8") == text:
        return False
    write(lesson, text)
    return True
