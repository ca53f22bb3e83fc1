"""A lesson's claims, recorded while its cells run: the sentence, whether it held, the two sides of the comparison.

The sides are known only while ``claim("it helps", a > b)`` runs. So Sides rewrites it before its cell is executed,
unseen by the reader, as ``claim("it helps", __compared__(a, ">", b))``: a Recorder hears of the sides, and then of the
claim. Where evidence measures, in its own process, ``record`` stands in for Lesson.claim. In a kernel the lesson's
claim prints as ever: there the call is ``__claim__(claim, "it helps", ...)``, which makes the claim, then records it in
a file that ``load`` reads in the end. A kernel runs this file by its path, so it imports the standard library alone.
"""

import ast
import contextlib
import json
import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}


@dataclass(frozen=True)
class Claim:
    """One claim at one seed.

    Attributes:
        statement: the sentence.
        held: whether it held.
        left, sign, right: the two sides of the comparison that decided it, where it was one of two numbers.
        standard: whether the lesson ran at the parameters that it was written for; at others it need not hold.
    """

    statement: str
    held: bool
    left: float | None = None
    sign: str | None = None
    right: float | None = None
    standard: bool = True

    @property
    def comparison(self) -> str:
        """The two sides in figures.

        >>> Claim("warmup helps", True, 0.91234, ">", 0.5).comparison
        '0.912 > 0.5'
        """
        return "" if self.sign is None else f"{self.left:.3g} {self.sign} {self.right:.3g}"


class Sides(ast.NodeTransformer):
    """Rewrites ``claim(statement, a < b)`` so that a and b are kept: ``claim(statement, __compared__(a, "<", b))``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Name("claim"), args=[_, ast.Compare(left=left, ops=[sign], comparators=[right]) as compare]
            ) if type(sign) in COMPARISONS:
                name = ast.Constant(COMPARISONS[type(sign)][0])
                call = ast.Call(ast.Name("__compared__", ast.Load()), [left, name, right], [])
                node.args[1] = ast.copy_location(call, compare)
        return node


class Recorder:
    """What cells that are rewritten by Sides call.

    Attributes:
        claims: those recorded so far.
    """

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self._sides: list[tuple[float, str, float]] = []

    def compared(self, left: Any, sign: str, right: Any) -> Any:
        """Stands in for the comparison, as ``__compared__``."""
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # arrays, text: what is no number has no margin
            self._sides.append((float(left), sign, float(right)))
        compare = next(function for name, function in COMPARISONS.values() if name == sign)
        return compare(left, right)

    def record(self, statement: str, holds: object, standard: bool = True) -> None:
        left, sign, right = self._sides.pop() if self._sides else (None, None, None)
        self._sides.clear()
        self.claims.append(Claim(statement, bool(holds), left, sign, right, standard))


# ---- in a kernel ----------------------------------------------------------------------------------------------------


class _Recorded(Sides):
    """Rewrites ``claim(statement, holds)`` as ``__claim__(claim, statement, holds)``, and keeps the sides."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        super().visit_Call(node)
        if isinstance(node.func, ast.Name) and node.func.id == "claim":
            name = ast.copy_location(ast.Name("__claim__", ast.Load()), node.func)
            node.func, node.args = name, [node.func, *node.args]
        return node


def line_for_kernel(path: Path) -> str:
    """The line of Python with which a kernel begins to record the claims of its cells in a file."""
    return f"__import__('runpy').run_path({__file__!r})['record_to'](get_ipython(), {str(path)!r})"


def record_to(shell: Any, path: str) -> None:
    """Record the claims of the cells that IPython's shell executes, one line each, as soon as they are made."""
    recorder, file = Recorder(), Path(path)
    file.touch()

    def claim(function: Callable[[str, object], None], statement: str, holds: object) -> None:
        function(statement, holds)  # first: what is no truth value stops the lesson there
        recorder.record(statement, holds, getattr(getattr(function, "__self__", None), "standard", True))
        with file.open("a", encoding="utf-8") as lines:
            print(json.dumps(asdict(recorder.claims[-1])), file=lines)

    shell.push({"__claim__": claim, "__compared__": recorder.compared}, interactive=False)
    shell.ast_transformers.append(_Recorded())


def load(path: Path) -> tuple[Claim, ...]:
    """What a kernel has recorded in a file; () if it never began."""
    return tuple(Claim(**json.loads(line)) for line in path.read_text("utf-8").splitlines()) if path.exists() else ()
