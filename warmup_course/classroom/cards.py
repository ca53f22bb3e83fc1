"""What predictions, quizzes and exercises share: text that renders, and a word from the browser."""

import re
from collections.abc import Callable, Sequence
from html import escape, unescape
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import anywidget
import ipywidgets as widgets
import mistune
from IPython import get_ipython
from IPython.display import display

from warmup_course.arguments import function, shown, text
from warmup_course.classroom import store
from warmup_course.classroom.store import StoreError

# Of a text.
MARGIN = {"margin": "2px 2px 0.5em 2px"}

# Of all that cards.css styles.
CSS_CLASS = "wc-card"
CSS = Path(__file__).with_name("cards.css")


class _Renderer(mistune.HTMLRenderer):
    """HTML without images: what a learner typed is shown too, and an image may be asked of another machine."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text


_markdown = mistune.create_markdown(renderer=_Renderer(), plugins=["math", "table"])


def to_html(markdown: str) -> str:
    """Markdown with code and $formulas$ as HTML.

    >>> to_html("At `lr` 0.1 & more")
    '<p>At <code>lr</code> 0.1 &amp; more</p>\\n'
    """
    return str(_markdown(markdown))


def html_of(markdown: str) -> str:
    """The same for a page that loads nothing, with formulas that a browser draws by itself."""
    return re.sub(
        r"\\\((.+?)\\\)|\$\$(.+?)\$\$",
        lambda found: mathml(unescape(found[1] or found[2]), "inline" if found[1] else "block"),
        to_html(markdown),
        flags=re.S,
    )


def mathml(formula: str, display: str) -> str:
    """A formula as MathML; as it is written where the package for that, which is for teachers, is not installed."""
    try:
        from latex2mathml.converter import convert
    except ImportError:
        return f"<code>{escape(formula)}</code>"
    return str(convert(formula, display=display))


class FrontEnd(anywidget.AnyWidget):
    """An invisible widget that calls ``on_shown`` when a browser shows it, and never where no person watches."""

    _esm = "export default { render({ model }) { model.send('shown'); } };"

    def __init__(self, on_shown: Callable[[], None]) -> None:
        super().__init__(layout={"display": "none"})
        self.on_msg(lambda *_: on_shown())


def asked_by_a_person() -> bool:
    """Whether the cell that runs was sent by a front end in which a person works, such as JupyterLab or VS Code.

    These say which cell it is, as ipykernel expects. What executes a notebook without a person (papermill, nbval,
    nbconvert), or before one looks at it (Voila), does not.
    """
    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    return "cellId" in parent.get("metadata", {})


def style_page() -> None:
    """Put cards.css into the page, as an output that is not seen; nothing where no notebook runs."""
    if get_ipython() is not None:
        display({"text/html": f'<style class="wc-style">{CSS.read_text("utf-8")}</style>', "text/plain": ""}, raw=True)


class Card(widgets.VBox):
    """A box of widgets; for readers without a kernel it is the text ``text`` (Markdown).

    Args:
        children: the widgets.
        text: what a page without widgets shows.
        on_shown: called once a person sees the card, and never where none does. The cell that shows it tells; only
            where it does not, the page is asked, by a FrontEnd, which needs anywidget's own front end.
    """

    def __init__(
        self, children: Sequence[widgets.Widget], text: str, on_shown: Callable[[], None] | None = None
    ) -> None:
        self._on_shown = on_shown if asked_by_a_person() else None
        asks = [] if on_shown is None or self._on_shown else [FrontEnd(on_shown)]
        super().__init__([*children, *asks], layout={"max_width": "50em"})
        self.add_class(CSS_CLASS)
        self.text = text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        if self._on_shown:
            self._on_shown()
        view: dict[str, str] = super()._repr_mimebundle_(**options)
        return view | {"text/plain": self.text, "text/markdown": self.text}


class Status(widgets.HTMLMath):
    """One message at a time, which a screen reader says when it changes."""

    said = ""

    def say(self, markdown: str) -> None:
        """Show ``markdown``, instead of what is there."""
        self.said = markdown
        self.value = f'<div role="status" aria-live="polite">{to_html(markdown)}</div>'

    def add(self, markdown: str) -> None:
        """Show ``markdown`` below what is there."""
        self.say(f"{self.said}\n\n{markdown}")


def without_marks(markdown: str) -> str:
    """Markdown as a screen reader is to say it: without marks."""
    return re.sub(r"[`*$]", "", markdown)


class Choices(widgets.VBox):
    """Lettered choices: a button with the letter, and beside it the text, which may hold code and formulas.

    Buttons, because JupyterLab takes the arrow keys from radio buttons. The text can be clicked as well.

    Args:
        texts: Markdown.
        several: whether more than one may be chosen at a time.
    """

    def __init__(self, texts: Sequence[str], *, several: bool = False) -> None:
        self.texts = tuple(map(without_marks, texts))
        self._signs = ("□", "■") if several else ("○", "●")  # no tick: chosen is not yet right
        # Shared, as each layout is a message to the browser, and a quiz has hundreds.
        letter, row = widgets.Layout(width="4em", min_width="4em"), widgets.Layout(align_items="center")
        beside = widgets.Layout(**MARGIN)
        self.buttons = [widgets.ToggleButton(**self._look(number), layout=letter) for number in range(len(texts))]
        for button in self.buttons:
            button.observe(self._tell_chosen, "value")
            if not several:
                button.observe(self._leave_only, "value")
        pairs = zip(self.buttons, (clickable(text, beside) for text in texts), strict=True)
        super().__init__([widgets.HBox(pair, layout=row) for pair in pairs])

    def _look(self, number: int, chosen: bool = False) -> dict[str, str]:
        """Not by colour alone, and to a screen reader too, for which ipywidgets have no word."""
        text = self.texts[number]
        description = f"{self._signs[chosen]} {ascii_uppercase[number]}"
        return {"description": description, "tooltip": f"chosen: {text}" if chosen else text}

    def _tell_chosen(self, change: Any) -> None:
        for name, value in self._look(self.buttons.index(change.owner), change.new).items():
            setattr(change.owner, name, value)

    def _leave_only(self, change: Any) -> None:
        if change.new:
            for button in self.buttons:
                button.value = button is change.owner

    @property
    def chosen(self) -> list[int]:
        """The numbers of the choices made, from 0."""
        return [number for number, button in enumerate(self.buttons) if button.value]

    @chosen.setter
    def chosen(self, numbers: Sequence[int]) -> None:
        for number, button in enumerate(self.buttons):
            button.value = number in numbers

    def lock(self, locked: bool = True) -> None:
        """Allow no change, or allow it again."""
        for button in self.buttons:
            button.disabled = locked

    def focus(self) -> None:
        """Put the keyboard's place at the first choice."""
        self.buttons[0].focus()


