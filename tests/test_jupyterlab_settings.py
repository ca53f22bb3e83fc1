"""What JupyterLab saves of a lesson that has run."""

import copy
import runpy
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from nbformat import v4
from traitlets.config import Config

from warmup_course import cli
from warmup_course.authoring import normal_form

VIEW = {normal_form.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "VBox()"}
LAB = VIEW | {"image/png": "iVBORw0KGgo="}
QUESTION = VIEW | {"text/markdown": "How many?"}
FIGURE = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}


@pytest.fixture
def hook() -> Callable[..., None]:
    """What Jupyter calls before it saves a file."""
    config = Config()
    path = cli.PACKAGE / "jupyterlab_settings" / "jupyter_server_config.py"
    runpy.run_path(str(path), {"get_config": lambda: config})
    return config.FileContentsManager.pre_save_hook


@pytest.fixture
def save(hook: Callable[..., None]) -> Callable[..., Any]:
    """A function from the data of one cell's outputs to the outputs that are saved."""

    def save(*data: dict[str, Any]) -> list[dict[str, Any]]:
        outputs = [v4.new_output("display_data", copy.deepcopy(bundle)) for bundle in data]
        notebook = v4.new_notebook(cells=[v4.new_markdown_cell("text"), v4.new_code_cell("lab", outputs=outputs)])
        model = {"type": "notebook", "content": notebook}
        for _ in range(2):  # a lesson that is saved again without being run stays as it was saved first
            hook(model=model, path="03.ipynb", contents_manager=None)
        nbformat.validate(notebook)
        assert [cell.source for cell in notebook.cells] == ["text", "lab"]
        return [dict(output["data"]) for output in notebook.cells[1].outputs]

    return save


@pytest.mark.parametrize("shown", [LAB, QUESTION])
def test_what_stands_beside_a_widget_is_saved_with_a_hint(shown: dict[str, Any], save: Callable[..., Any]) -> None:
    kept, hint = save(shown)
    assert kept == {kind: value for kind, value in shown.items() if kind != normal_form.WIDGET_VIEW}
    assert "Run the cell" in hint["text/markdown"]


def test_one_hint_is_enough_and_a_bare_widget_leaves_only_that(save: Callable[..., Any]) -> None:
    assert len(save(LAB, VIEW, FIGURE)) == 3
    assert len(save(VIEW)) == 1


def test_a_progress_bar_goes_without_a_word(save: Callable[..., Any]) -> None:
    assert save(VIEW, FIGURE) == [FIGURE]


def test_a_cell_without_widgets_stays(save: Callable[..., Any]) -> None:
    assert save(FIGURE) == [FIGURE]
    assert save() == []


@pytest.mark.parametrize("model", [{"type": "file", "content": "text"}, {"type": "notebook", "content": None}])
def test_other_files_pass(model: dict[str, Any], hook: Callable[..., None]) -> None:
    before = copy.deepcopy(model)
    hook(model=model)
    assert model == before
