"""The lessons and their widgets as a learner meets them: in the real JupyterLab, in a real browser."""

import os
import re
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from lessons import each_lesson
from nbformat import v4, write

from browser import NEEDS
from browser.conftest import (
    BEGIN,
    CELLS,
    EVERYTHING,
    EXERCISE,
    LABS,
    PREDICTION,
    PROGRESS,
    QUADRATIC,
    QUIZ,
    REVEAL,
    SCHEDULE,
    SLIDER,
    STABILITY,
    TRAINING,
    new_page,
)
from warmup_course import Schedule, to_code
from warmup_course.authoring.headless import TOKEN, OpenNotebook, jupyterlab
from warmup_course.authoring.normal_form import METADATA
from warmup_course.classroom import store
from warmup_course.classroom.quiz import load

pytestmark = NEEDS

LESSON = "03_linear_warmup"  # the one that EVERYTHING pretends to be
QUESTIONS = load(LESSON)["questions"]

# What a lab shows, controls left out. ipywidgets give an image a new address when it changes.
PICTURE = """lab => {
    const parts = [...lab.querySelectorAll("img, svg[role=img], .wc-numbers, .wc-map")];
    return parts.map(part => part.src ?? part.outerHTML).join("\\n");
}"""


def cell(notebook: OpenNotebook, source: str):
    return notebook.page.locator(".jp-Notebook .jp-Cell").nth(CELLS.index(source))


def output(notebook: OpenNotebook, source: str):
    return cell(notebook, source).locator(".jp-Cell-outputArea")


def says(place, text: str) -> None:
    """Wait for a text, however it is wrapped."""
    words = r"\s+".join(re.escape(word) for word in text.split())
    place.filter(has_text=re.compile(words)).first.wait_for()


def plain(markdown: str) -> str:
    return re.sub(r"[*`]", "", markdown)


def control(lab, name: str):
    named = lab.page.get_by_text(name, exact=True)
    return lab.locator(".wc-control, .widget-slider").filter(has=named)


def letter(place, name: str):
    return place.get_by_role("button", name=re.compile(rf"^\W {name}$"))


HANDLE = "input[type=range]:enabled, .noUi-handle"
# Of an ipywidgets slider, its place: aria-valuenow is rounded.
VALUE = "handle => handle.value ?? handle.parentElement.style.transform"


def press(handle, *keys: str) -> None:
    handle.focus()
    for key in keys:
        handle.page.keyboard.press(key)


def has_changed(lab, picture: str) -> None:
    script = f"([lab, before]) => ({PICTURE})(lab) !== before"
    lab.page.wait_for_function(script, arg=[lab.element_handle(), picture])


def assert_all_sliders_move(notebook: OpenNotebook) -> int:
    """Move each slider with the arrow keys, and see its lab's picture change; the number of sliders."""
    for more in notebook.page.locator("summary", has_text="more controls").all():
        more.click()
    for decay in notebook.page.get_by_label("decay shape").all():
        decay.select_option("cosine")  # without a decay, two sliders of that lab have nothing to do
    handles = notebook.page.locator(HANDLE).all()
    for handle in handles:
        lab = handle.locator("xpath=ancestor::*[contains(concat(' ', @class, ' '), ' wc-lab ') or .//img][1]")
        picture, value = lab.evaluate(PICTURE), handle.evaluate(VALUE)
        press(handle, "ArrowRight")
        if handle.evaluate(VALUE) == value:  # it was at its end
            press(handle, "ArrowLeft")
        assert handle.evaluate(VALUE) != value
        has_changed(lab, picture)
    return len(handles)


# ---- lessons --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@each_lesson
def test_a_lesson_runs_and_its_sliders_move(lesson: Path, opened):
    notebook = opened(lesson.name)
    assert notebook.run_all()
    assert notebook.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    notebook.page.locator(HANDLE).first.wait_for()
    assert_all_sliders_move(notebook)
    assert notebook.problems == []


@pytest.mark.slow
def test_in_notebook_7_labs_move_and_fill_the_screen_and_answers_are_judged(lessons, browser, tmp_path):
    store.reset()
    command = [sys.executable, "-m", "notebook", "--no-browser", "--port=0", "--allow-root"]
    with jupyterlab(lessons, tmp_path / "notebook", command) as address:
        with urlopen(f"{address}?token={TOKEN}") as opened:
            assert opened.url.partition("?")[0] == f"{address}notebooks/00_start_here.ipynb"
        notebook = OpenNotebook(new_page(browser), address, EVERYTHING, place="notebooks")
        page, keyboard = notebook.page, notebook.page.keyboard
        assert notebook.run_all()
        assert assert_all_sliders_move(notebook) > 10
        for source in LABS.values():
            output(notebook, source).locator(HANDLE).first.focus()
            keyboard.press("p")
            page.wait_for_function("() => document.fullscreenElement?.matches('.wc-presented')")
            assert page.locator(".wc-presented").is_visible()
            keyboard.press("Escape")
            page.wait_for_function("() => document.fullscreenElement === null")
        answers, revealed = output(notebook, PREDICTION), output(notebook, REVEAL)
        letter(answers, "B").click()
        answers.get_by_role("button", name="Lock my prediction").click()
        says(revealed, "3 of 10 train")
        page.close()


