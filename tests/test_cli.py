"""The command warmup-course, with the course's folders replaced by small ones."""

import csv
import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest
from small_lessons import code, write_lesson
from waiting import wait_for

import warmup_course
from warmup_course import cli, lesson_files
from warmup_course.authoring import checks
from warmup_course.authoring.headless import TOKEN, jupyterlab
from warmup_course.classroom import store
from warmup_course.classroom.quiz import load

COMMANDS = ["lab", "restore", "progress", "site", "doctor", "run", "test", "refresh", "bench"]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of two lessons, the second with a claim on lr."""
    write_lesson(tmp_path / "notebooks/00_start_here.ipynb", code("print(seed)"))
    write_lesson(tmp_path / "notebooks/01_claim.ipynb", code("assert lr < 1, 'too high'"))
    write_lesson(tmp_path / "notebooks/glossary.ipynb")
    for name in ("notebooks", "workspace", "benchmarks"):
        monkeypatch.setattr(cli, "LESSONS" if name == "notebooks" else name.upper(), tmp_path / name)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that are run, with their environment; all fail."""
    recorded: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[Any], **options: Any) -> SimpleNamespace:
        recorded.append(([str(word) for word in command], options.get("env", {})))
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(subprocess, "run", run)
    return recorded


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_explains_and_shows_examples(command: str, capsys: pytest.CaptureFixture[str]):
    for line, said in (
        (["--help"], f"\n    {command} "),
        ([command, "--help"], f"examples:\n  warmup-course {command}"),
    ):
        with pytest.raises(SystemExit, match="0"):
            cli.main(line)
        assert said in capsys.readouterr().out


def test_help_names_what_one_has_typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """start.py runs the module."""
    monkeypatch.setattr(sys, "argv", ["cli.py", "demo", "--help"])
    with pytest.raises(SystemExit, match="0"):
        run_path(cli.__file__, run_name="__main__")
    typed = "py start.py" if cli.WINDOWS else "python3 start.py"
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {typed} demo [-h]")
    assert f"examples:\n  {typed} demo\n  {typed} demo schedule\n" in said


BAD_COMMAND_LINES = [
    *("", "labb", "''", "-x", "--verison"),
    *("lab --prot 1", "lab 03", "lab --server", "lab --server nowhere/jupyter", "lab --port"),
    *(f"lab --port {bad}" for bad in ("99999", "-1", "1e3", "''")),
    *(f"restore {bad}" for bad in ("", "--all", "9", "''", "00 01", "notebooks/../x", "/etc/passwd")),
    *(f"run {bad}" for bad in ("--fast", "--strict", "00 x", "99999999999999999999", "-- -1")),
    *(f"run {folder}/00_start_here.ipynb" for folder in ("workspace", "elsewhere", "/tmp")),
    *(f"run -p {bad}" for bad in ("", "seed", "sed 3", "'' 3")),
    *(f"run --out {bad}" for bad in ("", "''", "notebooks", "taken", "taken/folder")),
    *(f"run --jobs {bad}" for bad in ("0", "-1", "two")),
    *(f"run --junit {bad}" for bad in ("", "''", "notebooks", "taken/junit.xml")),
    "run --report notebooks",
    *(f"site {bad}" for bad in ("03", "--out taken", "--launch", "--launch https://example.org", "--launch {lesson}")),
    *(f"test {bad}" for bad in ("9", "00 01", "--quick", "--fast 00", "--fast --slow", "--junit", "--junit taken")),
    *(f"refresh {bad}" for bad in ("9", "-p seed 3", "workspace/00_start_here.ipynb")),
    *(f"progress {bad}" for bad in ("03", "--csv", "--csv taken", "--csv nowhere/answers.csv", "--csv ''")),
    "progress --csv x --reset",
    *("doctor --fix", "bench --fast", "bench speed"),
]


