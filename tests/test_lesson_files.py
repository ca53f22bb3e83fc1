"""Finding and copying lessons, on small ones made here."""

import json
import os
from pathlib import Path

import pytest
from small_lessons import PARAMETERS, code, write_lesson

from warmup_course import lesson_files
from warmup_course.lesson_files import CommandError, fill_workspace, find, restore


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A folder with two lessons that show an output."""
    folder = tmp_path / "notebooks"
    output = {"output_type": "stream", "name": "stdout", "text": "spoiler"}
    for name in ("00_start_here", "03_linear_warmup"):
        write_lesson(folder / f"{name}.ipynb", code("print('spoiler')", outputs=[output], execution_count=2))
    (folder / "notes.ipynb").write_text("not a lesson")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def learn(path: Path, note: str = "my answer") -> str:
    """Change a lesson as a learner does."""
    notebook = json.loads(path.read_text("utf-8"))
    notebook["cells"].append({"cell_type": "markdown", "id": "mine", "metadata": {}, "source": note})
    path.write_text(json.dumps(notebook), "utf-8")
    return path.read_text("utf-8")


# ---- find -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["03", "3", "03_linear_warmup", "03_linear_warmup.ipynb", "notebooks/03_linear_warmup.ipynb"]
)
def test_a_lesson_is_found_by_number_and_name(shipped: Path, name: str):
    assert find(shipped, [name]) == [shipped / "03_linear_warmup.ipynb"]


def test_lessons_come_in_order_and_once(shipped: Path):
    both = [shipped / "00_start_here.ipynb", shipped / "03_linear_warmup.ipynb"]
    assert find(shipped) == find(shipped, ["3", "0", "03"]) == both


def test_a_path_is_to_the_shipped_lesson_itself(shipped: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch):
    fill_workspace(find(shipped), workspace)
    monkeypatch.chdir(shipped)
    for path in ("./03_linear_warmup.ipynb", shipped / "03_linear_warmup.ipynb", "../notebooks/03_linear_warmup"):
        assert find(shipped, [str(path)]) == [shipped / "03_linear_warmup.ipynb"]
    for path in ("../workspace/03_linear_warmup.ipynb", workspace / "03_linear_warmup.ipynb", "x/03_linear_warmup"):
        with pytest.raises(CommandError, match=r"LESSON must be a number or a name, or a file in .*notebooks; got"):
            find(shipped, [str(path)])


@pytest.mark.parametrize("name", ["7", "03_linear", "linear", "", "notes"])
def test_an_unknown_lesson_is_refused_with_the_known_ones(shipped: Path, name: str):
    with pytest.raises(CommandError, match="must be one of 00_start_here, 03_linear_warmup; got"):
        find(shipped, [name])


def test_the_glossary_is_found_by_name_alone(shipped: Path):
    glossary = write_lesson(shipped / "glossary.ipynb")
    assert glossary not in find(shipped)
    assert find(shipped, ["glossary", "0"]) == [shipped / "00_start_here.ipynb", glossary]


def test_a_folder_without_lessons_is_refused(tmp_path: Path):
    with pytest.raises(CommandError, match=r"no lessons in .*complete course folder"):
        find(tmp_path / "nowhere")


@pytest.mark.usefixtures("full_disk")
def test_what_does_not_fit_the_disk_leaves_the_old_file_and_no_other(tmp_path: Path):
    lesson_files.write(tmp_path / "page", "old")
    with pytest.raises(CommandError, match="page cannot be written: File too large"):
        lesson_files.write(tmp_path / "page", "new" * 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    assert (tmp_path / "page").read_text() == "old"


def test_a_place_that_takes_no_file_is_refused_beforehand(tmp_path: Path):
    lesson_files.check_place(tmp_path / "deep/down/junit.xml")
    assert list(tmp_path.rglob("*")) == [tmp_path / "deep", tmp_path / "deep/down"]
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"junit.xml cannot be written: "):
        lesson_files.check_place(tmp_path / "file/junit.xml")


# ---- the learner's copies -------------------------------------------------------------------------------------------


def test_a_workspace_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WARMUP_COURSE_WORKSPACE", raising=False)
    assert lesson_files.workspace(tmp_path / "usual") == tmp_path / "usual"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", "~/a course/mine")
    assert lesson_files.workspace(tmp_path / "unusual") == tmp_path / "a course/mine"
    assert list((tmp_path / "a course/mine").iterdir()) == []
    assert not (tmp_path / "unusual").exists()
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", "mine")
    with pytest.raises(CommandError, match="WARMUP_COURSE_WORKSPACE must be a full path, or begin with ~, got 'mine'"):
        lesson_files.workspace(tmp_path / "usual")


def test_in_a_read_only_clone_copies_go_to_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WARMUP_COURSE_WORKSPACE", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    clone = tmp_path / "clone"
    clone.mkdir(0o500)
    if os.access(clone, os.W_OK):  # permissions do not bind root
        monkeypatch.setattr(os, "access", lambda path, mode: path != clone)
    assert lesson_files.workspace(clone / "workspace") == tmp_path / "warmup_course"
    assert list(clone.iterdir()) == []


def test_where_copies_cannot_be_kept_there_is_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WARMUP_COURSE_WORKSPACE", raising=False)
    (tmp_path / "workspace").write_text("")
    with pytest.raises(CommandError) as told:
        lesson_files.workspace(tmp_path / "workspace")
    assert str(told.value).startswith(f"your copies of the lessons cannot be kept in {tmp_path / 'workspace'} (")
    assert "set WARMUP_COURSE_WORKSPACE to a folder of your own" in str(told.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder in which nobody can make a file")
def test_a_folder_that_is_there_and_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WARMUP_COURSE_WORKSPACE", "/proc")
    with pytest.raises(CommandError, match="cannot be kept in /proc "):
        lesson_files.workspace(tmp_path / "workspace")


def test_copies_have_no_outputs(shipped: Path, workspace: Path):
    assert fill_workspace(find(shipped), workspace) == []
    for lesson in find(shipped):
        text = (workspace / lesson.name).read_text("utf-8")
        cells = json.loads(text)["cells"]
        assert [cell["source"] for cell in cells] == [PARAMETERS, "print('spoiler')"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert not (workspace / "notes.ipynb").exists()


def test_what_the_learner_changed_is_never_overwritten(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    mine = learn(workspace / "03_linear_warmup.ipynb")
    assert fill_workspace(find(shipped), workspace) == []
    learn(shipped / "03_linear_warmup.ipynb", "a better text")
    for _ in range(2):  # it is said every time, as long as it is so
        [said] = fill_workspace(find(shipped), workspace)
        assert said == "03_linear_warmup: there is a newer version; yours stays. restore 03 brings it."
        assert (workspace / "03_linear_warmup.ipynb").read_text("utf-8") == mine


def test_what_the_learner_did_not_change_follows_the_shipped_one(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    learn(shipped / "03_linear_warmup.ipynb", "a better text")
    assert fill_workspace(find(shipped), workspace) == ["03_linear_warmup: updated (you had not changed it)."]
    assert "a better text" in (workspace / "03_linear_warmup.ipynb").read_text("utf-8")
    assert fill_workspace(find(shipped), workspace) == []


def test_a_deleted_copy_comes_back(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    (workspace / "00_start_here.ipynb").unlink()
    assert fill_workspace(find(shipped), workspace) == []
    assert (workspace / "00_start_here.ipynb").exists()


@pytest.mark.parametrize("record", [None, "{", "[1]"])
def test_without_a_sound_record_every_changed_copy_is_the_learners(shipped: Path, workspace: Path, record: str | None):
    fill_workspace(find(shipped), workspace)
    mine = learn(workspace / "03_linear_warmup.ipynb")
    (workspace / lesson_files.RECORD).unlink()
    if record:
        (workspace / lesson_files.RECORD).write_text(record)
    assert len(fill_workspace(find(shipped), workspace)) == 1
    assert (workspace / "03_linear_warmup.ipynb").read_text("utf-8") == mine


def test_a_copy_that_is_no_text_is_left_alone(shipped: Path, workspace: Path):
    fill_workspace(find(shipped), workspace)
    (workspace / "03_linear_warmup.ipynb").write_bytes(b"\xff\xfe")
    fill_workspace(find(shipped), workspace)
    assert (workspace / "03_linear_warmup.ipynb").read_bytes() == b"\xff\xfe"


def test_restore_keeps_each_changed_copy(shipped: Path, workspace: Path):
    [lesson] = find(shipped, ["03"])
    assert restore(lesson, workspace) is None  # also where there is nothing yet
    fresh = (workspace / lesson.name).read_text("utf-8")
    for number in (1, 2):
        mine = learn(workspace / lesson.name, f"attempt {number}")
        kept = restore(lesson, workspace)
        assert kept == workspace / f"03_linear_warmup.yours-{number}.ipynb"
        assert kept.read_text("utf-8") == mine
        assert (workspace / lesson.name).read_text("utf-8") == fresh
    assert restore(lesson, workspace) is None  # nothing of the learner's in it
    assert fill_workspace(find(shipped), workspace) == []


def test_restore_brings_the_newer_version(shipped: Path, workspace: Path):
    [lesson] = find(shipped, ["03"])
    fill_workspace([lesson], workspace)
    learn(lesson, "a better text")
    assert restore(lesson, workspace) is None
    assert "a better text" in (workspace / lesson.name).read_text("utf-8")
