"""What the commands do with lesson files: find, copy for the learner, execute, normalise.

A notebook is a JSON file. Copying needs no more than that, so papermill and nbformat are imported only to execute.
"""

import json
import logging
import os
import re
import signal
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter, sleep
from typing import Any

from warmup_course import variables
from warmup_course.checks import folder_from

Notebook = dict[str, Any]

PACKAGE = Path(__file__).resolve().parent
# A wheel has the lessons inside the package, a clone beside it.
IN_CLONE = not (PACKAGE / "notebooks").is_dir()
LESSONS = (PACKAGE.parent if IN_CLONE else PACKAGE) / "notebooks"

CELL_TIMEOUT = 300
# As classroom.lesson prints it.
UNHELD = "✘ does not hold at these settings: "
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PNG = "image/png"
# The pages that stand beside the lessons: words and ideas, and where they are taught; how often each claim holds.
GLOSSARY, EVIDENCE = "glossary.ipynb", "evidence.ipynb"
READABLE = ("text/markdown", PNG)
# Cell metadata that tools leave behind.
NOISE = ("ExecuteTime", "collapsed", "execution", "lines_to_next_cell", "papermill", "scrolled", "vscode")
# A code cell with this tag is what the lesson is about, and open. All others are collapsed, as JupyterLab keeps it, and
# have the tag by which site builders such as Jupyter Book collapse them.
SUBJECT, HIDDEN = "subject", "hide-input"
# In the workspace: lesson -> hash of the copy that the learner was given.
RECORD = ".copied.json"
# For processes that run side by side: torch's threads, and the cores that joblib sees when it shares a sweep.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
ONE_CORE = ONE_THREAD | {"LOKY_MAX_CPU_COUNT": "1"}
# Fixed, so that it does not matter on which machine a lesson was executed last.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


class CommandError(Exception):
    """Something the user can put right; shown as one line."""


def pages(folder: Path) -> list[Path]:
    """All lessons, and the pages beside them."""
    return [*find(folder), *(page for name in (GLOSSARY, EVIDENCE) for page in folder.glob(name))]


