"""The store of answers, with files of its own: what was recorded is there, whatever else happens."""

import csv
import errno
import io
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import pytest

from warmup_course.classroom import store
from warmup_course.classroom.store import Event, StoreError

RIGHT = ("03_linear_warmup", "question", "lr-of-batch-60", "0.006", "right")
LOCKED = ("03_linear_warmup", "prediction", "who-wins", "with warmup", "locked")
OTHER = ("01_learning_rate_basics", "question", "too-high", "A, C", "wrong")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's store will be."""
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "a home"))
    return tmp_path / "a home/progress.sqlite3"


def recorded(**only: str) -> list[tuple[str, ...]]:
    return [(event.lesson, event.kind, event.item, event.answer, event.state) for event in store.events(**only)]


def news() -> str:
    """What is told of the one file that was mended."""
    [told] = store.news()
    return told


def sql(file: Path, statement: str) -> list[tuple[object, ...]]:
    """What SQLite itself says."""
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement).fetchall()


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_reading_finds_nothing_and_makes_nothing(file: Path):
    assert store.events() == []
    store.reset()
    assert not file.parent.exists()


def test_events_come_back_as_recorded_oldest_first(file: Path):
    odd = ("03_linear_warmup", "exercise", "03_linear_ramp", 'π ≈ 3,14; "no"\nyes', "not yet")
    for row in (RIGHT, LOCKED, OTHER, odd, RIGHT):
        store.record(*row)
    assert recorded() == [RIGHT, LOCKED, OTHER, odd, RIGHT]
    assert recorded(lesson="03_linear_warmup") == [RIGHT, LOCKED, odd, RIGHT]
    assert recorded(kind="question") == [RIGHT, OTHER, RIGHT]
    assert recorded(lesson="03_linear_warmup", kind="question", item="lr-of-batch-60") == [RIGHT, RIGHT]
    assert recorded(item="nothing") == []
    assert list(file.parent.iterdir()) == [file]  # no journal is left


def test_the_time_is_utc():
    store.record(*RIGHT)
    [event] = store.events()
    at = datetime.fromisoformat(event.at)
    assert at.utcoffset() == timedelta(0)
    assert timedelta(seconds=-1) <= datetime.now(UTC) - at < timedelta(minutes=1)


def test_learners_who_answer_alike_within_a_second_are_told_apart():
    store.record(*RIGHT)
    store.record(*RIGHT)
    first, second = store.events()
    assert first != second


def test_without_the_variable_answers_go_where_user_data_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("WARMUP_COURSE_HOME", "")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert store.path() == tmp_path / "warmup_course/progress.sqlite3"
    assert store.path().is_absolute()


def test_reset_removes_all_and_the_store_goes_on(file: Path):
    store.record(*RIGHT)
    store.reset()
    assert store.events() == []
    store.record(*OTHER)
    assert recorded() == [OTHER]


def test_csv_is_read_back_by_the_csv_module():
    odd = ("03_linear_warmup", "exercise", "03_linear_ramp", 'a, "b"\nc', "done")
    for row in (RIGHT, odd):
        store.record(*row)
    file = io.StringIO(newline="")
    store.export_csv(file)
    header, *rows = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert header == ["at", "lesson", "kind", "item", "answer", "state"]
    assert [Event(*row) for row in rows] == store.events()
    assert [tuple(row[1:]) for row in rows] == [RIGHT, odd]


def test_half_a_surrogate_pair_is_kept_by_its_name():
    """A browser can send one, and no file can hold it."""
    store.record(*RIGHT[:3], "a \ud83d b", "wrong")
    assert [event.answer for event in store.events()] == [r"a \ud83d b"]


