"""How fast do the labs follow a hand on a slider?

In the real JupyterLab, in a Chromium without a window: milliseconds from an event in the page (a key goes down, a drag
has moved the slider) until what it changed is painted. For the labs that draw in the browser that is one picture a
move. For the lab that trains (two hidden layers of 64, squared error, 8 seeds with and without warmup, 200 steps) it is
the first picture, with the new learning rates, and the last one, with all runs. A series is ten keys as fast as they
come: how long after the last of them does the last picture stand?
"""

from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import nbformat

from warmup_course.authoring.execution import cores
from warmup_course.authoring.headless import OpenNotebook, chromium, find_chromium, jupyterlab
from warmup_course.authoring.normal_form import METADATA

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MOVES = 40
SERIES = 30
# Targets in ms for the median and the 95th percentile; a screen shows a picture every 16.7 ms.
FOLLOWS = (16, 33)
FIRST_PICTURE = (100, None)
LAST_PICTURE = (450, None)

BEGIN = """\
from warmup_course import MLP, Schedule, TrainConfig, sweep
from warmup_course.classroom import QuadraticLab, ScheduleLab, StabilityLab, TrainingLab
config = TrainConfig(loss="squared_error", model=lambda: MLP(hidden=[64, 64]), peak_lr=0.125, device="cpu")
runs = sweep(config, peak_lr=[2.0**-k for k in range(6)], warmup_steps=[0, 8, 32, 100], seed=range(10))
"""
# Lab -> how it is made, and the slider that is moved.
FORMULAS = {
    "ScheduleLab": ("ScheduleLab(Schedule(1000, 100, stable_steps=300), 0.1, compare=Schedule(1000))", "peak LR"),
    "QuadraticLab": ("QuadraticLab((1.0, 10.0), lr=0.05, momentum=0.5)", "learning rate"),
    "StabilityLab": ("StabilityLab(runs)", "peak LR"),
}
TRAINING = "TrainingLab(config, hidden_layers=2, seeds=range(8))"

# Keeps in window.moves when the events came, and for each when pictures after it were painted: a frame's callback comes
# just before the frame is painted, and a message that is sent from there just after.
WATCH = """([lab, event]) => {
    const picture = lab.querySelector("img, svg[role=img]");
    const paint = () => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => window.moves.at(-1)?.pictures.push(performance.now());
        requestAnimationFrame(() => channel.port2.postMessage(""));
    };
    // An image that is replaced before it is decoded is never painted.
    const changed = () => (picture.decode ? picture.decode().then(paint, () => {}) : paint());
    window.watch?.abort();
    window.watch = new AbortController();
    window.moves = [];
    const observer = new MutationObserver(changed);
    observer.observe(picture, { attributes: true, characterData: true, childList: true, subtree: true });
    window.watch.signal.addEventListener("abort", () => observer.disconnect());
    const note = () => window.moves.push({ at: performance.now(), pictures: [] });
    lab.addEventListener(event, note, { capture: true, signal: window.watch.signal });
}"""
# Enough pictures have come since the last move, and none for as long as this.
QUIET = """([pictures, milliseconds]) => {
    const last = window.moves.at(-1);
    return last?.pictures.length >= pictures && performance.now() - last.pictures.at(-1) > milliseconds;
}"""


Moves = list[dict[str, Any]]


def press_keys(page: "Page", lab: "Locator", slider: "Locator", pictures: int, quiet: int, at_once: int = 1) -> Moves:
    """Move the slider by the arrow keys, to and fro; what was noted of the last key of each series."""
    page.evaluate(WATCH, [lab.element_handle(), "keydown"])
    slider.focus()
    keys = cycle(["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"])
    for _ in range(MOVES if at_once == 1 else SERIES):
        for key in islice(keys, at_once):
            page.keyboard.press(key)
        page.wait_for_function(QUIET, arg=[pictures, quiet], polling=50)
    moves: Moves = page.evaluate("window.moves")
    return moves[at_once - 1 :: at_once]


def drag(page: "Page", lab: "Locator", slider: "Locator") -> Moves:
    """Drag the slider to and fro; what was noted."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.4 * box["width"], height)
    page.mouse.down()
    page.wait_for_timeout(200)
    page.evaluate(WATCH, [lab.element_handle(), "input"])
    for share in islice(cycle([0.6, 0.8, 0.6, 0.4, 0.2, 0.4]), MOVES):
        page.mouse.move(box["x"] + share * box["width"], height)
        page.wait_for_function(QUIET, arg=[1, 30], polling=50)
    page.mouse.up()
    moves: Moves = page.evaluate("window.moves")
    return moves


def report(what: str, times: list[float], target: tuple[int, int | None]) -> None:
    """One line of the table."""
    middle, high = median(times), quantiles(times, n=20, method="inclusive")[-1]
    met = middle < target[0] and (target[1] is None or high < target[1])
    wanted = f"< {target[0]}" + (f", < {target[1]}" if target[1] else "")
    print(f"{what:<42}{len(times):4}{middle:9.1f}{high:8.1f}   {wanted:<12}{'ok' if met else 'MISSED'}", flush=True)


def first(moves: Moves) -> list[float]:
    return [move["pictures"][0] - move["at"] for move in moves]


def last(moves: Moves) -> list[float]:
    return [move["pictures"][-1] - move["at"] for move in moves]


def measure(page: "Page") -> None:
    print(f"{'ms until it is painted':<42}{'n':>4}{'median':>9}{'p95':>8}   target")
    cells = page.locator(".jp-Notebook .jp-Cell")
    for number, (name, (_, label)) in enumerate(FORMULAS.items(), start=1):
        lab = cells.nth(number).locator(".wc-lab")
        slider = lab.get_by_role("slider", name=label, exact=True)
        report(f"{name}, keys", last(press_keys(page, lab, slider, 1, 30)), FOLLOWS)
        report(f"{name}, dragging", last(drag(page, lab, slider)), FOLLOWS)
        report(f"{name}, after a series", last(press_keys(page, lab, slider, 1, 200, at_once=10)), FOLLOWS)

    lab = cells.nth(len(FORMULAS) + 1).locator(".jp-Cell-outputArea")
    slider = lab.locator(".noUi-handle").first  # the peak LR
    moves = press_keys(page, lab, slider, 2, 1000)
    report("TrainingLab, keys, first picture", first(moves), FIRST_PICTURE)
    report("TrainingLab, keys, all runs", last(moves), LAST_PICTURE)
    moves = press_keys(page, lab, slider, 1, 1500, at_once=10)
    report("TrainingLab, after a series, all runs", last(moves), LAST_PICTURE)


def main() -> None:
    if find_chromium() is None or find_spec("playwright") is None:
        print('labs: this needs a Chromium and playwright (pip install -e ".[test]"), and one of them is missing.')
        return
    sources = [BEGIN, *(source for source, _ in FORMULAS.values()), TRAINING]
    with TemporaryDirectory() as name:
        lessons, served = Path(name, "lessons"), Path(name, "served")
        lessons.mkdir()
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), lessons / "00_labs.ipynb")
        with jupyterlab(lessons, served) as address, chromium() as browser:
            print(f"Chromium {browser.version}, {cores()} cores")
            page = browser.new_page(viewport={"width": 1280, "height": 1400})
            notebook = OpenNotebook(page, address, "00_labs.ipynb")
            if not notebook.run_all():
                raise SystemExit("labs: the notebook did not run")
            measure(page)


if __name__ == "__main__":
    main()
