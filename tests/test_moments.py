"""The moments: each lab takes them as its lesson makes it, and what their questions imply is so."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import in_chromium
from torch.optim.lr_scheduler import CosineAnnealingLR

from warmup_course import moments, variables
from warmup_course.authoring.demo import _needed, code_of, page_of, prepare
from warmup_course.authoring.headless import chromium
from warmup_course.classroom import detective
from warmup_course.classroom.detective import log_of
from warmup_course.classroom.labs import TrainingLab
from warmup_course.classroom.labs.browser import BrowserLab
from warmup_course.cli import main
from warmup_course.lesson_files import LESSONS
from warmup_course.quadratic import arrival
from warmup_course.schedulers import Schedule, used_lrs

LABS = moments.load()
trace = cache(detective.trace)
# They train, or their lesson does before them.
SLOW = ("start", "stability", "training", "sequential", "threshold", "batch", "inside", "capstone")


def groups(T_max: int, eta_min: float = 0.0) -> np.ndarray:  # noqa: N803
    return used_lrs(lambda optimizer: CosineAnnealingLR(optimizer, T_max, eta_min), 60, peak_lr=(0.1, 0.02))


def trained(lab: Any, arm: int) -> int:
    """Of eight seeds, without the ramp (0) or with it (1)."""
    return int((lab.runs.outcome.isel(warmup_steps=arm) == "trained").sum())


def dots(lab: Any, names: dict[str, Any]) -> np.ndarray:
    """Which of sequential's dots are on the line."""
    return np.isclose(names["sequential_trace"](**lab.values), names["target"], atol=1e-9)


def losses(lab: Any) -> np.ndarray:
    """(seed, step) of the chosen cell."""
    lr, ramp = lab.chosen
    return lab._runs.batch_loss.sel(peak_lr=lr, warmup_steps=ramp).to_numpy()


def diverged(lab: Any, ramp: int) -> int:
    """How many seeds do, at the chosen LR."""
    return int((lab._runs.outcome.sel(peak_lr=lab.chosen[0], warmup_steps=ramp) == "diverged").sum())


PLAN = trace(milestone=6, t_max=24, calls=1)  # what the detective's sliders show at first


def log(lab: Any) -> np.ndarray:
    return log_of(lab.values["case"])


def wrong_numbers(lab: Any) -> int:
    """With how many of the detective's three numbers, each changed alone, the case's log can be had."""
    now = {name: lab.values[name] for name in ("milestone", "t_max", "calls")}
    log = log_of(lab.values["case"])
    ways = [{**now, name: value} for name in now for value in range(1, 37)]
    return len({tuple(way.items()) for way in ways if np.allclose(trace(**way), log)})


def accuracy(names: dict[str, Any], threshold: float) -> float:
    return float(names["by_threshold"][round(threshold * 50)][0])


def inside(lab: Any) -> tuple[Any, Any]:
    """The chosen run's sharpness at the steps that were measured, and its losses."""
    probe, history = lab._runs[lab.chosen]
    return dict(zip(probe.step, probe.sharpness, strict=True)), history.batch_loss


def more_decay(peak_lr: float, warmup_steps: int, down: str, weight_decay: float) -> float:
    """How much AdamW takes off its weights in 500 steps, LR x weight decay of them in each: as a multiple of 0.5."""
    lrs = peak_lr * Schedule(500, warmup_steps, decay=down)(np.arange(500))
    return -float(np.log1p(-lrs * weight_decay).sum()) / 0.5


def title(lab: Any) -> str:
    return str(lab.picture.figure.axes[0].get_title(loc="left"))