@pytest.mark.parametrize("line", BAD_COMMAND_LINES)
def test_bad_command_lines_are_refused_before_any_work(course, runs, monkeypatch, capsys, line):
    """One line, after at most two or three of usage (argparse's), and nothing started or written."""
    monkeypatch.chdir(course)
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(course / "learner"))
    monkeypatch.setattr(cli, "hand_over", runs.append)
    (course / "taken").write_text("a file")
    before = sorted(course.rglob("*"))
    try:
        status = cli.main(shlex.split(line))
    except SystemExit as stop:  # argparse's
        status = stop.code
    said = capsys.readouterr()
    assert (status, said.out, runs) == (2, "", [])
    assert said.err.splitlines()[-1].startswith("warmup-course")
    assert sum(not text.startswith(("usage:", " ")) for text in said.err.splitlines()) == 1
    assert sorted(course.rglob("*")) == before


def test_bench_names_the_scripts_that_there_are(course, capsys):
    assert cli.main(["bench"]) == 2
    assert "there is nothing to measure" in capsys.readouterr().err
    (course / "benchmarks").mkdir()
    (course / "benchmarks/quick.py").touch()
    assert cli.main(["bench", "speed"]) == 2
    assert capsys.readouterr().err == "warmup-course: NAME must be one of quick; got 'speed'\n"


def test_lab_starts_a_hubs_server_as_it_is_told_to(course, monkeypatch, capsys):
    handed: list[Any] = []
    monkeypatch.setattr(cli, "hand_over", lambda *what: handed.append(what))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    cli.main(["lab", "--server", sys.executable, "--port=8", "--no-browser", "-x"])
    assert handed == [([sys.executable, "--port=8", "--no-browser", "-x"], course / "workspace")]
    assert os.environ["JUPYTER_CONFIG_PATH"] == str(cli.PACKAGE / "jupyterlab_settings")


def test_a_wheel_sends_authors_to_a_clone(monkeypatch, capsys):
    monkeypatch.setattr(cli, "IN_CLONE", False)
    for command in ("test", "refresh", "evidence", "bench"):
        assert cli.main([command]) == 2
        told = f"warmup-course: {command} is for authors, and works in a clone of the course only\n"
        assert capsys.readouterr().err == told


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"warmup-course {warmup_course.__version__}\n"


@pytest.mark.parametrize("damage", [b"{", b"[]", b"\xff\xfe", b'{"cells": 3}', b'{"cells": [{}]}', b""])
def test_a_damaged_lesson_is_named_and_does_not_block_the_others(course, damage, monkeypatch, capsys):
    bad = course / "notebooks/01_claim.ipynb"
    bad.write_bytes(damage)
    monkeypatch.setattr(cli, "hand_over", lambda *_: 0)
    assert cli.main(["lab"]) == 0
    assert f"01_claim: left out. {bad} is damaged, it is no notebook" in capsys.readouterr().out
    assert {path.name for path in (course / "workspace").glob("*.ipynb")} == {"00_start_here.ipynb", "glossary.ipynb"}
    assert cli.main(["restore", "0"]) == 0
    capsys.readouterr()
    assert cli.main(["restore", "1"]) == 2
    assert capsys.readouterr().err.startswith(f"warmup-course: {bad} is damaged")


def test_a_workspace_that_cannot_be_written_is_named(course, capsys):
    (course / "workspace").write_text("a file")
    for command in (["lab"], ["restore", "0"]):
        assert cli.main(command) == 2
        said = capsys.readouterr().err
        place = course / "workspace"
        assert said.startswith(f"warmup-course: your copies of the lessons cannot be kept in {place} (File exists)")
        assert said.count("\n") == 1


@pytest.mark.process
def test_run_reports_each_lesson_and_the_failing_cell(course, capsys):
    (course / "there").mkdir()
    (course / "there/01_claim.ipynb").write_text("stale")
    assert cli.main(["run", "-p", "lr", "1.5", "-p", "seed", "3", "--out", str(course / "there")]) == 1
    begin, *lines = capsys.readouterr().out.splitlines()
    assert begin == f"Running 00_start_here, 01_claim; {min(cli.cores(), 2)} at once."
    assert not (course / "there/01_claim.ipynb").read_text("utf-8").startswith("stale")
    *told, end = sorted(lines)
    ended = [["00_start_here", "ok"], ["01_claim", "In [2]: AssertionError: too high"]]
    assert [line.split(maxsplit=3)[::3] for line in told] == ended
    assert end == f"1 of 2 lessons passed, 0 of 0 claims hold. Executed copies: {course / 'there'}"
    executed = json.loads((course / "there/00_start_here.ipynb").read_text("utf-8"))
    assert executed["cells"][-1]["outputs"][0]["text"] == ["3\n"]
    assert cli.main(["run", "1", "--out", str(course / "there")]) == 0