WITHOUT_ANYWIDGET = [
    BEGIN,
    SCHEDULE,
    SLIDER,
    'exercise("01_learning_rate_basics/valley").check(2 / 52)',
    QUIZ,
    PREDICTION,
    REVEAL,
    PROGRESS,
]


@pytest.mark.slow
def test_without_anywidgets_front_end_answers_are_kept_and_labs_are_pictures(
    browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As where the server is not the course's, and only the kernel is."""
    lessons, off = tmp_path / "lessons", tmp_path / "off/labconfig/page_config.json"
    for folder in (lessons, off.parent):
        folder.mkdir(parents=True)
    off.write_text('{"disabledExtensions": {"anywidget": true}}')
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "off"))
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path / "home"))
    cells = [v4.new_code_cell(source) for source in WITHOUT_ANYWIDGET]
    write(v4.new_notebook(cells=cells, metadata=METADATA), lessons / "00_start_here.ipynb")
    store.record(LESSON, "question", QUESTIONS[0]["id"], "earlier", "right")
    with jupyterlab(lessons, tmp_path / "jupyterlab") as address:
        lesson = OpenNotebook(new_page(browser), address, "00_start_here.ipynb")
        assert lesson.run_all()
        outputs = [lesson.page.locator(".jp-Notebook .jp-Cell").nth(n) for n in range(len(WITHOUT_ANYWIDGET))]
        _, lab, slider, exercise, quiz, prediction, reveal, progress = outputs
        says(lab, "the Jupyter server lacks anywidget's front end")
        lab.locator(".wc-still img").wait_for()
        press(slider.locator(HANDLE).last, "ArrowRight")
        says(slider, "to the power of 2")
        says(exercise, "Done.")
        says(quiz, "You have answered this one right before.")
        letter(prediction, "C").click()
        prediction.get_by_role("button", name="Lock my prediction").click()
        says(prediction, "Locked.")
        says(reveal, "It did not hold")
        says(progress, "1 of 1")
        assert lesson.page.locator(".jupyter-widgets-error-widget:visible").count() == 0
        assert [event.state for event in store.events()] == ["right", "done", "locked", "missed"]
        lesson.page.close()


SHOWN = """heading => {
    const panel = window.jupyterapp.shell.currentWidget;
    const found = [...panel.node.querySelectorAll("h1, h2, h3")].find(node => node.textContent.startsWith(heading));
    const frame = panel.node.getBoundingClientRect(), top = found?.getBoundingClientRect().top;
    return top >= frame.top && top < frame.bottom;
}"""


def test_links_lead_to_a_word_and_from_it_to_a_heading(opened):
    """Of pages that are open: JupyterLab shows the top of a page that a link opens."""
    lesson = opened("02_high_lr_instability.ipynb")

    def show(name: str) -> None:
        lesson.do("await (await app.commands.execute('docmanager:open', { path: argument })).revealed;", name)

    def follow(link: str, heading: str) -> None:
        shown = lesson.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        shown.get_by_role("link", name=link).first.click()
        lesson.page.wait_for_function(SHOWN, arg=heading)

    show("glossary.ipynb")
    show("02_high_lr_instability.ipynb")
    follow("standardised", "standardise")
    for lesson_name, heading in (
        ("06_cosine_annealing", "What happens after T_max?"),
        ("11_debugging_lab", "Myth 4: "),
    ):
        show(f"{lesson_name}.ipynb")
        show("glossary.ipynb")
        follow(f"{lesson_name[:2]} · {heading}", heading)


# The place of the keyboard is the cell of this number.
FOCUSED = "number => document.activeElement === document.querySelectorAll('.jp-Notebook .jp-Cell')[number]"
HAS_FOCUS = """([number, selector]) => {
    const focused = document.activeElement;
    return focused.matches(selector) && document.querySelectorAll(".jp-Notebook .jp-Cell")[number].contains(focused);
}"""
IDLE = """
    const { kernel } = panel.sessionContext.session;
    const waits = ({ promptNode }) => promptNode?.textContent.includes("*");
    while (kernel.status !== "idle" || panel.content.widgets.some(waits)) {
        await new Promise(done => setTimeout(done, 100));
    }
"""
# Whether the last text of the notebook is.
IS_BLURRED = """() => {
    const texts = document.querySelectorAll(".jp-Notebook .jp-MarkdownCell");
    return getComputedStyle(texts[texts.length - 1]).filter !== "none";
}
"""