def lettered(texts: Sequence[str]) -> str:
    """The choices as Markdown.

    >>> print(lettered(["yes", "no"]))
    - A. yes
    - B. no
    """
    # Further lines, such as those of a code block, belong to their choice.
    items = (text.strip().replace("\n", "\n  ") for text in texts)
    return "\n".join(f"- {letter}. {item}" for letter, item in zip(ascii_uppercase, items, strict=False))


def rendered(markdown: str) -> widgets.HTMLMath:
    """Markdown with code and $formulas$ as a widget."""
    return widgets.HTMLMath(to_html(markdown), layout=MARGIN)


def clickable(markdown: str, layout: widgets.Layout) -> widgets.HTMLMath:
    """The same, for the text beside a button: a click on it is one on the button."""
    press = "this.closest('.widget-hbox').querySelector('button').click()"
    return widgets.HTMLMath(f'<div style="cursor: pointer" onclick="{press}">{to_html(markdown)}</div>', layout=layout)


class Goal:
    """What a lab asks the learner to reach. Once it is reached it stays so, on later days too, and counts.

    Args:
        words: the goal in words; None stands for no goal.
        reached: whether it is reached, asked with the lab; given together with the words.

    Raises:
        ValueError: for one without the other.
    """

    lesson: str | None = None  # the one that this kernel has begun

    def __init__(self, words: str | None, reached: Callable[..., bool] | None) -> None:
        if (words is None) != (reached is None):
            given = f"got goal={shown(words)}, reached={shown(reached)}"
            raise ValueError(f"goal and reached must be given together, {given}")
        if words is not None:
            text("goal", words)
        function("reached", reached, or_none=True)
        self.words, self._reached_by, self.reached = words, reached, False

    def look(self, lab: Any, status: "Status | None") -> None:
        """Ask whether it is reached now, and keep that it is. Without a status, nobody is told what went wrong."""
        if self._reached_by is None or self.reached or not self._reached_by(lab):
            return
        self.reached = True
        if self.lesson is not None:
            event = self.lesson, "goal", str(self.words)
            remembered(lambda: store.record(*event, "", "reached"), status)

    def recall(self, status: "Status | None") -> None:
        """Take it for reached if it was on an earlier day."""
        if self.words is not None and self.lesson is not None:
            event = self.lesson, "goal", self.words
            self.reached |= bool(remembered(lambda: store.events(*event), status))


def remembered(action: Callable[[], Any], status: Status | None) -> Any:
    """What ``action`` returns; where the store fails, None: the lesson goes on. ``status`` shows what it says."""
    problems = []
    try:
        return action()
    except StoreError as problem:
        problems.append(str(problem))
        return None
    finally:
        if status is not None:
            for told in [*problems, *store.news()]:
                status.add(f"**!** {told}")
