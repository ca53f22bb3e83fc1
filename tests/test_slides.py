"""The slides: no code but what a lesson is about, no answer before its question, and nothing off the screen."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import in_chromium
from lessons import LESSONS, each_lesson

from warmup_course.authoring.excerpts import predictions
from warmup_course.authoring.headless import chromium
from warmup_course.authoring.slides import slides_of, write_slides
from warmup_course.cli import main
from warmup_course.lesson_files import read

pytestmark = pytest.mark.skipif(
    find_spec("sphinx_revealjs") is None, reason="there is no reveal.js here: the extra [classroom]"
)
# What lies outside the screen, or is smaller than 24 pixels, of the slide that is shown.
# The letters of a figure are 13 of its own pixels.
WRONG = """() => [...Reveal.getCurrentSlide().querySelectorAll("*")].flatMap((element) => {
    const { left, right, top, bottom, width } = element.getBoundingClientRect();
    const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const scale = Math.min(width / element.naturalWidth, (bottom - top) / element.naturalHeight);
    const size = scale ? 13 * scale : parseFloat(getComputedStyle(element).fontSize) * Reveal.getScale();
    const outside = left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
    return width && (outside || ((text || scale) && size < 24)) ? [[element.tagName, size, right, bottom]] : [];
})"""


@each_lesson
def test_they_follow_from_the_lesson(lesson: Path):
    slides, cells = slides_of(lesson), read(lesson)["cells"]
    asked = [slide for slide in slides if '<ol type="A">' in slide.html]
    assert len(asked) >= len([*predictions(read(lesson), answers=True)])
    assert all(re.match(r"<p><strong>[A-Z]\.</strong> <em>Measured: ", slide.later[0]) for slide in asked)
    assert not any("Measured: " in slide.html for slide in slides)
    assert all(part for slide in slides for part in slide.later)
    code = [slide.html for slide in slides if "<pre>" in slide.html]
    assert len(code) <= sum("subject" in cell["metadata"].get("tags", ()) for cell in cells)
    assert not any("predict(" in html for html in code)
    text = "".join(map(str, slides))
    assert 10 <= len(slides) == text.count("<section>")
    assert "<a " not in text
    assert "$$" not in text
    assert "\\(" not in text


@each_lesson
def test_no_text_announces_what_is_not_there_or_shows_its_marks(lesson: Path):
    for slide in slides_of(lesson):
        assert not re.fullmatch(r"\s*<h\d>.*</h\d>\s*", slide.html), "a heading alone"
        for html in (slide.html, *slide.later):
            assert not re.sub(r"<[^>]*>", "", html).strip().endswith(":")
            assert "&lt;" not in re.sub(r"<(pre|code)>.*?</\1>", "", html, flags=re.S)
            assert not re.search(r"<p>\||\|</p>", html)


@pytest.mark.slow
@pytest.mark.process
@in_chromium
def test_nothing_is_small_or_off_the_screen(tmp_path: Path):
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.on("request", lambda request: asked.append(request.url))
        for lesson in LESSONS:
            page.goto(write_slides(lesson, tmp_path).as_uri())
            for number in range(len(slides_of(lesson))):
                page.evaluate("number => Reveal.slide(number, 0, 9)", number)
                assert page.evaluate(WRONG) == [], f"{lesson.stem}: slide {number}"
    assert all(url.startswith(("file:", "data:")) for url in asked)


def test_a_file_a_lesson(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["slides", "3", "--out", str(tmp_path)]) == 0
    page = tmp_path / "03_linear_warmup_slides.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text("utf-8").count("<h1>") == 1
