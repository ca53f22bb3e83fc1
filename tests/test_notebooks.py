"""The lessons themselves: as they are stored, and as they run with other parameters."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from warmup_course import lesson_files

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = lesson_files.find(FOLDER)

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)


def load(lesson: Path) -> dict[str, Any]:
    return json.loads(lesson.read_text("utf-8"))


def sources(lesson: Path, kind: str) -> list[str]:
    """The texts of the cells of one kind that have any."""
    cells = [cell for cell in load(lesson)["cells"] if cell["cell_type"] == kind]
    return [source for cell in cells if (source := "".join(cell["source"])).strip()]


def parameters_cell(lesson: Path) -> dict[str, Any]:
    return next(cell for cell in load(lesson)["cells"] if cell["cell_type"] == "code")


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


# ---- as stored ------------------------------------------------------------------------------------------------------


@each_lesson
def test_it_is_a_notebook_in_normal_form(lesson: Path):
    nbformat.validate(nbformat.read(lesson, as_version=4))
    text = lesson.read_text("utf-8")
    normal = lesson_files.as_text(lesson_files.normalise(json.loads(text)))
    assert text == normal, "python3 start.py refresh puts it right"


def test_the_readme_shows_the_stored_picture():
    [shown] = re.findall(r"!\[.+\]\((docs/.+\.png)\)", (FOLDER.parent / "README.md").read_text("utf-8"))
    [picture] = lesson_files.pictures(load(FOLDER / f"{Path(shown).stem}.ipynb"))
    assert (FOLDER.parent / shown).read_bytes() == picture, "python3 start.py refresh puts it right"


@each_lesson
def test_it_was_executed_from_top_to_bottom(lesson: Path):
    cells = [cell for cell in load(lesson)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@each_lesson
def test_it_shows_neither_errors_nor_warnings(lesson: Path):
    kinds = {output.get("name", output["output_type"]) for output in outputs(load(lesson))}
    assert kinds <= {"stdout", "display_data", "execute_result"}


@each_lesson
def test_it_shows_no_paths_addresses_or_times(lesson: Path):
    machine = (
        r"(?<![\w.])/(home|Users|root|tmp|usr|work|var|opt)/|[A-Z]:\\\\|\bat 0x[0-9a-f]{6,}|\d{4}-\d\d-\d\dT\d\d:\d\d"
    )
    texts = sources(lesson, "markdown") + sources(lesson, "code")
    for output in outputs(load(lesson)):
        shown = output.get("data", {"text": output.get("text", "")})
        texts += ["".join(text) for kind, text in shown.items() if not kind.startswith("image/png")]
    assert [found.group() for text in texts if (found := re.search(machine, text))] == []


@each_lesson
def test_it_is_small(lesson: Path):
    assert lesson.stat().st_size <= 400_000
    long = [source for source in sources(lesson, "code") if len(source.splitlines()) > 25]
    assert long == []


@each_lesson
def test_its_first_code_cell_holds_the_parameters(lesson: Path):
    tagged = [cell for cell in load(lesson)["cells"] if "parameters" in cell["metadata"].get("tags", ())]
    assert tagged == [parameters_cell(lesson)]
    values = {
        node.target.id: ast.literal_eval(node.value)
        for node in ast.parse("".join(tagged[0]["source"])).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
    }
    assert values.items() >= {"device": "auto", "seed": 0}.items()


@each_lesson
def test_its_links_lead_somewhere(lesson: Path):
    targets = re.findall(r"\]\(([^)\s]+)\)", "\n".join(sources(lesson, "markdown")))
    files = [target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("#")]
    assert [name for name in files if not (FOLDER / name).exists()] == []


# ---- as it runs -----------------------------------------------------------------------------------------------------


def execute(lesson: Path, **parameters: Any) -> lesson_files.Execution:
    [ended] = lesson_files.execute_all([lesson], parameters)
    return ended


def assert_ran(ended: lesson_files.Execution) -> None:
    assert ended.error is None
    assert ended.notebook is not None
    assert [output["text"] for output in outputs(ended.notebook) if output.get("name") == "stderr"] == []


@pytest.mark.notebook
@each_lesson
def test_its_claims_hold_at_another_seed(lesson: Path):
    assert_ran(execute(lesson, device="cpu", seed=3))


@pytest.mark.notebook
@each_lesson
def test_a_teacher_may_change_a_number(lesson: Path):
    """Claims need not hold then, and the lesson goes on."""
    known = {name: parameter["default"] for name, parameter in papermill.inspect_notebook(lesson).items()}
    numbers = {name: int(value) for name, value in known.items() if name != "seed" and re.fullmatch(r"\d+", value)}
    if not numbers:
        pytest.skip("it has no number to change")
    name, value = next(iter(numbers.items()))
    assert_ran(execute(lesson, device="cpu", **{name: max(1, value // 2)}))


@pytest.mark.notebook
@each_lesson
def test_an_unknown_device_is_a_clear_error(lesson: Path):
    ended = execute(lesson, device="no-such-device")
    assert ended.error is not None
    assert "ValueError" in ended.error
    assert all(word in ended.error for word in ("no-such-device", "auto", "cpu", "cuda"))
