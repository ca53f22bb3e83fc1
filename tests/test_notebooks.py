"""The lessons themselves: as they are stored, and as they run with other parameters."""

import ast
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pytest
from lessons import FOLDER, LESSONS, each_lesson, load, sources
from matplotlib.figure import Figure
from matplotlib.text import Text

from warmup_course import lesson_files
from warmup_course.authoring import execution, normal_form
from warmup_course.authoring.evidence import measure
from warmup_course.classroom.quiz import load as load_quiz
from warmup_course.lesson_files import outputs

GLOSSARY = FOLDER / lesson_files.GLOSSARY

LEAVES = "The short path leaves here"

each_page = pytest.mark.parametrize("page", [*LESSONS, GLOSSARY], ids=lambda page: page.stem)


def printed(cells: list[dict[str, Any]]) -> list[str]:
    return "".join("".join(output.get("text", "")) for output in outputs({"cells": cells})).splitlines()


def parameters_cell(lesson: Path) -> dict[str, Any]:
    return next(cell for cell in load(lesson)["cells"] if cell["cell_type"] == "code")


# ---- as stored ------------------------------------------------------------------------------------------------------


@each_page
def test_it_is_a_notebook_in_normal_form(page: Path):
    nbformat.validate(nbformat.read(page, as_version=4))
    text = page.read_text("utf-8")
    normal = lesson_files.as_text(normal_form.normalise(json.loads(text)))
    assert text == normal, "python3 start.py refresh puts it right"


def test_the_readme_shows_the_stored_picture():
    [shown] = re.findall(r"!\[.+\]\((docs/.+\.png)\)", (FOLDER.parent / "README.md").read_text("utf-8"))
    [picture] = normal_form.pictures(load(FOLDER / f"{Path(shown).stem}.ipynb"))
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


def minutes(cells: list[dict[str, Any]]) -> float:
    """For 200 words or 20 open lines of code one; half of one for a figure, a lab, a prediction; three an exercise."""
    markdown, code = ([cell for cell in cells if cell["cell_type"] == kind] for kind in ("markdown", "code"))
    words = re.sub(r"\]\([^)]*\)", "]", "\n".join("".join(cell["source"]) for cell in markdown)).split()
    lines = [line for cell in code if "hide-input" not in cell["metadata"].get("tags", []) for line in cell["source"]]
    figures = [output for cell in code for output in cell["outputs"] if "image/png" in output.get("data", {})]
    text = "\n".join("".join(cell["source"]) for cell in code)
    tried = len(figures) + len(re.findall(r"(?m)^(?:\w+ = )?\w*Lab\(", text)) + text.count("predict(")
    return len(words) / 200 + len(lines) / 20 + 0.5 * tried + 3 * text.count('exercise("')


@each_lesson
def test_its_minutes_are_those_of_reading_and_trying(lesson: Path):
    """To five minutes, with 0.4 for each question of its quiz."""
    cells = load(lesson)["cells"]
    [said] = re.findall(r"\*About (\d+) minutes", "".join(cells[0]["source"]))
    takes = minutes(cells) + 0.4 * len(load_quiz(lesson.stem)["questions"])
    assert abs(int(said) - takes) <= 3, f"it takes about {takes:.0f}: say so in its header, its quiz's file and README"


def test_the_short_path_takes_45_minutes():
    """Lesson 00 with its quiz, and 01 to 03 to where the path leaves them; waiting for cells comes on top."""
    taken = 0.4 * len(load_quiz(LESSONS[0].stem)["questions"])
    for lesson in LESSONS[:4]:
        cells = [*load(lesson)["cells"]]
        leaves = [n for n, cell in enumerate(cells) if LEAVES in "".join(cell["source"])]
        assert len(leaves) == (lesson != LESSONS[0])
        for n in leaves:
            cells[n:] = [{**cells[n], "source": ["".join(cells[n]["source"]).partition(LEAVES)[0]]}]
        taken += minutes(cells)
    assert 38 <= taken <= 48
    assert "A path of 45 minutes:" in (FOLDER.parent / "README.md").read_text("utf-8")


@each_lesson
def test_it_has_a_lab_with_a_goal(lesson: Path):
    code = "\n".join(sources(lesson, "code"))
    calls = [call for call in ast.walk(ast.parse(code)) if isinstance(call, ast.Call)]
    labs = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id.endswith("Lab")]
    assert any(keyword.arg == "goal" for lab in labs for keyword in lab.keywords)


@each_lesson
def test_no_conditional_expression_stands_in_another(lesson: Path):
    trees = map(ast.parse, sources(lesson, "code"))
    outer = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.IfExp)]
    nested = [node for node in outer if sum(isinstance(part, ast.IfExp) for part in ast.walk(node)) > 1]
    assert [ast.unparse(node) for node in nested] == []


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


