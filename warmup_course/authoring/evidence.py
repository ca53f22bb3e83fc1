"""How often each claim of the lessons holds: the lessons are executed at many seeds, and their claims recorded.

A lesson's claims are checked wherever it runs, at one seed. Here they are recorded instead, held or not, together with
the two sides of each comparison. A lesson runs without a kernel and draws nothing that nobody sees, in a process of its
own; what is measured is kept, so that a run which was stopped goes on where it was.
"""

import ast
import contextlib
import io
import json
import math
import multiprocessing
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd

from warmup_course.authoring.claims import Claim, Recorder, Sides
from warmup_course.authoring.normal_form import METADATA
from warmup_course.lesson_files import EVIDENCE_PAGE, PACKAGE, as_text, read, write

# What a lesson's figures depend on besides its own code.
MODULES = ("data", "export", "model", "probes", "schedulers", "shapes", "stacked", "sweep", "training")
IN_CLASSROOM = ("capstone.py", "detective.py", "language_model.csv", "recipes.csv")
ENGINE = [*(PACKAGE / f"{name}.py" for name in MODULES), *(PACKAGE / "classroom" / name for name in IN_CLASSROOM)]
# Bounds are tuned on the seeds from 0 on. Those from 200 to 359 have been looked at; these are for the page alone.
FIRST_SEED = 360
PREDICTION = "prediction: "


@dataclass(frozen=True)
class Measured:
    """All claims and answers of one lesson at one seed."""

    claims: list[Claim]
    answers: dict[str, str]  # prediction -> what the measurement revealed
    error: str | None = None


@dataclass(frozen=True)
class Evidence:
    """One claim over all seeds: a row of docs/evidence.csv.

    Attributes:
        lesson: the name of its file.
        claim: the sentence.
        held: at how many seeds it held.
        seeds: of how many.
        left, sign, right: the two sides of the comparison, each averaged over the seeds, where they are numbers.
        deviations: by how many standard deviations (over the seeds) the two sides lie apart in the direction claimed.
    """

    lesson: str
    claim: str
    held: int
    seeds: int
    left: float | None = None
    sign: str | None = None
    right: float | None = None
    deviations: float | None = None


# ---- one lesson at one seed -----------------------------------------------------------------------------------------


class CellError(Exception):
    """A cell that failed, and how."""