@pytest.mark.slow
def test_a_whole_lesson_is_done_with_the_keyboard_alone(opened):
    """Shift+Enter from the first cell to the last, and Shift+Tab back into what it has made."""
    lesson = opened("00_start_here.ipynb")
    page, keyboard = lesson.page, lesson.page.keyboard
    store.reset()
    question = next(question for question in load("00_start_here")["questions"] if question["kind"] == "single")
    [right] = [plain(choice["text"]) for choice in question["choices"] if choice.get("right")]
    sources = lesson.do("return panel.content.widgets.map(cell => cell.model.sharedModel.getSource());")

    def tab_to(number: int, selector: str, key: str = "Shift+Tab") -> None:
        """Press Tab until the focus is at such an element of a cell."""
        page.locator(".jp-Notebook .jp-Cell").nth(number).locator(selector).first.wait_for()
        for _ in range(80):
            if page.evaluate(HAS_FOCUS, [number, selector]):
                return
            keyboard.press(key)
        raise AssertionError(f"no {selector} is reached from cell {number + 1}")

    def go_on(number: int) -> None:
        keyboard.press("Shift+Enter")
        lesson.do(IDLE, seconds=120)
        if number + 1 < len(sources):
            page.wait_for_function(FOCUSED, arg=number + 1)

    page.wait_for_function(FOCUSED, arg=0)
    for number, source in enumerate(sources):
        go_on(number)
        if "predict(" in source or source.startswith("quiz("):
            is_quiz = source.startswith("quiz(")
            tab_to(number, f'.widget-toggle-button[title="{right}"]' if is_quiz else ".widget-toggle-button")
            keyboard.press("Space")
            tab_to(number, "button:not(.widget-toggle-button)", "Tab")
            assert page.evaluate(IS_BLURRED) is not is_quiz  # what comes after an open prediction
            keyboard.press("Enter")
            says(page.locator(".jp-Notebook .jp-Cell").nth(number), "✔ Right." if is_quiz else "Locked.")
            assert not page.evaluate(IS_BLURRED)
            go_on(number)
        elif "Lab(" in source:
            tab_to(number, HANDLE)
            keyboard.press("ArrowRight")
            go_on(number)
    assert lesson.do("return panel.content.activeCellIndex;") == len(sources)  # JupyterLab adds an empty one
    states = [event.state for event in store.events("00_start_here")]
    assert states.count("locked") == states.count("held") + states.count("missed") > 0
    assert (states.count("right"), states.count("wrong")) == (1, 0)
    assert lesson.problems == []


# ---- labs -----------------------------------------------------------------------------------------------------------


def test_the_arrow_keys_move_every_slider(everything):
    page = everything.page
    page.locator(".wc-lab").nth(2).wait_for()
    assert assert_all_sliders_move(everything) == page.locator(HANDLE).count() == 6 + 6 + 2 + 5 + 2
    assert everything.problems == []


SAID = {
    "schedule": ("peak LR", "highest {} at step 9"),
    "quadratic": ("learning rate", "at LR {}."),
    "stability": ("peak LR", "Peak LR {}: "),
    "training": ("warmup steps", "{} warmup steps: "),
    "slider": ("power", "to the power of {}"),
}


@pytest.mark.parametrize(
    ("source", "name", "sentence"),
    [pytest.param(LABS[lab], *said, marks=pytest.mark.cells(LABS[lab]), id=lab) for lab, said in SAID.items()],
)
def test_a_dragged_slider_ends_where_it_is_let_go(source: str, name: str, sentence: str, everything):
    page, lab = everything.page, output(everything, source)
    slider = control(lab, name)
    handle, readout = slider.locator(HANDLE), slider.locator(".wc-value, .widget-readout")
    handle.scroll_into_view_if_needed()
    track = slider.locator("input[type=range], .noUi-target").bounding_box()
    place = handle.bounding_box()
    middle = track["y"] + track["height"] / 2
    if place == track:  # a native slider, whose knob is no element; it can be seized anywhere
        place = {"x": track["x"] + track["width"] / 2, "width": 0}
    picture, seen = lab.evaluate(PICTURE), {readout.inner_text()}
    page.mouse.move(place["x"] + place["width"] / 2, middle)
    page.mouse.down()
    for share in (0.3, 0.9, 0.1, 0.2, 0.35, 0.5, 0.6, 0.7, 0.75, 0.8):  # faster than a lab that trains
        page.mouse.move(track["x"] + share * track["width"], middle)
        seen.add(readout.inner_text())
    page.mouse.up()
    has_changed(lab, picture)
    assert len(seen) > 3
    says_anywhere(lab, sentence.format(readout.inner_text()))
    assert everything.problems == []


def says_anywhere(lab, sentence: str) -> None:
    """Wait for a sentence in a lab's text, or in what it tells a screen reader about its picture."""
    script = """([lab, sentence]) =>
        [lab, ...lab.querySelectorAll("svg")].some(part =>
            `${part.innerText} ${part.getAttribute("aria-label")}`.includes(sentence))"""
    lab.page.wait_for_function(script, arg=[lab.element_handle(), sentence])


