"""What an exercise is: what the learner writes is checked by running it, and a wrong answer is told why.

A starter cell has ``...`` where the answer goes; that, or a function that returns it, is "not attempted".
"""

import inspect
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from IPython.display import Markdown, display

from warmup_course.arguments import shown
from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, Status, remembered

NOT_ATTEMPTED, NOT_YET, DONE = "not attempted", "not yet", "done"
# Stands below an answer until a page reports that it shows it, and the answer is kept.
NOT_REMEMBERED = (
    "**Not remembered here:** no page has reported yet that a person sees this. If this line stays, the Jupyter server "
    "lacks anywidget's front end: `pip install anywidget` where the server is installed, then reload the page."
)
SIGNS = {NOT_ATTEMPTED: "○", NOT_YET: "✘", DONE: "✔"}


class NotAttempted(Exception):  # noqa: N818  (it is no error)
    """The answer is still the starter's."""


class NotYet(Exception):  # noqa: N818
    """The answer is wrong; the message (Markdown) says which input, what came out, what was expected, and why."""


@dataclass(kw_only=True)
class Exercise:
    """A task with a checker, hints and one solution.

    Attributes:
        name: the key, such as "03_linear_warmup/ramp".
        judge: raises NotAttempted or NotYet, or returns a word of praise (Markdown).
        hints: Markdown, each telling more than the one before.
        answer: a right answer: a function, or a value.
        why: the idea behind the solution (Markdown).
    """

    name: str
    judge: Callable[[Any], str]
    hints: tuple[str, ...]
    answer: Any
    why: str
    _hints_given: int = field(default=0, init=False, repr=False)

    @property
    def lesson(self) -> str:
        """The name of the lesson's file."""
        return self.name.partition("/")[0]

    def check(self, answer: Any) -> None:
        """Show how the answer stands: not attempted, not yet with the reason, or done.

        It never raises: whatever the learner's code raises is part of the reason.
        """
        try:
            state, said = DONE, self.judge(answer)
        except NotAttempted:
            state, said = NOT_ATTEMPTED, "Put your answer where the `...` is, and run this cell again."
        except NotYet as reason:
            state, said = NOT_YET, str(reason)
        except (Exception, SystemExit) as error:  # such as an object that cannot be turned into a number
            state, said = NOT_YET, f"Your answer cannot be judged: it stops with {said_by(error)}."
        status = Status()
        text = f"**{SIGNS[state]} {state.capitalize()}.** {said}"
        if state == NOT_ATTEMPTED:
            status.say(text)
            display(Card([status], text))
            return

        def remember() -> None:
            status.say(text)
            remembered(lambda: store.record(self.lesson, "exercise", self.name, source_of(answer), state), status)
            card.text = status.said

        status.say(f"{text}\n\n{NOT_REMEMBERED}")
        card = Card([status], status.said, on_shown=remember)
        display(card)

    def hint(self) -> None:
        """Show the first hint; called again, one more."""
        self._hints_given = min(self._hints_given + 1, len(self.hints))
        numbered = enumerate(self.hints[: self._hints_given], start=1)
        display(Markdown("\n\n".join(f"**Hint {number} of {len(self.hints)}.** {hint}" for number, hint in numbered)))

    def solution(self) -> None:
        """Show the solution and the idea behind it."""
        display(Markdown(f"```python\n{source_of(self.answer)}\n```\n\n{self.why}"))


# A wrong result, or a test that it passes, and what is said of it.
Misconceptions = Sequence[tuple[Any, str]]


