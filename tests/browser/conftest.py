"""One JupyterLab and one Chromium for all tests here, and a notebook that holds everything a lesson can hold."""

import shutil
from pathlib import Path

import pytest
from lessons import FOLDER
from nbformat import v4, write

from warmup_course.authoring.headless import OpenNotebook, chromium, jupyterlab
from warmup_course.authoring.normal_form import METADATA
from warmup_course.classroom import store

EVERYTHING = "99_everything.ipynb"
FAILED = pytest.StashKey[bool]()

# The cells of EVERYTHING. Two seeds and few steps: what is tested is that things move, not what they show.
BEGIN = """\
import ipywidgets as widgets
from warmup_course import MLP, Schedule, TrainConfig, sweep
from warmup_course.classroom import *
lesson = begin("03_linear_warmup", device="cpu", seed=0)
config = TrainConfig(loss="squared_error", model=lambda: MLP(hidden=[64]), peak_lr=0.125, total_steps=40, device="cpu")
"""
SCHEDULE = """\
schedule_lab = ScheduleLab(
    Schedule(100, 10, stable_steps=30), 0.1, compare=Schedule(100),
    goal="20 warmup steps", reached=lambda lab: lab.schedule.warmup_steps == 20,
)
schedule_lab
"""
QUADRATIC = """\
quadratic_lab = QuadraticLab((1.0, 10.0), lr=0.15, momentum=0.5)
quadratic_lab
"""
STABILITY = """\
runs = sweep(config, peak_lr=[0.03125, 0.125, 0.5, 2.0], warmup_steps=[0, 8, 32], seed=[0, 1])
stability_lab = StabilityLab(runs, chosen=(0.5, 8))
stability_lab
"""
TRAINING = """\
training_lab = TrainingLab(config, warmup_steps=16, hidden_layers=1, seeds=[0, 1, 2])
training_lab
"""
SLIDER = """\
def draw(figure, lr, power):
    figure.subplots().plot([0, lr], [0, lr**power])
    print(f"LR {lr:g} to the power of {power}")

slider_lab = SliderLab(
    draw,
    goal="the power of 3", reached=lambda lab: lab.values["power"] == 3,
    lr=widgets.FloatSlider(0.5, min=0, max=1, step=0.1, description="learning rate"),
    power=widgets.IntSlider(1, 1, 5, description="power"),
)
slider_lab
"""
QUIZ = 'quiz("03_linear_warmup")'
PREDICTION = """\
guess = lesson.predict("How many of ten networks train at $\\\\eta = 0.25$?", ["0 or 1", "2 to 5", "`6` or more"])
guess
"""
REVEAL = 'measured = 2 + 1\nguess.reveal("2 to 5", f"{measured} of 10 train")'
EXERCISE = """\
task = exercise("03_linear_warmup/ramp")


def ramp(step, W):
    return ...  # your code here


task.check(ramp)
"""
PROGRESS = "progress_table()"
LABS = {"schedule": SCHEDULE, "quadratic": QUADRATIC, "stability": STABILITY, "training": TRAINING, "slider": SLIDER}
CELLS = [BEGIN, SCHEDULE, QUADRATIC, STABILITY, TRAINING, SLIDER, QUIZ, PREDICTION, REVEAL, EXERCISE, PROGRESS]


@pytest.fixture(scope="session")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the course's lessons and EVERYTHING."""
    folder = tmp_path_factory.mktemp("lessons")
    for lesson in FOLDER.glob("*.ipynb"):
        shutil.copy(lesson, folder)
    cells = [v4.new_code_cell(source) for source in CELLS]
    write(v4.new_notebook(cells=cells, metadata=METADATA), folder / EVERYTHING)
    return folder


@pytest.fixture(scope="session")
def server(lessons: Path, tmp_path_factory: pytest.TempPathFactory, no_learners_answers):
    """The address of a JupyterLab that has them."""
    with jupyterlab(lessons, tmp_path_factory.mktemp("jupyterlab")) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def everything_page(server, browser):
    """The page of EVERYTHING, for the fixture below."""
    notebook = OpenNotebook(new_page(browser), server, EVERYTHING)
    yield notebook
    notebook.page.close()


@pytest.fixture
def everything(request: pytest.FixtureRequest, everything_page, tmp_path):
    """EVERYTHING, open, as it was at first, run from top to bottom by a learner who has answered nothing so far.

    Of a test that is marked with ``cells``, only those are there; the others are empty.
    """
    store.reset()
    marker = request.node.get_closest_marker("cells")
    for number, source in enumerate(CELLS):
        everything_page.write(number, source if not marker or source in (BEGIN, *marker.args) else "")
    if everything_page.page.locator(".jp-OutputArea-output").count():  # what was chosen is not kept by the store alone
        everything_page.value("__import__('warmup_course').classroom.predictions.unlocked.clear()")
    assert everything_page.run_all()
    everything_page.problems.clear()
    yield everything_page
    keep_a_picture_of_a_failure(request, everything_page, tmp_path)


@pytest.fixture
def opened(request: pytest.FixtureRequest, server, browser, tmp_path):
    """A function that opens a lesson; it is closed afterwards, and its kernel ended."""
    notebooks = []

    def open_lesson(name: str) -> OpenNotebook:
        notebooks.append(OpenNotebook(new_page(browser), server, name))
        return notebooks[-1]

    yield open_lesson
    for notebook in notebooks:
        keep_a_picture_of_a_failure(request, notebook, tmp_path)
        notebook.do("await panel.sessionContext.shutdown();")
        notebook.page.close()


def new_page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    return page


def keep_a_picture_of_a_failure(request: pytest.FixtureRequest, notebook: OpenNotebook, folder: Path) -> None:
    if request.node.stash.get(FAILED, False):
        notebook.page.screenshot(path=folder / "failed.png")
        print(f"what was seen last: {folder / 'failed.png'}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report
