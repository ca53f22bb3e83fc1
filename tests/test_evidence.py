"""Claims recorded over many seeds: what is kept of each, and the table made of them."""

import json
import statistics
from pathlib import Path

import lessons
import pytest
from nbformat import validate
from small_lessons import code, write_lesson

from warmup_course import lesson_files
from warmup_course.authoring.evidence import (
    PREDICTION,
    Claim,
    Evidence,
    Measured,
    evidence,
    last_line,
    load,
    measure,
    measure_all,
    page,
    read_csv,
    update,
    weakest_first,
    write_csv,
)

CELLS = [
    "device = 'auto'\nseed = 0",
    (
        "from warmup_course.classroom.lesson import Lesson\n"
        "lesson = Lesson('03_linear_warmup', device, seed, standard=True)\nclaim = lesson.claim"
    ),
    (
        "claim('the seed is small', seed < 202.5)\n"
        "claim('both hold', seed > 1 and seed > 2)\n"
        "claim('lists are no numbers', [seed] < [900])"
    ),
    "for side in (seed, -seed):\n    claim('positive, both times', side > 0)",
]


def notebook(folder: Path, *cells: str) -> Path:
    parameters, *others = cells
    return write_lesson(folder / "03_linear_warmup.ipynb", *map(code, others), parameters=parameters)


def test_claims_are_recorded_with_their_sides_and_none_is_raised(tmp_path: Path) -> None:
    run = measure(notebook(tmp_path, *CELLS), seed=203)
    assert run.error is None
    assert run.claims == [
        Claim("the seed is small", False, 203, "<", 202.5),
        Claim("both hold", True),
        Claim("lists are no numbers", True),
        Claim("positive, both times", True, 203, ">", 0),
        Claim("positive, both times", False, -203, ">", 0),
    ]


def test_a_failing_cell_ends_the_lesson_and_is_named(tmp_path: Path) -> None:
    run = measure(notebook(tmp_path, *CELLS[:3], "1 / 0", CELLS[3]), seed=203)
    assert len(run.claims) == 3
    assert run.error == "code cell 3: ZeroDivisionError: division by zero"


def test_the_row_of_a_claim_by_hand() -> None:
    lefts = [0.9, 0.7, 0.95, 0.8]
    runs = [
        Measured([Claim("more", left > 0.75, left, ">", 0.75), Claim("less", True, 1, "<=", left)], {})
        for left in lefts
    ]
    runs.append(Measured([], {}, "code cell 3: out of luck"))
    more, less = evidence("03", runs)
    margins = [left - 0.75 for left in lefts]
    assert (more.held, more.seeds, more.sign, more.right) == (3, 5, ">", 0.75)
    assert more.left == pytest.approx(statistics.fmean(lefts))
    assert more.deviations == pytest.approx(statistics.fmean(margins) / statistics.stdev(margins))
    assert less.held == 4
    assert less.deviations is not None
    assert less.deviations < 0


def test_a_claim_made_twice_holds_if_both_do_and_equal_margins_have_no_deviation() -> None:
    run = Measured([Claim("a", True, 2, ">", 1), Claim("a", False, 2, "<", 1), Claim("b", True)], {})
    rows = evidence("03", [run, run])
    assert [row.held for row in rows] == [0, 2]
    [row] = evidence("03", [Measured([Claim("a", True, 2.0, ">", 1.0)], {})] * 3)
    assert (row.left, row.right, row.deviations) == (2, 1, None)


def test_a_prediction_counts_where_it_has_its_most_frequent_answer() -> None:
    runs = [Measured([], {"How many\nof ten?": answer}) for answer in ("none", "all", "none")]
    [row] = evidence("03", [*runs, Measured([], {})])
    assert (row.claim, row.held, row.seeds) == ("prediction: How many of ten? none", 2, 4)


ROWS = [
    Evidence("03", 'sure, "quoted" | piped', 40, 40),
    Evidence("03", "close", 40, 40, 0.91, ">", 0.9, 1.2),
    Evidence("04", "wide", 40, 40, 12.0, "<=", 30.0, 8.1),
    Evidence("04", "lucky", 39, 40, 0.5, ">", 0.4, 9.0),
]


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    for rows in (ROWS, []):
        write_csv(rows, tmp_path / "evidence.csv")
        assert read_csv(tmp_path / "evidence.csv") == rows
    assert read_csv(tmp_path / "none.csv") == []


