"""A lesson as slides: one HTML file for the browser, without a network and without a kernel.

The rule is the same for all lessons, so it stands here and not in the cells' metadata. A slide is: a heading with what
follows it first; a prediction; a figure; code that the lesson is about; a sentence that the lesson sets apart. What a
prediction or a figure has shown comes a key later. The rest is the teacher's to say.
"""

import re
from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from warmup_course.authoring.excerpts import blocks, fitting, predictions, to_html, words_after
from warmup_course.authoring.normal_form import PNG, SUBJECT
from warmup_course.lesson_files import for_teachers, read, write

# For the learner, not for the room.
LEFT_OUT = re.compile(r"Recall|Try it|Exercise|Check yourself|Further reading|Your turn")
# At 1920 x 1080, less a margin, no text is under 24 pixels.
WIDTH, HEIGHT, MARGIN = 1920, 1080, 0.04
ROOM = 1200  # letters below a heading; the list or table that does not fit is the teacher's to say
STYLE = """
body { background: white; color: black; }
.reveal { font: 42px/1.35 "DejaVu Sans", Verdana, sans-serif; }
.reveal .slides { text-align: left; }
.reveal section { box-sizing: border-box; padding: 0 20px; }
h1 { font-size: 84px; margin: 0; } h2 { font-size: 60px; margin: 0 0 36px; }
p, ul, ol, blockquote { margin: 0 0 24px; } ul, ol { padding-left: 1.5em; }
li { margin: 0 0 14px; } li p { display: inline; }
pre { font: 30px/1.3 "DejaVu Sans Mono", monospace; margin: 0; } code { font-family: "DejaVu Sans Mono", monospace; }
blockquote { font-size: 56px; border-left: 12px solid #0072b2; padding-left: 40px; }
math { font-size: 1.2em; }
table { font-size: 32px; border-collapse: collapse; }
th, td { padding: 4px 36px 4px 0; text-align: left; vertical-align: top; border-bottom: 2px solid #bbb; }
section > div { display: flex; flex-direction: column; max-height: 1080px; }
img { width: 100%; min-height: 0; object-fit: contain; object-position: left; margin: 0 0 24px; }
.fragment:not(.visible) { visibility: hidden; }
.after { border-left: 12px solid #0072b2; padding-left: 28px; font-size: 34px; }
"""


@dataclass
class Slide:
    """What is seen at once, and what comes a key later."""

    html: str
    later: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        later = "".join(f'<div class="fragment after">{part}</div>' for part in self.later)
        return f"<section><div>{self.html}{later}</div></section>"


def slides_of(lesson: Path) -> list[Slide]:
    """The slides of a lesson as stored.

    Raises:
        CommandError: for a file that cannot be read.
    """
    notebook = read(lesson)
    cells, answers = notebook["cells"], [*predictions(notebook, answers=True)]
    made: list[Slide] = []
    heading, skipped = "", False
    for place, cell in enumerate(cells):
        source = "".join(cell["source"])
        explained = [to_html(words)] if (words := words_after(cells[place + 1 :])) else []
        if cell["cell_type"] == "markdown":
            for part in re.split(r"(?m)^(?=#)", source):
                title, _, text = part.partition("\n") if part.startswith("#") else ("", "", part)
                texts = [fitting(block, ROOM) for block in blocks(text)]
                first = next(filter(None, texts), "")
                if title:
                    heading, skipped = title.strip("# "), bool(LEFT_OUT.match(title.strip("# ")))
                    if first and not skipped:
                        level = len(title) - len(title.lstrip("#"))
                        made.append(Slide(_head(heading, level) + to_html(first)))
                if not skipped:
                    made += [Slide(to_html(text)) for text in texts if text.startswith(">") and text != first]
        elif "predict(" in source:
            for ask, choices, measured in answers:
                if ask in _shown(cell):
                    offered = "".join(f"<li>{to_html(text)}</li>" for _, text in choices)
                    right = "".join(letter for letter, (so, _) in zip(ascii_uppercase, choices, strict=False) if so)
                    asked = f'{_head(heading)}{to_html(ask)}<ol type="A">{offered}</ol>'
                    made.append(Slide(asked, [to_html(f"**{right}.** {measured}")]))
        elif SUBJECT in cell["metadata"].get("tags", ()) and "exercise(" not in source:
            code = f"{_head(heading)}<pre>{escape(source)}</pre>"
            made.append(Slide(code, explained if source.count("\n") < 12 else []))
        elif "Lab(" not in source:
            for output in cell["outputs"]:
                if PNG in output.get("data", {}):
                    png, alt = "".join(output["data"][PNG]).strip(), output["metadata"][PNG]["alt"]
                    made.append(Slide(f'<img src="data:image/png;base64,{png}" alt="{escape(alt)}">', explained))
    return made


def write_slides(lesson: Path, folder: Path) -> Path:
    """Write a lesson's slides into ``folder``; the new file."""
    found = find_spec("sphinx_revealjs")
    if found is None or found.origin is None:
        raise for_teachers("reveal.js shows slides", "slides")
    reveal = Path(found.origin).parent / "_static" / "revealjs" / "dist"
    style, script = ((reveal / name).read_text("utf-8") for name in ("reveal.css", "reveal.js"))
    settings = f"width: {WIDTH}, height: {HEIGHT}, margin: {MARGIN}, hash: true, transition: 'none'"
    page = folder / f"{lesson.stem}_slides.html"
    write(
        page,
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{lesson.stem}</title>'
        f"<style>{style}{STYLE}</style></head><body>"
        f'<div class="reveal"><div class="slides">{"".join(map(str, slides_of(lesson)))}</div></div>'
        f"<script>{script}</script><script>Reveal.initialize({{{settings}}});</script></body></html>\n",
    )
    return page


def _shown(cell: dict[str, Any]) -> str:
    """What a cell shows to a reader without a kernel: Markdown."""
    return "\n".join(
        "".join(output["data"].get("text/markdown") or output["data"].get("text/plain", ""))
        for output in cell.get("outputs", [])
        if "data" in output
    )


def _head(heading: str, level: int = 2) -> str:
    return f"<h{level}>{to_html(heading).removeprefix('<p>').removesuffix('</p>')}</h{level}>"