@pytest.mark.cells(SCHEDULE, SLIDER, PROGRESS)
def test_the_kernel_knows_what_was_moved_and_remembers_that_a_goal_is_reached(everything):
    lab = output(everything, SCHEDULE)
    press(control(lab, "warmup steps").locator(HANDLE), *["ArrowRight"] * 10)
    says(lab, "Goal: 20 warmup steps ✔ reached")
    assert everything.value("schedule_lab.schedule.warmup_steps") == "20"

    lab = output(everything, SLIDER)
    press(control(lab, "power").locator(HANDLE), *["ArrowRight"] * 2)
    says(lab, "Goal: the power of 3 ✔ reached")
    picture = lab.evaluate(PICTURE)
    lab.get_by_role("button", name="Reset").click()
    has_changed(lab, picture)
    says(lab, "✔ reached")  # once is enough, and it counts
    assert [event.item for event in store.events(kind="goal")] == ["20 warmup steps", "the power of 3"]
    assert everything.run_all()
    says(output(everything, SCHEDULE), "✔ reached")
    says(output(everything, PROGRESS), "2 of")


@pytest.mark.cells(SCHEDULE)
def test_the_code_panel_is_worked_from_the_keyboard_and_follows_the_sliders(everything):
    page, lab = everything.page, output(everything, SCHEDULE)

    def shows(warmup: int, library: str) -> None:
        code = to_code(Schedule(100, warmup, stable_steps=30), 0.1, library)
        arguments = [lab.locator("pre code").element_handle(), code]
        page.wait_for_function("([element, code]) => element.textContent === code", arg=arguments)

    press(lab.locator("summary"), "Enter")
    shows(10, "torch")
    press(lab.get_by_role("button", name="plain Python"), "Space")
    shows(10, "python")
    press(control(lab, "warmup steps").locator(HANDLE), "ArrowRight")
    shows(11, "python")
    press(lab.get_by_role("button", name="Copy"), "Enter")
    says(lab, "Copied.")
    assert everything.problems == []


@pytest.mark.cells(SCHEDULE)
def test_a_lab_shows_the_controls_that_are_needed_and_grows_with_the_font(everything):
    """The font of the text, which JupyterLab's menu enlarges."""
    page, lab = everything.page, output(everything, SCHEDULE)
    everything.write(CELLS.index(SCHEDULE), SCHEDULE.replace("goal=", 'controls=["peak_lr", "warmup_steps"], goal='))
    assert everything.run_all()
    sliders, picture = lab.locator("input[type=range]:visible"), lab.locator("svg[role=img]")
    lab.get_by_text("more controls").wait_for()
    assert sliders.count() == 2
    press(lab.get_by_text("more controls"), "Enter")
    page.wait_for_function("lab => lab.querySelector('details').open", arg=lab.element_handle())
    assert sliders.count() == 6

    def height() -> float:
        page.wait_for_timeout(500)  # for the layout
        return picture.bounding_box()["height"]

    heights = [height()]
    for change in ("incr", "decr"):
        for _ in range(3):
            everything.do(
                f"await app.commands.execute('apputils:{change}-font-size', {{ key: 'content-font-size1' }});"
            )
        heights.append(height())
    assert heights[1] > 1.1 * heights[0] == 1.1 * heights[2]


@pytest.mark.cells(STABILITY)
def test_the_map_is_walked_with_the_arrow_keys(everything):
    lab = output(everything, STABILITY)
    lab.get_by_role("gridcell", selected=True).focus()
    for key in ("ArrowDown", "ArrowRight"):
        everything.page.keyboard.press(key)
    says_anywhere(lab, "Peak LR 0.125: ")
    says_anywhere(lab, "with 32 warmup steps")


# Texts on the screen that are smaller than 24 pixels or not wholly on it, as [text, size, place].
SMALL_OR_OUTSIDE = """root => {
    const found = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const [text, element] = [walker.currentNode, walker.currentNode.parentElement];
        const range = document.createRange();
        range.selectNodeContents(text);
        const { left, right, top, bottom, width } = range.getBoundingClientRect();
        if (!text.data.trim() || !width || element.closest(".wc-spoken, option, style")) continue;
        const { a, b } = element.getScreenCTM?.() ?? { a: 1, b: 0 };
        const size = parseFloat(getComputedStyle(element).fontSize) * Math.hypot(a, b);
        const outside = left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
        if (size < 24 || outside) found.push([text.data, size, [left, top, right, bottom]]);
    }
    return found;
}"""