LESSON = """
class Lesson:  # as in a lesson, without what that imports
    standard = lr == 0.5
    def claim(self, statement, holds):
        pass
claim = Lesson().claim
"""
CLAIMS = [
    code(LESSON),
    code("for i in range(3):\n    claim(f'{i} is small', i < 2.5 - seed)\nclaim('and so on', True)"),
]


@pytest.mark.process
def test_run_counts_the_claims_and_fails_for_those_that_do_not_hold(course, capsys):
    """At any seed; at other numbers, they are shown."""
    lesson = write_lesson(course / "notebooks/00_start_here.ipynb", *CLAIMS)
    run = ["run", "0", "--out", str(course / "there"), "--jobs", "1"]
    assert cli.main([*run, "-p", "seed", "1"]) == 1
    _, line, unheld, end = capsys.readouterr().out.splitlines()
    assert line.split(maxsplit=3)[3] == "FAILED, 3 of 4 claims hold"
    assert unheld.strip() == "does not hold: 2 is small (2 < 1.5)"
    assert end.startswith("0 of 1 lessons passed, 3 of 4 claims hold. Executed copies: ")
    assert cli.main([*run, "-p", "seed", "1", "-p", "lr", "1"]) == 0
    _, line, unheld, end = capsys.readouterr().out.splitlines()
    assert line.split(maxsplit=3)[3] == "ok, 3 of 4 claims hold"
    assert unheld.strip() == "does not hold at these settings: 2 is small (2 < 1.5)"
    assert end.startswith("1 of 1 lessons passed, 3 of 4 claims hold")
    write_lesson(lesson, *CLAIMS, code("claim('never', 2 > 3)"))
    before = lesson.read_text("utf-8")
    assert cli.main(["refresh", "0"]) == 1
    assert "FAILED, 4 of 5 claims hold\n" in capsys.readouterr().out
    assert lesson.read_text("utf-8") == before


@pytest.mark.process
def test_a_device_that_is_not_there_stops_no_command_that_trains_nothing():
    both = "from warmup_course.cli import main\nstatus = main(['progress']), main(['doctor'])\nprint(*status)"
    environment = os.environ | {"WARMUP_COURSE_DEVICE": "cuda:99"}
    ended = subprocess.run([sys.executable, "-c", both], env=environment, capture_output=True, text=True)
    assert (ended.stdout.splitlines()[-1], ended.stderr) == ("0 1", "")
    assert ended.stdout.count("✘ WARMUP_COURSE_DEVICE is 'cuda:99'") == 1


STOPPED = """
import os, pathlib, time
folder = pathlib.Path({folder!r})
def hold(name):
    (folder / f"{{name}}{{os.getpid()}}").touch()
    time.sleep(100)
"""
IN_WORKERS = """
import joblib
(folder / f"kernel{os.getpid()}").touch()
joblib.Parallel(n_jobs=2)(joblib.delayed(hold)("worker") for _ in range(2))
"""


