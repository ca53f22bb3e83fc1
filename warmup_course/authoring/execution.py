"""Lessons executed with papermill, several at a time, each in a kernel of its own."""

import logging
import os
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter, sleep
from typing import Any

from warmup_course import variables
from warmup_course.authoring import claims
from warmup_course.authoring.claims import Claim
from warmup_course.lesson_files import CommandError, Notebook, read

CELL_TIMEOUT = 300
BAR = "{desc:<28}{percentage:3.0f}% |{bar}| In [{n_fmt}] of {total_fmt}, {elapsed}"
# For processes that run side by side: torch's threads, and the cores among which joblib shares a sweep.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
ONE_CORE = ONE_THREAD | {"LOKY_MAX_CPU_COUNT": "1"}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Execution:
    """How one lesson's execution ended.

    Attributes:
        lesson: its file.
        seconds: how long it took.
        notebook: executed, None if it did not come to its end.
        error: what kept it from its end, in one line that begins with the number of the cell.
        traceback: of the error, where there is one.
        claims: those that it came to.
    """

    lesson: Path
    seconds: float
    notebook: Notebook | None
    error: str | None
    traceback: str = ""
    claims: tuple[Claim, ...] = ()

    @property
    def unheld(self) -> list[Claim]:
        """The claims that do not hold."""
        return [claim for claim in self.claims if not claim.held]

    @property
    def failed(self) -> bool:
        """Whether it did not come to its end, or a claim does not hold at the parameters it was made for."""
        return self.error is not None or any(claim.standard for claim in self.unheld)


def execute_all(
    lessons: Sequence[Path], parameters: Mapping[str, Any], out: Path | None = None, at_once: int = 1
) -> Generator[Execution, None, None]:
    """Execute lessons with papermill, each in a kernel of its own; yields each as it ends.

    A claim that does not hold is recorded, and the lesson goes on. Whatever stops it, such as Ctrl-C, ends the kernels
    too, and no lesson starts any more. On a terminal, each running lesson shows how many of its cells are done.

    Args:
        lessons: the notebooks.
        parameters: values for the variables of the cell tagged "parameters".
        out: the folder for the executed notebooks.
        at_once: how many lessons run at a time.

    Raises:
        CommandError: for a parameter that one of the lessons does not have, or a folder that cannot take the executed
            notebooks, or is taking those of another run, before any work starts.
    """
    _check_parameters(lessons, parameters)
    if out is not None:
        _check_room(lessons, out)
    return _executions(lessons, parameters, out, at_once)


def _executions(
    lessons: Sequence[Path], parameters: Mapping[str, Any], out: Path | None, at_once: int
) -> Generator[Execution, None, None]:
    for name, value in (ONE_CORE if min(at_once, len(lessons)) > 1 else ONE_THREAD).items():
        os.environ.setdefault(name, value)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is told in an Execution
    kernels: list[Any] = []
    bars: list[Any] = []
    with checking(strict=False) as folder, _alone_in(out):
        pool = ThreadPoolExecutor(at_once)
        # The last ones take longest, and the one that ends last should not be one that began last.
        executions = [
            pool.submit(_execute, lesson, parameters, out, folder / f"{lesson.stem}.claims", kernels, bars)
            for lesson in reversed(lessons)
        ]
        running = set(executions)
        try:
            while running:  # on Windows, Ctrl-C does not end a wait, and has to find its end
                ended, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for bar in bars:
                    bar.refresh()  # a long cell's time goes on
                yield from (execution.result() for execution in executions if execution in ended)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            begin = perf_counter()
            while not all(execution.done() for execution in executions):  # one may be about to start its kernel
                for kernel in kernels:
                    _end(kernel, kindly=perf_counter() < begin + 2)
                sleep(0.1)


