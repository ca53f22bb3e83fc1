"""The learner's answers: events that are only ever added, in one SQLite file on the learner's own machine."""

import csv
import errno
import os
import sqlite3
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from platformdirs import user_data_path

from warmup_course import variables
from warmup_course.arguments import one_of

# kind -> the states that it can be in
STATES = {
    "prediction": ("locked", "held", "missed"),
    "question": ("right", "wrong"),
    "exercise": ("not yet", "done"),
    "goal": ("reached",),
    "sweep": ("paid", "given back"),
}
VERSION = 1  # of the table's layout, kept in the file's user_version
TIMEOUT = 30.0  # seconds to wait while another process writes

# Called after each event that this process has recorded, each under a key of its own.
watchers: dict[str, Callable[[], None]] = {}

_news: deque[str] = deque()

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
_INSERT = "INSERT INTO events (at, lesson, kind, item, answer, state) VALUES (?, ?, ?, ?, ?, ?)"


class StoreError(Exception):
    """The answers cannot be read or kept. The message is Markdown, and can be shown to a learner as it is."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}, so the lesson goes on without remembering. {advice}")
        self.problem, self.advice = problem, advice


@dataclass(frozen=True)
class Event:
    """One thing that the learner did.

    Attributes:
        at: when, in UTC, such as "2026-03-14T15:09:26.535897+00:00".
        lesson: the lesson's name, such as "03_linear_warmup".
        kind: "prediction", "question", "exercise", "goal" of a lab, or "sweep" where a lesson has a budget of training
            steps.
        item: which of the lesson's predictions, questions, exercises or goals; for a sweep, what was trained.
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


def home() -> Path:
    """The folder of the answers: $WARMUP_COURSE_HOME, or else where this system keeps user data.

    Raises:
        ValueError: if the variable is a relative path.
    """
    return variables.folder_from(variables.HOME) or user_data_path("warmup_course")


def path() -> Path:
    """The file that holds the answers.

    Raises:
        StoreError: if it would be in a folder with a relative path.
    """
    try:
        return home() / "progress.sqlite3"
    except ValueError as error:
        advice = "A relative path would be another folder in each notebook."
        raise StoreError(str(error), advice) from error


def news() -> list[str]:
    """What the learner should be told of damaged files that were mended, in Markdown. Nothing is said twice.

    No Python warnings: labs record from threads, and what catches warnings in one takes them away from the others.
    """
    found = []
    with suppress(IndexError):
        while True:
            found.append(_news.popleft())
    return found


def record(lesson: str, kind: str, item: str, answer: str, state: str) -> None:
    """Add one event. Once this has returned, the event outlives the process.

    Args: as the attributes of Event. Of half a surrogate pair in an answer, which no file can hold, its name is kept.

    Raises:
        ValueError: if an argument is no text, or lesson or item is blank, or kind and state do not go together.
        StoreError: if the event cannot be kept. In a damaged file it can: that is mended, and told by ``news``.
    """
    for name, value in {"lesson": lesson, "item": item, "answer": answer}.items():
        if not isinstance(value, str) or (name != "answer" and not (value.strip() and _is_unicode(value))):
            raise ValueError(f"{name} must be text{', not blank' * (name != 'answer')}, got {value!r}")
    answer = answer.encode("utf-8", "backslashreplace").decode()
    one_of("kind", kind, STATES)
    one_of(f"state for kind {kind!r}", state, STATES[kind])
    # To the microsecond: no two learners of a class have made the same events.
    row = (datetime.now(UTC).isoformat(timespec="microseconds"), lesson, kind, item, answer, state)
    with _open(to_write=True) as store:
        store.execute(_INSERT, row)
    for watch in tuple(watchers.values()):
        watch()


