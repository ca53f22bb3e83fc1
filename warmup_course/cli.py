"""The command warmup-course: open, execute, check and maintain the lessons."""

import argparse
import inspect
import io
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
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
EVIDENCE = ROOT / "docs" / "evidence.csv"
FIRST_LESSON = "00_start_here.ipynb"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = make_parser().parse_args(arguments)
    earlier = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what a command leaves behind is cleared
    try:
        if not IN_CLONE and options.command in (test, refresh, evidence, bench):
            raise CommandError(f"{options.command.__name__} is for authors, and works in a clone of the course only")
        status: int = options.command(options)
    except (CommandError, OSError) as error:
        print(f"warmup-course: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("warmup-course: stopped", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, earlier)
    return status


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="warmup-course", description=__doc__, epilog="Each command explains itself: warmup-course lab --help"
    )
    parser.add_argument("--version", action="version", version=f"warmup-course {warmup_course.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        text = inspect.getdoc(command) or ""
        added: argparse.ArgumentParser = commands.add_parser(
            command.__name__,
            help=text.partition("\n")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=command)
        return added

    several: dict[str, Any] = {
        "nargs": "*",
        "metavar": "LESSON",
        "help": "its number or name; all if there is none",
    }

    command = add(lab)
    command.add_argument("--no-browser", action="store_true", help="open no browser")
    command.add_argument("--port", type=port, metavar="N", help="usually 8888, or the next one that is free")

    command = add(restore)
    command.add_argument("lesson", metavar="LESSON", help="its number or name")

    command = add(progress)
    either = command.add_mutually_exclusive_group()
    either.add_argument("--csv", metavar="FILE", help="write all answers into a new file (- prints them)")
    either.add_argument("--reset", action="store_true", help="remove all answers, after asking")

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
    command.add_argument("--seeds", type=int, default=40, metavar="N", help="how many (40)")

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
    if not text or (Path(text).exists() and not Path(text).is_dir()):
        raise argparse.ArgumentTypeError(f"DIR must be a folder; got {text!r}")
    return Path(text).resolve()


def lab(options: argparse.Namespace) -> int:
    """Open the lessons in JupyterLab.

    Copies the lessons, without their outputs, into the folder workspace/ and opens them there. What you change stays:
    your copy of a lesson is never overwritten. Where no browser opens, follow the address that is printed.
    The variable WARMUP_COURSE_WORKSPACE puts your copies into a folder of your choice, where the course is shared.

    examples:
      warmup-course lab
      warmup-course lab --no-browser --port 8899
    """
    workspace = lesson_files.workspace(WORKSPACE)
    for line in lesson_files.fill_workspace(lesson_files.pages(LESSONS), workspace):
        print(line)
    print(f"JupyterLab starts in {workspace.name}/. Ctrl-C here ends it.", flush=True)
    command = [sys.executable, "-P", "-m", "jupyterlab", f"--ServerApp.root_dir={workspace}"]
    command += [f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}"]
    # The lessons' models are small: a second thread costs more than it gains, above all on a busy machine.
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    # The settings there keep JupyterLab from asking for news and updates.
    command += [f"--LabApp.app_settings_dir={PACKAGE / 'jupyterlab_settings'}", "--log-level=ERROR"]
    command += ["--no-browser"] * options.no_browser
    if options.port is not None:
        command += [f"--port={options.port}"]
    # Beside the user's own settings, not instead of them.
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        [str(PACKAGE / "jupyterlab_settings"), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    )
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in many containers; Jupyter wants to be told
        command += ["--allow-root"]
    return hand_over(command)


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
    print(f"{workspace.name}/{lesson.name} is fresh." + (f" Yours is kept as {kept.name}." if kept else ""))
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
        with warnings.catch_warnings(record=True, action="always", category=store.StoreWarning) as told:
            if options.csv is not None:
                write_answers(options.csv)
            elif options.reset:
                remove_answers()
            else:
                print(f"{as_text(summary())}\nYour answers are kept in {store.path()}")
        for warning in told:
            print(f"warmup-course: {warning.message}", file=sys.stderr)
    except (store.StoreError, ValueError) as error:  # the second: a quiz's file
        raise CommandError(str(error)) from error
    return 0


def write_answers(name: str) -> None:
    from warmup_course.classroom import store

    text = io.StringIO()
    store.export_csv(text)  # first, so that a store that cannot be read leaves no file
    if name == "-":
        print(text.getvalue(), end="")
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
    print(f"This removes all your answers, {count} of them. To keep a copy: warmup-course progress --csv answers.csv")
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


def doctor(options: argparse.Namespace) -> int:
    """Look for what keeps the course from running here.

    Looks at Python and its packages, Jupyter's kernel and front ends, a GPU, the folders that the course writes to,
    disk, memory and network. What is wrong comes with the line that mends it.
    Exit status: 0 if nothing is wrong, 1 otherwise.

    examples:
      warmup-course doctor
    """
    from warmup_course.doctor import examine

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without a tick, as on Windows
    wrong = 0
    for finding in examine(WORKSPACE):
        print(finding, flush=True)
        wrong += not finding.sound
    print("\nNothing is wrong." if not wrong else f"\nWrong: {wrong}. The line below each cross mends it.")
    return 1 if wrong else 0


def run(options: argparse.Namespace) -> int:
    """Execute lessons and say which cells fail.

    Executes the lessons with papermill, as many at a time as there are cores, and stores the executed copies. At other
    than its standard parameters a lesson shows claims that do not hold, and goes on; its line says how many.
    Exit status: 0 if all ran to their end, 1 if a cell failed.

    examples:
      warmup-course run
      warmup-course run 00 03 -p device cpu -p seed 3
      warmup-course run 03 -p device cuda --out on_gpu
    """
    if options.out == LESSONS.resolve():
        raise CommandError("--out must not be the folder of the lessons themselves; refresh is the command for that")
    parameters = {name: parse_value(value) for name, value in options.parameters}
    lessons = lesson_files.find(LESSONS, options.lessons)
    at_once = min(cores(), len(lessons))
    executions = execute_all(lessons, parameters, options.out, at_once)
    print(f"Running {', '.join(lesson.stem for lesson in lessons)}; {at_once} at once.", flush=True)
    failed = 0
    for ended in executions:
        failed += report(ended, f"ok, but {ended.unheld} of its claims do not hold" if ended.unheld else "ok")
    print(f"{len(lessons) - failed} of {len(lessons)} lessons ran; they are in {options.out}")
    return 1 if failed else 0


def refresh(options: argparse.Namespace) -> int:
    """For authors: execute the stored lessons anew.

    Executes notebooks/ on the CPU and stores the outputs without times, widget state and the like, so that a second run
    changes nothing. A lesson with a failing cell is reported and stays as it was.
    Exit status: 0 if all ran to their end, 1 if a cell failed.

    examples:
      warmup-course refresh
      warmup-course refresh 03
    """
    from warmup_course.authoring import normal_form

    os.environ.update(ONE_CORE | {variables.DEVICE: "cpu"})
    failed = 0
    for ended in execute_all(lesson_files.find(LESSONS, options.lessons), {}, at_once=cores()):
        changed = ended.notebook is not None and normal_form.refresh(ended.notebook, ended.lesson)
        failed += report(ended, "changed" if changed else "as it was")
    return 1 if failed else 0


def report(ended: Execution, result: str) -> bool:
    """Print a line about a lesson's execution; whether it failed."""
    print(f"{ended.lesson.stem:<28}{ended.seconds:6.1f} s  {ended.error or result}", flush=True)
    return ended.error is not None


def parse_value(text: str) -> bool | int | float | str | None:
    """A parameter's value as papermill's own command reads it.

    >>> [parse_value(text) for text in ("True", "3", "1e-2", "None", "cpu")]
    [True, 3, 0.01, None, 'cpu']
    """
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
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
        chosen = checks.of_lesson(*lesson_files.find(LESSONS, [options.lesson]))
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

    if options.seeds < 1:
        raise CommandError(f"--seeds must be at least 1, got {options.seeds}")
    os.environ.update(ONE_CORE | {variables.DEVICE: "cpu", "MPLBACKEND": "Agg"})
    lessons, kept = lesson_files.find(LESSONS, options.lessons), ROOT / "executed" / "evidence"
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    with checking():
        for _ in tqdm(measure_all(lessons, seeds, kept, cores()), total=len(lessons) * len(seeds)):
            pass
    failures = update(lessons, seeds, kept, EVIDENCE)
    print("\n".join([*failures, f"The table is {EVIDENCE}."]))
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
    return max(subprocess.run([sys.executable, scripts[name]]).returncode for name in names)


def hand_over(command: list[str]) -> int:
    """Become the command; on Windows, where that is not possible, wait for it."""
    if sys.platform != "win32":
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command gets it too, and decides what it means
            pass


if __name__ == "__main__":
    sys.exit(main())
