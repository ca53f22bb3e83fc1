"""Collects the text that ``data.docstrings()`` reads: ``python3.11 -m warmup_course.authoring.docstrings``.

It was run once, on Python 3.11.7. Another Python has other docstrings; the course keeps to the stored ones.
"""

import ast
import gzip
import sys
import sysconfig
from inspect import cleandoc
from pathlib import Path
from zlib import crc32

from warmup_course.data import DOCSTRINGS, SYMBOLS

MOST = 550_000  # characters


def of_module(source: str) -> list[str]:
    """The docstrings of a module, its classes and functions, in their order, if they are plain ASCII."""
    # Cleaned twice: in a few, the first time leaves a common indent.
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        cleandoc(ast.get_docstring(node) or "") for node in ast.walk(ast.parse(source)) if isinstance(node, documented)
    ]
    return [text for text in found if text and set(text) <= set(SYMBOLS)]


def collected(library: Path) -> str:
    """The docstrings of the top-level modules and packages in ``library``, each once, a blank line between them.

    Modules with a copyright or licence notice of their own are left out. The order of the modules is that of their
    names' checksums, so that the end of the text, which validates, is of no special kind.
    """
    files = sorted(
        [*library.glob("[a-z]*.py"), *library.glob("[a-z]*/[a-z_]*.py")],
        key=lambda f: crc32(f.relative_to(library).as_posix().encode()),
    )
    texts: dict[str, None] = {}
    for file in files:
        if file.parent.name in ("test", "encodings", "idlelib", "lib2to3", "turtledemo", "site-packages"):
            continue
        source = file.read_text("utf-8")
        if not any(word in source.lower() for word in ("copyright", "licence", "license")):
            texts |= dict.fromkeys(of_module(source))
    return "\n\n".join(texts)


if __name__ == "__main__":
    text = collected(Path(sysconfig.get_path("stdlib")))[:MOST]
    DOCSTRINGS.write_bytes(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))
    sys.stdout.write(f"{len(text)} characters, {DOCSTRINGS.stat().st_size} bytes, {len(set(text))} symbols\n")