def lives(pid: int) -> bool:
    """Whether there is such a process. One that has ended, and nobody has asked how, is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("command", "stop", "status"),
    [("run", signal.SIGINT, 130), ("run", signal.SIGTERM, 143), ("refresh", signal.SIGINT, 130)],
)
def test_what_is_stopped_ends_at_once_and_leaves_nothing(course, tmp_path, command, stop, status):
    """The lessons that wait do not run, those that run end with their kernels and workers, and no file stays of them.

    The reports say so, and what ended before is as it was.
    """
    first = code(STOPPED.format(folder=str(course)))
    for name, *cells in [("01_claim", code("hold('kernel')")), ("02_long", code("hold('kernel')"))]:
        write_lesson(course / f"notebooks/{name}.ipynb", first, *cells)
    write_lesson(course / "notebooks/03_workers.ipynb", first, code(IN_WORKERS))
    write_lesson(course / "notebooks/04_ends.ipynb", code("print('the end')"))
    left = [tmp_path / "temporary", tmp_path / "runtime"]
    for folder in left:
        folder.mkdir()
    arguments = [command, "1", "2", "3", "4"]
    if command == "run":
        arguments += ["--jobs", "2", "--out", str(course / "there"), "--junit", str(course / "junit.xml")]
    start = (
        "import sys; from pathlib import Path; from warmup_course import cli\n"
        f"cli.LESSONS = Path({str(course / 'notebooks')!r}); cli.cores = lambda: 2\n"
        f"sys.exit(cli.main({arguments!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        env=os.environ | {"TMPDIR": str(left[0]), "JUPYTER_RUNTIME_DIR": str(left[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def counted(name: str) -> int:
        return len(list(course.glob(f"{name}[0-9]*")))

    wait_for(lambda: process.poll() is not None or counted("kernel") == counted("worker") == 2, seconds=90)
    assert process.poll() is None
    process.send_signal(stop)
    time.sleep(0.3)
    process.send_signal(stop)  # by somebody impatient
    said, _ = process.communicate(timeout=60)  # some 2 s where the machine does nothing else
    assert process.returncode == status
    assert "Traceback" not in said
    kernels = list(course.glob("kernel*"))
    assert len(kernels) == 2  # the waiting one never began
    time.sleep(0.5)  # for joblib's tracker, which outlives the workers
    for path in [*kernels, *course.glob("worker*")]:
        assert not lives(int(re.sub(r"\D", "", path.name)))
    assert [path for folder in left for path in folder.iterdir()] == []
    assert [path for kernel in kernels for path in Path("/dev/shm").glob(f"*-{kernel.name[6:]}-*")] == []
    if command == "run":
        assert "the end" in (course / "there/04_ends.ipynb").read_text("utf-8")
        cases = ElementTree.parse(course / "junit.xml").findall("testsuite/testcase")
        assert [len(case) for case in cases] == [1, 1, 1, 0]
        assert cases[0][0].get("message") == "stopped before its end"


@pytest.mark.process
def test_refresh_stores_what_ran_and_leaves_what_failed(course, capsys):
    bad = write_lesson(course / "notebooks/02_bad.ipynb", code("1 / 0"))
    before = bad.read_text("utf-8")
    assert cli.main(["refresh"]) == 1
    told = [line.split(maxsplit=3)[3] for line in sorted(capsys.readouterr().out.splitlines())]
    assert told == ["changed", "changed", "In [2]: ZeroDivisionError: division by zero"]
    assert bad.read_text("utf-8") == before
    assert cli.main(["refresh", "00"]) == 0
    assert capsys.readouterr().out.endswith("as it was\n")


def test_restore_says_where_the_old_copy_is(course, capsys):
    assert cli.main(["restore", "1"]) == 0
    assert capsys.readouterr().out == "workspace/01_claim.ipynb is fresh.\n"
    (course / "workspace/01_claim.ipynb").write_text("mine")
    assert cli.main(["restore", "1"]) == 0
    assert capsys.readouterr().out.endswith("Yours is kept as 01_claim.yours-1.ipynb.\n")


def test_a_workspace_elsewhere_is_told_with_its_path(course, monkeypatch, capsys):
    monkeypatch.setattr(cli, "hand_over", lambda *_: 0)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    assert cli.main(["lab"]) == 0
    assert "JupyterLab starts in workspace/." in capsys.readouterr().out
    mine = course / "elsewhere/workspace"
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", str(mine))
    assert cli.main(["lab"]) == 0
    assert f"JupyterLab starts in {mine}/." in capsys.readouterr().out
    assert cli.main(["restore", "1"]) == 0
    assert capsys.readouterr().out == f"{mine}/01_claim.ipynb is fresh.\n"


@pytest.mark.parametrize("place", ["workspace", "elsewhere", "earlier"])
def test_run_leaves_the_learners_copies_alone(course, monkeypatch, capsys, place):
    """Those in the usual folder, in the one of the variable, and in one that once was that."""
    if place != "workspace":
        monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", str(course / place))
    assert cli.main(["restore", "1"]) == 0
    if place == "earlier":
        monkeypatch.delenv("WARMUP_COURSE_WORKSPACE")
    mine = course / place / "01_claim.ipynb"
    mine.write_text("mine")
    capsys.readouterr()
    monkeypatch.chdir(course)
    assert cli.main(["run", "1", "--out", place]) == 2
    told = f"--out must not be a folder of your copies, which stay as you left them; got {mine.parent}\n"
    assert capsys.readouterr() == ("", f"warmup-course: {told}")
    assert mine.read_text() == "mine"


def test_run_makes_no_workspace_of_lessons_with_their_outputs(course, monkeypatch, capsys):
    monkeypatch.delenv("WARMUP_COURSE_WORKSPACE", raising=False)
    assert cli.main(["run", "1", "--out", str(course / "workspace")]) == 2
    assert not (course / "workspace").exists()
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", "mine")
    assert cli.main(["run", "1", "--out", str(course / "there")]) == 2
    assert "WARMUP_COURSE_WORKSPACE must be a full path" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["run --out closed/x", "run --junit closed/x", "run --report closed/x", "handout --out closed/x"]
)
def test_a_folder_that_one_may_not_look_into_is_one_line(course, runs, monkeypatch, capsys, line):
    """Permissions do not bind root, so the system's answer is given here."""

    def closed(call):
        def refuse(path, *arguments, **options):
            if str(path).startswith(str(course / "closed/")):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *arguments, **options)

        return refuse

    (course / "closed").mkdir()
    for name in ("stat", "lstat", "mkdir", "open"):
        monkeypatch.setattr(os, name, closed(getattr(os, name)))
    monkeypatch.setattr(io, "open", closed(open))
    monkeypatch.setattr("warmup_course.authoring.handout.find_chromium", lambda: None)
    monkeypatch.setattr("warmup_course.authoring.handout.handout", lambda *_: "")
    monkeypatch.chdir(course)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("warmup-course: ")
    assert "Permission denied" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("option", ["class x.csv --out", "run --out", "run --junit"])