def test_a_clock_that_jumps_back_changes_no_order(monkeypatch: pytest.MonkeyPatch):
    for year, row in ((2030, RIGHT), (1999, LOCKED), (2026, OTHER)):
        now = datetime(year, 1, 1, tzinfo=UTC)
        monkeypatch.setattr(store, "datetime", SimpleNamespace(now=lambda zone, now=now: now))
        store.record(*row)
    assert recorded() == [RIGHT, LOCKED, OTHER]
    assert [event.at[:4] for event in store.events()] == ["2030", "1999", "2026"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_only_their_owner_can_read_the_answers(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def modes() -> list[int]:
        return [stat.S_IMODE(path.stat().st_mode) for path in (store.path().parent, store.path())]

    old = os.umask(0o022)
    try:
        store.record(*RIGHT)
        assert modes() == [0o700, 0o600]
        file.chmod(0o644)  # as an earlier version of the course left it
        file.parent.chmod(0o755)
        store.record(*RIGHT)
        assert modes() == [0o755, 0o600]  # the folder that somebody chose is theirs
        file.write_bytes(file.read_bytes()[:5000])
        store.events()
        assert "was damaged" in news()
        assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.glob("progress*sqlite3")} == {0o600}
        monkeypatch.delenv("WARMUP_COURSE_HOME")
        monkeypatch.setattr(store, "user_data_path", lambda _: tmp_path / "user data")
        (tmp_path / "user data").mkdir(0o755)
        store.record(*RIGHT)
        assert modes() == [0o700, 0o600]
    finally:
        os.umask(old)


def test_a_home_is_the_same_folder_from_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("WARMUP_COURSE_HOME", "~/answers")
    assert store.path() == tmp_path / "answers/progress.sqlite3"
    monkeypatch.chdir(tmp_path)
    for relative in ("answers", "./answers", "../answers", "~nobody-of-that-name/answers"):
        monkeypatch.setenv("WARMUP_COURSE_HOME", relative)
        for action in (store.events, store.reset, store.path, lambda: store.record(*RIGHT)):
            with pytest.raises(
                StoreError, match="WARMUP_COURSE_HOME must be a full path, or begin with ~, got"
            ) as told:
                action()
            assert repr(relative) in str(told.value)
            assert "another folder in each notebook" in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("position", "value", "told"),
    [
        (0, "\ud800", "lesson must be text, not blank, got"),
        (0, "", "lesson must be text, not blank, got ''"),
        (2, " ", "item must be text, not blank, got ' '"),
        (3, 0.05, "answer must be text, got 0.05"),
        (1, "quiz", r"kind must be one of \['prediction', 'question', 'exercise', 'goal', 'sweep'\], got 'quiz'"),
        (4, "done", r"state for kind 'question' must be one of \['right', 'wrong'\], got 'done'"),
        (4, "Right", "state for kind 'question' must be one of"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_made(file: Path, position: int, value: object, told: str):
    row: list[object] = list(RIGHT)
    row[position] = value
    with pytest.raises(ValueError, match=told):
        store.record(*row)
    assert not file.parent.exists()


@pytest.mark.parametrize("name", ["lesson", "item"])
@pytest.mark.parametrize("value", [[], 3, b"03", "\ud800"])
def test_what_is_no_text_is_not_an_empty_answer(name: str, value: object):
    for _ in range(2):  # without a store and with one
        with pytest.raises(ValueError, match=f"{name} must be text or None, got"):
            store.events(**{name: value})
        store.record(*RIGHT)


def test_an_unknown_kind_is_not_an_empty_answer():
    with pytest.raises(ValueError, match=r"kind must be one of .* got 'questions'"):
        store.events(kind="questions")


# ---- what happens meanwhile -----------------------------------------------------------------------------------------

# Two processes write at once, and each is killed at some moment, again and again. Says what they had acknowledged.
KILLED_WRITERS = """
import os, random, signal, sys, time
from warmup_course.classroom import store

def start(name):
    reads, writes = os.pipe()
    if child := os.fork():
        os.close(writes)
        return child, reads
    for number in range(10**9):
        store.record("00_start_here", "question", name, str(number), "right")
        os.write(writes, b".")

for number in range(int(sys.argv[1])):
    writers = {f"{number} {side}": start(f"{number} {side}") for side in "ab"}
    for name, (child, reads) in writers.items():
        time.sleep(random.uniform(0, float(sys.argv[2])))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(f"{name}:{len(os.read(reads, 10**6))}")
        os.close(reads)
"""
# A process that mends a damaged store is killed at some moment of it, and then another asks for the answers.
KILLED_MENDERS = """
import os, random, signal, sys, time
from warmup_course.classroom import store

damaged = store.path().read_bytes()
for number in range(int(sys.argv[1])):
    store.path().write_bytes(damaged)
    if not (child := os.fork()):
        store.events()
        os._exit(0)
    time.sleep(random.uniform(0, float(sys.argv[2])))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(len(store.events()))
"""
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def said_by(script: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


@pytest.mark.slow
@needs_fork
def test_no_acknowledged_answer_is_lost_in_600_kills(file: Path):
    once = perf_counter()
    store.record(*RIGHT)
    once = perf_counter() - once
    lines = [line.split(":") for line in said_by(KILLED_WRITERS, "300", str(max(0.02, 3 * once)))]
    assert len(lines) == 600
    kept: dict[str, list[str]] = {name: [] for name, _ in lines}
    for event in store.events(lesson="00_start_here"):
        kept[event.item].append(event.answer)
    for name, acknowledged in lines:
        # The last one may have been kept without its writer living to say so.
        assert int(acknowledged) <= len(kept[name]) <= int(acknowledged) + 1
        assert kept[name] == [str(number) for number in range(len(kept[name]))]
    assert sum(map(len, kept.values())) > 100
    assert sql(file, "PRAGMA integrity_check") == [("ok",)]
    assert sql(file, "PRAGMA journal_mode") == [("delete",)]


@pytest.mark.slow
@needs_fork
def test_no_answer_is_lost_by_who_is_killed_while_mending(file: Path):
    fill(file)
    file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
    assert said_by(KILLED_MENDERS, "100", "0.2") == ["60"] * 100


def test_threads_start_a_store_together(file: Path):
    def write(name: str) -> None:
        for number in range(20):
            store.record("00_start_here", "question", name, str(number), "right")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    assert {name: len(store.events(item=name)) for name in "abcd"} == dict.fromkeys("abcd", 20)


def test_a_transaction_cut_off_by_a_crash_is_undone(file: Path):
    """A process that dies after it has changed the file and before it commits leaves a journal beside it."""
    store.record(*RIGHT)
    cut_off = (
        "import os, sqlite3, sys\n"
        "store = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "store.execute('PRAGMA cache_size = 1')\n"  # so that it writes to the file early
        "store.execute('BEGIN IMMEDIATE')\n"
        "store.execute('DELETE FROM events')\n"
        "store.execute('CREATE TABLE junk AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 999)"
        " SELECT hex(randomblob(100)) FROM n')\n"
        "os._exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", cut_off, str(file)]).returncode == 3
    assert file.with_name("progress.sqlite3-journal").stat().st_size > 0
    assert recorded() == [RIGHT]
    store.record(*OTHER)
    assert recorded() == [RIGHT, OTHER]
    assert sql(file, "PRAGMA integrity_check") == [("ok",)]


def test_a_write_ahead_log_that_another_tool_chose_is_given_up(file: Path):
    store.record(*RIGHT)
    assert sql(file, "PRAGMA journal_mode = WAL") == [("wal",)]
    store.record(*OTHER)
    assert sql(file, "PRAGMA journal_mode") == [("delete",)]
    assert recorded() == [RIGHT, OTHER]


# ---- what can be wrong with the file --------------------------------------------------------------------------------


def assert_told(file: Path, *words: str) -> None:
    """Reading and writing both say what is wrong in two sentences, and leave the file as it is."""
    before = file.read_bytes()
    for action in (store.events, store.reset, lambda: store.record(*RIGHT)):
        with pytest.raises(StoreError) as caught:
            action()
        for word in (*words, f"`{file.parent}", "so the lesson goes on without remembering. "):
            assert word in str(caught.value)
    assert file.read_bytes() == before


@cache
def filled() -> bytes:
    """A store of 60 answers, as SQLite writes it."""
    for number in range(60):
        store.record("03_linear_warmup", "question", "lr-of-batch-60", f"{number} " + 100 * "x", "wrong")
    return store.path().read_bytes()


def fill(file: Path) -> None:
    content = filled()
    assert len(content) > 3 * 4096
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o600)


PAGE = 4096
# What happened to a file of 60 answers on three pages, and at least how many of them are still in it.
DAMAGE = {
    "no database": (lambda content: b"The dog ate it. " * 100, 0),
    "the first bytes": (lambda content: content[:50], 0),
    "half of it": (lambda content: content[: len(content) // 2], 0),
    "cut in its second page": (lambda content: content[:5000], 0),
    "cut in its last page": (lambda content: content[:-3000], 20),
    "the last byte is missing": (lambda content: content[:-1], 50),
    "all but the first page garbled": (lambda content: content[:PAGE] + b"\xaa" * (len(content) - PAGE), 0),
    "the first page garbled": (lambda content: b"\xaa" * PAGE + content[PAGE:], 60),
    "the root garbled": (lambda content: content[:PAGE] + b"\xaa" * PAGE + content[2 * PAGE :], 60),
    "the third page empty": (lambda content: content[: 2 * PAGE] + bytes(PAGE) + content[3 * PAGE :], 20),
    "garbled in the middle of a page": (lambda content: content[:11000] + b"\xff" * 300 + content[11300:], 50),
}


@pytest.mark.parametrize(("damage", "least"), DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("found_by", ["reading", "writing"])
def test_a_damaged_file_is_kept_beside_and_what_can_be_read_is_kept_on(file: Path, damage, least: int, found_by: str):
    fill(file)
    before = store.events()
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    find = store.events if found_by == "reading" else partial(store.record, *OTHER)
    find()
    message = news()
    assert "was damaged. " in message
    events = store.events()
    assert store.news() == []
    if found_by == "writing":
        assert recorded()[-1] == OTHER
        events.pop()
    assert least <= len(events) <= 60
    assert [event for event in before if event in events] == events  # in their order, and nothing made up
    assert message.startswith(f"`{file}` was damaged. {f'{len(events)} answer' if events else 'None of its'}")
    assert "kept as `progress.damaged-1.sqlite3` beside it." in message
    assert file.with_name("progress.damaged-1.sqlite3").read_bytes() == damaged
    assert sql(file, "PRAGMA integrity_check") == [("ok",)]


def test_a_long_answer_is_recovered_too(file: Path):
    typed = "def ramp(step, W):\n" + "    # π\n" * 3000
    long = ("03_linear_warmup", "exercise", "03_linear_warmup/ramp", typed, "done")
    for row in (RIGHT, long, OTHER):
        store.record(*row)
    file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
    assert recorded() == [RIGHT, long, OTHER]
    assert "3 answers could still be read" in news()


def test_damage_is_mended_a_second_time_beside_the_first(file: Path):
    for number in (1, 2):
        store.record(*RIGHT)
        file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
        assert recorded() == [RIGHT] * number
        assert f"progress.damaged-{number}.sqlite3" in news()


def test_what_was_removed_is_not_recovered(file: Path):
    fill(file)
    store.reset()
    store.record(*RIGHT)
    file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
    assert recorded() == [RIGHT]
    assert "1 answer could still be read" in news()


def test_a_damaged_file_that_cannot_be_mended_is_told_and_stays(file: Path, monkeypatch: pytest.MonkeyPatch):
    fill(file)
    file.write_bytes(file.read_bytes()[:5000])

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    assert_told(file, "is damaged, and cannot be mended (Read-only file system)", "Make its folder writable")


def test_threads_that_find_the_damage_together_mend_it_once(file: Path):
    fill(file)
    file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: store.record(*OTHER), range(6)))
    assert "60 answers could still be read" in news()
    assert len(recorded()) == 66
    assert [path.name for path in file.parent.glob("*damaged*")] == ["progress.damaged-1.sqlite3"]


def test_an_empty_file_is_a_store_without_answers(file: Path):
    """As a process leaves it that was killed between making the file and filling it."""
    file.parent.mkdir()
    file.touch()
    assert store.events() == []
    store.record(*RIGHT)
    assert recorded() == [RIGHT]


def test_a_newer_version_is_refused(file: Path):
    store.record(*RIGHT)
    sql(file, "PRAGMA user_version = 2")
    assert_told(file, "was written by a newer version of this course", "Update the course")
    file.write_bytes(file.read_bytes()[:5000])
    assert_told(file, "was written by a newer version of this course", "Update the course")
    fill_from = file.read_bytes()[:PAGE]
    file.write_bytes(fill_from)  # SQLite itself sees that a page is missing
    assert_told(file, "was written by a newer version of this course", "Update the course")


def test_somebody_elses_database_is_left_alone(file: Path):
    file.parent.mkdir()
    sql(file, "CREATE TABLE events (what TEXT)")
    assert_told(file, "is no file of this course", "Move it away to start one")
    sql(file, "PRAGMA user_version = 1")
    with pytest.raises(StoreError, match=r"cannot be used \(no such column: at\)"):
        store.events()
    with pytest.raises(StoreError, match=r"cannot be used \(table events has no column named at\)"):
        store.record(*RIGHT)
    assert sql(file, "SELECT * FROM events") == []


def test_a_locked_file_is_waited_for_and_then_told(file: Path, monkeypatch: pytest.MonkeyPatch):
    store.record(*RIGHT)
    monkeypatch.setattr(store, "TIMEOUT", 0.2)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert_told(file, "has been locked for 0.2 seconds", "Close the program that uses it")
        other.execute("ROLLBACK")
        other.execute("BEGIN IMMEDIATE")  # one who writes does not keep others from reading
        assert recorded() == [RIGHT]
        monkeypatch.setattr(store, "TIMEOUT", 20)
        thread = threading.Thread(target=store.record, args=OTHER)
        thread.start()
        thread.join(timeout=0.1)
        assert thread.is_alive()
        other.execute("ROLLBACK")
    thread.join(timeout=20)
    assert recorded() == [RIGHT, OTHER]


def test_a_read_only_file_can_be_read_and_not_written(file: Path, monkeypatch: pytest.MonkeyPatch):
    store.record(*RIGHT)
    real = sqlite3.connect  # permissions do not bind root, so SQLite is told instead

    def connect(path: Path, **options: object) -> sqlite3.Connection:
        return real(f"{path.as_uri()}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(StoreError, match="cannot be opened or changed") as caught:
        store.record(*OTHER)
    assert f"`{file}`" in str(caught.value)
    assert "Make it and its folder writable, or set WARMUP_COURSE_HOME" in str(caught.value)
    assert recorded() == [RIGHT]


@pytest.mark.parametrize("name", ["", "progress.sqlite3"])
def test_where_permissions_bind_what_is_read_only_can_be_read(file: Path, name: str):
    store.record(*RIGHT)
    path = file.parent / name
    path.chmod(path.stat().st_mode & ~0o222)
    try:
        if os.access(path, os.W_OK):
            pytest.skip("permissions do not bind root")
        with pytest.raises(StoreError, match="cannot be opened or changed"):
            store.record(*OTHER)
        assert recorded() == [RIGHT]
    finally:
        path.chmod(path.stat().st_mode | 0o200)


def test_a_file_that_cannot_be_opened(file: Path):
    file.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be opened or changed"):
        store.events()
    with pytest.raises(StoreError, match="cannot be opened or changed"):
        store.record(*RIGHT)


@pytest.mark.parametrize("below", ["", "a/b"])
def test_a_home_that_cannot_be_made(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, below: str):
    (tmp_path / "note").write_text("mine")
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "note" / below))
    assert store.events() == []
    with pytest.raises(StoreError, match="so the lesson goes on without remembering") as caught:
        store.record(*RIGHT)
    assert str(caught.value).startswith(f"The folder `{tmp_path / 'note' / below}` cannot be used (")
    assert "set WARMUP_COURSE_HOME to a folder that you can write to" in str(caught.value)
    assert (tmp_path / "note").read_text() == "mine"


def test_a_full_disk(file: Path, monkeypatch: pytest.MonkeyPatch):
    fill(file)
    before = recorded()
    real = sqlite3.connect

    def connect(path: Path, **options: object) -> sqlite3.Connection:
        connection = real(path, **options)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size: no page can be added
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(StoreError, match="There is no space left for") as caught:
        store.record("03_linear_warmup", "question", "lr-of-batch-60", "x" * 10_000, "wrong")
    assert f"`{file}`" in str(caught.value)
    assert "Make room on that disk" in str(caught.value)
    assert recorded() == before


@pytest.mark.skipif(sys.platform == "win32", reason="there, no disk is without locks")
def test_a_network_home_without_locks(file: Path, monkeypatch: pytest.MonkeyPatch):
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    store.record(*RIGHT)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    store.can_lock.cache_clear()
    try:
        assert_told(file, "locks no files", "Set WARMUP_COURSE_HOME to a folder on a local disk.")
    finally:
        store.can_lock.cache_clear()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits here")
def test_a_quota_that_is_used_up(file: Path):
    """This process may write no file of more than 40 kB."""
    import resource

    kept: list[str] = []

    def go_on() -> None:
        for number in range(1000):
            answer = f"{number} " + 100 * "x"
            store.record("00_start_here", "question", "why", answer, "wrong")
            kept.append(answer)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(StoreError) as told:
            go_on()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"`{file}` cannot be written (" in str(told.value)
    assert "Make room on that disk, or in your share of it" in str(told.value)
    assert [event.answer for event in store.events()] == kept
    assert len(kept) > 100
    store.record(*RIGHT)
    assert recorded()[-1] == RIGHT