@pytest.mark.parametrize(
    "source", [pytest.param(source, marks=pytest.mark.cells(source), id=name) for name, source in LABS.items()]
)
def test_a_lab_is_presented_with_the_keyboard_alone(source: str, everything):
    page, keyboard, lab = everything.page, everything.page.keyboard, output(everything, source)
    page.set_viewport_size({"width": 1920, "height": 1080})
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    try:
        lab.locator(HANDLE).first.focus()
        keyboard.press("p")
        page.wait_for_function("() => document.fullscreenElement?.matches('.wc-presented')")
        root = lab.locator(".wc-presented")
        page.wait_for_timeout(1500)  # for the layout, and for the kernel to draw the figure anew
        assert root.evaluate(SMALL_OR_OUTSIDE) == []
        for picture in root.locator("img").all():  # one pixel of the figure is one of the screen
            sizes = picture.evaluate("img => [img.naturalWidth, img.naturalHeight, img.width, img.height]")
            assert sizes[:2] == pytest.approx(sizes[2:], abs=1)
            assert sizes[2] > 1800
            assert sizes[3] > 400
        for _ in ("light", "dark"):
            assert root.evaluate(UNREADABLE) == []
            keyboard.press("d")

        handle = root.locator(HANDLE).first
        value, picture = handle.evaluate(VALUE), lab.evaluate(PICTURE)
        keyboard.press("ArrowRight")
        has_changed(lab, picture)
        moved = handle.evaluate(VALUE)
        assert moved != value
        assert root.evaluate("root => root.scrollHeight <= root.clientHeight")

        def stands_at(there: str) -> None:
            page.wait_for_function(
                f"([handle, there]) => ({VALUE})(handle) === there", arg=[handle.element_handle(), there]
            )

        keyboard.press("k")
        says(root, "Positions kept: 1.")
        for key, there in {"PageUp": value, "PageDown": moved, "b": value, "n": moved, "r": value}.items():
            keyboard.press(key)
            stands_at(there)
        result = root.locator(".wc-picture, svg[role=img]").first
        for visible in (False, True):
            keyboard.press("h")
            assert result.is_visible() == visible
        # Behind the lab, JupyterLab would make two cells and take one away, and run the lab's own anew.
        for key in ("a", "a", "x", "Shift+Enter"):
            keyboard.press(key)
        page.wait_for_timeout(500)
        assert page.evaluate("document.fullscreenElement !== null")

        handle.focus()
        for way in ("Tab", "Shift+Tab"):  # goes round in the lab, either way
            keyboard.press(way)
            stops = 1
            while not handle.evaluate("handle => handle === document.activeElement"):
                assert root.evaluate("root => root.contains(document.activeElement)")
                keyboard.press(way)
                stops += 1
                assert stops < 40
        assert stops > 2

        keyboard.press("Escape")
        page.wait_for_function("() => document.fullscreenElement === null")
        lab.get_by_role("button", name="Present", exact=True).and_(page.locator(":focus")).wait_for()
        assert page.locator(".wc-presented").count() == 0
        assert page.locator(".jp-Notebook .jp-Cell").count() == cells
        assert everything.problems == []
    finally:
        page.evaluate("document.fullscreenElement && document.exitFullscreen()")
        page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.cells(SLIDER)
def test_positions_are_copied_and_pasted_as_lines(everything):
    page, keyboard, lab = everything.page, everything.page.keyboard, output(everything, SLIDER)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.get_by_role("button", name="Present").click()
    root = lab.locator(".wc-presented")
    root.locator(".noUi-handle:focus").wait_for()
    keyboard.press("ControlOrMeta+c")
    says(root, "Copied: 1")
    assert page.evaluate("navigator.clipboard.readText()") == '{"lr":0.5,"power":1}'
    page.evaluate("""navigator.clipboard.writeText('{"lr":0.2,"power":4}\\n{"lr":0.3,"power":5}')""")
    keyboard.press("ControlOrMeta+v")
    says(root, "LR 0.2 to the power of 4")
    keyboard.press("n")
    says(root, "LR 0.3 to the power of 5")
    page.evaluate("""navigator.clipboard.writeText('{"power":4}')""")
    keyboard.press("ControlOrMeta+v")
    says(root, "Not pasted")
    keyboard.press("ControlOrMeta+c")
    says(root, "Copied: 2")
    page.evaluate("""navigator.clipboard.writeText('{"ask":"Which power?","lr":0.4,"power":3}')""")
    keyboard.press("ControlOrMeta+v")
    says(root, "Which power?")
    picture, reached = root.locator(".wc-picture"), root.get_by_text("reached")
    reached.wait_for(state="attached")
    assert not picture.is_visible()  # until the hands are counted
    assert not reached.is_visible()
    keyboard.press("h")
    assert picture.is_visible()
    assert reached.is_visible()
    assert root.evaluate("root => root.scrollHeight <= root.clientHeight")
    keyboard.press("r")
    assert root.locator(".wc-asked").inner_text() == ""
    keyboard.press("Escape")
    assert everything.problems == []


@pytest.mark.cells(STABILITY)
def test_a_position_that_is_not_on_the_map_is_not_pasted(everything):
    page, keyboard, lab = everything.page, everything.page.keyboard, output(everything, STABILITY)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.get_by_role("button", name="Present").click()
    root = lab.locator(".wc-presented")
    picture = root.evaluate(PICTURE)
    for line, said in {
        '{"peak_lr":0.3,"warmup_steps":5}': "Not pasted",
        '{"peak_lr":0.125,"warmup_steps":32}': "Positions kept: 1",
    }.items():
        assert root.evaluate(PICTURE) == picture
        page.evaluate("line => navigator.clipboard.writeText(line)", line)
        keyboard.press("ControlOrMeta+v")
        says(root, said)
    assert root.evaluate(PICTURE) != picture
    keyboard.press("Escape")
    assert everything.problems == []