def test_what_may_not_be_blank_is_named_by_its_option(course, option, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([*option.split(), ""])
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"argument --(out|junit): must be a (folder|file in a folder); got ''$", last)


def test_every_check_runs_even_if_all_fail(course, runs, capsys, monkeypatch):
    monkeypatch.setattr(checks, "find_chromium", lambda: "/usr/bin/chromium")
    assert cli.main(["test"]) == 1
    *units, browser, lessons = [" ".join(command[2:]) for command, _ in runs if "cuda" not in _["WARMUP_COURSE_DEVICE"]]
    unit_tests = f"pytest -q -n {cli.cores()} --ignore=tests/browser -m not slow"
    assert units == ["ruff check .", "ruff format --check .", f"mypy -n {cli.cores()}", unit_tests]
    assert browser == "pytest -q tests/browser -m not slow"  # in one process
    assert "--nbval-lax --nbval-current-env --nbval-cell-timeout=300" in lessons
    assert "--dist loadfile" in lessons
    assert lessons.endswith(f"{course / 'notebooks/00_start_here.ipynb'} {course / 'notebooks/01_claim.ipynb'}")
    assert {(env["OMP_NUM_THREADS"], env["LOKY_MAX_CPU_COUNT"]) for _, env in runs} == {("1", "1")}
    said = capsys.readouterr().out
    assert "FAILED: ruff check, ruff format, mypy, unit tests, tests in JupyterLab, lessons (cpu)" in said
    assert "left out" not in said