def test_the_page_has_the_weakest_first_and_counts() -> None:
    assert [row.claim for row in weakest_first(ROWS)] == ["lucky", "close", "wide", ROWS[0].claim]
    text = page(ROWS)
    counted = "2 claims: the 1 that compare varying numbers held in 40 of 40 checks, the other 1 in 40 of 40"
    assert f"- **03**: {counted}\n" in text
    assert "- **04**: 2 claims: the 2 that compare varying numbers held in 79 of 80 checks\n" in text
    assert text.index("| lucky |") < text.index("| close |") < text.index("| wide |")
    assert r'"quoted" \| piped' in text


@pytest.mark.process
def test_measuring_is_shared_kept_and_goes_on(tmp_path: Path) -> None:
    lesson, kept, table = notebook(tmp_path, *CELLS), tmp_path / "kept", tmp_path / "evidence.csv"
    assert sorted(measure_all([lesson], range(201, 203), kept, 2)) == [(lesson, 201), (lesson, 202)]
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert list(measure_all([lesson], range(201, 204), kept, 2)) == [(lesson, 203)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert load(lesson, 203, kept) == measure(lesson, 203)

    write_csv(ROWS[2:], table)
    assert update([lesson], range(201, 204), kept, table) == []
    rows = read_csv(table)
    claims = dict.fromkeys(claim.statement for claim in measure(lesson, 1).claims)
    assert [row.claim for row in rows] == [*claims, "wide", "lucky"]
    assert (rows[0].held, rows[0].seeds) == (2, 3)
    written = json.loads((tmp_path / "evidence.ipynb").read_text("utf-8"))
    validate(written)
    assert "| 2/3 |" in "".join(written["cells"][0]["source"])
    assert update([lesson], range(201, 204), kept, table) == []  # once more: still one last line
    cells = json.loads(lesson.read_text("utf-8"))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["code"] * 4 + ["markdown"]
    counted = "4 claims: the 2 that compare varying numbers held in 2 of 6 checks, the other 2 in 6 of 6. At 3 seeds"
    assert counted in "".join(cells[-1]["source"])
    notebook(tmp_path, *CELLS, "changed = True")
    assert load(lesson, 203, kept) is None  # measured of another lesson


@pytest.mark.process
def test_what_failed_is_told_and_measured_again(tmp_path: Path) -> None:
    lesson, kept, table = notebook(tmp_path, CELLS[0], "1 / 0"), tmp_path / "kept", tmp_path / "evidence.csv"
    before = lesson.read_bytes()
    write_csv(ROWS[:2], table)
    for _ in range(2):
        assert list(measure_all([lesson], [201], kept, 1)) == [(lesson, 201)]
    told = ["03_linear_warmup, seed 201: code cell 1: ZeroDivisionError: division by zero"]
    assert update([lesson], [201], kept, table) == told
    assert (lesson.read_bytes(), read_csv(table)) == (before, ROWS[:2])  # what was known before it failed


@lessons.each_lesson
def test_every_claim_of_a_lesson_has_been_measured(lesson: Path) -> None:
    shown = "".join("".join(output.get("text", ())) for output in lesson_files.outputs(lessons.load(lesson)))
    claims = {line.removeprefix("✔ ") for line in shown.splitlines() if line.startswith("✔ ")}
    rows = [row for row in read_csv(lesson_files.EVIDENCE) if row.lesson == lesson.stem]
    measured = {row.claim for row in rows if not row.claim.startswith(PREDICTION)}
    number = lesson.stem[:2]
    assert claims - measured == set(), f"then measure it: warmup-course evidence {number}"
    assert measured - claims == set(), f"not shown (any more): refresh {number}, then evidence {number}"
    assert {row.seeds for row in rows} == {40}, f"the guide says 40 seeds: warmup-course evidence {number}"
    assert "".join(lessons.load(lesson)["cells"][-1]["source"]) == last_line(rows)


def test_the_page_is_that_of_the_table() -> None:
    [shown] = lessons.sources(lessons.FOLDER / lesson_files.EVIDENCE_PAGE, "markdown")
    assert shown == page(read_csv(lesson_files.EVIDENCE))
