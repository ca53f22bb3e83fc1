"""The course as web pages: what is made of a stored lesson, and what is refused. browser/test_site.py has the rest."""

import re
import sys
import zlib
from base64 import b64decode
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from lessons import LESSONS, each_lesson, load

from warmup_course import lesson_files
from warmup_course.authoring.site import _page
from warmup_course.classroom import labs
from warmup_course.classroom.cards import html_of
from warmup_course.cli import main
from warmup_course.lesson_files import outputs, read

BROWSER_LAB = re.compile(r"^(QuadraticLab|ScheduleLab|StabilityLab)\(", re.M)
NOT_STORED = {"layout", "tabbable", "tooltip"}


def stored_labs() -> list[tuple[str, dict, str]]:
    """The class, the state and the words of each lab of the lessons that computes in the browser."""
    return [
        (kind[1], output["metadata"].get("lab", {}), "".join(output["data"]["text/plain"]))
        for lesson in LESSONS
        for cell in load(lesson)["cells"]
        if cell["cell_type"] == "code" and (kind := BROWSER_LAB.search("".join(cell["source"])))
        for output in cell["outputs"]
        if "data" in output
    ]


def test_each_lab_is_stored_with_all_that_its_page_needs():
    found = stored_labs()
    assert {kind for kind, *_ in found} == {"QuadraticLab", "ScheduleLab", "StabilityLab"}
    for kind, state, _ in found:
        synced = getattr(labs, kind).class_traits(sync=True)
        assert state.keys() - {"_anywidget_id"} == {name for name in synced if name[0] != "_"} - NOT_STORED


@each_lesson
def test_a_page_lists_each_claim_and_asks_nobody_to_run_a_cell(lesson: Path):
    printed = [line for output in outputs(read(lesson)) for line in "".join(output.get("text", "")).splitlines()]
    html = "".join("".join(output.get("data", {}).get("text/html", "")) for output in outputs(_page(lesson, None)))
    listed = [item.text for item in BeautifulSoup(html, "html.parser").select(".wc-ticks li")]
    assert listed == [line for line in printed if line.startswith("✔ ")]
    assert "run this cell" not in html


def test_the_stability_lab_is_that_of_its_picture():
    [(_, state, words)] = [lab for lab in stored_labs() if lab[0] == "StabilityLab"]
    data, chosen = state["data"], state["settings"]
    row, bare = (
        data["outcomes"][data["peak_lr"].index(chosen["peak_lr"])][data["warmup_steps"].index(steps)]
        for steps in (chosen["warmup_steps"], 0)
    )
    assert f"{row.count('trained')} of {len(row)} train with" in words
    assert f", {bare.count('trained')} without" in words
    runs = len(data["peak_lr"]) * len(data["warmup_steps"]) * len(row)
    assert len(zlib.decompress(b64decode(state["losses"]))) == 4 * data["steps"] * runs


@pytest.mark.parametrize(
    ("in_clone", "told"),
    [(True, 'pip install -e ".[classroom]"\n'), (False, ': pip install "warmup_course[classroom]"\n')],
)
def test_without_sphinx_it_says_what_to_install(
    in_clone: bool, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(lesson_files, "IN_CLONE", in_clone)
    monkeypatch.setitem(sys.modules, "furo", None)
    assert main(["site", "--out", str(tmp_path / "new")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_somebody_elses_pages_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("furo")
    (tmp_path / "index.html").write_text("mine")
    assert main(["site", "--out", str(tmp_path)]) == 2
    assert "--out must be a folder without pages" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_formulas_in_questions_become_mathml():
    pytest.importorskip("latex2mathml")
    assert "<math" in html_of("At $w < 1$ it falls")
    assert r"\(" not in html_of("At $w < 1$ it falls")


def test_without_what_draws_them_formulas_are_shown_as_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    assert html_of("At $w < 1$ it falls") == '<p>At <span class="math"><code>w &lt; 1</code></span> it falls</p>\n'