def steps_of(batch: int) -> int:
    """Of three epochs of 20,000 examples."""
    return 3 * -(-20_000 // batch)


# The answer to each question, computed where that is possible.
IMPLIED: dict[str, list[Callable[[Any, dict[str, Any]], bool]]] = {
    "start": [
        lambda _, names: names["trained"].sel(peak_lr=0.0625).to_numpy() @ [1, -1] <= -5,
        lambda _, names: names["trained"].sel(peak_lr=0.25).to_numpy() @ [1, -1] <= -8,
        lambda _, names: names["trained"].sel(peak_lr=1, warmup_steps=32) >= 5,
    ],
    "bowl": [
        lambda lab, _: lab.arrival == 1,
        lambda lab, _: lab.arrival is not None,
        lambda lab, _: bool(np.allclose(abs(lab.path), 1)),
        lambda lab, _: "diverges" in lab.message,
        lambda lab, _: "diverges" in lab.message,
    ],
    "valley": [
        lambda lab, _: abs(lab.path[1, 1]) < 1e-9 and arrival(lab.path[:, :1]) is None,
        lambda lab, _: lab.arrival <= 24,
        lambda lab, _: lab.message.count("diverges") == 1,
    ],
    "edge": [
        lambda _, names: names["tried"][0.25] < 1,
        lambda _, names: names["tried"][0.28] > 1,
        lambda lab, _: lab.values["reveal"],
    ],
    "schedule": [
        lambda lab, _: np.isclose(lab.peak_lr * lab.schedule(0), 0.005),
        lambda lab, _: lab.schedule(0) == 1,
        lambda lab, _: lab.schedule(28) < lab.schedule(29) == 1,
    ],
    "stability": [
        lambda lab, _: lab.trained <= 2,
        lambda lab, _: lab.trained >= 7 and losses(lab)[:, 8:32].max() < losses(lab)[:, 0].min(),
        lambda lab, _: lab._trained(0.125, 0) <= 2 and 0 < diverged(lab, 0) < 10,
    ],
    "training": [
        lambda lab, _: trained(lab, 0) <= 2 and trained(lab, 1) >= 5,
        lambda lab, _: trained(lab, 0) >= 7,
    ],
    "sequential": [
        lambda lab, names: dots(lab, names)[0] and not dots(lab, names)[1],
        lambda lab, names: dots(lab, names)[:6].all(),
        lambda lab, names: dots(lab, names).all(),
        lambda lab, names: np.isclose(names["sequential_trace"](**lab.values)[3], 0.1),
    ],
    "shapes": [
        lambda lab, _: np.isclose(lab.peak_lr * lab.schedule(9), 0.001),
        lambda lab, _: np.isclose(lab.schedule(9), 0.1**0.5),
        lambda lab, _: lab.schedule(9) == pytest.approx(0.55),
    ],
    "cosine": [
        lambda lab, _: np.isclose(groups(**lab.values)[40, 0], 0.1),
        lambda lab, _: np.isclose(groups(**lab.values)[10, 0], 0.1),
        lambda lab, _: (np.diff(groups(**lab.values)[:, 1]) > 0).all(),
    ],
    "decay": [
        lambda lab, _: sum(map(lab.schedule, range(30))) > sum(map(lab.compared[0], range(30))),
        lambda lab, _: lab.schedule(29) == 1,
        lambda lab, _: lab.schedule(29) > 0.15 and np.isclose(lab.schedule(30), 0.1),  # where a next step would be
    ],
    "threshold": [
        lambda _, names: accuracy(names, 1.0) == pytest.approx(0.98),
        lambda _, names: names["by_threshold"][0][2] == 1 and accuracy(names, 0.0) < 0.05,
        lambda _, names: (changes := abs(names["by_threshold"][5] - names["by_threshold"][25]))[0] < changes.max() / 20,
    ],
    "batch": [
        lambda lab, names: names["share"][*lab.values.values()] == 1,
        lambda lab, names: names["share"][*lab.values.values()] == 1 > names["share"][128, "LR scaled"],
        lambda lab, names: names["share"][*lab.values.values()] <= 0.25,
    ],
    "inside": [
        lambda lab, _: inside(lab)[0][33] < inside(lab)[0][0] / 2,
        lambda lab, _: inside(lab)[1][1] > 2 * inside(lab)[1][0],
        lambda lab, _: inside(lab)[0][3] < inside(lab)[0][0] / 5,
        lambda lab, _: np.allclose([*inside(lab)[0].values()], inside(lab)[0][0], rtol=1e-3),
        lambda lab, names: names["recorded"][lab.chosen][1].outcome == "trained" and lab.goal.reached,
    ],
    "detective": [  # the log is what the question says that it is
        lambda lab, _: wrong_numbers(lab) == 1 and log(lab)[6] == log(lab)[5] and log(lab)[-1] > 0.01,
        lambda lab, _: wrong_numbers(lab) == 1 and log(lab)[1] == PLAN[2] and (np.diff(log(lab)[15:28]) > 0).all(),
        lambda lab, _: wrong_numbers(lab) == 1 and log(lab)[2:4] == pytest.approx([0.05, 0.1]),
        lambda lab, _: wrong_numbers(lab) == 1 and (log(lab)[:6] == PLAN[:6]).all() and log(lab).argmin() == 18,
    ],
    "adamw": [
        lambda lab, _: more_decay(**lab.values) == pytest.approx(1.9, abs=0.01),
        lambda lab, _: more_decay(**lab.values) == pytest.approx(1, abs=0.01),
        lambda lab, _: more_decay(**lab.values) == pytest.approx(1, abs=0.01),
    ],
    "units": [
        lambda lab, _: "1,875 steps" in title(lab) and steps_of(4 * 8) == 1875 and steps_of(8) == 7500,
        lambda lab, _: "939 steps" in title(lab) and steps_of(8 * 8) == 939,
        lambda lab, _: "60 steps" in title(lab) and steps_of(32 * 4 * 8) == 60,
    ],
    "capstone": [
        lambda lab, _: title(lab) == "LR 1/64: 0 of 8 broken",
        lambda lab, _: title(lab).startswith("LR 1/32") and lab.goal.reached,
        lambda lab, _: int(title(lab).split()[2]) >= 4,
    ],
}


@cache
def lab_and_names(name: str) -> tuple[Any, dict[str, Any]]:
    """The lab as a demo makes it, and what the code before it has made."""
    *body, last = ast.parse("\n".join(code_of(name, LESSONS))).body
    names: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), name, "exec"), names)
    return eval(ast.unparse(last), names), names


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, lab in LABS.items()
        for number in range(len(lab["moments"]))
    ],
)
def test_what_a_question_implies_is_so(name: str, number: int):
    lab, names = lab_and_names(name)
    kept = lab.kept if isinstance(lab, BrowserLab) else lab.present.kept
    assert len(kept) == len(IMPLIED[name])
    settings = {key: value for key, value in kept[number].items() if key != "ask"}
    if isinstance(lab, BrowserLab):
        assert settings.keys() == lab.defaults.keys()
        assert settings != lab.defaults  # else the answer is seen before it is asked
        lab.settings = settings  # ValueError for what it cannot show
    else:
        lab.move_to(settings)
        assert lab.settings == settings
        if isinstance(lab, TrainingLab):
            lab.wait()
    assert IMPLIED[name][number](lab, names)


