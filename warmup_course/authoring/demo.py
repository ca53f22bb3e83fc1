"""One lab alone in the browser, as it stands in its lesson, with the moments that are prepared for it.

One that computes in the browser is a page with what its lesson has stored. For the others Voila runs a notebook when
its page is opened, and shows no code. The notebook has what the lab needs of the lesson's code, each statement in a
cell: Voila counts them while they run.
"""

import ast
import dis
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from warmup_course import moments
from warmup_course.authoring.normal_form import LAB, METADATA
from warmup_course.lesson_files import CommandError, find, outputs, read, write

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>{style}</style>
<body class="wc-alone">
{lab}
<script>{script}</script>
"""


def page_of(name: str, lessons: Path) -> str | None:
    """A page of a lab that computes in the browser; None for one that needs a kernel."""
    lab = moments.load()[name]
    [lesson] = find(lessons, [lab["lesson"]])
    for output in outputs(read(lesson)):
        stored = output.get("metadata", {}).get(LAB, {})
        if stored.get("goal") == lab["goal"]:
            # Not where Voila starts: this imports all that a lab needs, torch too, which takes seconds.
            from warmup_course.authoring.site import ASSETS, lab_in_page

            style, script = ((ASSETS / f"pages.{kind}").read_text("utf-8") for kind in ("css", "js"))
            return PAGE.format(name=name, style=style, lab=lab_in_page(stored, ""), script=script)
    return None


def code_of(name: str, lessons: Path) -> list[str]:
    """The statements that make a lab.

    Args:
        name: one of those in moments.yaml.
        lessons: the folder of the lessons.

    Raises:
        CommandError: if its lesson has no such lab.
    """
    lab = moments.load()[name]
    [lesson] = find(lessons, [lab["lesson"]])
    before: list[ast.stmt] = []
    for cell in read(lesson)["cells"]:
        if cell["cell_type"] == "code":
            before += ast.parse("".join(cell["source"])).body
            if "Lab(" in ast.unparse(before[-1]) and lab["goal"] in "".join(cell["source"]):
                return [ast.unparse(statement) for statement in _needed(before)]
    raise CommandError(f"lesson {lab['lesson']} has no lab with the goal {lab['goal']!r}")


def _needed(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The last statement, the lesson's set-up, and what binds or fills the names that they use."""
    *before, last = statements
    kept, names = [last], {"lesson", *_used(_compiled(last))}
    for statement in reversed(before):
        code = _compiled(statement)
        steps = [step for step in dis.get_instructions(code) if step.opname in ("STORE_NAME", "LOAD_NAME")]
        bound = {step.argval for step in steps if step.opname == "STORE_NAME"}
        first = {step.argval: step.opname for step in reversed(steps)}
        parts = [*ast.walk(statement)]
        items = [n.value for n in parts if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
        items += [n.value for n in parts if isinstance(n, ast.Attribute) and n.attr == "append"]
        filled = {node.id for item in items for node in ast.walk(item) if isinstance(node, ast.Name)}
        if names & (bound | filled):
            kept.append(statement)
            # What a loop itself binds before it looks it up, it needs from nobody.
            names = names - bound | {name for name in _used(code) if first.get(name) != "STORE_NAME"}
    return kept[::-1]


def _compiled(statement: ast.stmt) -> CodeType:
    return compile(ast.Module([statement], []), "lesson", "exec")


def _used(code: CodeType) -> Iterator[str]:
    """The names of the notebook that code looks up, in its functions too."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _used(constant)


def prepare(name: str, lessons: Path, folder: Path) -> list[str]:
    """Write a lab's notebook, and Voila's settings, into ``folder``; the command to run there."""
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    code = code_of(name, lessons)
    cells = [empty | {"id": f"{name}-{number}", "source": source} for number, source in enumerate(code)]
    notebook = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    write(folder / f"{name}.ipynb", json.dumps(notebook))
    # The token keeps other users of this machine out. The policy keeps Voila's page, which wants a font of icons that
    # no lab has, from asking another machine for it.
    policy = {"headers": {"Content-Security-Policy": "style-src 'self' 'unsafe-inline'"}}
    settings = {"Voila": {"auto_token": True, "tornado_settings": policy}}
    write(folder / "voila.json", json.dumps(settings))
    return [sys.executable, "-P", "-m", "voila", f"{name}.ipynb"]