@pytest.mark.process
def test_what_was_too_slow_is_tried_once_more_and_what_was_wrong_is_not(tmp_path):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.process\n"
        "tried = []\n"
        "def test_slow():\n    tried.append(1)\n    if len(tried) < 2: raise TimeoutError('30 s')\n"
        "def test_too_slow():\n    raise TimeoutError('30 s')\n"
        "def test_wrong():\n    assert 1 == 2\n"
    )
    command = [sys.executable, "-m", *checks.PYTEST, "-p", "no:cacheprovider", "-o", "markers=process", "test_it.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "2 failed, 1 passed, 2 rerun in" in ended.stdout


def test_without_a_chromium_the_checks_go_on_and_say_so(course, runs, capsys, monkeypatch):
    monkeypatch.setattr(checks, "find_chromium", lambda: None)
    cli.main(["test"])
    assert not any("tests/browser" in command for command, _ in runs)
    assert any("--nbval-lax" in command for command, _ in runs)
    assert "The tests in JupyterLab were left out: there is no Chromium here.\n" in capsys.readouterr().out


def test_fast_leaves_out_the_lessons(course, runs):
    cli.main(["test", "--fast"])
    assert not any("nbval" in word or word == "tests/browser" for command, _ in runs for word in command)
    assert runs[-1][0][-2:] == ["-m", "not process and not slow"]


def test_slow_is_what_the_others_leave_out(course, runs, monkeypatch):
    monkeypatch.setattr(checks, "find_chromium", lambda: "/usr/bin/chromium")
    cli.main(["test", "--slow"])
    assert {" ".join(command[-2:]) for command, _ in runs} == {"-m slow"}
    assert ["tests/browser" in command for command, _ in runs] == [False, True]


def test_one_lesson_is_checked_alone(course, runs):
    cli.main(["test", "1"])
    assert {command[-1] for command, _ in runs} == {"01_claim", str(course / "notebooks/01_claim.ipynb")}


def test_each_check_of_pytest_writes_its_own_junit_file(course, runs, monkeypatch):
    monkeypatch.setattr(checks, "find_chromium", lambda: "/usr/bin/chromium")
    cli.main(["test", "--junit", str(course / "reports")])
    written = [command[-1] for command, _ in runs if command[2] == "pytest"]
    assert len(set(written)) == len(written) >= 3
    assert f"--junitxml={course / 'reports'}/unit tests.xml" in written
    assert not any("junit" in word for command, _ in runs if command[2] != "pytest" for word in command)


def test_checks_say_what_they_need(course, monkeypatch, capsys):
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "nbval" else name)
    assert cli.main(["test"]) == 2
    told = 'warmup-course: the checks need nbval: python3 start.py test, or pip install -e ".[test]"\n'
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("page", ["glossary", "evidence"])
@pytest.mark.parametrize("command", ["test", "evidence"])
def test_there_is_nothing_to_check_or_measure_of_a_page_without_code(course, runs, command, page, capsys):
    write_lesson(course / "notebooks/evidence.ipynb")
    assert cli.main([command, page]) == 2
    told = f"warmup-course: LESSON must be a lesson; got {page!r}, a page without code\n"
    assert (capsys.readouterr(), runs) == (("", told), [])


def test_bench_runs_the_scripts_and_passes_their_failure_on(course):
    (course / "benchmarks").mkdir()
    (course / "benchmarks/quick.py").write_text("from pathlib import Path; Path(__file__ + '.ran').touch()")
    (course / "benchmarks/slow.py").write_text("raise SystemExit(3)")
    assert cli.main(["bench", "quick"]) == 0
    assert (course / "benchmarks/quick.py.ran").exists()
    assert cli.main(["bench"]) == 3
    (course / "benchmarks/slow.py").write_text("import os; os.kill(os.getpid(), 9)")
    assert cli.main(["bench"]) == 9