def events(lesson: str | None = None, kind: str | None = None, item: str | None = None) -> list[Event]:
    """The events of this lesson, kind and item, oldest first; None stands for all. Reading makes no file.

    Raises:
        ValueError: for an unknown kind, or a lesson or item that is no text.
        StoreError: if they cannot be read. Of a damaged file, which is mended and told by ``news``, the events are
            those that could still be read.
    """
    one_of("kind", kind, [None, *STATES])
    for name, value in {"lesson": lesson, "item": item}.items():
        if value is not None and not (isinstance(value, str) and _is_unicode(value)):
            raise ValueError(f"{name} must be text or None, got {value!r}")
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
            store.execute("PRAGMA secure_delete = ON")  # what is removed is not to be found by _salvage either
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


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _exists() -> bool:
    try:
        return path().exists()
    except OSError as error:
        raise _explain(error) from error


@contextmanager
def _open(to_write: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection within one transaction. It is closed at the end, so threads and processes share none."""
    try:
        file = path()
        if to_write:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        need_locks(file.parent)
        try:
            opened = _begin(file, to_write)
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
            _news.extend(_mend(file))
            opened = _begin(file, to_write)
        with closing(opened) as store:
            yield store
            store.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise _explain(error) from error


def need_locks(folder: Path) -> None:
    """Raise a StoreError for a folder on a disk that has none."""
    if not can_lock(folder):
        raise StoreError(
            f"The disk of `{folder}` locks no files, as some network homes do not",
            "Set WARMUP_COURSE_HOME to a folder on a local disk.",
        )


@cache
def can_lock(folder: Path) -> bool:
    """False where SQLite would wait for each lock in vain."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        with TemporaryFile(dir=folder) as probe:
            fcntl.lockf(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
    return True


def _make_private(file: Path) -> None:
    """Let nobody but its owner read the file, or its folder if that is the course's.

    It is never opened for that: to close it would take away the locks that this process has on it.
    """
    for own in [file] if os.environ.get(variables.HOME) else [file, file.parent]:
        mode = stat.S_IMODE(own.stat().st_mode)
        if mode & 0o077:
            with suppress(OSError):  # it is somebody else's
                own.chmod(mode & 0o700)


def _begin(file: Path, to_write: bool) -> sqlite3.Connection:
    """A connection to a sound file, or an empty one, within a transaction."""
    store = sqlite3.connect(file, timeout=TIMEOUT, isolation_level=None)
    try:
        if to_write:
            # A write-ahead log needs memory that processes share, which network home directories do not have.
            store.execute("PRAGMA journal_mode = DELETE")
            # A killed process loses no answer at any setting. FULL keeps the file sound after a power cut as well.
            # An answer takes 0.9 ms with it on a virtual disk, 0.8 ms with NORMAL, 0.2 ms without any syncing.
            store.execute("PRAGMA synchronous = FULL")
        store.execute("BEGIN IMMEDIATE" if to_write else "BEGIN")
        if to_write:
            _make_private(file)  # as long as a new one is empty; SQLite gives its journal the same permissions
        version = _version(store)
        if version > VERSION:
            raise _newer(file)
        if version == VERSION:
            # Of a file that was cut off, SQLite would read the rest as nothing, and write on. 1 ms for 3000 answers.
            [page] = store.execute("PRAGMA page_size").fetchone()
            if file.stat().st_size % page or store.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
        elif store.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StoreError(f"`{file}` is no file of this course", "Move it away to start one; it is left as it is.")
        elif file.stat().st_size:  # SQLite would take a few bytes of anything for an empty file
            raise sqlite3.DatabaseError("not a store")
        elif to_write:
            _lay_out(store)
    except BaseException:
        store.close()
        raise
    return store


def _lay_out(store: sqlite3.Connection) -> None:
    store.execute(_TABLE)
    store.execute(f"PRAGMA user_version = {VERSION}")


def _mend(file: Path) -> list[str]:
    """Keep a damaged file beside, and put a sound one with all that can be read of it in its place; what to tell of it.

    Whoever is killed on the way leaves the damaged file where it was.
    """
    try:
        lock = file.with_name(f"{file.name}.lock")
        with closing(sqlite3.connect(lock, timeout=TIMEOUT, isolation_level=None)) as turn:
            turn.execute("BEGIN EXCLUSIVE")  # several processes may have found the damage
            try:
                _begin(file, False).close()
                return []  # another one has mended it
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
            damaged, draft = file.read_bytes(), file.with_name(f"{file.name}.draft")
            if damaged.startswith(b"SQLite format 3\0") and int.from_bytes(damaged[60:64], "big") > VERSION:
                raise _newer(file)
            for left in (draft, _journal(draft)):  # by somebody who was killed
                left.unlink(missing_ok=True)
            with closing(sqlite3.connect(draft, isolation_level=None)) as store:
                _lay_out(store)
                _make_private(draft)
                rows = _salvage(damaged, draft.read_bytes())
                store.execute("BEGIN")
                store.executemany(_INSERT, rows)
                store.execute("COMMIT")
            names = (file.with_name(f"{file.stem}.damaged-{number}{file.suffix}") for number in count(1))
            beside = next(name for name in names if not name.exists())
            beside.touch(0o600)
            beside.write_bytes(damaged)
            if _journal(file).exists():  # it belongs to that file, and would spoil another
                _journal(file).replace(_journal(beside))
            draft.replace(file)
    except OSError as error:
        raise StoreError(
            f"`{file}` is damaged, and cannot be mended ({error.strerror})",
            "Make its folder writable, or move the file away to start a new one.",
        ) from error
    found = f"{len(rows)} answer{'s' * (len(rows) != 1)}" if rows else "None of its answers"
    kept = f"The damaged file is kept as `{beside.name}` beside it."
    return [f"`{file}` was damaged. {found} could still be read. {kept}"]


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-journal")


def _salvage(damaged: bytes, empty: bytes) -> list[tuple[str, ...]]:
    """The rows of all pages that can still be read, oldest first.

    Args:
        damaged: what is left of a store.
        empty: a store without rows. All stores begin with this one's first page, and its second is the table's root.
            A page with rows can take the root's place, so that neither the tree above it nor any other page matters.
    """
    page = len(empty) // 2
    damaged += bytes(-len(damaged) % page)
    head = empty[:28] + bytes(4) + empty[32:page]  # without the number of pages, which is the file's length then
    found = {}
    for begin in range(page, len(damaged), page):
        if damaged[begin] != 13:  # a leaf of a table: https://www.sqlite.org/fileformat2.html#b_tree_pages
            continue
        with closing(sqlite3.connect(":memory:")) as store:
            store.deserialize(head + damaged[begin : begin + page] + damaged[2 * page :])
            for order in ("ASC", "DESC"):  # from both sides up to what is broken
                with suppress(sqlite3.DatabaseError):
                    for number, *row in store.execute(f"SELECT * FROM events ORDER BY id {order}"):
                        at, _, kind, _, _, state = row
                        if all(isinstance(cell, str) for cell in row) and at and state in STATES.get(kind, ()):
                            found[number] = tuple(row)
    return [found[number] for number in sorted(found)]


def _version(store: sqlite3.Connection) -> int:
    """The version of the layout, 0 for a file without a table."""
    [version] = store.execute("PRAGMA user_version").fetchone()
    return int(version)


def _newer(file: Path) -> StoreError:
    return StoreError(
        f"`{file}` was written by a newer version of this course",
        "Update the course, or move that file away to start a new one.",
    )


def _code(error: sqlite3.Error) -> int:
    """SQLite's code without the part that says which kind of it; damage for what _begin finds out itself."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def _is_damage(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _explain(error: sqlite3.Error | OSError) -> StoreError:
    file = path()
    if isinstance(error, OSError):
        return StoreError(
            f"The folder `{file.parent}` cannot be used ({error.strerror})",
            "Make it yourself, or set WARMUP_COURSE_HOME to a folder that you can write to.",
        )
    code, which = _code(error), getattr(error, "sqlite_errorcode", None)
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
    if which == sqlite3.SQLITE_IOERR_WRITE:  # a quota, a limit for files, a broken disk
        return StoreError(
            f"`{file}` cannot be written ({error})",
            "Make room on that disk, or in your share of it, or set WARMUP_COURSE_HOME to a folder on another.",
        )
    return StoreError(
        f"`{file}` cannot be used ({error})",
        "If that lasts, move it away to start a new one, or set WARMUP_COURSE_HOME to another folder.",
    )
