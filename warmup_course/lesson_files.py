"""The lessons' files, and the learner's copies of them. A notebook is a JSON file: nothing more is needed here."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from warmup_course import variables

Notebook = dict[str, Any]

PACKAGE = Path(__file__).resolve().parent
# A wheel has the lessons inside the package, a clone beside it.
IN_CLONE = not (PACKAGE / "notebooks").is_dir()
LESSONS = (PACKAGE.parent if IN_CLONE else PACKAGE) / "notebooks"

# The pages that stand beside the lessons: words and ideas, and where they are taught; how often each claim holds.
GLOSSARY, EVIDENCE_PAGE = "glossary.ipynb", "evidence.ipynb"
EVIDENCE = LESSONS.parent / "docs" / "evidence.csv"
# In the workspace: lesson -> hash of the copy that the learner was given.
RECORD = ".copied.json"


class CommandError(Exception):
    """Something the user can put right; shown as one line."""


def for_teachers(what: str, command: str) -> CommandError:
    """What to say where the packages that only teachers need are not installed."""
    in_clone = f'python3 start.py {command}, or pip install -e ".[classroom]"'
    in_wheel = 'pip install "warmup_course[classroom]"'
    return CommandError(f"{what}: {in_clone if IN_CLONE else in_wheel}")


def pages(folder: Path) -> list[Path]:
    """All lessons, and the pages beside them."""
    return [*find(folder), *(page for name in (GLOSSARY, EVIDENCE_PAGE) for page in folder.glob(name))]


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


def find_with_code(folder: Path, names: Sequence[str]) -> list[Path]:
    """As find, and a CommandError for a page beside the lessons too: there is nothing to execute."""
    lessons = find(folder, names)
    for lesson in lessons:
        if lesson.name in (GLOSSARY, EVIDENCE_PAGE):
            raise CommandError(f"LESSON must be a lesson; got {lesson.stem!r}, a page without code")
    return lessons


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


def as_text(notebook: Notebook) -> str:
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(path: Path, text: str) -> None:
    """Write in one go: whoever interrupts it finds the old file or the new one."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, "utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


def outputs(notebook: Notebook) -> Iterator[dict[str, Any]]:
    """What its cells show, from the first to the last."""
    for cell in notebook["cells"]:
        yield from cell.get("outputs", ())


# ---- the learner's copies -------------------------------------------------------------------------------------------


def without_outputs(lesson: Path) -> str:
    """A notebook's text as a learner gets it: no outputs, so that no prediction is spoiled."""
    notebook = read(lesson)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return as_text(notebook)


def chosen(usual: Path) -> Path:
    """The folder of the learner's copies: $WARMUP_COURSE_WORKSPACE, or else the usual one.

    Where that one is read-only, as in a shared clone, it is one in the learner's home.
    """
    may_write = os.access(usual if usual.exists() else usual.parent, os.W_OK)
    return variables.folder_from(variables.WORKSPACE) or (usual if may_write else Path.home() / "warmup_course")


def check_place(path: Path) -> None:
    """CommandError if a file cannot be written there, before work has gone into it. Its folder is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


def check_replaceable(option: str, path: Path, mark: str) -> None:
    """CommandError for a file that has something in it, and not the mark of what the command writes there."""
    if path.exists() and (text := path.read_text("utf-8", errors="replace")) and mark not in text:
        raise CommandError(f"{option} must be a new file, or an earlier one of this command; {path} is neither")


def workspace(usual: Path) -> Path:
    """The folder of the learner's copies, made where it is missing.

    Raises:
        CommandError: if it cannot be written to, or the variable is a relative path.
    """
    folder = usual
    try:
        folder = chosen(usual)
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
