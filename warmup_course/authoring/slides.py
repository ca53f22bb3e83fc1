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

from warmup_course.authoring.handout import predictions
from warmup_course.authoring.normal_form import PNG, SUBJECT
from warmup_course.classroom.cards import html_of
from warmup_course.lesson_files import for_teachers, read, write

# For the learner, not for the room.
LEFT_OUT = re.compile(r"Recall|Try it|Exercise|Check yourself|Further reading|Your turn")
# At 1920 x 1080, less a margin, no text is under 24 pixels.
WIDTH, HEIGHT, MARGIN = 1920, 1080, 0.04
ROOM = 400  # letters below a figure or code; what is longer is the teacher's to say
STYLE = """
body { background: white; color: black; }
.reveal { font: 42px/1.35 "DejaVu Sans", Verdana, sans-serif; }
.reveal .slides { text-align: left; }
.reveal section { box-sizing: border-box; padding: 0 20px; }
h1 { font-size: 84px; margin: 0; } h2 { font-size: 60px; margin: 0 0 36px; }
p, ul, ol, blockquote { margin: 0 0 24px; } ul, ol { padding-left: 1.5em; } ol { list-style: upper-alpha; }
li { margin: 0 0 14px; } li p { display: inline; }
pre { font: 30px/1.3 "DejaVu Sans Mono", monospace; margin: 0; } code { font-family: "DejaVu Sans Mono", monospace; }
blockquote { font-size: 56px; border-left: 12px solid #0072b2; padding-left: 40px; }
math { font-size: 1.2em; }
img { display: block; width: 100%; max-height: 700px; object-fit: contain; object-position: left; }
.fragment:not(.visible) { visibility: hidden; } .after { border-left: 12px solid #0072b2; padding-left: 28px; }
"""


@dataclass
class Slide:
    """What is seen at once, what comes a key later, and whether the lesson's next words explain it."""

    html: str
    later: list[str] = field(default_factory=list)
    to_explain: bool = False

    def __str__(self) -> str:
        later = "".join(f'<div class="fragment after">{part}</div>' for part in self.later)
        return f"<section>{self.html}{later}</section>"


def slides_of(lesson: Path) -> list[Slide]:
    """The slides of a lesson as stored.

    Raises:
        CommandError: for a file that cannot be read.
    """
    notebook = read(lesson)
    answers = [*predictions(notebook, answers=True)]
    made: list[Slide] = []
    heading, skipped = "", False
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            for part in re.split(r"(?m)^(?=#)", source):
                title, _, text = part.partition("\n") if part.startswith("#") else ("", "", part)
                first, *others = _blocks(text)
                if title:
                    heading, skipped = title.strip("# "), bool(LEFT_OUT.match(title.strip("# ")))
                    if not skipped:
                        made.append(Slide(_head(heading, len(title) - len(title.lstrip("#"))) + _html(first)))
                elif made and made[-1].to_explain:
                    made[-1].later, made[-1].to_explain = [_html(first)] * (0 < len(first) <= ROOM), False
                if not skipped:
                    made += [Slide(_html(block)) for block in others if block.startswith(">")]
        elif "predict(" in source:
            for ask, choices, measured in answers:
                if ask in _shown(cell):
                    offered = "".join(f"<li>{_html(text)}</li>" for _, text in choices)
                    right = "".join(letter for letter, (so, _) in zip(ascii_uppercase, choices, strict=False) if so)
                    asked = f"{_head(heading)}{_html(ask)}<ol>{offered}</ol>"
                    made.append(Slide(asked, [_html(f"**{right}.** {measured}")]))
        elif SUBJECT in cell["metadata"].get("tags", ()) and "exercise(" not in source:
            made.append(Slide(f"{_head(heading)}<pre>{escape(source)}</pre>", to_explain=source.count("\n") < 12))
        elif "Lab(" not in source:
            for output in cell["outputs"]:
                if PNG in output.get("data", {}):
                    png, alt = "".join(output["data"][PNG]).strip(), output["metadata"][PNG]["alt"]
                    made.append(Slide(f'<img src="data:image/png;base64,{png}" alt="{escape(alt)}">', to_explain=True))
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
    return f"<h{level}>{_html(heading).removeprefix('<p>').removesuffix('</p>')}</h{level}>"


def _blocks(text: str) -> list[str]:
    """The paragraphs of a text, each with the list or formula that follows it, and without tables; at least one."""
    return [block for block in re.split(r"\n\s*\n(?!- |\$\$)", text.strip()) if not block.startswith("|")] or [""]


def _html(markdown: str) -> str:
    """Markdown as HTML, without its links, which lead out of the slides."""
    return html_of(re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", markdown)).strip()