def find(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The lessons of these names in order, or all. A name is a number, or the file's with or without .ipynb.

    A path is one to the folder's own files, not to another of the same name, such as the learner's copy. The pages
    beside the lessons are found by their names.

    Raises:
        CommandError: for a name that is none of them, or a folder without lessons.
    """
    lessons = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise CommandError(f"there are no lessons in {folder}; warmup-course works inside the complete course folder")
    found = set()
    for name in names:
        given = Path(name)
        if len(given.parts) > 1 and folder.resolve() not in (given.resolve().parent, (folder.parent / given).parent):
            raise CommandError(f"LESSON must be a number or a name, or a file in {folder}; got {name!r}")
        start = f"{int(name):02d}_" if name.isdecimal() else Path(name).stem + "."
        matches = [page for page in pages(folder) if page.name.startswith(start)]
        if not matches:
            raise CommandError(f"LESSON must be one of {', '.join(lesson.stem for lesson in lessons)}; got {name!r}")
        found.update(matches)
    return sorted(found) if names else lessons


# ---- the learner's copies -------------------------------------------------------------------------------------------


def read(lesson: Path) -> Notebook:
    """A notebook's content.

    Raises:
        CommandError: naming the file, if it cannot be read or is no notebook.
    """
    try:
        notebook = json.loads(lesson.read_bytes())
        if not all(isinstance(cell["source"], str | list) and cell["cell_type"] for cell in notebook["cells"]):
            raise TypeError("a cell without a source")
    except OSError as error:
        raise CommandError(f"{lesson} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise CommandError(f"{lesson} is damaged, it is no notebook: {type(error).__name__}: {error}") from error
    return dict(notebook)


def without_outputs(lesson: Path) -> str:
    """A notebook's text as a learner gets it: no outputs, so that no prediction is spoiled."""
    notebook = read(lesson)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return as_text(notebook)


def as_text(notebook: Notebook) -> str:
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def workspace(usual: Path) -> Path:
    """The folder of the learner's copies, which can be written to: $WARMUP_COURSE_WORKSPACE, or else the usual one.

    Raises:
        CommandError: if it cannot be written to, or the variable is a relative path.
    """
    folder = usual
    try:
        folder = folder_from(variables.WORKSPACE) or usual
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except ValueError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(
            f"your copies of the lessons cannot be kept in {folder} ({error.strerror}): "
            f"set {variables.WORKSPACE} to a folder of your own, such as ~/warmup_course"
        ) from error
    return folder


def fill_workspace(lessons: Sequence[Path], workspace: Path) -> list[str]:
    """Copy what is new into the workspace, and never over something that the learner changed; what is worth saying."""
    record = _read_record(workspace)
    said = []
    for lesson in lessons:
        try:
            copy, fresh = workspace / lesson.name, without_outputs(lesson)
        except CommandError as error:  # the others are copied all the same
            said.append(f"{lesson.stem}: left out. {error}")
            continue
        given, now, new = record.get(lesson.name), _hash_of(copy), _hash(fresh)
        if now is None or now == given != new:
            write(copy, fresh)
            if now:
                said.append(f"{lesson.stem}: updated (you had not changed it).")
        elif new not in (given, now):
            name = lesson.stem.partition("_")[0]
            said.append(f"{lesson.stem}: there is a newer version; yours stays. restore {name} brings it.")
            continue
        record[lesson.name] = new
    _write_record(workspace, record)
    return said


def restore(lesson: Path, workspace: Path) -> Path | None:
    """Put a fresh copy into the workspace; where the learner's differs from it, that one's new place."""
    copy, fresh = workspace / lesson.name, without_outputs(lesson)
    record, kept = _read_record(workspace), None
    if _hash_of(copy) not in (None, record.get(lesson.name), _hash(fresh)):
        places = (workspace / f"{lesson.stem}.yours-{number}.ipynb" for number in count(1))
        kept = next(place for place in places if not place.exists())
        copy.rename(kept)
    write(copy, fresh)
    _write_record(workspace, record | {lesson.name: _hash(fresh)})
    return kept


def _read_record(workspace: Path) -> dict[str, str]:
    try:
        return dict(json.loads((workspace / RECORD).read_text("utf-8")))
    except (OSError, TypeError, ValueError):  # without it, every copy counts as the learner's own
        return {}


def _write_record(workspace: Path, record: Mapping[str, str]) -> None:
    write(workspace / RECORD, json.dumps(record, indent=1) + "\n")


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _hash_of(path: Path) -> str | None:
    return sha256(path.read_bytes()).hexdigest() if path.exists() else None


def write(path: Path, text: str) -> None:
    """Write in one go: whoever interrupts it finds the old file or the new one."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, "utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


# ---- executing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Execution:
    """How one lesson's execution ended."""

    lesson: Path
    seconds: float
    notebook: Notebook | None
    error: str | None

    @property
    def unheld(self) -> int:
        """How many of its claims it shows as not holding."""
        outputs = (output for cell in (self.notebook or {"cells": []})["cells"] for output in cell.get("outputs", ()))
        return sum("".join(output.get("text", "")).count(UNHELD) for output in outputs)


def execute_all(
    lessons: Sequence[Path], parameters: Mapping[str, Any], out: Path | None = None, at_once: int = 1
) -> Iterator[Execution]:
    """Execute lessons with papermill, each in a kernel of its own; yields each as it ends.

    Whatever stops it, such as Ctrl-C, ends the kernels too, and no lesson starts any more.

    Args:
        lessons: the notebooks.
        parameters: values for the variables of the cell tagged "parameters".
        out: the folder for the executed notebooks.
        at_once: how many lessons run at a time.

    Raises:
        CommandError: for a parameter that one of the lessons does not have, or a folder that cannot take the executed
            notebooks, before any work starts.
    """
    _check_parameters(lessons, parameters)
    if out is not None:
        _check_room(lessons, out)
    return _executions(lessons, parameters, out, at_once)


def _executions(
    lessons: Sequence[Path], parameters: Mapping[str, Any], out: Path | None, at_once: int
) -> Iterator[Execution]:
    for name, value in (ONE_CORE if min(at_once, len(lessons)) > 1 else ONE_THREAD).items():
        os.environ.setdefault(name, value)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is told in an Execution
    kernels: list[Any] = []
    with checking():
        pool = ThreadPoolExecutor(at_once)
        # The last ones take longest, and the one that ends last should not be one that began last.
        executions = [pool.submit(_execute, lesson, parameters, out, kernels) for lesson in reversed(lessons)]
        try:
            for ended in as_completed(executions):
                yield ended.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(execution.done() for execution in executions):  # one may be about to start its kernel
                for kernel in kernels:
                    _kill(kernel)
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


def _kill(kernel: Any) -> None:
    """End a kernel and what it started, from another thread than its own."""
    process, group = (getattr(kernel.provisioner, name, None) for name in ("process", "pgid"))
    with suppress(OSError):  # it has just ended
        if process and group:
            os.killpg(group, signal.SIGKILL)
        elif process:  # as on Windows
            process.kill()


@contextmanager
def checking() -> Iterator[None]:
    """What starts meanwhile keeps its answers in a folder that goes away, and stops at a claim that does not hold."""
    learners = {name: os.environ.get(name) for name in (variables.HOME, variables.STRICT)}
    with TemporaryDirectory(prefix="warmup_course_") as folder:
        os.environ.update({variables.HOME: folder, variables.STRICT: "1"})
        try:
            yield
        finally:
            for name, value in learners.items():
                del os.environ[name]
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


def _execute(lesson: Path, parameters: Mapping[str, Any], out: Path | None, kernels: list[Any]) -> Execution:
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import ensure_event_loop

    class Kernel(AsyncKernelManager):  # papermill keeps its own to itself
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            kernels.append(self)

    # papermill puts the parameters into a cell of its own, which the reader's notebook does not have.
    number = -bool(parameters)

    def count_cells(cell: Notebook, cell_index: int) -> None:
        nonlocal number
        number += cell["cell_type"] == "code" and bool(cell["source"].strip())

    begin = perf_counter()
    notebook, error = None, None
    loop = ensure_event_loop(prefer_selector_loop=True)  # papermill takes this thread's, and leaves it open
    try:
        read(lesson)
        notebook = papermill.execute_notebook(
            lesson,
            out and out / lesson.name,
            dict(parameters),
            kernel_name="python3",
            progress_bar=False,
            cwd=lesson.parent,
            execution_timeout=CELL_TIMEOUT,
            extra_arguments=["--log-level=CRITICAL"],  # no talk of ports and of being shut down
            shutdown_kernel="immediate",  # all is done; to end in good order takes a second
            kernel_manager_class=Kernel,
            on_cell_start=count_cells,
        )
    except papermill.PapermillExecutionError as failure:
        error = f"In [{number}]: {failure.ename}: {failure.evalue}"
    except CommandError as failure:
        error = str(failure)
    except Exception as failure:  # a dead kernel, a cell out of time, a full disk
        error = f"In [{number}]: {type(failure).__name__}: {failure}"
    finally:
        loop.close()
    return Execution(lesson, perf_counter() - begin, notebook, error and error.replace("\n", " "))


# ---- normalising ----------------------------------------------------------------------------------------------------


def normalise(notebook: Notebook) -> Notebook:
    """An executed notebook without what differs from run to run: times, widget state, the machine's versions.

    All code but that of cells tagged "subject" is collapsed.
    """
    cells = []
    for number, old in enumerate(notebook["cells"]):
        cell = dict(old, id=old.get("id", f"cell-{number}"))
        cell["metadata"] = {key: value for key, value in old["metadata"].items() if key not in NOISE and value != []}
        if cell["cell_type"] == "code":
            cell["outputs"] = list(_normal_outputs(old["outputs"]))
            _collapse(cell["metadata"])
        cells.append(cell)
    for number, cell in enumerate((cell for cell in cells if cell.get("execution_count") is not None), start=1):
        cell["execution_count"] = number
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = number
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def _collapse(metadata: dict[str, Any]) -> None:
    """Hide a cell's code, unless it is a lesson's subject: in place."""
    tags = {*metadata.pop("tags", ())} - {HIDDEN}
    jupyter = {key: value for key, value in metadata.pop("jupyter", {}).items() if key != "source_hidden"}
    if SUBJECT not in tags:
        tags.add(HIDDEN)
        jupyter["source_hidden"] = True
    if tags:
        metadata["tags"] = sorted(tags)
    if jupyter:
        metadata["jupyter"] = jupyter


def _normal_outputs(outputs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    stream: dict[str, Any] | None = None
    for output in map(dict, outputs):
        if WIDGET_VIEW in output.get("data", {}):
            # It would show nothing without its kernel. What stands beside it does: a figure, or the text of a question.
            shown = {kind: content for kind, content in output["data"].items() if kind in READABLE}
            if not shown:
                continue
            output["data"] = shown | {"text/plain": output["data"]["text/plain"]}
        if stream and output["output_type"] == "stream" and output["name"] == stream["name"]:
            stream["text"] = "".join(stream["text"]) + "".join(output["text"])
            continue
        stream = output if output["output_type"] == "stream" else None
        if PNG in output.get("data", {}):
            output["data"] = {**output["data"], PNG: _with_palette(output["data"][PNG])}
        yield output


def _with_palette(png: str) -> str:
    """The same figure in 256 colours, a third of the size. One that has a palette stays."""
    from PIL import Image

    with Image.open(BytesIO(b64decode(png))) as picture, BytesIO() as smaller:
        if picture.mode == "P":
            return png
        picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(smaller, "png", optimize=True)
        return b64encode(smaller.getvalue()).decode()


def as_web_page(notebook: Any, resources: Any) -> tuple[Any, Any]:
    """What nbconvert does before it makes a lesson a page: links lead to pages, figures say in words what they show.

    JupyterLab finds a heading that is not drawn yet by #heading= alone, and a browser only by the heading's own name.
    nbconvert's template leaves out the words that are in a figure's metadata.
    """
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(r"(\]\(\w+)\.ipynb(#?)(?:heading=)?", r"\1.html\2", cell["source"])
        for output in cell.get("outputs", ()):
            data, alt = output.get("data", {}), output.get("metadata", {}).get(PNG, {}).get("alt")
            if PNG in data and alt:
                data["text/html"] = f'<img alt="{escape(alt)}" src="data:{PNG};base64,{data.pop(PNG)}">'
    return notebook, resources


def pictures(notebook: Notebook) -> Iterator[bytes]:
    """The PNG figures of the cells tagged "picture"."""
    for cell in notebook["cells"]:
        if "picture" in cell["metadata"].get("tags", ()):
            for output in cell["outputs"]:
                if PNG in output.get("data", {}):
                    yield b64decode(output["data"][PNG])


def refresh(notebook: Notebook, lesson: Path) -> bool:
    """Store an executed notebook, normalised, and its picture for the README; whether that changed the lesson."""
    import nbformat

    normal = nbformat.from_dict(normalise(notebook))
    nbformat.validate(normal)
    for picture in pictures(normal):
        path = lesson.parent.parent / "docs" / f"{lesson.stem}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
    text = nbformat.writes(normal) + "\n"
    if lesson.read_text("utf-8") == text:
        return False
    write(lesson, text)
    return True
