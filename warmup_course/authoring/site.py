"""The course as web pages, made by Sphinx from the lessons as stored. What a kernel answers in a lesson, a page does.

pages.js judges quizzes and predictions, and gives each lab that computes in the browser a model in the kernel's place.
"""

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from string import ascii_uppercase
from tempfile import TemporaryDirectory
from typing import Any

from warmup_course.authoring.excerpts import question_in, reveal_in
from warmup_course.authoring.normal_form import LAB, ONE_PANEL, PNG, width_of
from warmup_course.classroom import labs
from warmup_course.classroom.cards import html_of, mathml, without_marks
from warmup_course.classroom.quiz import KINDS, OrderCard, load, why_of
from warmup_course.lesson_files import LESSONS, CommandError, Notebook, as_text, for_teachers, pages, read, write
from warmup_course.moments import moments_of

HERE = "warmup_course.authoring.site"
ASSETS = Path(__file__).with_name("pages")
GUIDE = LESSONS.parent / "docs" / "teaching.md"
SETTINGS = {
    "project": "Learning-rate warmup",
    "html_title": "Learning-rate warmup",
    "language": "en",
    "extensions": ["myst_nb", "sphinx.ext.githubpages", HERE],
    "nb_execution_mode": "off",
    "nb_render_markdown_format": "myst",
    "nb_code_prompt_show": "Show the code",
    "nb_code_prompt_hide": "Hide the code",
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 4,
    "myst_heading_slug_func": f"{HERE}.slug",
    "html_theme": "furo",
    "html_math_renderer": "mathml",
    "html_static_path": [str(ASSETS / "pages.css"), str(ASSETS / "pages.js")],
    "html_favicon": str(ASSETS / "ramp.svg"),
    "html_css_files": ["pages.css"],
    "html_js_files": [("pages.js", {"defer": ""})],
    "html_copy_source": False,
    "html_show_copyright": False,
    "html_use_index": False,
}


def build(out: Path, launch: str | None = None) -> None:
    """Write the pages into the folder ``out``.

    Args:
        out: it need not be there yet.
        launch: the address that opens a lesson in Jupyter, with ``{lesson}`` for the name of its file; None: there is
            none.

    Raises:
        CommandError: if Sphinx and what it needs is not installed, the folder has somebody else's pages, a lesson is
            damaged, or a link leads nowhere.
    """
    if find_spec("furo") is None:
        raise for_teachers("Sphinx makes the pages", "site")
    if (out / "index.html").exists() and not (out / ".buildinfo").exists():  # Sphinx's
        raise CommandError(
            f"--out must be a folder without pages, or with earlier ones of this command; {out} is neither"
        )
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError

    with TemporaryDirectory() as scratch:
        source = Path(scratch, "source")
        for path in pages(LESSONS):
            write(source / path.name, as_text(_page(path, launch)))
        write(source / "index.md", (ASSETS / "index.md").read_text("utf-8"))
        # Learners meet neither it nor its answers, unless they follow the link to it.
        guide = GUIDE.read_text("utf-8").replace("](../notebooks/", "](")
        write(source / GUIDE.name, f"---\norphan: true\nnosearch: true\n---\n{guide}")
        try:
            sphinx = Sphinx(
                source, None, out, Path(scratch, "read"), "html", SETTINGS, status=None, warningiserror=True
            )
            sphinx.build()
        except SphinxError as error:
            raise CommandError(f"the pages cannot be made: {error}") from error
        if sphinx.statuscode:
            raise CommandError("the pages are made, but see the warnings above")


def setup(app: Any) -> None:
    """What Sphinx asks of an extension: formulas become MathML, which browsers draw without anything loaded.

    And no search finds what answers a prediction.
    """
    from docutils.nodes import SkipNode, raw

    def leave_out_answers(_app: Any, doctree: Any, _name: str) -> None:
        for part in doctree.findall(raw):
            if 'class="wc-reveal"' in part.astext():
                part["classes"].append("no-search")

    def formula(display: str) -> Any:
        def visit(writer: Any, node: Any) -> None:
            writer.body.append(mathml(node.astext(), display))
            raise SkipNode

        return visit, None

    app.connect("doctree-resolved", leave_out_answers)
    app.add_html_math_renderer("mathml", formula("inline"), formula("block"))


def slug(heading: str) -> str:
    """A heading's name in links: JupyterLab's."""
    return heading.replace(" ", "-")


def _page(path: Path, launch: str | None) -> Notebook:
    """A lesson for Sphinx: with links that it resolves, and all that is asked or moved as HTML."""
    notebook, lesson = read(path), path.stem
    asked: list[tuple[str, list[str]]] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if launch and lesson[0].isdecimal() and cell is notebook["cells"][0]:
                address = launch.replace("{lesson}", lesson)
                source = source.replace("\n", f"\n\n[Run this lesson in Jupyter]({address})\n\n", 1)
            cell["source"] = re.sub(r"(\]\((?:\w+\.ipynb)?#)heading=", r"\1", source)
            continue
        for output in cell.get("outputs", ()):
            data, metadata = output.get("data", {}), output.get("metadata", {})
            markdown = "".join(data.get("text/markdown", ""))
            if prediction := question_in(markdown):
                asked.append(prediction)
                data["text/html"] = _prediction(lesson, *prediction)
            elif reveal := reveal_in(markdown):  # they come in the order of their predictions
                data["text/html"] = _reveal(lesson, *asked.pop(0), *reveal)
            elif quiz := re.fullmatch(r'quiz\("(\w+)"\)', source.strip()):
                data["text/html"] = _quiz(quiz[1])
            elif PNG in data:
                is_map = re.search(r"stability_map\(|cividis", source) is not None
                data["text/html"] = _figure("".join(data.pop(PNG)).strip(), metadata, is_map)
            elif markdown.startswith("**○ Not attempted.**"):
                data["text/html"] = "<p><b>○ Not attempted.</b> Exercises are done in the running lesson.</p>"
            if "text/html" in data:
                data.pop("text/markdown", None)
        cell["outputs"] = [part for output in cell.get("outputs", ()) for part in _ticks_apart(output)]
    return notebook


