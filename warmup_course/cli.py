"""The command warmup-course: open, execute, check and maintain the lessons."""

import argparse
import inspect
import io
import os
import shutil
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import warmup_course
from warmup_course import lesson_files, variables
from warmup_course.authoring import checks
from warmup_course.authoring.execution import ONE_CORE, ONE_THREAD, Execution, checking, cores, execute_all
from warmup_course.lesson_files import IN_CLONE, LESSONS, PACKAGE, CommandError

# What is written goes beside the lessons in a clone, and into the current folder where the course came as a wheel.
ROOT = PACKAGE.parent if IN_CLONE else Path.cwd()
WORKSPACE = ROOT / ("workspace" if IN_CLONE else "warmup_course_workspace")
BENCHMARKS = ROOT / "benchmarks"
WINDOWS = sys.platform == "win32"
# What one types. start.py runs this file, and whoever starts with that has no warmup-course on the path.
PROGRAM = f"{'py' if WINDOWS else 'python3'} start.py" if __name__ == "__main__" else "warmup-course"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = make_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without a tick, as on Windows
    try:
        if not IN_CLONE and options.command in (test, refresh, evidence, bench):
            raise CommandError(f"{options.command.__name__} is for authors, and works in a clone of the course only")
        with stopped_once():
            status: int = options.command(options)
    except (CommandError, OSError) as error:
        print(f"warmup-course: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("warmup-course: stopped", file=sys.stderr)
        return 130
    return status


@contextmanager
def stopped_once() -> Iterator[None]:
    """Ctrl-C or SIGTERM stops what is done here; a second one does not keep it from clearing away what it leaves."""
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: object) -> None:
        for each in earlier:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(143)

    try:
        for number, handler in earlier.items():
            if handler is not signal.SIG_IGN:  # as in the background of a shell
                signal.signal(number, stop)
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=__doc__, epilog=f"Each command explains itself: {PROGRAM} lab --help"
    )
    parser.add_argument("--version", action="version", version=f"warmup-course {warmup_course.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        text = (inspect.getdoc(command) or "").replace("warmup-course ", f"{PROGRAM} ")
        added: argparse.ArgumentParser = commands.add_parser(
            command.__name__.rstrip("_"),  # class is a word of Python's own
            help=text.partition("\n")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=command)
        return added

    several: dict[str, Any] = {"nargs": "*", "metavar": "LESSON", "help": "its number or name; all if there is none"}

    command = add(lab)
    command.add_argument("--no-browser", action="store_true", help="open no browser")
    command.add_argument("--port", type=port, metavar="N", help="usually 8888, or the next one that is free")
    command.add_argument(
        "--server", nargs=argparse.REMAINDER, metavar="COMMAND", help="what a hub starts instead, with its own options"
    )

    command = add(restore)
    command.add_argument("lesson", metavar="LESSON", help="its number or name")

    command = add(progress)
    either = command.add_mutually_exclusive_group()
    either.add_argument("--csv", metavar="FILE", help="write all answers into a new file (- prints them)")
    either.add_argument("--reset", action="store_true", help="remove all answers, after asking")

    command = add(class_)
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what progress --csv wrote, one a learner")
    command.add_argument(
        "--out", type=file, default="class.html", metavar="PAGE", help="where the page goes (class.html)"
    )

    command = add(handout)
    command.add_argument("lessons", **several)
    command.add_argument("--answers", action="store_true", help="with what was measured, and the key")
    command.add_argument("--out", type=folder, default="handouts", metavar="DIR", help="where (handouts/)")

    command = add(demo)
    command.add_argument("lab", nargs="?", metavar="LAB", help="its name; lists them if there is none")
    command.add_argument("--no-browser", action="store_true", help="open no browser, print the address")

    command = add(slides)
    command.add_argument("lessons", **several)
    command.add_argument("--out", type=folder, default="slides", metavar="DIR", help="where (slides/)")

    command = add(site)
    command.add_argument("--out", type=folder, default="site", metavar="DIR", help="where (site/)")
    command.add_argument(
        "--launch",
        type=address,
        metavar="URL",
        help="what opens a lesson in Jupyter, with {lesson} for its name: each lesson gets a link to it",
    )

    add(doctor)

    command = add(run)
    command.add_argument("lessons", **several)
    command.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a value for a variable of the lesson's first code cell",
    )
    command.add_argument(
        "--out", type=folder, default=ROOT / "executed", metavar="DIR", help="where the executed copies go (executed/)"
    )
    command.add_argument("--jobs", type=count, metavar="N", help="how many run at once; by default, one on each core")
    command.add_argument("--junit", type=file, metavar="FILE", help="write a JUnit file, with a case for each claim")
    command.add_argument("--report", type=file, metavar="FILE", help="write a page (HTML) of what held and what failed")

    command = add(test)
    which = command.add_mutually_exclusive_group()
    which.add_argument("--fast", action="store_true", help="leave out what starts other programs, such as kernels")
    which.add_argument("--slow", action="store_true", help="only what takes too long for every day")
    which.add_argument("lesson", nargs="?", metavar="LESSON", help="check this lesson only")
    command.add_argument("--junit", type=folder, metavar="DIR", help="write a JUnit file of each check of pytest's")

    command = add(refresh)
    command.add_argument("lessons", **several)

    command = add(evidence)
    command.add_argument("lessons", **several)
    command.add_argument("--seeds", type=count, default=40, metavar="N", help="how many (40)")

    command = add(bench)
    command.add_argument("name", nargs="?", metavar="NAME", help="one script; all if there is none")
    return parser