@dataclass(kw_only=True)
class FunctionExercise(Exercise):
    """A task whose answer is a function that must return what the solution returns.

    Attributes:
        told: how a case is told, such as "For step {} and W = {}"; a template of its arguments, or a function of them.
        cases: the arguments of each call; or a function that makes them.
        misconceptions: called with the arguments of a case that went wrong; the first that fits is told.
        praise: what is said in the end.
        read: turns a result and the case as it is told into what is compared; raises NotYet where it cannot.
    """

    told: str | Callable[..., str]
    cases: Sequence[tuple[Any, ...]] | Callable[[], Sequence[tuple[Any, ...]]]
    misconceptions: Callable[..., Misconceptions]
    praise: str
    read: Callable[[Any, str], Any] = lambda result, case: number(result, case)
    judge: Callable[[Any], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.judge = self._compare

    def _compare(self, answer: Any) -> str:
        tell = self.told.format if isinstance(self.told, str) else self.told
        for arguments in self.cases() if callable(self.cases) else self.cases:
            case = tell(*arguments)
            got = self.read(run(answer, *deepcopy(arguments)), case)
            right = self.read(self.answer(*arguments), case)
            if not agree(got, right):
                raise not_yet(case, got, right, self.misconceptions(*arguments))
        return self.praise


def source_of(answer: Any) -> str:
    """A function's source, or a value as it would be typed."""
    if not inspect.isfunction(answer):
        return shown(answer, 10_000)
    try:
        return inspect.getsource(answer).strip()
    except (OSError, TypeError):  # not typed into a cell or a file
        return answer.__name__


def said_by(error: BaseException) -> str:
    """An error's type and its first words, where it has any, in one line."""
    try:
        return f"`{shorten(f'{type(error).__name__}: {error}', 300, placeholder=' ...')}`"
    except Exception:
        return f"`{type(error).__name__}`"


def run(answer: Any, *arguments: Any) -> Any:
    """What the learner's function returns; what goes wrong in it becomes a reason.

    Raises:
        NotAttempted: if the answer is ``...`` or None, or a function that returns ``...``.
        NotYet: if it is no function, raises, or returns nothing.
    """
    if answer is None or answer is ...:
        raise NotAttempted
    if not callable(answer):
        raise NotYet(f"This should be a function; it is {short(answer)}.")
    inputs = _named(answer, arguments)
    try:
        with torch.enable_grad():  # whatever a cell has switched off; and what the answer does is undone
            result = answer(*arguments)
    except (Exception, SystemExit) as error:
        raise NotYet(f"For ({inputs}) your function stops with {said_by(error)}.") from error
    if result is ...:
        raise NotAttempted
    if result is None:
        raise NotYet(f"For ({inputs}) your function returns nothing. Does every way through it end in `return`?")
    return result


def _named(answer: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """The arguments, by the learner's names for them where they can be known."""
    try:
        named = inspect.signature(answer).bind(*arguments).arguments
    except (TypeError, ValueError):  # it takes others, or is not written in Python
        return ", ".join(map(short, arguments))
    return ", ".join(f"{name} = {short(value)}" for name, value in named.items())


def number(result: Any, shown: str) -> float:
    """A result as a float.

    Raises:
        NotYet: if it is no single number, or one in quotes.
    """
    if isinstance(result, str):
        raise NotYet(f"{shown} you have {short(result)}, which is text, not a number.")
    try:
        return float(result)
    except (TypeError, ValueError) as error:
        raise NotYet(f"{shown} you have {short(result)}, which is not a number.") from error


def numbers(result: Any, shown: str, names: Sequence[str]) -> list[float]:
    """A result as three numbers that have names.

    Raises:
        NotYet: if it is anything else.
    """
    values = list(result) if np.iterable(result) else []
    if len(values) != len(names):
        raise NotYet(f"{shown} you have {short(result)}. Return three numbers: {', '.join(names)}.")
    return [number(value, f"{shown}, as {name},") for name, value in zip(names, values, strict=True)]


def short(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, torch.Tensor) and value.dim():
        return f"a tensor of shape {tuple(value.shape)}"
    return f"`{shown(value, 60)}`"


def close(got: Any, expected: float) -> bool:
    """Whether two numbers agree to six digits; what is no number agrees with none."""
    try:
        return math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-6)
    except (TypeError, ValueError, RuntimeError):  # the last is torch's, for a tensor of several
        return False


def agree(got: Any, expected: Any) -> bool:
    """Whether two numbers, or two lists of them, agree to six digits."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(close, got, expected))
    return close(got, expected)


def written(value: Any) -> str:
    """A result as it is told."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"`[{', '.join(repr(one) if isinstance(one, str) else written(one).strip('`') for one in value)}]`"
    return f"`{value}`" if isinstance(value, str) else str(value)


def not_yet(shown: str, got: Any, expected: Any, misconceptions: Misconceptions) -> NotYet:
    """The reason, with the likely misconception."""
    fits = (text for value, text in misconceptions if (value(got) if callable(value) else agree(got, value)))
    return NotYet(f"{shown} you have {written(got)}, expected {written(expected)}. {next(fits, '')}".strip())