# Kernel side: put a lab into many settings, one after the other. The browser draws each of them.
RANDOM_SETTINGS = """
import gc, itertools, psutil, random
from dataclasses import asdict
from warmup_course.shapes import DECAYS, WARMUPS
def settings_of(lab, chance):
    if lab is stability_lab:
        return {"peak_lr": chance.choice([0.03125, 0.125, 0.5, 2.0]), "warmup_steps": chance.choice([0, 8, 32])}
    if lab is quadratic_lab:
        two = lambda low, high: [chance.uniform(low, high) for _ in range(2)]
        moved = {"lr": 10 ** chance.uniform(-3, 1), "momentum": chance.choice([0.0, 0.5, 0.99])}
        return {**lab.settings, **moved, "curvatures": two(0.1, 100), "start": two(0.1, 2)}
    total = chance.randint(1, 200)
    warmup = chance.randint(0, total)
    schedule = Schedule(
        total, warmup, stable_steps=chance.randint(0, total - warmup), count_from=chance.randint(0, 1),
        warmup=chance.choice([*WARMUPS]),
        decay=chance.choice([*DECAYS]),
        start_factor=chance.choice([0.01, 0.5, 1.0]), end_factor=chance.choice([0.0, 0.1, 1.0]),
    )
    other = chance.choice([None, {**asdict(Schedule(100)), "peak_lr": 1.0, "compared": None}])
    return {**asdict(schedule), "peak_lr": 10 ** chance.uniform(-5, 1), "compared": other}

def wander(lab, moves, seed):
    chance = random.Random(seed)
    for _ in range(moves):
        lab.settings = settings_of(lab, chance)
    lab.settings = lab.defaults
    return lab.describe()

def move(times):  # the kernel's own labs through many positions; the megabytes that it then takes
    for number in range(times):
        slider_lab.controls["power"].value = 1 + number % 5
        training_lab.controls["peak_lr"].value = 0.01 + 0.01 * (number % 20)
        training_lab.wait()
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6
"""


@pytest.mark.slow
def test_random_settings_draw_without_a_complaint_and_memory_stays_flat(everything):
    heap = everything.page.context.new_cdp_session(everything.page)

    def wander(moves: int, seed: int) -> float:
        """Megabytes in use after so many settings of each browser lab, back at the first."""
        for name, source in {"schedule_lab": SCHEDULE, "quadratic_lab": QUADRATIC, "stability_lab": STABILITY}.items():
            lab = output(everything, source)
            lab.scroll_into_view_if_needed()
            said = 'lab => [...lab.querySelectorAll("svg[role=img]")].map(svg => svg.ariaLabel).join()'
            at_first = lab.evaluate(said)
            assert at_first
            everything.value(f"wander({name}, {moves}, {seed})")
            everything.page.wait_for_function(
                f"([lab, first]) => ({said})(lab) === first", arg=[lab.element_handle(), at_first]
            )
        heap.send("HeapProfiler.collectGarbage")
        return heap.send("Runtime.getHeapUsage")["usedSize"] / 1e6

    everything.value(f"exec({RANDOM_SETTINGS!r}, globals())")
    before = wander(100, seed=0)
    assert wander(300, seed=1) - before < 30
    at_first = float(everything.value("move(20)"))
    assert float(everything.value("move(60)")) - at_first < 30
    assert everything.problems == []


# ---- cards ----------------------------------------------------------------------------------------------------------


def card(notebook: OpenNotebook, question: dict):
    """The card of a question: the innermost box with its number and a button to check it."""
    number = f"{QUESTIONS.index(question) + 1} of {len(QUESTIONS)}."
    boxes = output(notebook, QUIZ).locator(".widget-vbox").filter(has_text=number)
    return boxes.filter(has=notebook.page.get_by_role("button", name="Check")).last


@pytest.mark.cells(QUIZ)
def test_a_question_is_answered_with_the_keyboard_alone(everything):
    question = next(question for question in QUESTIONS if question["kind"] == "single")
    right = [bool(choice.get("right")) for choice in question["choices"]]
    asked, keyboard = card(everything, question), everything.page.keyboard
    buttons = asked.get_by_role("button")

    def choose(number: int, key: str) -> None:
        """From the button A to a choice, and from there to Check."""
        for _ in range(number):
            keyboard.press("Tab")
        keyboard.press(key)
        for _ in range(len(right) - number):
            keyboard.press("Tab")
        keyboard.press(key)

    buttons.first.focus()
    choose(right.index(False), "Space")
    says(asked, "✘ Not this time.")
    says(asked, plain(question["choices"][right.index(False)]["why"]))

    asked.locator("button:focus", has_text="Try again").wait_for()
    keyboard.press("Enter")
    asked.locator("button:focus", has_text=re.compile(r"^\W A$")).wait_for()
    choose(right.index(True), "Enter")
    says(asked, "✔ Right.")
    says(asked, plain(question["choices"][right.index(True)]["why"]))
    assert [event.state for event in store.events(LESSON, "question", question["id"])] == ["wrong", "right"]