def test_each_lab_has_its_moments_and_each_moment_its_question():
    assert LABS.keys() == IMPLIED.keys()
    for name, lab in LABS.items():
        assert code_of(name, LESSONS)
        assert all(moment["ask"].endswith("?") and len(moment) > 1 for moment in lab["moments"])
        assert len(moments.moments_of(lab["goal"], {})) == len(lab["moments"]) == len(IMPLIED[name])
    asked = [moment["ask"] for lab in LABS.values() for moment in lab["moments"]]
    of_lesson = Counter(lab["lesson"] for lab in LABS.values() for _ in lab["moments"])
    assert len(set(asked)) == len(asked)
    assert all(3 <= count <= 8 for count in of_lesson.values())


def test_a_lab_without_moments_has_none():
    assert moments.moments_of("another goal", {"lr": 1}) == moments.moments_of(None, {"lr": 1}) == []


def test_a_demo_is_made_of_what_its_lab_needs(tmp_path: Path):
    command = prepare("cosine", LESSONS, tmp_path)
    assert command[1:] == ["-P", "-m", "voila", "cosine.ipynb"]
    sources = [cell["source"] for cell in json.loads((tmp_path / "cosine.ipynb").read_text("utf-8"))["cells"]]
    assert sources[-1].startswith("SliderLab(")
    assert not any("claim(" in source or "sweep(" in source for source in sources)


