"""What run writes for a CI service and for people, of executions made here."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from small_lessons import code, write_lesson

from warmup_course import cli
from warmup_course.authoring.claims import Claim
from warmup_course.authoring.execution import Execution
from warmup_course.authoring.reports import JUNIT_MARK, PAGE_MARK, counted, device, junit, last_figures, page
from warmup_course.classroom.lesson import Lesson

BEGUN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PNG = "image/png"
READY = {"output_type": "stream", "name": "stdout", "text": "Ready: torch 2.13.0 on the GPU (X 1), notebook seed 3.\n"}
COLOURED = "\x1b[31mValueError\x1b[39m: a < b & \x00 no"


def figure(data: str) -> dict:
    return {"output_type": "display_data", "data": {PNG: data}, "metadata": {PNG: {"alt": f'about "{data}"'}}}


def printed(capsys: pytest.CaptureFixture[str], claim: Claim) -> dict:
    """A claim's line as the lesson prints it."""
    Lesson("03_linear_warmup", "cpu", 0, claim.standard).claim(claim.statement, claim.held)
    return {"output_type": "stream", "name": "stdout", "text": capsys.readouterr().out}


@pytest.fixture
def executions(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> list[Execution]:
    """Passed; with claims that do not hold; with other numbers; failed; not begun."""
    monkeypatch.delenv("WARMUP_COURSE_STRICT", raising=False)
    held, unheld = Claim("a < b & c", True, 0.12345, "<", 2.0), Claim("no < yes", False, float("nan"), ">", 3e-5)
    again, excused = Claim("never", False), Claim("few", False, 1.0, ">=", 2.0, standard=False)
    shown = [READY, figure("AA=="), printed(capsys, held), figure("BB=="), printed(capsys, unheld)]
    shown += [printed(capsys, again), figure("CC==")]
    notebook = {"cells": [{"cell_type": "code", "outputs": shown}]}
    broken = write_lesson(tmp_path / "03_broken.ipynb", code("1 / 0", outputs=[figure("DD=="), figure("EE==")]))
    return [
        Execution(Path("00_fine.ipynb"), 1.25, {"cells": []}, None, "", (held,)),
        Execution(Path("01_unheld.ipynb"), 2.0, notebook, None, "", (held, unheld, again)),
        Execution(Path("02_few.ipynb"), 2.0, {"cells": []}, None, "", (excused,)),
        Execution(broken, 3.0, None, "In [2]: ValueError: a < b", COLOURED, (held,)),
        Execution(Path("04_waits.ipynb"), 0.0, None, "stopped before its end"),
    ]


@pytest.mark.parametrize("kind", ["junit", "report"])
def test_a_report_replaces_an_earlier_one_and_nothing_else(
    kind: str, executions: list[Execution], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr(cli, "execute_all", lambda *_: (ended for ended in executions))
    ours, theirs, empty = (tmp_path / name for name in ("ours", "README.md", "empty"))
    empty.touch()
    theirs.write_text("mine")
    run = ["run", "--out", str(tmp_path / "copies"), f"--{kind}"]
    for file in (ours, ours, empty):
        assert cli.main([*run, str(file)]) == 1  # as not all of these hold
        assert (PAGE_MARK if kind == "report" else JUNIT_MARK) in file.read_text("utf-8")
    capsys.readouterr()
    assert cli.main([*run, str(theirs)]) == 2
    assert f"--{kind} must be a new file" in capsys.readouterr().err
    assert theirs.read_text() == "mine"


def test_claims_are_counted(executions: list[Execution]):
    assert counted(executions) == "3 of 6 claims hold"
    assert [ended.failed for ended in executions] == [False, True, False, True, True]


def test_a_device_is_found_where_it_is_printed(executions: list[Execution]):
    assert device(executions[1].notebook or {}) == "the GPU (X 1)"
    assert device({"cells": []}) == ""


# What Jenkins' schema (junit-10.xsd) allows, with its obligatory attributes first, as far as it is used here.
ALLOWED = {
    "testsuites": ([], ["name", "time", "tests", "failures", "errors"], ["testsuite"]),
    "testsuite": (
        ["name", "tests", "failures", "errors"],
        ["skipped", "time", "timestamp"],
        ["properties", "testcase"],
    ),
    "properties": ([], [], ["property"]),
    "property": (["name", "value"], [], []),
    "testcase": (["name"], ["classname", "time"], ["failure", "error", "skipped"]),
    **dict.fromkeys(["failure", "error", "skipped"], ([], ["type", "message"], [])),
}


def test_junit_has_a_case_for_each_claim_and_is_as_ci_services_read_it(executions: list[Execution], tmp_path: Path):
    junit(executions, {"seed": 3}, BEGUN, tmp_path, tmp_path / "deep/junit.xml")
    root = ElementTree.parse(tmp_path / "deep/junit.xml").getroot()
    for element in root.iter():
        needed, possible, children = ALLOWED[element.tag]
        assert set(needed) <= set(element.attrib) <= {*needed, *possible}
        assert {child.tag for child in element} <= set(children)
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["00_fine", "01_unheld", "02_few", "03_broken", "04_waits"]
    for suite in [root, *root]:
        for attribute, tag in [("tests", "testcase"), ("failures", "failure"), ("errors", "error")]:
            assert int(suite.get(attribute, "")) == len(list(suite.iter(tag)))
    assert suites["00_fine"].get("timestamp") == "2026-05-04T03:02:01"
    assert suites["02_few"].get("skipped") == "1"
    assert all(case.get("classname") == name for name, suite in suites.items() for case in suite.iter("testcase"))
    values = {fact.get("name"): fact.get("value") for fact in suites["01_unheld"].iter("property")}
    assert (values["parameters"], values["device"]) == ("seed = 3", "the GPU (X 1)")
    whole, held, unheld, again = suites["01_unheld"].findall("testcase")
    assert [case.get("name") for case in (whole, held, unheld)] == ["runs to its end", "a < b & c", "no < yes"]
    assert [len(case) for case in (whole, held, unheld, again)] == [0, 0, 1, 1]
    assert unheld[0].get("message") == "does not hold: no < yes (nan > 3e-05)"
    assert again[0].get("message") == "does not hold: never"
    [error] = suites["03_broken"].iter("error")
    assert (error.get("message"), error.text) == ("In [2]: ValueError: a < b", "ValueError: a < b &  no")


def test_the_figures_are_those_shown_last_before_each_failure(executions: list[Execution]):
    _, unheld, _, broken, _ = executions
    assert last_figures(unheld, unheld.notebook or {}) == [figure("BB==")]
    assert last_figures(broken, json.loads(broken.lesson.read_text("utf-8"))) == [figure("EE==")]
    assert last_figures(broken, {"cells": []}) == []


def test_the_page_needs_no_other_file_and_shows_what_failed(executions: list[Execution], tmp_path: Path):
    page(executions, {}, BEGUN, tmp_path, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    read = BeautifulSoup(text, "html.parser")
    pictures = read("img")
    assert [picture["src"] for picture in pictures] == [f"data:{PNG};base64,BB==", f"data:{PNG};base64,EE=="]
    assert pictures[0]["alt"] == 'about "BB=="'
    assert [link["href"] for link in read("a")] == [f"#{heading['id']}" for heading in read("h2")]
    assert not re.search(r"https?://|<script|<link", text)
    assert "5 lessons, 3 failed" in read.text
    for words in ["3 of 6 claims hold", "no < yes", "nan > 3e-05", "ValueError: a < b &  no", "the GPU (X 1)"]:
        assert words in read.text
    assert "few (not at these settings)" in read.text
    assert "2026-05-04 03:02 UTC. Python 3." in read.text


def test_the_page_of_one_lesson_counts_one(tmp_path: Path):
    page([Execution(tmp_path / "00.ipynb", 1.0, None, None)], {}, BEGUN, tmp_path, tmp_path / "page.html")
    assert "<h1>1 lesson, all passed</h1>" in (tmp_path / "page.html").read_text("utf-8")