@pytest.mark.cells(QUIZ)
def test_a_number_is_asked_for(everything):
    question = next(question for question in QUESTIONS if question["kind"] == "number")
    asked, keyboard = card(everything, question), everything.page.keyboard

    def answer(number: float) -> None:
        asked.get_by_role("textbox").click()
        keyboard.type(str(number))
        asked.get_by_role("button", name="Check").click()

    answer(question["mistakes"][0]["value"])
    says(asked, "✘ Not this time. " + plain(question["mistakes"][0]["why"]))
    asked.get_by_role("button", name="Try again").click()
    answer(question["answer"])
    says(asked, "✔ Right. " + plain(question["because"]))


@pytest.mark.cells(EXERCISE, PROGRESS)
def test_an_exercise_is_not_attempted_then_wrong_then_done(everything):
    says(output(everything, EXERCISE), "Not attempted.")

    def type_and_run(source: str) -> None:
        cell(everything, EXERCISE).locator(".cm-content").click()
        everything.page.keyboard.press("Control+A")
        everything.page.keyboard.insert_text(source)
        everything.page.keyboard.press("Shift+Enter")

    type_and_run(EXERCISE.replace("...", "min(step / W, 1)"))
    says(output(everything, EXERCISE), "✘ Not yet.")
    says(output(everything, EXERCISE), "This ramp counts from 1: its first step has the factor 1 / W.")
    type_and_run(EXERCISE.replace("...", "min((step + 1) / W, 1) if W else 1"))
    says(output(everything, EXERCISE), "✔ Done.")
    says(output(everything, PROGRESS), "1 of 1")  # at once


def lock_a_prediction(notebook: OpenNotebook) -> None:
    place = output(notebook, PREDICTION)
    lock = place.get_by_role("button", name="Lock my prediction")
    lock.click()
    says(place, "Choose one first.")
    letter(place, "A").click()
    place.get_by_text("2 to 5").click()  # changed my mind
    lock.click()
    says(place, "Locked. What was measured stands below.")
    assert_locked(notebook)


def assert_locked(notebook: OpenNotebook) -> None:
    place = output(notebook, PREDICTION)
    assert all(button.is_disabled() for button in place.locator(".widget-toggle-button").all())
    assert place.locator(".mod-active").all_inner_texts() == ["● B"]


@pytest.mark.cells(PREDICTION, REVEAL)
def test_a_prediction_is_locked_and_compared_by_itself(everything):
    says(output(everything, REVEAL), "Lock your prediction above")
    lock_a_prediction(everything)
    compared = "You predicted: 2 to 5. Measured: 3 of 10 train. ✔ It held."
    says(output(everything, REVEAL), compared)
    cell(everything, REVEAL).locator(".cm-content").click()
    everything.page.keyboard.press("Shift+Enter")  # again
    says(output(everything, REVEAL), compared)
    assert [event.state for event in store.events()] == ["locked", "held"]


# Whether JupyterLab takes Ctrl+S at an element.
SAVES = """place => !place.dispatchEvent(new KeyboardEvent(
    "keydown", { key: "s", code: "KeyS", keyCode: 83, ctrlKey: true, bubbles: true, cancelable: true }
))"""


def test_shift_enter_goes_on_and_ctrl_s_saves_from_every_widget(everything):
    page, keyboard = everything.page, everything.page.keyboard
    page.locator(".wc-lab").nth(2).wait_for()
    places = {
        SCHEDULE: output(everything, SCHEDULE).locator(HANDLE).first,
        QUADRATIC: output(everything, QUADRATIC).get_by_role("button", name="Reset"),
        STABILITY: output(everything, STABILITY).locator("[role=gridcell][tabindex='0']"),
        TRAINING: output(everything, TRAINING).locator(HANDLE).first,
        SLIDER: output(everything, SLIDER).locator(HANDLE).first,
        QUIZ: output(everything, QUIZ).get_by_role("button", name="Check").first,
        PREDICTION: output(everything, PREDICTION).get_by_role("button", name="Lock my prediction"),
    }
    for source, place in places.items():
        place.focus()
        assert place.evaluate(SAVES)
        if source == PREDICTION:
            letter(output(everything, PREDICTION), "B").press("Space")
            place.press("Enter")
            says(output(everything, PREDICTION), "Locked.")
        keyboard.press("Shift+Enter")
        page.wait_for_function(FOCUSED, arg=CELLS.index(source) + 1)
    assert everything.problems == []


@pytest.mark.cells(QUIZ, PREDICTION, REVEAL, PROGRESS)
def test_after_a_restart_the_answers_are_still_there(everything):
    question = next(question for question in QUESTIONS if question["kind"] == "number")
    lock_a_prediction(everything)
    card(everything, question).get_by_role("textbox").fill(str(question["answer"]))
    card(everything, question).get_by_role("button", name="Check").click()
    says(card(everything, question), "✔ Right.")

    everything.restart()
    assert everything.run_all()
    says(output(everything, PREDICTION), "Locked.")
    assert_locked(everything)
    says(card(everything, question), "✔ You have answered this one right before.")
    says(output(everything, PROGRESS), f"1 of {len(QUESTIONS)}")
    says(output(everything, PROGRESS), "1 held")
    assert everything.problems == []