def _check_room(lessons: Sequence[Path], out: Path) -> None:
    """Write as much as the stored lessons have, so that a full or read-only disk is seen before an hour has passed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out) as file:
            file.write(bytes(sum(lesson.stat().st_size for lesson in lessons)))
    except OSError as error:
        raise CommandError(
            f"the executed lessons cannot be written into {out}: {error.strerror}; --out names another"
        ) from error


@contextmanager
def _alone_in(out: Path | None) -> Iterator[None]:
    """CommandError if another run is writing into the folder: the lessons of two would end up mixed."""
    from filelock import FileLock, Timeout  # here, so that doctor starts without it

    lock = out and FileLock(out / ".running", blocking=False)
    try:
        with lock or nullcontext():
            yield
    except Timeout as error:
        raise CommandError(f"another run is writing into {out}; --out names another folder") from error


def _end(kernel: Any, kindly: bool) -> None:
    """End a kernel and what it started, from another thread than its own.

    SIGTERM leaves joblib's resource tracker alive, which then removes what the workers had in shared memory.
    """
    process, group = (getattr(kernel.provisioner, name, None) for name in ("process", "pgid"))
    with suppress(OSError):  # it has just ended
        if process and group:
            os.killpg(group, signal.SIGTERM if kindly else signal.SIGKILL)
        elif process:  # as on Windows
            process.kill()


@contextmanager
def checking(strict: bool = True) -> Iterator[Path]:
    """What starts meanwhile keeps its answers in a folder that goes away.

    Args:
        strict: whether it stops at a claim that does not hold.

    Yields:
        The folder.
    """
    learners = {name: os.environ.pop(name, None) for name in (variables.HOME, variables.STRICT)}
    with TemporaryDirectory(prefix="warmup_course_") as folder:
        os.environ.update({variables.HOME: folder} | ({variables.STRICT: "1"} if strict else {}))
        try:
            yield Path(folder)
        finally:
            for name, value in learners.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _check_parameters(lessons: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    import papermill

    for lesson in lessons if parameters else ():
        try:
            known = papermill.inspect_notebook(lesson)
        except Exception:  # a damaged one does not keep the others from running, and is reported when its turn comes
            continue
        for name in parameters:
            if name not in known:
                raise CommandError(f"{lesson.stem} has the parameters {', '.join(known)}; got {name!r}")


def _execute(
    lesson: Path, parameters: Mapping[str, Any], out: Path | None, recorded: Path, kernels: list[Any], bars: list[Any]
) -> Execution:
    """Execute one lesson; its kernel and its line of progress go into the lists when they begin."""
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import ensure_event_loop
    from tqdm import tqdm

    class Kernel(AsyncKernelManager):  # papermill keeps its own to itself
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            kernels.append(self)

    # papermill puts the parameters into a cell of its own, which the reader's notebook does not have.
    number = -bool(parameters)

    def count_cells(cell: Notebook, cell_index: int) -> None:
        nonlocal number
        if _is_code(cell):
            number += 1
            bar.update(number - bar.n)

    begin = perf_counter()
    notebook, error, traceback = None, None, ""
    loop = ensure_event_loop(prefer_selector_loop=True)  # papermill takes this thread's, and leaves it open
    bar = tqdm(desc=lesson.stem, unit="cell", leave=False, disable=None, bar_format=BAR)
    bars.append(bar)
    try:
        if out:  # what an earlier run left there is not mistaken for this one's
            (out / lesson.name).unlink(missing_ok=True)
        bar.total = sum(map(_is_code, read(lesson)["cells"]))
        notebook = papermill.execute_notebook(
            lesson,
            out and out / lesson.name,
            dict(parameters),
            kernel_name="python3",
            progress_bar=False,
            cwd=lesson.parent,
            execution_timeout=CELL_TIMEOUT,
            iopub_timeout=CELL_TIMEOUT,  # one process hears all kernels, and a quiz alone says hundreds of things
            extra_arguments=[
                "--log-level=CRITICAL",  # no talk of ports and of being shut down
                f"--IPKernelApp.exec_lines={claims.line_for_kernel(recorded)}",
            ],
            shutdown_kernel="immediate",  # all is done; to end in good order takes a second
            kernel_manager_class=Kernel,
            on_cell_start=count_cells,
        )
        if not recorded.exists():
            error = "its claims could not be recorded"
    except papermill.PapermillExecutionError as failure:
        error = f"In [{number}]: {failure.ename}: {failure.evalue}"
        traceback = "\n".join(failure.traceback)
    except CommandError as failure:
        error = str(failure)
    except Exception as failure:  # a dead kernel, a cell out of time, a full disk
        error = f"In [{number}]: {type(failure).__name__}: {failure}"
    finally:
        bar.close()
        loop.close()
    made = claims.load(recorded)
    return Execution(lesson, perf_counter() - begin, notebook, error and error.replace("\n", " "), traceback, made)


def _is_code(cell: Notebook) -> bool:
    return cell["cell_type"] == "code" and bool("".join(cell["source"]).strip())
