"""Executing lessons, on small ones made here."""

import io
import re
import sys
import textwrap
from pathlib import Path

import pytest
from small_lessons import code, write_lesson

from warmup_course.authoring import execution
from warmup_course.authoring.execution import execute_all
from warmup_course.lesson_files import CommandError, find


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("lessons")
    write_lesson(folder / "00_good.ipynb", code("print(device, seed, lr)"))
    write_lesson(folder / "01_bad.ipynb", code("print('fine')"), code("raise ValueError('two\\nlines')"), code("1"))
    return find(folder)


@pytest.mark.process
def test_executions_get_the_parameters_and_tell_the_failing_cell(lessons: list[Path], tmp_path: Path):
    ended = {e.lesson.stem: e for e in execute_all(lessons, {"device": "cpu", "seed": 3}, tmp_path / "out", at_once=2)}
    good, bad = ended["00_good"], ended["01_bad"]
    assert good.error is None
    assert good.notebook is not None
    assert good.notebook["cells"][-1]["outputs"][0]["text"] == "cpu 3 0.5\n"
    assert (tmp_path / "out/00_good.ipynb").exists()
    # As numbered in the lesson, which lacks the cell in which papermill puts the parameters.
    assert (bad.error, bad.notebook) == ("In [3]: ValueError: two lines", None)
    assert good.seconds > 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.process
def test_on_a_terminal_each_running_lesson_has_a_line_that_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("00_one", "01_two"):
        pauses = [code(f"import time; time.sleep(0.3)  # {number}") for number in range(3)]
        write_lesson(tmp_path / f"{name}.ipynb", *pauses)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [ended.error for ended in execute_all(find(tmp_path), {}, at_once=2)] == [None, None]
    for name in ("00_one", "01_two"):
        shown = re.findall(rf"{name}[^[]*In \[(\d)\] of 4", sys.stderr.getvalue())
        assert shown == sorted(shown)
        assert len(set(shown)) > 1  # which of them are seen depends on how fast they pass


@pytest.mark.process
def test_a_failure_without_parameters_has_the_same_number(lessons: list[Path]):
    [bad] = execute_all(lessons[1:], {})
    assert bad.error == "In [3]: ValueError: two lines"


def test_an_unknown_parameter_is_refused_before_any_work(lessons: list[Path]):
    with pytest.raises(CommandError, match="00_good has the parameters device, seed, lr; got 'sed'"):
        execute_all(lessons, {"sed": 3})


@pytest.mark.process
def test_two_runs_do_not_mix_their_lessons_in_one_folder(lessons: list[Path], tmp_path: Path):
    first = execute_all(lessons, {}, tmp_path / "out")
    next(first)
    with pytest.raises(CommandError, match=r"another run is writing into .*out; --out names another folder"):
        next(execute_all(lessons, {}, tmp_path / "out"))
    assert next(execute_all(lessons[:1], {}, tmp_path / "other")).error is None
    first.close()
    assert next(execute_all(lessons[:1], {}, tmp_path / "out")).error is None


@pytest.mark.process
@pytest.mark.parametrize("parameters", [{}, {"seed": 3}])
def test_a_file_that_is_no_notebook_is_a_failure_of_that_lesson(tmp_path: Path, parameters: dict[str, int]):
    broken = tmp_path / "00_broken.ipynb"
    broken.write_text("{")
    write_lesson(tmp_path / "01_good.ipynb", code("print(seed)"))
    second, first = execute_all(find(tmp_path), parameters)  # the later lesson begins
    assert first.error is not None
    assert first.error.startswith(f"{broken} is damaged, it is no notebook: JSONDecodeError")
    assert (second.error, second.unheld) == (None, [])


@pytest.mark.process
@pytest.mark.parametrize("parameters", [{}, {"seed": 3}])
def test_a_dead_kernel_and_a_slow_cell_are_told_with_their_cell(
    tmp_path: Path, monkeypatch, parameters: dict[str, int]
):
    blank, note = code("  "), {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "neither counts"}
    monkeypatch.setattr(execution, "CELL_TIMEOUT", 3)
    write_lesson(tmp_path / "00_dead.ipynb", note, blank, code("1"), code("import os; os._exit(1)"), code("2"))
    write_lesson(tmp_path / "01_slow.ipynb", note, blank, code("import time; time.sleep(60)"))
    errors = [ended.error for ended in execute_all(find(tmp_path), parameters)]
    assert [error and error.split(": ")[0] for error in errors] == ["In [2]", "In [3]"]
    assert [error and error.split(": ")[1] for error in errors] == ["CellTimeoutError", "DeadKernelError"]


@pytest.mark.process
def test_what_a_cell_shows_may_arrive_long_after_it_has_ended(tmp_path: Path):
    late = """
        import time
        kernel = get_ipython().kernel
        publish = kernel._publish_status
        def publish_late(status, *args, **kwargs):
            time.sleep(5 * (status == "idle"))
            publish(status, *args, **kwargs)
        kernel._publish_status = publish_late
        print("shown")
    """
    write_lesson(tmp_path / "00_late.ipynb", code(textwrap.dedent(late)))
    [ended] = execute_all(find(tmp_path), {})
    assert ended.error is None


@pytest.mark.usefixtures("full_disk")
def test_a_folder_that_cannot_take_the_executed_lessons_is_refused_before_any_work(lessons: list[Path], tmp_path: Path):
    says = r"the executed lessons cannot be written into .*out: File too large; --out names another"
    with pytest.raises(CommandError, match=says):
        execute_all(lessons, {}, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"cannot be written into .*: Not a directory"):
        execute_all(lessons, {}, tmp_path / "file/out")
