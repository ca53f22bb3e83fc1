"""The store of answers, with files of its own: what was recorded is there, whatever else happens."""

import csv
import io
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warmup_course.classroom import store
from warmup_course.classroom.store import Event, StoreError, StoreWarning

RIGHT = ("03_linear_warmup", "question", "lr-at-step-499", "0.05", "right")
LOCKED = ("03_linear_warmup", "prediction", "who-wins", "with warmup", "locked")
OTHER = ("01_learning_rate_basics", "question", "too-high", "A, C", "wrong")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's store will be."""
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "a home"))
    return tmp_path / "a home/progress.sqlite3"


def recorded(**only: str) -> list[tuple[str, ...]]:
    return [(event.lesson, event.kind, event.item, event.answer, event.state) for event in store.events(**only)]


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
    assert recorded(lesson="03_linear_warmup", kind="question", item="lr-at-step-499") == [RIGHT, RIGHT]
    assert recorded(item="nothing") == []
    assert list(file.parent.iterdir()) == [file]  # no journal is left


def test_the_time_is_utc():
    store.record(*RIGHT)
    [event] = store.events()
    at = datetime.fromisoformat(event.at)
    assert at.utcoffset() == timedelta(0)
    assert timedelta(seconds=-1) <= datetime.now(UTC) - at < timedelta(minutes=1)


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


@pytest.mark.parametrize(
    ("position", "value", "told"),
    [
        (0, "", "lesson must be text, not blank, got ''"),
        (2, " ", "item must be text, not blank, got ' '"),
        (3, 0.05, "answer must be text, got 0.05"),
        (1, "quiz", r"kind must be one of \['prediction', 'question', 'exercise', 'sweep'\], got 'quiz'"),
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


def test_an_unknown_kind_is_not_an_empty_answer():
    with pytest.raises(ValueError, match=r"kind must be one of .* got 'questions'"):
        store.events(kind="questions")


# ---- what happens meanwhile -----------------------------------------------------------------------------------------

WRITER = """
import sys
from warmup_course.classroom import store
for number in range(int(sys.argv[2])):
    store.record("00_start_here", "question", sys.argv[1], str(number), "right")
    print(number, flush=True)
"""


@pytest.mark.slow
def test_no_acknowledged_answer_is_lost_though_a_process_is_killed(file: Path):
    """Two processes write at once; one is killed on the way, in the middle of whatever it does."""
    writers = {
        name: subprocess.Popen([sys.executable, "-c", WRITER, name, count], stdout=subprocess.PIPE, text=True)
        for name, count in {"lives": "1000", "dies": "1000000"}.items()
    }
    acknowledged: dict[str, list[str]] = {}

    def follow(name: str) -> None:
        acknowledged[name] = []
        for line in writers[name].stdout:
            acknowledged[name].append(line.strip())
            if (name, len(acknowledged[name])) == ("dies", 500):
                writers[name].kill()

    threads = [threading.Thread(target=follow, args=[name]) for name in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for writer in writers.values():
        writer.stdout.close()
        writer.wait(timeout=60)

    assert writers["lives"].returncode == 0
    assert writers["dies"].returncode != 0
    kept = {name: [event.answer for event in store.events(item=name)] for name in writers}
    assert kept["lives"] == acknowledged["lives"] == [str(number) for number in range(1000)]
    # The last one may have been kept without its writer living to say so.
    assert 500 <= len(acknowledged["dies"]) <= len(kept["dies"]) <= len(acknowledged["dies"]) + 1
    assert kept["dies"] == [str(number) for number in range(len(kept["dies"]))]
    assert sql(file, "PRAGMA integrity_check") == [("ok",)]
    assert sql(file, "PRAGMA journal_mode") == [("delete",)]


def test_threads_start_a_store_together(file: Path):
    def write(name: str) -> None:
        for number in range(20):
            store.record("00_start_here", "question", name, str(number), "right")

    threads = [threading.Thread(target=write, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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
        for word in (*words, f"`{file}`", "so the lesson goes on without remembering. "):
            assert word in str(caught.value)
    assert file.read_bytes() == before


def fill(file: Path) -> None:
    for number in range(60):
        store.record("03_linear_warmup", "question", "lr-at-step-499", f"{number} " + 100 * "x", "wrong")
    assert file.stat().st_size > 3 * 4096


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
    with pytest.warns(StoreWarning, match="was damaged. ") as told:
        if found_by == "writing":
            store.record(*OTHER)
        else:
            store.events()
    [message] = [str(warning.message) for warning in told]
    events = store.events()  # says nothing any more
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
    long = ("03_linear_warmup", "exercise", "03_linear_warmup/ramp", "def ramp(step, W):\n" + "    # π\n" * 3000, "done")
    for row in (RIGHT, long, OTHER):
        store.record(*row)
    file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
    with pytest.warns(StoreWarning, match="3 answers could still be read"):
        assert recorded() == [RIGHT, long, OTHER]


def test_damage_is_mended_a_second_time_beside_the_first(file: Path):
    for number in (1, 2):
        store.record(*RIGHT)
        file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
        with pytest.warns(StoreWarning, match=f"progress.damaged-{number}.sqlite3"):
            assert recorded() == [RIGHT] * number


def test_what_was_removed_is_not_recovered(file: Path):
    fill(file)
    store.reset()
    store.record(*RIGHT)
    file.write_bytes(b"\xaa" * PAGE + file.read_bytes()[PAGE:])
    with pytest.warns(StoreWarning, match="1 answer could still be read"):
        assert recorded() == [RIGHT]


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
    threads = [threading.Thread(target=store.record, args=OTHER) for _ in range(6)]
    with pytest.warns(StoreWarning):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
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
        store.record("03_linear_warmup", "question", "lr-at-step-499", "x" * 10_000, "wrong")
    assert f"`{file}`" in str(caught.value)
    assert "Make room on that disk" in str(caught.value)
    assert recorded() == before