def test_what_fills_a_variable_comes_with_it():
    code = "import math\nrates = {}\nother = [3]\nfor n in (4, 5):\n    print(n)\nfor n in (1, 2):\n    rates[n] = []"
    code += "\n    rates[n].append(math.sqrt(n))\nruns = []\nruns.append(rates)\nother.append(4)\nlab(runs)"
    assert ast.unparse(ast.Module(_needed(ast.parse(code).body), [])).splitlines() == [
        *("import math", "rates = {}", "for n in (1, 2):", "    rates[n] = []", "    rates[n].append(math.sqrt(n))"),
        *("runs = []", "runs.append(rates)", "lab(runs)"),
    ]


def test_demo_lists_its_labs_and_names_them_for_another(capsys: pytest.CaptureFixture[str]):
    assert main(["demo"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*LABS]
    assert main(["demo", "skedule"]) == 2
    assert capsys.readouterr().err == f"warmup-course: LAB must be one of {', '.join(LABS)}; got 'skedule'\n"


WINDOW = {"viewport": {"width": 1920, "height": 1080}}


OVERFLOW = "root => root.scrollHeight - root.clientHeight"


def asks_its_questions(page: Any, name: str) -> None:
    """Whether a lab fills the window, and hides the result, and whether its goal is reached, while it asks."""
    lab = page.locator(".wc-presented")
    lab.get_by_text(LABS[name]["moments"][0]["ask"]).wait_for(timeout=120_000)
    assert lab.bounding_box() == {"x": 0, "y": 0, "width": 1920, "height": 1080}
    result, goal = lab.locator(".wc-picture, svg[role=img]").first, lab.get_by_text("Goal:")

    def shows(visible: bool) -> None:
        assert result.is_visible() == goal.is_visible() == visible

    shows(False)
    page.keyboard.press("h")
    shows(True)
    for moment in LABS[name]["moments"][1:]:
        page.keyboard.press("n")
        lab.get_by_text(moment["ask"]).wait_for()
        shows(False)
        assert lab.evaluate(OVERFLOW) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


COMPUTED_THERE = ["bowl", "valley", "schedule", "stability", "shapes", "decay"]


@pytest.mark.process
@in_chromium
@pytest.mark.parametrize("name", COMPUTED_THERE)
def test_a_demo_of_a_lab_that_computes_in_the_browser_needs_no_kernel(
    name: str, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(variables.WORKSPACE, str(tmp_path))
    assert main(["demo", name, "--no-browser"]) == 0
    page = browser.new_page(**WINDOW)
    page.goto(capsys.readouterr().out.strip())
    asks_its_questions(page, name)
    page.close()


def test_these_labs_compute_in_the_browser():
    assert [name for name in LABS if page_of(name, LESSONS)] == COMPUTED_THERE


def test_a_demo_has_the_moments_as_they_are_now(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(LABS["stability"], "moments", [{"ask": "A question of my own?", "warmup_steps": 8}])
    page = page_of("stability", LESSONS)
    assert "A question of my own?" in page
    assert "With a ramp of 8 steps" not in page


@pytest.mark.slow
@pytest.mark.process
@in_chromium
@pytest.mark.skipif(find_spec("voila") is None, reason="there is no Voila here: the extra [classroom]")
def test_a_demo_of_a_lab_that_draws_in_the_kernel_fills_the_window(browser: Any, tmp_path: Path):
    environment = {**os.environ, variables.WORKSPACE: str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "warmup_course.cli", "demo", "cosine", "--no-browser"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        address = next(filter(None, (re.search(r"http://\S+token=\w+", line) for line in server.stderr)))[0]
        page, answered = browser.new_page(**WINDOW), []
        page.on("response", lambda response: answered.append(response.url))
        page.goto(address)
        asks_its_questions(page, "cosine")
        assert all(url.startswith((address.partition("?")[0], "data:", "blob:")) for url in answered)
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    assert server.returncode == 0