def compared(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells whose outputs nbval holds against the stored ones."""
    return [cell for cell in notebook["cells"] if "nbval-check-output" in cell["metadata"].get("tags", ())]


@each_lesson
def test_what_is_compared_shows_no_progress_bar(lesson: Path):
    """A sweep that takes long shows one, and nbval would take it for a difference."""
    assert [source for cell in compared(load(lesson)) if "sweep(" in (source := "".join(cell["source"]))] == []


# ---- the glossary ---------------------------------------------------------------------------------------------------


def test_its_words_stand_in_order_each_with_its_meaning_and_its_lesson():
    texts = sources(GLOSSARY, "markdown")
    entries = [text.split("\n\n") for text in texts[texts.index("## Words") + 1 :] if text.startswith("### ")]
    entries = [parts for parts in entries if len(parts) == 2 and "|" not in parts[1]]
    words = [word for word, _ in entries]
    assert len(words) >= 75
    assert words == sorted(words, key=str.lower)
    explained = re.compile(r"\S.+\. \*\[\d\d · .+\]\(\d\d_\w+\.ipynb#.+\)\*")
    assert [word for word, meaning in entries if not explained.fullmatch(meaning.strip())] == []


def test_every_idea_has_a_finding_and_its_place():
    rows = [
        line
        for text in sources(GLOSSARY, "markdown")
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| what is said")
    ]
    assert len(rows) >= 70
    assert [row for row in rows if not re.fullmatch(r"\| .+ \| .+ \| (\[.+\]\(\d\d_\w+\.ipynb#.+\))+ \|", row)] == []


@each_lesson
def test_it_links_words_at_their_first_use(lesson: Path):
    """Each link to the glossary stands at the first mention of its word in the lesson's running text."""
    _, *texts = sources(lesson, "markdown")  # without the header
    prose = re.sub(r"(?ms)^(#|\|).*?$|^```.*?^```$|`[^`]*`|\$[^$]*\$", "", "\n".join(texts))
    links = re.findall(r"\[([^\]]+)\]\(glossary\.ipynb#heading=[^)]+\)", prose)
    assert links or lesson == LESSONS[0]
    plain = re.sub(r"\[([^\]]+)\]\(glossary\.ipynb#heading=[^)]+\)", r"[\1](", prose)
    late = [
        word for word in links if re.search(rf"(?i)(?<![\w[-]){re.escape(word)}\b", plain.partition(f"[{word}](")[0])
    ]
    assert late == []


# ---- as it runs -----------------------------------------------------------------------------------------------------


def execute(lesson: Path, **parameters: Any) -> execution.Execution:
    [ended] = execution.execute_all([lesson], parameters)
    return ended


def assert_ran(ended: execution.Execution) -> None:
    assert ended.error is None
    assert ended.notebook is not None
    assert not ended.failed, ended.unheld
    # What is recorded is what is printed.
    cells = [cell for cell in ended.notebook["cells"] if cell["cell_type"] == "code" and "claim(" in cell["source"]]
    lines = [line for line in printed(cells) if line.startswith(("✔ ", "✘ does not hold"))]
    assert len(lines) == len(ended.claims)
    assert all(claim.statement in line for claim, line in zip(ended.claims, lines, strict=True))
    assert [output["text"] for output in outputs(ended.notebook) if output.get("name") == "stderr"] == []


def titles_on_each_other(figure: Figure) -> list[tuple[str, str]]:
    figure.draw_without_rendering()
    said = {ax.get_title("left") for ax in figure.axes} - {""}
    titles = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text() in said)
    places = [(title.get_text(), title.get_window_extent()) for title in titles]
    return [(one, other) for (one, a), (other, b) in combinations(places, 2) if a.overlaps(b)]


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:More than 20 figures have been opened")  # a notebook closes them
@each_lesson
def test_a_teacher_may_change_seed_and_numbers(lesson: Path):
    """Claims need not hold with fewer runs, and the lesson goes on."""
    with mpl.rc_context():
        measured = measure(lesson, seed=3, n_seeds=2)
    collisions = [titles_on_each_other(plt.figure(number)) for number in plt.get_fignums()]
    plt.close("all")
    assert measured.error is None
    assert not any(collisions), collisions
    assert len(measured.claims) == sum(line.startswith("✔ ") for line in printed(load(lesson)["cells"]))


@pytest.mark.slow
@each_lesson
def test_its_claims_hold_at_another_seed(lesson: Path):
    """And what is compared is the same: what depends on the seed may differ on another processor as well."""
    ended = execute(lesson, device="cpu", seed=3)
    assert_ran(ended)
    assert printed(compared(ended.notebook)) == printed(compared(load(lesson)))


@each_lesson
def test_an_unknown_device_is_a_clear_error(lesson: Path):
    parameters, begin, *_ = sources(lesson, "code")
    known: dict[str, Any] = {}
    exec(parameters, known)
    known["device"] = "no-such-device"
    with pytest.raises(ValueError, match="no-such-device") as error:
        exec(begin, known)
    assert all(word in str(error.value) for word in ("device", "auto", "cpu", "cuda"))
