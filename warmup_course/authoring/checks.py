"""The checks of ``warmup-course test``: which there are, and how they are run."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from warmup_course import variables
from warmup_course.authoring.execution import CELL_TIMEOUT, ONE_CORE, checking, cores
from warmup_course.authoring.headless import find_chromium
from warmup_course.lesson_files import CommandError

Checks = dict[str, tuple[list[str], str]]  # name -> python -m command, device
PYTEST = ["pytest", "-q"]


def usual(lessons: Sequence[Path], fast: bool) -> Checks:
    """All but the slow ones; if fast, what starts no other programs."""
    checks: Checks = {
        "ruff check": (["ruff", "check", "."], "cpu"),
        "ruff format": (["ruff", "format", "--check", "."], "cpu"),
        "mypy": (["mypy", "-n", str(cores())], "cpu"),
    }
    if fast:
        return checks | {"unit tests": without_browser("not process and not slow")}
    checks["unit tests"] = without_browser("not slow")
    if find_chromium():
        checks["tests in JupyterLab"] = ([*PYTEST, "tests/browser", "-m", "not slow"], "cpu")
    return checks | nbval(lessons)


def slow() -> Checks:
    """What takes too long for every day."""
    checks: Checks = {"slow tests": without_browser("slow")}
    if find_chromium():  # JupyterLab and the site, each in a browser of its own
        side_by_side = ["-n", str(min(2, cores())), "--dist", "loadfile"]
        checks["slow tests in JupyterLab"] = ([*PYTEST, *side_by_side, "tests/browser", "-m", "slow"], "cpu")
    return checks


def without_browser(marks: str) -> tuple[list[str], str]:
    """The tests with these marks that drive no browser."""
    return [*PYTEST, "-n", str(cores()), "--ignore=tests/browser", "-m", marks], "cpu"


def of_lesson(lesson: Path) -> Checks:
    """Those of one lesson alone."""
    command = [*PYTEST, "tests/test_notebooks.py", "-m", "not slow", "-k", lesson.stem]
    return {"its tests": (command, "cpu")} | nbval([lesson])


def nbval(lessons: Sequence[Path]) -> Checks:
    """Each lesson executed and compared with what it shows, on each kind of device that there is."""
    import torch

    command = [*PYTEST, "--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}"]
    # A lesson's cells share one kernel, so they stay on one worker.
    command += ["-n", str(min(cores(), len(lessons))), "--dist", "loadfile", *map(str, lessons)]
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return {f"lessons ({device})": (command, device) for device in devices}


def run(checks: Checks, root: Path, junit: Path | None) -> list[str]:
    """Run all of them in the folder ``root``, even if one fails; the names of those that failed.

    Raises:
        CommandError: if a tool is missing.
    """
    tools = ("pytest", "nbval", "xdist", "pytest_rerunfailures", "ruff", "mypy")
    if missing := [name for name in tools if find_spec(name) is None]:
        install = 'python3 start.py test, or pip install -e ".[test]"'
        raise CommandError(f"the checks need {', '.join(missing)}: {install}")
    failed = []
    for name, (command, device) in checks.items():
        print(f"\n=== {name}", flush=True)
        begin = perf_counter()
        with checking():
            environment = os.environ | ONE_CORE | {variables.DEVICE: device}
            report = [f"--junitxml={junit / name}.xml"] if junit and command[0] == "pytest" else []
            if subprocess.run([sys.executable, "-m", *command, *report], cwd=root, env=environment).returncode:
                failed.append(name)
        print(f"--- {name}: {'FAILED' if name in failed else 'passed'}, {perf_counter() - begin:.0f} s", flush=True)
    return failed