def test_opened_again_a_lesson_shows_its_pictures_and_questions(everything, opened):
    copied = everything.do("""
        await panel.context.save();
        return (await app.serviceManager.contents.copy(panel.context.path, "")).path;
    """)
    again = opened(copied)
    for lab in LABS.values():
        says(output(again, lab), "This is how it stood when it was saved")
        assert output(again, lab).locator("img").first.evaluate("picture => picture.naturalWidth") > 300
    says(output(again, QUIZ), plain(QUESTIONS[0]["ask"]))
    says(output(again, PREDICTION), "2 to 5")
    assert again.page.get_by_text("Error displaying widget").count() == 0
    assert again.run_all()
    output(again, SLIDER).locator(HANDLE).first.wait_for()
    assert again.page.get_by_text("This is how it stood").count() == 0
    assert again.problems == []


# ---- looks ----------------------------------------------------------------------------------------------------------

# Each text in an element: whether it is cut off, lies on another, or is hard to tell from its background. (The numbers
# of a schedule may be scrolled.)
UNREADABLE = """root => {
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = colour => {
        paint.clearRect(0, 0, 1, 1);
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const behind = element => {
        if (!element) return [255, 255, 255, 1];
        const own = rgba(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own : over(own, behind(element.parentElement));
    };
    const luminance = ([r, g, b]) => {
        const linear = v => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const wide = [...root.querySelectorAll(":not(.wc-spoken, .wc-numbers)")].filter(box => {
        const cuts = getComputedStyle(box).overflowX !== "visible";
        return cuts && box.clientWidth && box.scrollWidth > box.clientWidth + 1;
    });
    const found = wide.map(box => `${box.scrollWidth} px in ${box.clientWidth}: ${box.className} ${box.innerText}`);
    const inPictures = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const [text, element] = [walker.currentNode, walker.currentNode.parentElement];
        const range = document.createRange();
        range.selectNodeContents(text);
        const place = range.getBoundingClientRect();
        if (!text.data.trim() || !place.width || element.closest(".wc-spoken, option, .MJX_Assistive_MathML")) continue;
        for (let box = element; box !== root; box = box.parentElement) {
            if (getComputedStyle(box).overflowX === "visible" || box.matches(".wc-numbers")) continue;
            const { left, right, top, bottom } = box.getBoundingClientRect();
            const cut = Math.max(left - place.left, place.right - right, top - place.top, place.bottom - bottom);
            if (cut > 2) found.push(`cut off: ${text.data}`);
        }
        const drawing = element.closest("svg[role=img], .wc-numbers");
        if (drawing) {
            for (const [other, there] of inPictures) {
                const wide = Math.min(place.right, there.right) - Math.max(place.left, there.left);
                const high = Math.min(place.bottom, there.bottom) - Math.max(place.top, there.top);
                if (wide > 2 && high > 4) found.push(`overlap: ${text.data} and ${other}`);
            }
            inPictures.push([text.data, place]);
        }
        if (element.closest(":disabled, [aria-disabled=true]")) continue;
        const style = getComputedStyle(element);
        const ground = behind(element);
        const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), ground);
        const ratio = contrast(ink, ground);
        if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${text.data}`);
    }
    return found;
}"""


@pytest.mark.parametrize(
    ("theme", "width"), [("JupyterLab Light", 1280), ("JupyterLab Dark", 1024)], ids=["light", "dark and narrow"]
)
def test_all_texts_can_be_read(theme: str, width: int, everything):
    page = everything.page
    set_theme = "await app.commands.execute('apputils:change-theme', { theme: argument });"
    everything.do(set_theme, theme)
    page.set_viewport_size({"width": width, "height": 3000})
    try:
        page.wait_for_function("dark => (document.body.dataset.jpThemeLight === 'false') === dark", arg="Dark" in theme)
        page.locator(HANDLE).nth(20).wait_for()
        card(everything, QUESTIONS[0]).get_by_role("button", name="Check").click()
        says(card(everything, QUESTIONS[0]), "Choose one first.")
        found = []
        for number, source in enumerate(CELLS):
            place = output(everything, source).locator(".jp-OutputArea-output").last
            place.scroll_into_view_if_needed()
            page.wait_for_timeout(500)  # for what is laid out once it is seen
            found += place.evaluate(UNREADABLE)
            if folder := os.environ.get("WARMUP_COURSE_SCREENSHOTS"):
                place.screenshot(path=Path(folder) / f"{theme.split()[1].lower()}_{width}_{number:02}.png")
        assert not found, "\n".join(found)
        paper = output(everything, SLIDER).locator("img").first
        assert ("invert" in paper.evaluate("image => getComputedStyle(image).filter")) == ("Dark" in theme)
    finally:
        everything.do(set_theme, "JupyterLab Light")
        page.set_viewport_size({"width": 1280, "height": 900})
