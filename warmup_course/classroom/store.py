"""The learner's answers: events that are only ever added, in one SQLite file on the learner's own machine."""

import csv
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from platformdirs import user_data_path

from warmup_course.checks import one_of

# kind -> the states that it can be in
STATES = {
    "prediction": ("locked", "held", "missed"),
    "question": ("right", "wrong"),
    "exercise": ("not yet", "done"),
    "sweep": ("paid", "given back"),
}
VERSION = 1  # of the table's layout, kept in the file's user_version
TIMEOUT = 30.0  # seconds to wait while another process writes

_TABLE = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    lesson TEXT NOT NULL,
    kind TEXT NOT NULL,
    item TEXT NOT NULL,
    answer TEXT NOT NULL,
    state TEXT NOT NULL
)
"""


class StoreError(Exception):
    """The answers cannot be read or kept. The message is Markdown, and can be shown to a learner as it is."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}, so the lesson goes on without remembering. {advice}")


@dataclass(frozen=True)
class Event:
    """One thing that the learner did.

    Attributes:
        at: when, in UTC, such as "2026-03-14T15:09:26+00:00".
        lesson: the lesson's name, such as "03_linear_warmup".
        kind: "prediction", "question", "exercise", or "sweep" where a lesson has a budget of training steps.
        item: which of the lesson's predictions, questions or exercises; for a sweep, what was trained.
        answer: what was chosen or entered; for a prediction that is "held" or "missed", what was measured; for a sweep,
            how many steps it took.
        state: one of STATES[kind].
    """

    at: str
    lesson: str
    kind: str
    item: str
    answer: str
    state: str


def path() -> Path:
    """The file that holds the answers: in the folder $WARMUP_COURSE_HOME, or else where this system keeps user data."""
    home = os.environ.get("WARMUP_COURSE_HOME")
    return (Path(home) if home else user_data_path("warmup_course")) / "progress.sqlite3"


def record(lesson: str, kind: str, item: str, answer: str, state: str) -> None:
    """Add one event. Once this has returned, the event outlives the process.

    Args: as the attributes of Event.

    Raises:
        ValueError: if an argument is no text, or lesson or item is blank, or kind and state do not go together.
        StoreError: if the event cannot be kept.
    """
    for name, value in {"lesson": lesson, "item": item, "answer": answer}.items():
        if not isinstance(value, str) or (name != "answer" and not value.strip()):
            raise ValueError(f"{name} must be text{', not blank' * (name != 'answer')}, got {value!r}")
    one_of("kind", kind, STATES)
    one_of(f"state for kind {kind!r}", state, STATES[kind])
    row = (datetime.now(UTC).isoformat(timespec="seconds"), lesson, kind, item, answer, state)
    with _open(to_write=True) as store:
        store.execute("INSERT INTO events (at, lesson, kind, item, answer, state) VALUES (?, ?, ?, ?, ?, ?)", row)


def events(lesson: str | None = None, kind: str | None = None, item: str | None = None) -> list[Event]:
    """The events of this lesson, kind and item, oldest first; None stands for all. Reading makes no file.

    Raises:
        ValueError: for an unknown kind.
        StoreError: if they cannot be read.
    """
    one_of("kind", kind, [None, *STATES])
    if not _exists():
        return []
    with _open() as store:
        if _version(store) == 0:  # another process is about to write its first event
            return []
        rows = store.execute(
            "SELECT at, lesson, kind, item, answer, state FROM events WHERE lesson = ifnull(?, lesson) "
            "AND kind = ifnull(?, kind) AND item = ifnull(?, item) ORDER BY id",
            (lesson, kind, item),
        )
        return [Event(*row) for row in rows]


def reset() -> None:
    """Remove all events, or none if that fails.

    Raises:
        StoreError: if they cannot be removed.
    """
    if _exists():
        with _open(to_write=True) as store:
            store.execute("DELETE FROM events")


def export_csv(file: TextIO) -> None:
    """Write all events, oldest first, under a line with the names of Event's attributes.

    Raises:
        StoreError: if they cannot be read; nothing is written then.
    """
    rows = [astuple(event) for event in events()]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(Event))
    writer.writerows(rows)


def _exists() -> bool:
    try:
        return path().exists()
    except OSError as error:
        raise _explain(error) from error


@contextmanager
def _open(to_write: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection within one transaction. It is closed at the end, so threads and processes share none."""
    try:
        if to_write:
            path().parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path(), timeout=TIMEOUT, isolation_level=None)) as store:
            if to_write:
                # A write-ahead log needs memory that processes share, which network home directories do not have.
                store.execute("PRAGMA journal_mode = DELETE")
                # A killed process loses no answer at any setting. FULL keeps the file sound after a power cut as well.
                # An answer takes 0.9 ms with it on a virtual disk, 0.8 ms with NORMAL, 0.2 ms without any syncing.
                store.execute("PRAGMA synchronous = FULL")
            store.execute("BEGIN IMMEDIATE" if to_write else "BEGIN")
            version = _version(store)
            if version > VERSION:
                raise StoreError(
                    f"`{path()}` was written by a newer version of this course",
                    "Update the course, or move that file away to start a new one.",
                )
            if version == 0 and path().stat().st_size:  # SQLite would take a few bytes of anything for an empty file
                raise sqlite3.DatabaseError("not a store")
            if version == 0 and to_write:
                store.execute(_TABLE)
                store.execute(f"PRAGMA user_version = {VERSION}")
            yield store
            store.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise _explain(error) from error


def _version(store: sqlite3.Connection) -> int:
    """The version of the layout, 0 for a file without a table."""
    [version] = store.execute("PRAGMA user_version").fetchone()
    return int(version)


def _explain(error: sqlite3.Error | OSError) -> StoreError:
    file = path()
    if isinstance(error, OSError):
        return StoreError(
            f"The folder `{file.parent}` cannot be used ({error.strerror})",
            "Make it yourself, or set WARMUP_COURSE_HOME to a folder that you can write to.",
        )
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the rest says which kind of it
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"`{file}` has been locked for {TIMEOUT:g} seconds",
            "Close the program that uses it, or set WARMUP_COURSE_HOME to a folder on a local disk.",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(
            f"`{file}` cannot be opened or changed",
            "Make it and its folder writable, or set WARMUP_COURSE_HOME to a folder that you can write to.",
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"There is no space left for `{file}`", "Make room on that disk and try again.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"`{file}` is damaged or no file of this course",
            "Move it away to start a new one; until then it is left as it is.",
        )
    return StoreError(
        f"`{file}` cannot be used ({error})",
        "If that lasts, move it away to start a new one, or set WARMUP_COURSE_HOME to another folder.",
    )
