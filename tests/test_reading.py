"""The lessons as they are read: where links lead, and what figures say to those who do not see them."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from lessons import FOLDER, LESSONS, each_lesson, load, sources
from matplotlib.figure import Figure
from nbclient import NotebookClient

from warmup_course import lesson_files
from warmup_course.authoring import normal_form
from warmup_course.authoring.site import slug
from warmup_course.classroom.plots import alt_text

PAGES = [*LESSONS, FOLDER / lesson_files.GLOSSARY]


def markdown_of(name: str) -> str:
    return "\n\n".join(sources(FOLDER / name, "markdown"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_heading(page: Path):
    links = re.findall(r"\]\((?!\w+:)([^)\s]+)\)", markdown_of(page.name))
    assert links
    for link in links:
        name, _, place = link.partition("#heading=")
        headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"[`*$]", "", markdown_of(name or page.name)))
        assert not place or place in map(slug, headings), link


SHOWN = """
import matplotlib.pyplot as plt, numpy as np
from warmup_course import Schedule, TrainConfig
from warmup_course.classroom import ScheduleLab, SliderLab, begin, plots
begin("03_linear_warmup", device="cpu", seed=0)
from IPython.display import display
import ipywidgets as widgets
plots.lr_curves({"no warmup": Schedule(20), "8 warmup steps": Schedule(20, 8)}, 0.1, 'Up & "down" <again>')
plt.show()
plt.plot([1, 2])
plt.show()
display(ScheduleLab(Schedule(30, 5), 0.1))
SliderLab(lambda figure, lr: None, lr=widgets.FloatSlider(0.5, description="learning rate"))
"""


@pytest.mark.process
def test_every_figure_is_seen_and_says_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")  # as on many servers; by itself it shows no figure
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path))
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n", "utf-8")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOWN)])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    stored = nbformat.reads(lesson_files.as_text(normal_form.normalise(json.loads(nbformat.writes(notebook)))), 4)
    outputs = [output for output in stored.cells[0].outputs if "image/png" in output.get("data", {})]
    figures, labs = outputs[:2], outputs[2:]
    assert [output.metadata["image/png"]["alt"] for output in figures] == [
        'Up & "down" <again>. Axes: optimizer step, learning rate. Legend: no warmup; 8 warmup steps.',
        "A figure without words.",
    ]
    assert len(labs) == 2
    assert all(lab.metadata["image/png"]["alt"] == "".join(lab.data["text/plain"]) for lab in labs)
    states = [output.metadata.get(normal_form.LAB) for output in outputs]  # of the lab that needs no kernel
    assert [state and state["settings"]["warmup_steps"] for state in states] == [None, None, 5, None]


@each_lesson
def test_every_stored_figure_says_what_it_shows(lesson: Path):
    shown = lesson_files.outputs(load(lesson))
    figures = [output for output in shown if "image/png" in output.get("data", {})]
    assert figures
    for figure in figures:
        assert len(figure["metadata"]["image/png"]["alt"].split()) > 4


def test_the_words_of_a_figure_are_those_of_all_its_panels():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    figure.suptitle("Two panels")
    left.set_title("Left\nof it", loc="left")
    left.plot([1], label="a")
    left.legend()
    right.set_ylabel("loss")
    assert alt_text(figure) == "Two panels. Left of it. Legend: a. Axes: loss."
    left.get_legend().set_visible(False)
    assert "Legend" not in alt_text(figure)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_is_loaded_from_elsewhere(page: Path):
    """A reader's browser asks nobody but the server of the lessons."""
    text = "\n".join("".join(cell["source"]) for cell in load(page)["cells"])
    loaded = r"!\[[^\]]*\]\(\s*<?(?!attachment:)\w+:|(?i:<(?:img|script|iframe|link|object|embed|video)\b)"
    assert re.findall(loaded, text) == []
