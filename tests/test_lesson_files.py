"""Finding, copying, executing and normalising lessons, on small ones made here."""

import copy
import json
import os
import sys
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from warmup_course import lesson_files
from warmup_course.classroom import plots
from warmup_course.lesson_files import CommandError, execute_all, fill_workspace, find, normalise, refresh, restore

PARAMETERS = 'device: str = "auto"\nseed: int = 0\nlr = 0.5'


def code(source: str, **more: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": f"id{abs(hash(source))}", "metadata": {}, "source": source, "outputs": []}
    return cell | {"execution_count": None} | more


def write_lesson(path: Path, *cells: dict[str, Any], parameters: str = PARAMETERS) -> Path:
    first = code(parameters, metadata={"tags": ["parameters"]})
    notebook = {"cells": [first, *cells], "metadata": lesson_files.METADATA, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notebook), "utf-8")
    return path


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A folder with two lessons that show an output."""
    folder = tmp_path / "notebooks"
    output = {"output_type": "stream", "name": "stdout", "text": "spoiler"}
    for name in ("00_start_here", "03_linear_warmup"):
        write_lesson(folder / f"{name}.ipynb", code("print('spoiler')", outputs=[output], execution_count=2))
    (folder / "notes.ipynb").write_text("not a lesson")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def learn(path: Path, note: str = "my answer") -> str:
    """Change a lesson as a learner does."""
    notebook = json.loads(path.read_text("utf-8"))
    notebook["cells"].append({"cell_type": "markdown", "id": "mine", "metadata": {}, "source": note})
    path.write_text(json.dumps(notebook), "utf-8")
    return path.read_text("utf-8")


# ---- find -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["03", "3", "03_linear_warmup", "03_linear_warmup.ipynb", "notebooks/03_linear_warmup.ipynb"]
)
def test_a_lesson_is_found_by_number_and_name(shipped: Path, name: str):
    assert find(shipped, [name]) == [shipped / "03_linear_warmup.ipynb"]


def test_lessons_come_in_order_and_once(shipped: Path):
    both = [shipped / "00_start_here.ipynb", shipped / "03_linear_warmup.ipynb"]
    assert find(shipped) == find(shipped, ["3", "0", "03"]) == both


def test_a_path_is_to_the_shipped_lesson_itself(shipped: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch):
    fill_workspace(find(shipped), workspace)
    monkeypatch.chdir(shipped)
    for path in ("./03_linear_warmup.ipynb", shipped / "03_linear_warmup.ipynb", "../notebooks/03_linear_warmup"):
        assert find(shipped, [str(path)]) == [shipped / "03_linear_warmup.ipynb"]
    for path in ("../workspace/03_linear_warmup.ipynb", workspace / "03_linear_warmup.ipynb", "x/03_linear_warmup"):
        with pytest.raises(CommandError, match=r"LESSON must be a number or a name, or a file in .*notebooks; got"):
            find(shipped, [str(path)])


@pytest.mark.parametrize("name", ["7", "03_linear", "linear", "", "notes"])
def test_an_unknown_lesson_is_refused_with_the_known_ones(shipped: Path, name: str):
    with pytest.raises(CommandError, match="must be one of 00_start_here, 03_linear_warmup; got"):
        find(shipped, [name])


def test_the_glossary_is_found_by_name_alone(shipped: Path):
    glossary = write_lesson(shipped / "glossary.ipynb")
    assert glossary not in find(shipped)
    assert find(shipped, ["glossary", "0"]) == [shipped / "00_start_here.ipynb", glossary]


def test_a_folder_without_lessons_is_refused(tmp_path: Path):
    with pytest.raises(CommandError, match=r"no lessons in .*complete course folder"):
        find(tmp_path / "nowhere")


# ---- the learner's copies -------------------------------------------------------------------------------------------


def test_a_workspace_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WARMUP_COURSE_WORKSPACE", raising=False)
    assert lesson_files.workspace(tmp_path / "usual") == tmp_path / "usual"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", "~/a course/mine")
    assert lesson_files.workspace(tmp_path / "unusual") == tmp_path / "a course/mine"
    assert list((tmp_path / "a course/mine").iterdir()) == []
    assert not (tmp_path / "unusual").exists()
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", "mine")
    with pytest.raises(CommandError, match="WARMUP_COURSE_WORKSPACE must be a full path, or begin with ~, got 'mine'"):
        lesson_files.workspace(tmp_path / "usual")


@pytest.mark.parametrize("reason", ["a file in the way", "permissions"])
def test_where_the_clone_cannot_be_written_there_is_advice(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WARMUP_COURSE_WORKSPACE", raising=False)
    clone = tmp_path / "clone"
    if reason == "permissions":
        clone.mkdir(0o500)
        if os.access(clone, os.W_OK):
            pytest.skip("permissions do not bind root")
    else:
        clone.write_text("")
    with pytest.raises(CommandError) as told:
        lesson_files.workspace(clone / "workspace")
    assert str(told.value).startswith(f"your copies of the lessons cannot be kept in {clone / 'workspace'} (")
    assert "set WARMUP_COURSE_WORKSPACE to a folder of your own" in str(told.value)


def test_copies_have_no_outputs(shipped: Path, workspace: Path):
    assert fill_workspace(find(shipped), workspace) == []
    for lesson in find(shipped):
        text = (workspace / lesson.name).read_text("utf-8")
        cells = json.loads(text)["cells"]
        assert [cell["source"] for cell in cells] == [PARAMETERS, "print('spoiler')"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert not (workspace / "notes.ipynb").exists()


def test_what_the_learner_changed_is_never_overwritten(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    mine = learn(workspace / "03_linear_warmup.ipynb")
    assert fill_workspace(find(shipped), workspace) == []
    learn(shipped / "03_linear_warmup.ipynb", "a better text")
    for _ in range(2):  # it is said every time, as long as it is so
        [said] = fill_workspace(find(shipped), workspace)
        assert said == "03_linear_warmup: there is a newer version; yours stays. restore 03 brings it."
        assert (workspace / "03_linear_warmup.ipynb").read_text("utf-8") == mine


def test_what_the_learner_did_not_change_follows_the_shipped_one(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    learn(shipped / "03_linear_warmup.ipynb", "a better text")
    assert fill_workspace(find(shipped), workspace) == ["03_linear_warmup: updated (you had not changed it)."]
    assert "a better text" in (workspace / "03_linear_warmup.ipynb").read_text("utf-8")
    assert fill_workspace(find(shipped), workspace) == []


def test_a_deleted_copy_comes_back(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    (workspace / "00_start_here.ipynb").unlink()
    assert fill_workspace(find(shipped), workspace) == []
    assert (workspace / "00_start_here.ipynb").exists()


@pytest.mark.parametrize("record", [None, "{", "[1]"])
def test_without_a_sound_record_every_changed_copy_is_the_learners(shipped: Path, workspace: Path, record: str | None):
    fill_workspace(find(shipped), workspace)
    mine = learn(workspace / "03_linear_warmup.ipynb")
    (workspace / lesson_files.RECORD).unlink()
    if record:
        (workspace / lesson_files.RECORD).write_text(record)
    assert len(fill_workspace(find(shipped), workspace)) == 1
    assert (workspace / "03_linear_warmup.ipynb").read_text("utf-8") == mine


def test_a_copy_that_is_no_text_is_left_alone(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    (workspace / "03_linear_warmup.ipynb").write_bytes(b"\xff\xfe")
    fill_workspace(find(shipped), workspace)
    assert (workspace / "03_linear_warmup.ipynb").read_bytes() == b"\xff\xfe"


def test_restore_keeps_each_changed_copy(shipped: Path, workspace: Path):
    [lesson] = find(shipped, ["03"])
    assert restore(lesson, workspace) is None  # also where there is nothing yet
    fresh = (workspace / lesson.name).read_text("utf-8")
    for number in (1, 2):
        mine = learn(workspace / lesson.name, f"attempt {number}")
        kept = restore(lesson, workspace)
        assert kept == workspace / f"03_linear_warmup.yours-{number}.ipynb"
        assert kept.read_text("utf-8") == mine
        assert (workspace / lesson.name).read_text("utf-8") == fresh
    assert restore(lesson, workspace) is None  # nothing of the learner's in it
    assert fill_workspace(find(shipped), workspace) == []


def test_restore_brings_the_newer_version(shipped: Path, workspace: Path):
    [lesson] = find(shipped, ["03"])
    fill_workspace([lesson], workspace)
    learn(lesson, "a better text")
    assert restore(lesson, workspace) is None
    assert "a better text" in (workspace / lesson.name).read_text("utf-8")


# ---- executing ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("lessons")
    write_lesson(folder / "00_good.ipynb", code("print(device, seed, lr)"))
    write_lesson(folder / "01_bad.ipynb", code("print('fine')"), code("raise ValueError('two\\nlines')"), code("1"))
    return find(folder)


@pytest.mark.process
def test_executions_get_the_parameters_and_tell_the_failing_cell(lessons: list[Path], tmp_path: Path):
    ended = {e.lesson.stem: e for e in execute_all(lessons, {"device": "cpu", "seed": 3}, tmp_path / "out", at_once=2)}
    good, bad = ended["00_good"], ended["01_bad"]
    assert good.error is None
    assert good.notebook is not None
    assert good.notebook["cells"][-1]["outputs"][0]["text"] == "cpu 3 0.5\n"
    assert (tmp_path / "out/00_good.ipynb").exists()
    # As numbered in the lesson, which lacks the cell in which papermill puts the parameters.
    assert (bad.error, bad.notebook) == ("In [3]: ValueError: two lines", None)
    assert good.seconds > 0


@pytest.mark.process
def test_a_failure_without_parameters_has_the_same_number(lessons: list[Path]):
    [bad] = execute_all(lessons[1:], {})
    assert bad.error == "In [3]: ValueError: two lines"


def test_an_unknown_parameter_is_refused_before_any_work(lessons: list[Path]):
    with pytest.raises(CommandError, match="00_good has the parameters device, seed, lr; got 'sed'"):
        execute_all(lessons, {"sed": 3})


@pytest.mark.process
@pytest.mark.parametrize("parameters", [{}, {"seed": 3}])
def test_a_file_that_is_no_notebook_is_a_failure_of_that_lesson(tmp_path: Path, parameters: dict[str, int]):
    broken = tmp_path / "00_broken.ipynb"
    broken.write_text("{")
    write_lesson(tmp_path / "01_good.ipynb", code("print(seed)"))
    second, first = execute_all(find(tmp_path), parameters)  # the later lesson begins
    assert first.error is not None
    assert first.error.startswith(f"{broken} is damaged, it is no notebook: JSONDecodeError")
    assert (second.error, second.unheld) == (None, 0)


@pytest.mark.process
@pytest.mark.parametrize("parameters", [{}, {"seed": 3}])
def test_a_dead_kernel_and_a_slow_cell_are_told_with_their_cell(
    tmp_path: Path, monkeypatch, parameters: dict[str, int]
):
    blank, note = code("  "), {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "neither counts"}
    monkeypatch.setattr(lesson_files, "CELL_TIMEOUT", 3)
    write_lesson(tmp_path / "00_dead.ipynb", note, blank, code("1"), code("import os; os._exit(1)"), code("2"))
    write_lesson(tmp_path / "01_slow.ipynb", note, blank, code("import time; time.sleep(60)"))
    errors = [ended.error for ended in execute_all(find(tmp_path), parameters)]
    assert [error and error.split(": ")[0] for error in errors] == ["In [2]", "In [3]"]
    assert [error and error.split(": ")[1] for error in errors] == ["CellTimeoutError", "DeadKernelError"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_folder_that_cannot_take_the_executed_lessons_is_refused_before_any_work(lessons: list[Path], tmp_path: Path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # stands for a full disk
    try:
        with pytest.raises(
            CommandError,
            match=r"the executed lessons cannot be written into .*out: File too large; --out names another",
        ):
            execute_all(lessons, {}, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"cannot be written into .*: Not a directory"):
        execute_all(lessons, {}, tmp_path / "file/out")


# ---- normalising ----------------------------------------------------------------------------------------------------


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
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": png("RGBA")}}
    cells = [code("f()", execution_count=1, outputs=[output])]
    normal = normalise({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    [stored] = normal["cells"][0]["outputs"]
    before, after = (Image.open(BytesIO(b64decode(o["data"]["image/png"]))) for o in (output, stored))
    assert after.mode == "P"
    difference = np.asarray(before.convert("RGB"), int) - np.asarray(after.convert("RGB"), int)
    assert abs(difference).max() <= 8


def test_normal_form():
    view = {
        "output_type": "display_data",
        "metadata": {},
        "data": {lesson_files.WIDGET_VIEW: {}, "text/plain": "HBox()"},
    }
    picture = {
        "output_type": "display_data",
        "metadata": {"image/png": {"alt": "a curve"}},
        "data": {"image/png": png("P")},
    }
    result = {"output_type": "execute_result", "execution_count": 7, "metadata": {}, "data": {"text/plain": "3"}}
    noisy = code(
        "f()",
        execution_count=7,
        metadata={"tags": [], "execution": {"iopub.status.busy": "2026-01-01T00:00:00Z"}, "jupyter": {"x": 1}},
        outputs=[stream("a"), view, stream("b"), stream("c", "stderr"), picture, stream("d"), result],
    )
    notebook = {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": "hello"},
            noisy,
            code(""),
            code("1", execution_count=9),
        ],
        "metadata": {"widgets": {"application/vnd.jupyter.widget-state+json": {}}, "papermill": {"duration": 3}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    before = copy.deepcopy(notebook)
    normal = normalise(notebook)
    assert notebook == before
    assert normal["metadata"] == lesson_files.METADATA
    assert normal["cells"][0]["id"] == "cell-0"
    cell = normal["cells"][1]
    assert cell["metadata"] == {"jupyter": {"source_hidden": True, "x": 1}, "tags": ["hide-input"]}
    assert cell["outputs"] == [
        stream("ab"),
        stream("c", "stderr"),
        picture,
        stream("d"),
        result | {"execution_count": 1},
    ]
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