def _ticks_apart(output: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of what is printed, the claims as sentences, which wrap on a phone; the rest are tables, which keep columns."""
    if output["output_type"] != "stream":
        yield output
        return
    for are_ticks, lines in groupby("".join(output["text"]).splitlines(), lambda line: line.startswith("✔ ")):
        if are_ticks:
            listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
            data = {"text/html": f'<ul class="wc-ticks">{listed}</ul>'}
            yield {"output_type": "display_data", "data": data, "metadata": {}}
        else:
            yield output | {"text": "\n".join(lines) + "\n"}


def _figure(png: str, metadata: dict[str, Any], is_map: bool) -> str:
    alt = metadata.get(PNG, {}).get("alt", "")
    looks = "wc-map " * is_map + "wc-wide" * (width_of(png) > ONE_PANEL)
    image = f'<img class="{looks}" alt="{escape(alt)}" src="data:{PNG};base64,{png}">'
    if alt.startswith("A lab with"):
        return f"{image}<p><small>A lab that trains: its controls are in the running lesson.</small></p>"
    return lab_in_page(metadata[LAB], image) if LAB in metadata else image


def lab_in_page(stored: dict[str, Any], image: str) -> str:
    """A lab that computes in the browser, for pages.js; until that has run, its image."""
    kind = getattr(labs, stored["_anywidget_id"].rpartition(".")[2])
    state = stored | {"kept": moments_of(stored["goal"], stored["defaults"])}
    if "losses" in state:
        state["losses"] = b64encode(zlib.decompress(b64decode(state["losses"]))).decode()
    state |= {"_esm": str(kind._esm), "_css": str(kind._css)}
    text = json.dumps(state).replace("<", r"\u003c")
    return f'<div class="wc-host">{image}</div><script type="application/json">{text}</script>'


def _prediction(lesson: str, question: str, choices: list[str]) -> str:
    return (
        f'<form class="wc-ask wc-open" aria-label="{escape(without_marks(question))}" autocomplete="off" '
        f'data-kind="prediction" data-key="{lesson}/{escape(question)}">'
        f"{html_of(f'**Predict.** {question}')}{_choices('radio', [(text, '') for text in choices])}"
        '<button>Lock my prediction</button> <button type="button" class="wc-skip">Show what follows anyway</button>'
        '<p role="status">What follows is hidden until you lock.</p></form>'
    )


def _reveal(lesson: str, question: str, choices: list[str], measured: str, right: str) -> str:
    number = [choice.rstrip(".") for choice in choices].index(right)
    return (
        f'<div class="wc-reveal" data-key="{lesson}/{escape(question)}" data-right="{number}"><p class="wc-yours"></p>'
        f"{html_of(f'**Measured:** {measured}. **So:** {right}.')}</div>"
    )


def _quiz(name: str) -> str:
    questions = load(name)["questions"]
    return "".join(
        _question(name, question, f"**{n} of {len(questions)}.**") for n, question in enumerate(questions, 1)
    )


def _question(quiz: str, question: dict[str, Any], number: str) -> str:
    """A question as a form. Its explanations are there in the order in which pages.js counts them."""
    kind, card = question["kind"], KINDS[question["kind"]](quiz, question, number)
    right: Any
    if kind == "number":
        mistakes = question["mistakes"]
        values = [mistake["value"] for mistake in mistakes]
        right = {"answer": question["answer"], "tolerance": question["tolerance"], "mistakes": values}
        body = '<p><input required aria-label="your answer" placeholder="a number, such as 0.05 or 1/20"></p>'
        whys = [question["because"], *(mistake["why"] for mistake in mistakes), question["otherwise"]]
        body += "".join(map(_why, whys))
    elif isinstance(card, OrderCard):
        right = [card.shuffled.index(place) for place in range(len(card.shuffled))]
        steps = [question["steps"][step] for step in card.shuffled]
        body = _choices("checkbox", [(step["text"], step["why"]) for step in steps]) + _why(question["because"])
    else:
        choices = question["choices"]
        right = [n for n, choice in enumerate(choices) if choice.get("right")]
        button, why = ("radio", itemgetter("why")) if kind == "single" else ("checkbox", why_of)
        body = _choices(button, [(choice["text"], why(choice)) for choice in choices])
    key, right = f"{quiz}/{question['id']}", escape(json.dumps(right))
    return (
        f'<form class="wc-ask" aria-label="{escape(without_marks(question["ask"]))}" autocomplete="off" '
        f'data-kind="{kind}" data-key="{key}" data-right="{right}">'
        f"{html_of(card.asked)}{body}"
        '<button>Check</button> <p role="status"></p></form>'
    )


def _choices(kind: str, choices: list[tuple[str, str]]) -> str:
    """Lettered choices, each with its explanation."""
    return "<ul>{}</ul>".format(
        "".join(
            f'<li><label><input type="{kind}" name="answer" value="{n}"{" required" * (kind == "radio")}>'
            f"<b>{ascii_uppercase[n]}.</b><div>{html_of(text)}</div></label>{_why(why) if why else ''}</li>"
            for n, (text, why) in enumerate(choices)
        )
    )


def _why(markdown: str) -> str:
    return f'<div class="wc-why" hidden>{html_of(markdown)}</div>'
