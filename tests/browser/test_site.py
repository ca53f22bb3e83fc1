"""The course as web pages, in a real browser: all that a page answers in a kernel's place."""

import re
import subprocess
import sys
import threading
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from lessons import LESSONS

from browser import NEEDS
from browser.test_lab import UNREADABLE
from warmup_course import moments
from warmup_course.classroom.quiz import KINDS, load
from warmup_course.lesson_files import read

pytestmark = [*NEEDS, pytest.mark.slow]
NAMES = [lesson.stem for lesson in LESSONS]
PAGES = ["index", *NAMES, "glossary", "evidence", "teaching", "search"]
LAUNCH = "https://example.org/open?file={lesson}.ipynb"
LABS = 7  # in the lessons, of those that compute in the browser


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "warmup_course.cli", "site", "--out", str(out), "--launch", LAUNCH]
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == f"The pages are in {out}: {out / 'index.html'}\n"
    return out


@pytest.fixture(scope="module")
def address(folder: Path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def new_page(browser, address: str):
    """A function that makes one, in a browser that knows no answers yet; no page may complain or ask elsewhere."""
    problems: list[str] = []
    contexts = []

    def make(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and problems.append(f"console: {said.text}"))
        inside = (address, f"blob:{address}", "data:")
        page.on("request", lambda request: request.url.startswith(inside) or problems.append(f"asks {request.url}"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def opened(new_page, address: str):
    """A function that opens a page."""

    def open_page(name: str):
        page = new_page()
        page.goto(f"{address}{name}.html")
        return page

    return open_page


@cache
def soup(folder: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((folder / name).read_text("utf-8"), "html.parser")


def show_all(page) -> None:
    page.evaluate("() => document.querySelectorAll('.wc-skip').forEach((button) => button.click())")


@pytest.mark.parametrize("name", PAGES[:-1])
def test_a_page_shows_its_text_at_once_and_fits_a_phone(new_page, address: str, name: str):
    page = new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    scripts = []  # kept back until the text is there
    page.route("**/*.js*", lambda script: scripts.append(script))
    processor = page.context.new_cdp_session(page)
    processor.send("Performance.enable", {"timeDomain": "threadTicks"})  # what else the machine does is not counted
    page.goto(f"{address}{name}.html", wait_until="commit")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    work = {metric["name"]: metric["value"] for metric in processor.send("Performance.getMetrics")["metrics"]}
    assert 0 < work["TaskDuration"] < 1  # seconds
    assert scripts
    page.route("**/*.js*", lambda script: script.continue_())
    for script in scripts:
        script.continue_()
    page.wait_for_load_state()
    assert page.locator("body").get_attribute("data-jp-theme-light") == "false"
    show_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert [unreadable for lab in page.locator(".wc-lab").all() for unreadable in lab.evaluate(UNREADABLE)] == []
    assert page.locator("h1").is_visible()


def test_all_is_small(folder: Path):
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 15e6


def test_every_link_leads_to_a_heading_and_every_figure_has_words(folder: Path):
    texts = {f"{name}.html": soup(folder, f"{name}.html") for name in PAGES}
    places = {name: {element["id"] for element in text.select("[id]")} for name, text in texts.items()}
    to_words = figures = 0
    for name, text in texts.items():
        for link in text.select("article a[href]"):
            target, _, place = unquote(link["href"]).partition("#")
            if "://" not in target:
                assert not place or place in places[target or name], f"{name}: {link['href']}"
                assert (folder / (target or name)).is_file()
                to_words += target == "glossary.html" and bool(place)
        alts = [image.get("alt") for image in text.select("article img")]
        assert all(alts), name
        figures += len(alts)
    assert to_words > 50
    assert figures > 50


def test_each_lesson_opens_in_jupyter_and_leads_to_the_next(folder: Path):
    for name, following in zip(NAMES, [*NAMES[1:], "glossary"], strict=True):
        text = soup(folder, f"{name}.html")
        assert [a["href"] for a in text.select("article a") if a.text == "Run this lesson in Jupyter"] == [
            LAUNCH.replace("{lesson}", name)
        ]
        assert text.select_one(".next-page")["href"] == f"{following}.html"


def test_code_is_collapsed_where_it_is_not_the_subject(folder: Path):
    for lesson in LESSONS:
        tags = [cell["metadata"].get("tags", ()) for cell in read(lesson)["cells"] if cell["cell_type"] == "code"]
        cells = soup(folder, f"{lesson.stem}.html").select("div.cell")
        assert [bool(cell.select("details.hide")) for cell in cells] == ["hide-input" in given for given in tags]


def test_a_search_finds_a_lesson_and_no_answers_of_the_teacher(opened):
    page = opened("search")
    page.get_by_placeholder("Search").last.fill("catapult")
    page.keyboard.press("Enter")
    page.locator("#search-results li a", has_text="02 ·").first.wait_for()
    assert page.locator("#search-results a[href*=teaching]").count() == 0


def test_a_search_quotes_no_answer_of_a_prediction(opened):
    page = opened("search")
    page.get_by_placeholder("Search").last.fill("measured")
    page.keyboard.press("Enter")
    page.locator("#search-results .context").nth(3).wait_for()
    page.get_by_text("Search finished").first.wait_for()
    page.wait_for_load_state("networkidle")
    quoted = page.locator("#search-results .context").all_inner_texts()
    assert not [text for text in quoted if "Measured:" in text]


def test_a_prediction_hides_what_follows_until_it_is_locked_and_is_remembered(opened):
    page = opened("03_linear_warmup")
    forms, reveals = page.locator(".wc-open"), page.locator(".wc-reveal")
    assert forms.count() == reveals.count() > 2
    later = page.get_by_text("Walk through the map")
    assert [form.is_visible() for form in forms.all()] == [True] + [False] * (forms.count() - 1)
    assert not any(reveal.is_visible() for reveal in reveals.all())
    assert not later.is_visible()
    assert not page.locator("img").last.is_visible()
    page.get_by_role("heading", name="Takeaways").wait_for()

    lock = page.get_by_role("button", name="Lock my prediction").first
    lock.click()  # nothing is chosen yet
    assert not reveals.first.is_visible()
    page.get_by_label("It helps, by a point").check()
    lock.click()
    for _ in range(2):
        assert re.match(r"You predicted:\s+It helps, by a point [^✔]* ✘ It did not hold", reveals.first.inner_text())
        assert "Measured:" in reveals.first.inner_text()
        assert not later.is_visible()  # the next one is open
        page.reload()
    page.get_by_role("button", name="Show what follows anyway").first.click()
    later.wait_for()
    page.reload()
    later.wait_for()


def test_a_button_forgets_all_answers_and_nothing_else(opened, address: str):
    page = opened("03_linear_warmup")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.get_by_label("It helps, by a point").check()
    page.get_by_role("button", name="Lock my prediction").first.click()
    forget = page.get_by_role("button", name="Forget my answers")
    asked = []

    def answer_dialog(dialog, agrees: bool) -> None:
        asked.append(dialog.message)
        (dialog.accept if agrees else dialog.dismiss)()

    for agrees in (False, True):
        page.goto(f"{address}index.html")
        page.once("dialog", lambda dialog, agrees=agrees: answer_dialog(dialog, agrees))
        forget.click()
        assert page.evaluate("Object.keys(localStorage).filter((key) => key !== 'theme').length") == (not agrees)
    assert "predictions and questions (1)" in asked[0]
    page.get_by_text("Your answers are forgotten.").wait_for()
    assert page.evaluate("localStorage.getItem('theme')") == "dark"
    page.goto(f"{address}index.html")
    page.get_by_role("heading", name="Learning-rate warmup").wait_for()
    assert not forget.is_visible()


@pytest.mark.parametrize("lesson", NAMES)
def test_no_reveal_is_seen_before_its_prediction(opened, lesson: str):
    page = opened(lesson)
    forms, reveals = page.locator(".wc-open"), page.locator(".wc-reveal")
    assert forms.count() == reveals.count() > 0
    for reveal in reveals.all():  # in the order of the predictions
        form = page.locator(".wc-open").first
        assert form.is_visible()
        assert not reveal.is_visible()
        form.locator(f"input[value='{reveal.get_attribute('data-right')}']").check()
        form.get_by_role("button", name="Lock").click()
        assert "✔ It held." in reveal.text_content()
    assert not forms.count()
    assert all(reveal.is_visible() for reveal in reveals.all())


@pytest.mark.parametrize("lesson", NAMES)
def test_code_and_what_it_prints_are_as_wide_as_the_page_of_a_laptop(opened, lesson: str):
    page = opened(lesson)
    show_all(page)
    wider = "() => [...document.querySelectorAll('pre')].filter((text) => text.scrollWidth > text.clientWidth)"
    assert page.evaluate(f"({wider})().map((text) => text.textContent)") == []


def answer(form, question: dict, right: bool) -> str:
    """Answer a question rightly, or wrongly in a way that it knows; what is to be read then, as Markdown."""
    if question["kind"] == "number":
        mistake = (question["mistakes"] or [{"value": question["answer"] + 1e6, "why": question["otherwise"]}])[0]
        form.get_by_role("textbox").fill(f"{question['answer'] if right else mistake['value']:,}")  # such as 18,750
        return question["because"] if right else mistake["why"]
    if question["kind"] == "order":
        shuffled = KINDS["order"]("", question, "").shuffled
        order = range(len(shuffled)) if right else reversed(range(len(shuffled)))
        for input_ in form.locator("input").all():
            input_.uncheck()
        for step in order:
            form.locator("input").nth(shuffled.index(step)).check()
        return question["because"] if right else question["steps"][-1]["why"]
    choices = question["choices"]
    wanted = [choice for choice in choices if bool(choice.get("right")) == right]
    for choice, input_ in zip(choices, form.locator("input").all(), strict=True):
        if choice in (wanted if question["kind"] == "several" else wanted[:1]):
            input_.check()
        elif question["kind"] == "several":
            input_.uncheck()
    return wanted[0]["why"]


@pytest.mark.parametrize("lesson", NAMES)
def test_each_question_is_judged_explained_and_remembered(opened, lesson: str):
    page = opened(lesson)
    show_all(page)
    questions = {question["id"]: question for question in load(lesson)["questions"]}
    for name, question in questions.items():
        form = page.locator(f".wc-ask[data-key='{lesson}/{name}']")
        for right in (False, True):
            why = re.split(r"[`*$\n]", answer(form, question, right).strip())[0]
            if question["kind"] == "several":
                why = f"{'Holds' if right else 'Does not hold'}. {why}".strip()
            form.get_by_role("button", name="Check").click()
            assert ("✔ Right." if right else "✘ Not this time.") in form.inner_text()
            assert any(why in shown for shown in form.locator(".wc-why:visible").all_inner_texts())
    page.reload()
    for name in questions:
        assert "✔ Right." in page.locator(f".wc-ask[data-key='{lesson}/{name}']").inner_text()


def test_each_lab_moves_without_a_kernel(opened, folder: Path):
    moved = 0
    for lesson in (name for name in NAMES if soup(folder, f"{name}.html").select(".wc-host")):
        page = opened(lesson)
        show_all(page)
        for lab in page.locator(".wc-lab").all():
            picture = lab.locator("svg[role=img]")
            before = picture.get_attribute("aria-label")
            lab.locator("input[type=range]").first.press("ArrowLeft")
            assert picture.get_attribute("aria-label") != before
            lab.get_by_role("button", name="Reset").click()
            assert picture.get_attribute("aria-label") == before
            moved += 1
    assert moved == LABS


def test_a_lab_fills_the_screen_and_keeps_positions(opened):
    page = opened("03_linear_warmup")
    lab = page.locator(".wc-lab").first
    lab.get_by_role("button", name="Present").click()
    page.locator(".wc-presented").wait_for()
    page.keyboard.press("k")
    assert f"Positions kept: {len(moments.load()['schedule']['moments']) + 1}." in lab.locator(".wc-said").inner_text()
    page.keyboard.press("Escape")


@pytest.mark.parametrize("lesson", ["03_linear_warmup", "05_warmup_shapes"])
def test_a_link_leads_to_its_heading_although_labs_grow_above_it(opened, address: str, lesson: str):
    page = opened(lesson)
    show_all(page)
    page.locator(".wc-lab").last.wait_for()
    below = "[...document.querySelectorAll('.wc-host')].at(-1).compareDocumentPosition(section) & 4"  # it follows
    ids = page.evaluate(f"[...document.querySelectorAll('section')].filter((section) => {below}).map(({{ id }}) => id)")
    for name in ids[:2]:
        page.goto("about:blank")
        page.goto(f"{address}{lesson}.html#{name}")
        page.locator(".wc-lab").last.wait_for()
        heading = f"document.getElementById('{name}').getBoundingClientRect().top"
        page.wait_for_function(f"Math.abs({heading}) < 100")
        page.wait_for_timeout(300)
        assert abs(page.evaluate(heading)) < 100

    page.mouse.wheel(0, -500)  # who goes on from there and comes back is where he was
    page.wait_for_function(f"{heading} > 400")
    page.wait_for_timeout(500)  # smoothly
    page.reload()
    page.locator(".wc-lab").last.wait_for()
    page.wait_for_timeout(500)
    assert page.evaluate(heading) > 200


def test_a_map_keeps_its_colours_in_the_dark(new_page, address: str):
    page = new_page(color_scheme="dark")
    page.goto(f"{address}03_linear_warmup.html")
    show_all(page)
    look = "(image) => getComputedStyle(image).filter"
    assert page.locator("img[alt^='Networks that train']").first.evaluate(look) == "none"
    assert page.locator("img[alt^='A staircase']").evaluate(look).startswith("invert")


def test_panels_in_a_row_are_read_on_a_phone(new_page, address: str):
    page = new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{address}03_linear_warmup.html")
    show_all(page)
    width = "(image) => image.getBoundingClientRect().width"
    assert page.locator("img[alt^='A staircase']").evaluate(width) > 500
    assert page.locator("img[alt^='Networks that train']").first.evaluate(width) < 390
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_code_that_is_hidden_says_so_aloud(opened):
    page = opened("03_linear_warmup")
    summary = page.locator("details.hide > summary").first
    assert summary.get_attribute("aria-label") is None
    assert summary.inner_text().strip() == "Show the code"


def test_a_page_works_from_the_disk_too(browser, folder: Path):
    page = browser.new_page()
    page.goto((folder / "01_learning_rate_basics.html").as_uri())
    show_all(page)
    page.locator(".wc-lab").first.wait_for()
    page.close()