def port(text: str) -> int:
    """A number of a port; 0 is any that is free."""
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"N must be a whole number from 0 to 65535; got {text!r}")
    return int(text)


def folder(text: str) -> Path:
    """A folder, which need not be there yet."""
    if not text or (os.path.exists(text) and not os.path.isdir(text)):  # both False where one may not look
        raise argparse.ArgumentTypeError(f"must be a folder; got {text!r}")
    return Path(text).resolve()


def file(text: str) -> Path:
    """A file to be written, whose folder need not be there yet."""
    path = Path(text).resolve()
    blocked = any(os.path.exists(parent) and not os.path.isdir(parent) for parent in path.parents)
    if not text or os.path.isdir(path) or blocked:
        raise argparse.ArgumentTypeError(f"must be a file in a folder; got {text!r}")
    return path


def address(text: str) -> str:
    """An address on the web, of each lesson."""
    if not (text.startswith(("https://", "http://")) and "{lesson}" in text):
        raise argparse.ArgumentTypeError(
            f"URL must begin with https:// or http:// and have {{lesson}} in it; got {text!r}"
        )
    return text


def count(text: str) -> int:
    """A number from 1 on."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"N must be a whole number from 1 on; got {text!r}")
    return int(text)


def lab(options: argparse.Namespace) -> int:
    """Open the lessons in JupyterLab.

    Copies the lessons, without their outputs, into the folder workspace/ and opens them there. What you change stays:
    your copy of a lesson is never overwritten. Where no browser opens, follow the address that is printed.
    Where the course is shared and read-only, they go to warmup_course/ in your home folder; the variable
    WARMUP_COURSE_WORKSPACE puts them into a folder of your choice.

    examples:
      warmup-course lab
      warmup-course lab --no-browser --port 8899
      warmup-course lab --server jupyterhub-singleuser
      warmup-course lab --server jupyter notebook
    """
    if options.server == []:
        raise CommandError("--server needs a COMMAND, such as jupyterhub-singleuser")
    if options.server and shutil.which(options.server[0]) is None:
        raise CommandError(f"--server: there is no program {options.server[0]!r} on this machine's PATH")
    workspace = lesson_files.workspace(WORKSPACE)
    for line in lesson_files.fill_workspace(lesson_files.pages(LESSONS), workspace):
        print(line)
    loud = ["--log-level=ERROR", "--LabApp.log_level=ERROR"]
    command = options.server or [sys.executable, "-P", "-m", "jupyterlab", *loud]
    if not options.server:
        print(f"JupyterLab starts in {named(workspace)}/. Ctrl-C here ends it.", flush=True)
        command += ["--no-browser"] * options.no_browser
        if options.port is not None:
            command += [f"--port={options.port}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in many containers; Jupyter wants to be told
            command += ["--allow-root"]
    # The lessons' models are small: a second thread costs more than it gains, above all on a busy machine.
    os.environ.update(ONE_THREAD | os.environ)
    # With the settings there any server opens lesson 00. They stand beside the user's own, not instead of them.
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        [str(PACKAGE / "jupyterlab_settings"), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    )
    return hand_over(command, workspace)


def restore(options: argparse.Namespace) -> int:
    """Bring a fresh copy of a lesson.

    Puts the lesson as it was shipped into workspace/. If you had changed yours, it is kept beside it, under a name such
    as 03_linear_warmup.yours-1.ipynb.

    examples:
      warmup-course restore 03
      warmup-course restore 03_linear_warmup
    """
    [lesson] = lesson_files.find(LESSONS, [options.lesson])
    workspace = lesson_files.workspace(WORKSPACE)
    kept = lesson_files.restore(lesson, workspace)
    print(f"{named(workspace)}/{lesson.name} is fresh." + (f" Yours is kept as {kept.name}." if kept else ""))
    return 0


def progress(options: argparse.Namespace) -> int:
    """Show what you have done, and what is left.

    Counts the answers that the lessons keep on this machine, in a file that is named below the table. The variable
    WARMUP_COURSE_HOME moves that file into a folder of your choice.

    examples:
      warmup-course progress
      warmup-course progress --csv answers.csv
      warmup-course progress --reset
    """
    from warmup_course.classroom import store
    from warmup_course.classroom.progress import as_text, summary

    try:
        if options.csv is not None:
            write_answers(options.csv)
        elif options.reset:
            remove_answers()
        else:
            print(f"{as_text(summary())}\nYour answers are kept in {store.path()}")
        for told in store.news():
            print(f"warmup-course: {told}", file=sys.stderr)
    except store.StoreError as error:
        raise CommandError(f"{error.problem}. {error.advice}") from error
    except ValueError as error:  # of a quiz's file
        raise CommandError(str(error)) from error
    return 0


def write_answers(name: str) -> None:
    from warmup_course.classroom import store

    text = io.StringIO()
    store.export_csv(text)  # first, so that a store that cannot be read leaves no file
    if name == "-":
        sys.stdout.buffer.write(text.getvalue().encode())  # the same bytes as in a file, whatever the console knows
        sys.stdout.flush()
        return
    try:
        with open(name, "x", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
    except FileExistsError:
        raise CommandError(f"FILE must be a new one; {name} exists") from None
    print(f"Your answers are in {name}.")


def remove_answers() -> None:
    from warmup_course.classroom import store

    count = len(store.events())
    if not count:
        print("There are no answers to remove.")
        return
    print(f"This removes all your answers, {count} of them. To keep a copy: {PROGRAM} progress --csv answers.csv")
    try:
        answer = input("Type yes to remove them: ")
    except EOFError:
        answer = ""
        print()
    if answer.strip() == "yes":
        store.reset()
        print("They are removed.")
    else:
        print("Nothing is removed.")


def class_(options: argparse.Namespace) -> int:
    """For teachers: one page of a class's answers.

    Merges the files that learners chose to hand in, each written by: warmup-course progress --csv answers.csv
    Such a file holds answers and times, and no name. The page shows which predictions split the class, and which
    questions went wrong, with which answer. A damaged file is named and skipped.

    example:
      warmup-course class answers/*.csv
    """
    from warmup_course.classroom import overview

    # Not every shell replaces a pattern by what it stands for.
    files = []
    for given in options.files:
        names = [] if given.exists() else sorted(glob(given.name, root_dir=given.parent))
        files += [given.parent / name for name in names] or [given]
    learners, skipped = overview.merged(files)
    for file, why in skipped.items():
        print(f"Skipped: {file} {why}", file=sys.stderr)
    if not learners:
        raise CommandError("none of the files has answers")
    lesson_files.check_replaceable("--out", options.out, overview.MARK)
    lesson_files.write(options.out, overview.page(learners, skipped))
    print(f"{len(learners)} learners are in {options.out}." if len(learners) > 1 else f"1 learner is in {options.out}.")
    return 0


def handout(options: argparse.Namespace) -> int:
    """For teachers: two pages to print of each lesson.

    The first has its predictions, with a line to write on; the second its figures, to be put into words, and its quiz.
    They are PDF where there is a Chromium to print them, else HTML that a browser prints.

    examples:
      warmup-course handout 03
      warmup-course handout 03 --answers
    """
    from warmup_course.authoring.handout import write_handout

    for lesson in lesson_files.find(LESSONS, options.lessons):
        print(write_handout(lesson, options.out, options.answers))
    return 0


def demo(options: argparse.Namespace) -> int:
    """For teachers: one lab alone, as large as the browser's window.

    The lab is that of its lesson, with the moments that are prepared for it: n shows the next one's question and hides
    the result, h shows it, ? lists all keys. Without LAB, lists the labs.

    examples:
      warmup-course demo
      warmup-course demo schedule
    """
    from warmup_course import moments
    from warmup_course.authoring.demo import page_of, prepare

    labs = moments.load()
    if options.lab is None:
        print("\n".join(f"{name:<12}{lab['lesson'][:2]}  {lab['goal']}" for name, lab in labs.items()))
        return 0
    if options.lab not in labs:
        raise CommandError(f"LAB must be one of {', '.join(labs)}; got {options.lab!r}")
    place = lesson_files.workspace(WORKSPACE) / "demo"
    if page := page_of(options.lab, LESSONS):
        path = place / f"{options.lab}.html"
        lesson_files.write(path, page)
        print(path.as_uri())
        if not options.no_browser:
            webbrowser.open(path.as_uri())
        return 0
    if find_spec("voila") is None:
        raise lesson_files.for_teachers("Voila shows a lab that needs a kernel", "demo")
    command = prepare(options.lab, LESSONS, place) + ["--no-browser"] * options.no_browser
    print("Voila starts. Ctrl-C here ends it.", flush=True)
    os.environ.update(ONE_THREAD | os.environ)
    return hand_over(command, place)


def slides(options: argparse.Namespace) -> int:
    """For teachers: slides of each lesson, for the browser.

    A prediction's answer, and what a figure says, comes with the next key. Each lesson is one HTML file, which needs no
    network and no kernel.

    examples:
      warmup-course slides 03
    """
    from warmup_course.authoring.slides import write_slides

    for lesson in lesson_files.find(LESSONS, options.lessons):
        print(write_slides(lesson, options.out))
    return 0


def site(options: argparse.Namespace) -> int:
    """Make web pages of the lessons.

    All lessons as they are stored, the glossary, the evidence and the teacher's guide, for any web server and for
    phones, with a search. The labs that compute in the browser move there, predictions and quizzes are answered there,
    and answers stay in the reader's browser. The pages ask nothing of other servers.

    examples:
      warmup-course site
      warmup-course site --out public --launch 'https://mybinder.org/v2/gh/ORG/REPO/main?labpath={lesson}.ipynb'
    """
    from warmup_course.authoring.site import build

    build(options.out, options.launch)
    print(f"The pages are in {options.out}: {options.out / 'index.html'}")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Look for what keeps the course from running here.

    Looks at Python and its packages, Jupyter's kernel and front ends, a GPU, the folders that the course writes to,
    disk, memory and network. What is wrong comes with the line that mends it.
    Exit status: 0 if nothing is wrong, 1 otherwise.

    examples:
      warmup-course doctor
    """
    from warmup_course.doctor import examine

    wrong = 0
    for finding in examine(WORKSPACE):
        print(finding, flush=True)
        wrong += not finding.sound
    print("\nNothing is wrong." if not wrong else f"\nWrong: {wrong}. The line below each cross mends it.")
    return 1 if wrong else 0


def run(options: argparse.Namespace) -> int:
    """Execute lessons and say which cells fail and which claims do not hold.

    Executes the lessons with papermill, several at a time, and stores the executed copies. A claim that does not hold
    is a failure, at any seed; the lesson goes on. At other numbers than the standard ones, for which it was not made,
    it is shown and counted only. Ctrl-C ends it; what has ended by then is in the reports.
    Exit status: 0 if all lessons passed, 1 if a cell failed or a claim does not hold.

    examples:
      warmup-course run
      warmup-course run 00 03 -p device cpu -p seed 3
      warmup-course run 03 -p device cuda --out on_gpu
      warmup-course run --jobs 4 --junit junit.xml --report report.html
    """
    from warmup_course.authoring import reports

    check_out(options.out)
    parameters = {name: parse_value(value) for name, value in options.parameters}
    lessons = lesson_files.find(LESSONS, options.lessons)
    at_once = min(options.jobs or cores(), len(lessons))
    begun = datetime.now(UTC)
    nothing: lesson_files.Notebook = {"cells": []}  # not what an earlier run may have left in the folder
    ended = {lesson: Execution(lesson, 0.0, nothing, "stopped before its end") for lesson in lessons}
    executions = execute_all(lessons, parameters, options.out, at_once)
    marks = ("--junit", options.junit, reports.JUNIT_MARK), ("--report", options.report, reports.PAGE_MARK)
    for option, path, mark in marks:
        if path is not None:
            lesson_files.check_place(path)
            lesson_files.check_replaceable(option, path, mark)
    print(f"Running {', '.join(lesson.stem for lesson in lessons)}; {at_once} at once.", flush=True)
    try:
        for execution in executions:
            ended[execution.lesson] = execution
            tell(execution, "ok")
    finally:
        executions.close()
        found = list(ended.values())
        if options.junit:
            reports.junit(found, parameters, begun, options.out, options.junit)
        if options.report:
            reports.page(found, parameters, begun, options.out, options.report)
    passed = sum(not execution.failed for execution in found)
    print(f"{passed} of {len(lessons)} lessons passed, {reports.counted(found)}. Executed copies: {options.out}")
    return 0 if passed == len(lessons) else 1


def check_out(folder: Path) -> None:
    """CommandError for a folder whose lessons an executed one must not replace."""
    if folder == LESSONS.resolve():
        raise CommandError("--out must not be the folder of the lessons themselves; refresh is the command for that")
    try:
        usual, chosen = WORKSPACE.resolve(), lesson_files.chosen(WORKSPACE).resolve()
    except ValueError as error:
        raise CommandError(str(error)) from error
    if folder in (usual, chosen) or os.path.exists(folder / lesson_files.RECORD):
        raise CommandError(f"--out must not be a folder of your copies, which stay as you left them; got {folder}")


def refresh(options: argparse.Namespace) -> int:
    """For authors: execute the stored lessons anew.

    Executes notebooks/ on the CPU and stores the outputs without times, widget state and the like, so that a second run
    changes nothing. A lesson that fails is reported and stays as it was.
    Exit status: 0 if all passed, 1 if a cell failed or a claim does not hold.

    examples:
      warmup-course refresh
      warmup-course refresh 03
    """
    from warmup_course.authoring import normal_form

    os.environ.update(ONE_CORE | {variables.DEVICE: "cpu"})
    failed = 0
    with closing(execute_all(lesson_files.find(LESSONS, options.lessons), {}, at_once=cores())) as executions:
        for ended in executions:
            passed = ended.notebook is not None and not ended.failed
            changed = passed and normal_form.refresh(ended.notebook or {}, ended.lesson)
            tell(ended, "changed" if changed else "as it was")
            failed += not passed
    return 1 if failed else 0


def tell(ended: Execution, result: str) -> None:
    """Print a line about a lesson's execution, above the lines of those that are running."""
    from tqdm import tqdm

    from warmup_course.authoring.reports import counted, told

    claims = f", {counted([ended])}" if ended.claims else ""
    said = ended.error or f"{'FAILED' if ended.failed else result}{claims}"
    lines = [f"{ended.lesson.stem:<28}{ended.seconds:6.1f} s  {said}"]
    lines += [f"{'':<28}          {told(claim)}" for claim in ended.unheld]
    tqdm.write("\n".join(lines))
    sys.stdout.flush()


def parse_value(text: str) -> bool | int | float | str | None:
    """A parameter's value as papermill's own command reads it.

    >>> [parse_value(text) for text in ("True", "False", "3", "1e-2", "None", "cpu")]
    [True, False, 3, 0.01, None, 'cpu']
    """
    for read in ({"True": True, "False": False, "None": None}.__getitem__, int, float):
        with suppress(KeyError, ValueError):
            return read(text)
    return text


def test(options: argparse.Namespace) -> int:
    """Run the checks.

    Style (ruff), types (mypy), unit tests (pytest), tests in JupyterLab where a Chromium is installed, and every lesson
    executed and compared with what it shows (nbval), on the CPU and, where torch sees one, on the GPU. All of them run
    even if one fails. What takes long is left for --slow: each lesson in JupyterLab, each lesson's claims at another
    seed, a cluster that loses a worker, and the like.
    Exit status: 0 if all passed, 1 otherwise.

    examples:
      warmup-course test
      warmup-course test --fast
      warmup-course test --slow
      warmup-course test 03
    """
    if options.lesson:
        chosen = checks.of_lesson(*lesson_files.find_with_code(LESSONS, [options.lesson]))
    elif options.slow:
        chosen = checks.slow()
    else:
        chosen = checks.usual(lesson_files.find(LESSONS), options.fast)
    failed = checks.run(chosen, ROOT, options.junit)
    if not options.fast and not options.lesson and not any("JupyterLab" in name for name in chosen):
        print("\nThe tests in JupyterLab were left out: there is no Chromium here.")
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


def evidence(options: argparse.Namespace) -> int:
    """For authors: measure how often each claim holds.

    Executes the lessons at many seeds, with their claims recorded instead of checked, and writes docs/evidence.csv, the
    page notebooks/evidence.ipynb and the last line of each lesson. What is measured already is kept in
    executed/evidence/ until the lesson changes.
    Exit status: 0 if all ran to their end, 1 if a cell failed.

    examples:
      warmup-course evidence
      warmup-course evidence 03 --seeds 10
    """
    from tqdm import tqdm

    from warmup_course.authoring.evidence import FIRST_SEED, measure_all, update

    os.environ.update(ONE_CORE | {variables.DEVICE: "cpu", "MPLBACKEND": "Agg"})
    lessons, kept = lesson_files.find_with_code(LESSONS, options.lessons), ROOT / "executed" / "evidence"
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    with checking():
        for _ in tqdm(measure_all(lessons, seeds, kept, cores()), total=len(lessons) * len(seeds)):
            pass
    failures = update(lessons, seeds, kept, lesson_files.EVIDENCE)
    print("\n".join([*failures, f"The table is {lesson_files.EVIDENCE}."]))
    return 1 if failures else 0


def bench(options: argparse.Namespace) -> int:
    """Measure how fast the course's code is.

    Runs the scripts in benchmarks/. Each prints its times, beside those of what one would write instead (sweep) or what
    a hand on a slider asks for (labs).

    examples:
      warmup-course bench
      warmup-course bench labs
    """
    scripts = {path.stem: path for path in sorted(BENCHMARKS.glob("*.py"))}
    if not scripts:
        raise CommandError(f"there is nothing to measure: {BENCHMARKS} has no scripts")
    if options.name is not None and options.name not in scripts:
        raise CommandError(f"NAME must be one of {', '.join(scripts)}; got {options.name!r}")
    names = scripts if options.name is None else [options.name]
    # Of a script that was killed it is the signal's number, below 0.
    return max(abs(subprocess.run([sys.executable, scripts[name]]).returncode) for name in names)


def named(workspace: Path) -> str:
    """How the learner finds the folder: the usual one by its name."""
    return workspace.name if workspace == WORKSPACE else str(workspace)


def hand_over(command: list[str], folder: Path) -> int:
    """Become the command, in this folder; on Windows, where that is not possible, wait for it."""
    os.chdir(folder)
    if not WINDOWS:
        sys.stdout.flush()
        os.execvp(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command gets it too, and decides what it means
            pass


if __name__ == "__main__":
    sys.exit(main())
