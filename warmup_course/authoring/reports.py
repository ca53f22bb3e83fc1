"""What ``warmup-course run`` found, for those who were not there: JUnit XML for a CI service, a page for people."""

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from warmup_course.authoring.claims import Claim
from warmup_course.authoring.execution import Execution
from warmup_course.authoring.normal_form import PNG
from warmup_course.lesson_files import CommandError, Notebook, outputs, read, write

PACKAGES = ("warmup_course", "torch", "numpy", "scikit-learn", "matplotlib", "ipykernel", "papermill")
# What tells such files from somebody else's.
JUNIT_MARK, PAGE_MARK = '<testsuites name="warmup_course"', "<!-- warmup-course run -->"
# The case that each lesson has, besides those of its claims.
TO_ITS_END = "runs to its end"


def facts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """What the figures may depend on: versions, the machine, the parameters given."""
    versions = {"Python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    given = ", ".join(f"{name} = {value}" for name, value in parameters.items())
    return versions | {"machine": platform.platform(), "parameters": given or "as stored"}


def counted(executions: Sequence[Execution]) -> str:
    """How many of the claims that they came to hold."""
    made = sum(len(ended.claims) for ended in executions)
    return f"{made - sum(len(ended.unheld) for ended in executions)} of {made} claims hold"


def told(claim: Claim) -> str:
    """What is said of a claim that does not hold."""
    sides = f" ({claim.comparison})" if claim.comparison else ""
    return f"does not hold{'' if claim.standard else ' at these settings'}: {claim.statement}{sides}"


def _executed(ended: Execution, out: Path) -> Notebook:
    """As far as it was executed."""
    if ended.notebook is not None:
        return ended.notebook
    with suppress(CommandError):
        return read(out / ended.lesson.name)
    return {"cells": []}


def device(notebook: Notebook) -> str:
    """What a lesson ran on, as one of its first cells prints it; "" if it did not come to that."""
    for output in outputs(notebook):
        if found := re.search(r"Ready: torch \S+ on (.*), notebook seed", "".join(output.get("text", ""))):
            return found[1]
    return ""


def plain(text: str) -> str:
    """Text without a terminal's colours, and without what XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", re.sub(r"\x1b\[[\d;]*m", "", text))


# ---- JUnit ----------------------------------------------------------------------------------------------------------


def junit(
    executions: Sequence[Execution], parameters: Mapping[str, Any], begun: datetime, out: Path, path: Path
) -> None:
    """Write one suite for each lesson, with one case for each claim and one for the whole; arguments as of page().

    A claim that does not hold is a failure; one that need not hold, at other than the standard parameters, is skipped.
    What kept a lesson from its end is an error.
    """
    root = ElementTree.Element("testsuites", name="warmup_course")
    for ended in executions:
        name = ended.lesson.stem
        suite = ElementTree.SubElement(root, "testsuite", name=name, timestamp=f"{begun:%Y-%m-%dT%H:%M:%S}")
        properties = ElementTree.SubElement(suite, "properties")
        for fact, value in (facts(parameters) | {"device": device(_executed(ended, out))}).items():
            ElementTree.SubElement(properties, "property", name=fact, value=plain(value))
        whole = ElementTree.SubElement(suite, "testcase", classname=name, name=TO_ITS_END, time=f"{ended.seconds:.3f}")
        if ended.error is not None:
            error = ElementTree.SubElement(whole, "error", message=plain(ended.error), type="Error")
            error.text = plain(ended.traceback)
        for claim in ended.claims:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=plain(claim.statement), time="0.000")
            if not claim.held and claim.standard:
                ElementTree.SubElement(case, "failure", type="AssertionError", message=plain(told(claim)))
            elif not claim.held:
                ElementTree.SubElement(case, "skipped", type="parameters", message=plain(told(claim)))
        _count(suite)
    _count(root)
    del root.attrib["skipped"]  # not known there
    ElementTree.indent(root)
    write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _count(element: ElementTree.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")


# ---- a page ---------------------------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html>
{mark}
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: light-dark(#ccc, #444); --quiet: light-dark(#555, #aaa);
  --bad: light-dark(#a5301d, #ff9b85); --good: light-dark(#1a6b3c, #7fd6a0); --box: light-dark(#f5f5f5, #222); }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  background: light-dark(#fff, #141414); color: light-dark(#1a1a1a, #e8e8e8); }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.15rem; margin: 2.5rem 0 .3rem }} h1, h2 {{ line-height: 1.25 }}
table {{ border-collapse: collapse; width: 100% }} .wide {{ overflow-x: auto }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line) }}
th {{ font-weight: 600 }} .number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }}
.bad {{ color: var(--bad); font-weight: 600 }} .good {{ color: var(--good) }} .quiet {{ color: var(--quiet) }}
pre {{ background: var(--box); padding: .8rem; overflow-x: auto; font-size: .85rem }}
img {{ max-width: 100%; height: auto; background: #fff }} figure {{ margin: 1rem 0 }}
a {{ color: inherit }} summary {{ cursor: pointer }}
</style>
<body>
{body}
</body>
</html>
"""


def page(
    executions: Sequence[Execution], parameters: Mapping[str, Any], begun: datetime, out: Path, path: Path
) -> None:
    """Write one page that needs no other file: each lesson's claims, and of what failed the traceback and figures.

    Args:
        executions: of the lessons.
        parameters: given to all of them.
        begun: when.
        out: the folder of the executed copies, from which the figures are.
        path: of the page.
    """
    failed = sum(ended.failed for ended in executions)
    lessons = f"{len(executions)} lesson{'s' * (len(executions) != 1)}"
    title = f"{lessons}, {failed} failed" if failed else f"{lessons}, all passed"
    listed = "; ".join(f"{name} {value}" for name, value in facts(parameters).items())
    parts = [
        f"<h1>{title}</h1><p>{counted(executions)}.</p>",
        f"<p class=quiet>{begun:%Y-%m-%d %H:%M} UTC. {escape(listed)}.</p>",
        "<div class=wide><table><tr><th>lesson<th>result<th class=number>claims<th class=number>seconds<th>device</tr>",
    ]
    sections: list[str] = []
    for ended in executions:
        name, notebook = escape(ended.lesson.stem), _executed(ended, out)
        result = "<td class=bad>failed" if ended.failed else "<td class=good>passed"
        parts.append(
            f'<tr><td><a href="#{name}">{name}</a>{result}<td class=number>{counted([ended])}'
            f"<td class=number>{ended.seconds:.1f}<td>{escape(device(notebook))}</tr>"
        )
        sections += _section(ended, notebook)
    write(path, PAGE.format(mark=PAGE_MARK, title=title, body="\n".join([*parts, "</table></div>", *sections])))


def _section(ended: Execution, notebook: Notebook) -> Iterator[str]:
    yield f'<h2 id="{escape(ended.lesson.stem)}">{escape(ended.lesson.stem)}</h2>'
    if ended.error is not None:
        yield f"<p class=bad>{escape(ended.error)}</p>"
    if ended.traceback:
        yield f"<pre>{escape(plain(ended.traceback))}</pre>"
    if ended.unheld:
        yield _table(ended.unheld)
    figures = last_figures(ended, notebook)
    if figures:
        yield "<p class=quiet>Shown last before that:</p>"
    for figure in figures:
        alt = escape(figure.get("metadata", {}).get(PNG, {}).get("alt", "the last figure before it failed"))
        data = "".join(figure["data"][PNG]).replace("\n", "")
        yield f'<figure><img alt="{alt}" src="data:{PNG};base64,{data}"></figure>'
    if held := [claim for claim in ended.claims if claim.held]:
        yield f"<details><summary>{len(held)} claims hold</summary>{_table(held)}</details>"


def _table(claims: Sequence[Claim]) -> str:
    rows = (
        f"<tr><td>{'<span class=good>✔</span>' if claim.held else '<span class=bad>✘</span>'}"
        f"<td>{escape(claim.statement)}{'' if claim.held or claim.standard else ' <i>(not at these settings)</i>'}"
        f"<td class=number>{escape(claim.comparison)}</tr>"
        for claim in claims
    )
    return f"<div class=wide><table>{''.join(rows)}</table></div>"


def last_figures(ended: Execution, notebook: Notebook) -> list[dict[str, Any]]:
    """The figure that was shown last before each claim that does not hold, and before the error; each once."""
    last: dict[str, Any] | None = None
    found = []
    for output in outputs(notebook):
        if PNG in output.get("data", {}):
            last = output
        elif "✘ does not hold" in "".join(output.get("text", "")) and ended.unheld:
            found.append(last)
    if ended.error is not None:
        found.append(last)
    return [figure for number, figure in enumerate(found) if figure is not None and figure not in found[:number]]