# ---- the learner's answers ------------------------------------------------------------------------------------------


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of a learner with two answers."""
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "learner"))
    monkeypatch.chdir(tmp_path)
    store.record("03_linear_warmup", "question", "lr-of-batch-60", 'about 0.006, or "so"', "right")
    store.record("03_linear_warmup", "exercise", "03_linear_ramp", "≈ 0.05", "done")
    return store.path()


RECORD = "from warmup_course.classroom import store\nstore.record('00', 'question', 'q', 'a', 'right'), store.path()"


@pytest.mark.process
def test_executing_lessons_leaves_the_learners_answers_alone(course, answers, capsys):
    lesson, before = course / "notebooks/00_start_here.ipynb", answers.read_bytes()
    write_lesson(lesson, code(RECORD))
    assert cli.main(["run", "0", "--out", "there"]) == 0
    assert (answers.read_bytes(), store.path()) == (before, answers)
    executed = json.loads((course / "there/00_start_here.ipynb").read_text("utf-8"))
    shown = "".join(executed["cells"][-1]["outputs"][0]["data"]["text/plain"])
    assert "progress.sqlite3" in shown  # it did keep an answer, elsewhere
    assert str(answers) not in shown
    write_lesson(lesson, code(f"import os\nprint(os.environ['WARMUP_COURSE_HOME'])\n{RECORD}"))
    assert cli.main(["refresh", "0"]) == 0
    assert (answers.read_bytes(), store.path()) == (before, answers)
    [home] = json.loads(lesson.read_text("utf-8"))["cells"][-1]["outputs"][0]["text"]
    assert str(answers.parent) not in home


def test_checks_run_without_the_learners_answers(course, answers, runs):
    cli.main(["test"])
    homes = {environment["WARMUP_COURSE_HOME"] for _, environment in runs}
    assert len(homes) == len(runs)
    assert str(answers.parent) not in homes
    assert not any(Path(home).exists() for home in homes)
    assert store.path() == answers


@pytest.mark.process
def test_without_the_variable_none_is_left_behind(course, monkeypatch):
    monkeypatch.delenv("WARMUP_COURSE_HOME")
    assert cli.main(["run", "0", "--out", str(course / "there")]) == 0
    assert "WARMUP_COURSE_HOME" not in os.environ


def test_progress_prints_the_table_and_where_the_answers_are(answers, capsys):
    assert cli.main(["progress"]) == 0
    header, *rows, _, totals, place = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["lesson", "questions"]
    assert [row.split()[0] for row in rows] == [*(lesson.stem for lesson in lesson_files.find(cli.LESSONS)), "final"]
    assert f"0 of {len(rows)} done, about " in totals
    assert place == f"Your answers are kept in {answers}"


def test_answers_are_written_into_a_new_file_only(answers, capsys):
    assert cli.main(["progress", "--csv", "mine.csv"]) == 0
    assert capsys.readouterr().out == "Your answers are in mine.csv.\n"
    with open("mine.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["answer"], row["state"]) for row in rows] == [('about 0.006, or "so"', "right"), ("≈ 0.05", "done")]

    written = Path("mine.csv").read_bytes()
    store.record("03_linear_warmup", "exercise", "03_linear_ramp", "x", "done")
    assert cli.main(["progress", "--csv", "mine.csv"]) == 2
    assert capsys.readouterr().err == "warmup-course: FILE must be a new one; mine.csv exists\n"
    assert Path("mine.csv").read_bytes() == written


def test_answers_can_be_printed(answers, capsys):
    assert cli.main(["progress", "--csv", "-"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert [row[4] for row in rows] == ["answer", 'about 0.006, or "so"', "≈ 0.05"]


def test_a_console_of_few_letters_loses_none_of_the_answers(answers, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", console)
        assert cli.main(["progress", "--csv", "-"]) == 0
    assert cli.main(["progress", "--csv", "mine.csv"]) == 0
    assert console.buffer.getvalue() == Path("mine.csv").read_bytes()


@pytest.mark.parametrize("typed", ["yes", " yes \n"])
def test_reset_removes_after_a_yes(answers, capsys, monkeypatch, typed):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert cli.main(["progress", "--reset"]) == 0
    said = capsys.readouterr().out
    assert "This removes all your answers, 2 of them." in said
    assert "To keep a copy: warmup-course progress --csv answers.csv" in said
    assert said.endswith("Type yes to remove them: They are removed.\n")
    assert store.events() == []
    assert cli.main(["progress", "--reset"]) == 0
    assert capsys.readouterr().out == "There are no answers to remove.\n"


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "no\n", "yes please\n"])
def test_reset_removes_nothing_without_a_yes(answers, capsys, monkeypatch, typed):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert cli.main(["progress", "--reset"]) == 0
    assert capsys.readouterr().out.endswith("Nothing is removed.\n")
    assert len(store.events()) == 2


@pytest.mark.parametrize("options", [[], ["--reset"], ["--csv", "mine.csv"]])
def test_what_is_wrong_with_the_answers_is_one_line(answers, capsys, options):
    content = answers.read_bytes()
    answers.write_bytes(content[:60] + (2).to_bytes(4, "big") + content[64:])
    assert cli.main(["progress", *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"warmup-course: `{answers}` was written by a newer version")
    assert "the lesson goes on" not in said.err  # there is none here
    assert said.err.count("\n") == 1
    assert not Path("mine.csv").exists()


@pytest.mark.parametrize("options", [[], ["--csv", "mine.csv"]])
def test_what_was_mended_is_one_line_beside_what_is_left(answers, capsys, options):
    answers.write_bytes(b"\xaa" * 4096 + answers.read_bytes()[4096:])
    assert cli.main(["progress", *options]) == 0
    said = capsys.readouterr()
    assert said.out != ""
    assert said.err.startswith(f"warmup-course: `{answers}` was damaged. 2 answers could still be read.")
    assert said.err.count("\n") == 1


def test_a_broken_quiz_is_named(answers, tmp_path, monkeypatch, capsys):
    quiz = sys.modules[load.__module__]
    quizzes = tmp_path / "quizzes"
    shutil.copytree(quiz.QUIZZES, quizzes)
    monkeypatch.setattr(quiz, "QUIZZES", quizzes)
    for damage in (b"title: [", b"3", b"title: x", b"\xff\xfe\x00"):
        (quizzes / "03_linear_warmup.yaml").write_bytes(damage)
        quiz.read.cache_clear()
        assert cli.main(["progress"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"warmup-course: {quizzes / '03_linear_warmup.yaml'} is damaged: ")
        assert said.count("\n") == 1
    quiz.read.cache_clear()


@pytest.mark.parametrize("wanted", ["1", "4"])
def test_a_learners_kernels_have_one_thread_unless_the_learner_says_otherwise(course, wanted, monkeypatch):
    monkeypatch.setattr(cli, "hand_over", lambda *_: 0)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    if wanted == "1":
        monkeypatch.delenv("OMP_NUM_THREADS")
    assert cli.main(["lab"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == wanted


# ---- the real JupyterLab --------------------------------------------------------------------------------------------


@pytest.mark.process
def test_lab_serves_the_lessons_and_asks_nobody_for_news(course, tmp_path):
    """It serves lesson 00 without outputs, opens on it, and has the settings that keep it from calling out."""
    with jupyterlab(course / "notebooks", tmp_path / "served") as address:

        def get(path: str) -> Any:
            request = urllib.request.Request(address + path, headers={"Authorization": f"token {TOKEN}"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.url if path == "" else json.load(answer)

        assert get("").removeprefix(address) == "lab/tree/00_start_here.ipynb"
        names = {entry["name"] for entry in get("api/contents")["content"]}
        assert names == {"00_start_here.ipynb", "01_claim.ipynb", "glossary.ipynb"}
        cells = get("api/contents/00_start_here.ipynb")["content"]["cells"]
        assert all(cell["outputs"] == [] for cell in cells)
        settings = get("lab/api/settings/@jupyterlab/apputils-extension:notification")["schema"]["properties"]
        assert settings["fetchNews"]["default"] == "false"
        assert settings["checkForUpdates"]["default"] is False
        sockets = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # an earlier test's, which has just ended
                sockets += process.net_connections("inet")
        heard = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
        assert heard, "the server listens somewhere"
        assert heard <= {"127.0.0.1", "::1"}
    assert "pre_save_hook" not in (tmp_path / "served" / "log").read_text("utf-8")