def run_cells(
    lesson: Path,
    parameters: dict[str, Any],
    rewrite: ast.NodeTransformer,
    names: dict[str, Any],
    record: Callable[[Any, str, object], None],
) -> None:
    """Execute a lesson's code cells in this process, without showing what they show.

    Args:
        lesson, parameters: which, and what replaces the values of its first code cell.
        rewrite: what becomes of each cell before it is executed.
        names: what the cells find, and where they leave what they make.
        record: stands in for Lesson.claim.

    Raises:
        CellError: where a cell fails; those after it are not executed.
    """
    from warmup_course.classroom.lesson import Lesson

    names |= {"__name__": "__main__", "display": lambda *_: None}
    with (
        patch.object(Lesson, "claim", record),
        patch("matplotlib.pyplot.show", lambda: None),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        for number, cell in enumerate(code_cells(lesson)):
            tree = ast.fix_missing_locations(rewrite.visit(ast.parse("".join(cell["source"]))))
            code = compile(tree, f"code cell {number}", "exec")
            try:
                exec(code, names)
            except Exception as failure:
                raise CellError(f"code cell {number}: {type(failure).__name__}: {failure}") from failure
            if "parameters" in cell["metadata"].get("tags", ()):
                names |= parameters


def measure(lesson: Path, seed: int, **others: int) -> Measured:
    """Run the lesson's cells with its claims recorded, on the CPU, with this seed and other parameters."""
    from warmup_course.classroom.predictions import Prediction

    recorder = Recorder()
    answers: dict[str, str] = {}
    reveal = Prediction.reveal

    def note(self: Prediction, answer: str, *args: Any, **options: Any) -> Any:
        answers[self.question] = str(answer)
        return reveal(self, answer, *args, **options)

    error = None
    with patch.object(Prediction, "reveal", note):
        try:
            run_cells(
                lesson,
                {"device": "cpu", "seed": seed, **others},
                Sides(),
                {"__compared__": recorder.compared},
                lambda _, statement, holds: recorder.record(statement, holds),
            )
        except CellError as failure:  # the claims so far count, and the row says what became of the rest
            error = str(failure)
    return Measured(recorder.claims, answers, error)


def code_cells(lesson: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(lesson)["cells"] if cell["cell_type"] == "code"]


# ---- many lessons at many seeds -------------------------------------------------------------------------------------


def fingerprint(lesson: Path) -> str:
    """Changes when something changes that the lesson's measurements depend on."""
    code = ["".join(cell["source"]) for cell in code_cells(lesson)]
    engine = [path.read_text("utf-8") for path in ENGINE]
    return sha256("\0".join(code + engine).encode()).hexdigest()[:16]


def measure_all(lessons: Sequence[Path], seeds: Iterable[int], kept: Path, at_once: int) -> Iterator[tuple[Path, int]]:
    """Measure each lesson at each seed, ``at_once`` at a time; yields each as it is kept in the folder ``kept``.

    Those that are kept already are not measured again, unless they ended with an error.
    """
    tasks = [(lesson, seed) for seed in seeds for lesson in lessons]
    missing = [task for task in tasks if (run := load(*task, kept)) is None or run.error]
    # A server that has imported torch once and forks: a fresh process for each lesson, without its seconds of imports.
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        context.set_forkserver_preload(["warmup_course.classroom"])
    with context.Pool(at_once, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_keep, [(lesson, seed, kept) for lesson, seed in missing])


def _keep(task: tuple[Path, int, Path]) -> tuple[Path, int]:
    lesson, seed, kept = task
    write(_place(lesson, seed, kept), json.dumps(asdict(measure(lesson, seed))))
    return lesson, seed


def _place(lesson: Path, seed: int, kept: Path) -> Path:
    return kept / f"{lesson.stem}-{seed}-{fingerprint(lesson)}.json"


def load(lesson: Path, seed: int, kept: Path) -> Measured | None:
    """What was measured of the lesson as it is now, if it was."""
    path = _place(lesson, seed, kept)
    if not path.exists():
        return None
    values = json.loads(path.read_text("utf-8"))
    return Measured([Claim(**claim) for claim in values["claims"]], values["answers"], values["error"])


# ---- the table ------------------------------------------------------------------------------------------------------


def evidence(lesson: str, runs: Sequence[Measured]) -> list[Evidence]:
    """The lesson's claims, in their order, over all runs, then its predictions.

    A claim that a run did not come to counts as not held. A prediction holds where the measurement revealed its most
    frequent answer.

    >>> runs = [Measured([Claim("warmup helps", True, 0.9 + 0.01 * i, ">", 0.5)], {}) for i in range(3)]
    >>> [row] = evidence("03", runs)
    >>> row.held, row.seeds, round(row.left, 2), row.right, round(row.deviations)
    (3, 3, 0.91, 0.5, 41)
    """
    statements = dict.fromkeys(claim.statement for run in runs for claim in run.claims)
    questions = dict.fromkeys(question for run in runs for question in run.answers)
    claims = [_row(lesson, statement, runs) for statement in statements]
    return claims + [_answer(lesson, question, runs) for question in questions]


def _answer(lesson: str, question: str, runs: Sequence[Measured]) -> Evidence:
    answers = Counter(run.answers[question] for run in runs if question in run.answers)
    [(answer, held)] = answers.most_common(1)
    text = f"{PREDICTION}{' '.join(question.split())} {answer}"
    return Evidence(lesson, text, held, len(runs))


def _row(lesson: str, statement: str, runs: Sequence[Measured]) -> Evidence:
    by_run = [[claim for claim in run.claims if claim.statement == statement] for run in runs]
    held = sum(bool(claims) and all(claim.held for claim in claims) for claims in by_run)
    made = [claim for claims in by_run for claim in claims]
    pairs = [(c.left, c.right) for c in made if c.left is not None and c.right is not None]
    if len(pairs) < len(made) or not all(math.isfinite(side) for pair in pairs for side in pair):
        return Evidence(lesson, statement, held, len(runs))
    left, right = (statistics.fmean(side) for side in zip(*pairs, strict=True))
    sign = made[0].sign
    margins = [(a - b if sign in (">", ">=") else b - a) for a, b in pairs]
    spread = statistics.stdev(margins) if len(margins) > 1 else 0.0
    apart = statistics.fmean(margins) / spread if spread else None
    return Evidence(lesson, statement, held, len(runs), left, sign, right, apart)


def write_csv(rows: Iterable[Evidence], path: Path) -> None:
    """Store the table, numbers to four digits."""
    columns = [field.name for field in fields(Evidence)]
    pd.DataFrame(map(asdict, rows), columns=columns).to_csv(path, index=False, float_format="%.4g", lineterminator="\n")


def read_csv(path: Path) -> list[Evidence]:
    """The table as it was stored; [] if there is none."""
    if not path.exists():
        return []
    table = pd.read_csv(path, dtype={"lesson": str, "claim": str}, keep_default_na=False, na_values="")
    return [Evidence(*row) for row in table.astype(object).where(table.notna(), None).itertuples(index=False)]


def weakest_first(rows: Iterable[Evidence]) -> list[Evidence]:
    """Those that failed most often, then those with the smallest margin, then those without one."""
    return sorted(rows, key=lambda row: (row.held / row.seeds, math.inf if row.deviations is None else row.deviations))


def summary(rows: Sequence[Evidence]) -> str:
    """How a lesson's claims fared, those apart that have no margin; its predictions do not count.

    >>> numbers = 1.0, ">", 0.0, 2.0
    >>> summary([Evidence("03", claim, 39, 40, *sides) for claim, sides in zip("abc", (numbers, numbers, ()))])
    '3 claims: the 2 that compare varying numbers held in 78 of 80 checks, the other 1 in 39 of 40'
    """
    claims = [row for row in rows if not row.claim.startswith(PREDICTION)]
    varying = [row for row in claims if row.deviations is not None]
    others = [row for row in claims if row.deviations is None]
    text = f"{len(claims)} claims: the {len(varying)} that compare varying numbers held in {_held(varying)} checks"
    return f"{text}, the other {len(others)} in {_held(others)}" if others else text


def _held(rows: Sequence[Evidence]) -> str:
    return f"{sum(row.held for row in rows):,} of {sum(row.seeds for row in rows):,}"


def update(lessons: Sequence[Path], seeds: Sequence[int], kept: Path, table: Path) -> list[str]:
    """Put what was measured of these lessons into the table, its page and their last cells.

    A lesson that comes to no claim at any seed keeps what was measured of it before.

    Args:
        lessons, seeds: what measure_all has measured.
        kept: the folder that it keeps them in.
        table: the CSV file; the page stands beside the lessons.

    Returns:
        A line for each seed at which a lesson did not come to its end.
    """
    rows = {lesson: list(part) for lesson, part in groupby(read_csv(table), lambda row: row.lesson)}
    failures = []
    for lesson in lessons:
        runs = [(seed, load(lesson, seed, kept)) for seed in seeds]
        failures += [f"{lesson.stem}, seed {seed}: {run.error}" for seed, run in runs if run and run.error]
        found = evidence(lesson.stem, [run for _, run in runs if run])
        if not found:
            continue
        rows[lesson.stem] = found
        notebook = read(lesson)
        others = [cell for cell in notebook["cells"] if cell.get("id") != "evidence"]
        notebook["cells"] = [*others, _text_cell(last_line(found))]
        write(lesson, as_text(notebook))
    ordered = [row for lesson in sorted(rows) for row in rows[lesson]]
    write_csv(ordered, table)
    cells = [_text_cell(page(read_csv(table)))]  # with the rounded numbers
    of_its_own = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    write(lessons[0].parent / EVIDENCE_PAGE, as_text(of_its_own))
    return failures


def last_line(rows: Sequence[Evidence]) -> str:
    """What stands at the end of a lesson."""
    seeds = max(row.seeds for row in rows)
    return (
        f"*Is this luck? This lesson makes {summary(rows)}. "
        f"At {seeds} seeds that no bound was tuned on: [claim by claim]({EVIDENCE_PAGE})*"
    )


def _text_cell(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "evidence", "metadata": {}, "source": text.splitlines(keepends=True)}


def page(rows: Sequence[Evidence]) -> str:
    """The table for readers, as Markdown."""
    lines = [
        "# How often each claim holds",
        "",
        "A claim is checked wherever its lesson runs, at one seed. Was that seed lucky? Here each lesson was executed",
        "at many seeds, none of which was used to tune a bound, and no two of which share a training run.",
        "(`warmup-course evidence` makes this page; the table behind it is docs/evidence.csv.)",
        "",
        *(f"- **{lesson[:2]}**: {summary(list(part))}" for lesson, part in groupby(rows, lambda row: row.lesson)),
        "",
        "Weakest first. *Margin*: by how many standard deviations, from seed to seed, the two sides lie apart. Where",
        "it is empty the sides are no numbers, or the same at every seed. A *prediction* holds where the measurement",
        "revealed the answer that is given here.",
        "",
        "| held | margin | left side | | right side | lesson | claim |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in weakest_first(rows):
        numbers = ["" if x is None else f"{x:.3g}" for x in (row.left, row.right)]
        margin = "" if row.deviations is None else f"{row.deviations:.1f}"
        cells = [f"{row.held}/{row.seeds}", margin, numbers[0], f"`{row.sign}`" if row.sign else "", numbers[1]]
        lines.append("| " + " | ".join([*cells, row.lesson[:2], row.claim.replace("|", "\\|")]) + " |")
    return "\n".join(lines)
