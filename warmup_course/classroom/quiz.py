"""Quizzes: the questions are data in quizzes/, one file a lesson and a last one; schema.yaml says what a file holds."""

import math
import random
import re
from functools import cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import ipywidgets as widgets
import yaml

from warmup_course.arguments import one_of
from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, Choices, Status, lettered, remembered, rendered

QUIZZES = Path(__file__).with_name("quizzes")

# A try: whether it is right, what was answered, and the explanation. None: nothing that could be judged.
Verdict = tuple[bool, str, str]


def quizzes() -> list[str]:
    """The names of the lessons that have a quiz, in order, then "final"."""
    return sorted(path.stem for path in QUIZZES.glob("*.yaml") if path.stem != "schema")


def load(lesson: str) -> dict[str, Any]:
    """The title, minutes and questions of a lesson or of the final quiz, as its file has them.

    Raises:
        ValueError: if there is no quiz of that name, or its file is damaged.
    """
    one_of("lesson", lesson, quizzes())
    return read(lesson)


@cache
def read(lesson: str) -> dict[str, Any]:
    """What ``load`` gives; kept, because YAML is slow to read."""
    path = QUIZZES / f"{lesson}.yaml"
    try:
        quiz: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        quiz["title"], quiz["minutes"], quiz["questions"]
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    return quiz


def quiz(lesson: str) -> Card:
    """The questions of a lesson as widgets; without a kernel, as text.

    Args:
        lesson: the name of the lesson's file, such as "03_linear_warmup", or "final".

    Raises:
        ValueError: if there is no quiz of that name.
    """
    questions = load(lesson)["questions"]
    cards = [
        KINDS[question["kind"]](lesson, question, f"**{number} of {len(questions)}.**")
        for number, question in enumerate(questions, start=1)
    ]

    def recall() -> None:
        events = remembered(lambda: store.events(lesson, "question"), cards[0].status)
        for card in cards:
            states = [event.state for event in events or () if event.item == card.question["id"]]
            if states:
                card.show_earlier("right" in states)

    return Card(cards, "\n\n".join(card.text for card in cards), on_shown=recall)


class QuestionCard(Card):
    """One question: what is asked, how it is answered, a button to check, and the explanation.

    A try is recorded when it is checked; then "Try again" makes room for the next.

    Args:
        lesson: the lesson's name.
        question: its entry in the lesson's file.
        number: Markdown before the question.
    """

    def __init__(self, lesson: str, question: dict[str, Any], number: str) -> None:
        self.lesson, self.question, self.status = lesson, question, Status()
        self.check_button = widgets.Button(description="Check", button_style="primary")
        self.again_button = widgets.Button(description="Try again", disabled=True)
        self.check_button.on_click(lambda _: self.check())
        self.again_button.on_click(lambda _: self.try_again())
        self.input = self.make_input()
        # A code block begins on a line of its own.
        ask = number + ("\n\n" if question["ask"].startswith("```") else " ") + question["ask"].strip()
        if how := self.how():
            ask += f"\n\n*{how}*"
        self.asked = ask
        rows = [rendered(ask), self.input]
        rows += [widgets.HBox([self.check_button, self.again_button]), self.status]
        options = self.options()
        super().__init__(rows, f"{ask}\n\n{lettered(options)}" if options else ask)
        self.layout.margin = "0 0 1.5em 0"

    def make_input(self) -> widgets.Widget:
        """The widget that takes the answer."""
        raise NotImplementedError

    def how(self) -> str:
        """What to do, where that does not go without saying."""
        return ""

    def options(self) -> list[str]:
        """What a reader without a kernel may choose from."""
        return []

    def verdict(self) -> Verdict | str:
        """The try in the input; or, where it cannot be judged, what is missing."""
        raise NotImplementedError

    def lock(self, locked: bool) -> None:
        """Allow no change of the input, or allow it again."""
        raise NotImplementedError

    def clear(self) -> None:
        """Empty the input."""
        raise NotImplementedError

    def check(self) -> None:
        """Judge the try, record it and explain it."""
        if self.check_button.disabled:  # a second click, made before the kernel could answer the first
            return
        verdict = self.verdict()
        if isinstance(verdict, str):
            self.status.say(verdict)
            return
        right, answer, why = verdict
        self.lock(True)
        self.check_button.disabled, self.again_button.disabled = True, False
        self.again_button.focus()  # the keyboard keeps its place
        self.status.say(f"**✔ Right.** {why}" if right else f"**✘ Not this time.** {why}")
        state = "right" if right else "wrong"
        remembered(lambda: store.record(self.lesson, "question", self.question["id"], answer, state), self.status)

    def try_again(self) -> None:
        self.clear()
        self.lock(False)
        self.check_button.disabled, self.again_button.disabled = False, True
        self.input.focus()
        self.status.say("")

    def show_earlier(self, right: bool) -> None:
        """Say how earlier tries ended, unless there has been one since."""
        if not self.status.said:
            self.status.say(
                "✔ You have answered this one right before." if right else "You have tried this one before."
            )


class ChoiceCard(QuestionCard):
    """kind "single" and "several": lettered choices, each with its own explanation."""

    input: Choices

    def how(self) -> str:
        return "Choose all that hold." if self.question["kind"] == "several" else ""

    def make_input(self) -> Choices:
        return Choices(self.options(), several=self.question["kind"] != "single")

    def options(self) -> list[str]:
        return [choice["text"] for choice in self.question["choices"]]

    def verdict(self) -> Verdict | str:
        choices, chosen = self.question["choices"], self.input.chosen
        if not chosen:
            return "Choose one first." if self.question["kind"] == "single" else "Choose at least one first."
        wanted = [number for number, choice in enumerate(choices) if choice.get("right")]
        if self.question["kind"] == "single":
            why = choices[chosen[0]]["why"]
        else:
            explained = sorted(set(chosen) ^ set(wanted)) or chosen  # those judged wrongly, if any
            why = "\n" + "\n".join(f"- {ascii_uppercase[n]}: {why_of(choices[n])}" for n in explained)
        return chosen == wanted, "; ".join(choices[number]["text"].strip() for number in chosen), why

    def lock(self, locked: bool) -> None:
        self.input.lock(locked)

    def clear(self) -> None:
        self.input.chosen = []


def why_of(choice: dict[str, Any]) -> str:
    """The explanation of one choice of several. It alone would leave open on which side it is."""
    return f"**{'Holds' if choice.get('right') else 'Does not hold'}.** {choice['why'].strip()}"


class NumberCard(QuestionCard):
    """kind "number": right within a tolerance; typical mistakes have their own explanations."""

    input: widgets.Text

    def make_input(self) -> widgets.Text:
        field = widgets.Text(
            placeholder="a number, such as 0.05, 5e-2 or 1/20", tooltip="your answer", layout={"width": "22em"}
        )
        field.on_msg(lambda _, content, __: self.entered(content))
        return field

    def entered(self, content: dict[str, Any]) -> None:
        """Enter checks. The way to hear of it by ``on_submit`` is deprecated."""
        if content.get("event") == "submit":
            self.check()

    def verdict(self) -> Verdict | str:
        entered = self.input.value.strip()
        if not entered:
            return "Enter a number first."
        number = number_in(entered)
        if number is None:
            return f"{entered!r} is no number. Write it like 0.05, 5e-2 or 1/20."
        tolerance = self.question["tolerance"]
        if abs(number - self.question["answer"]) <= tolerance:
            return True, entered, self.question["because"]
        mistakes = [m["why"] for m in self.question["mistakes"] if abs(number - m["value"]) <= tolerance]
        return False, entered, mistakes[0] if mistakes else self.question["otherwise"]

    def lock(self, locked: bool) -> None:
        self.input.disabled = locked

    def clear(self) -> None:
        self.input.value = ""


def right_answer(question: dict[str, Any]) -> str:
    """As a right try is recorded, but that a learner may write a number otherwise."""
    if question["kind"] == "number":
        return f"{question['answer']:g}"
    if question["kind"] == "order":
        return " → ".join(step["text"].strip() for step in question["steps"])
    return "; ".join(choice["text"].strip() for choice in question["choices"] if choice.get("right"))


def number_in(text: str) -> float | None:
    """The number that a text stands for; None if it is none. A comma parts thousands where it can, else decimals.

    >>> [number_in(text) for text in ("0,05", "5e-2", " 1 / 20", "18,750", "1,000,000", "1/0", "nan", "half")]
    [0.05, 0.05, 0.05, 18750.0, 1000000.0, None, None, None]
    """
    text = re.sub(r"\b[1-9]\d{0,2}(,\d{3})+\b", lambda found: found[0].replace(",", ""), text)
    try:
        top, *bottom = map(float, text.replace(",", ".").replace("\N{MINUS SIGN}", "-").split("/", maxsplit=1))
        number = top / bottom[0] if bottom else top
    except (ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


class OrderCard(ChoiceCard):
    """kind "order": the steps are shuffled, and chosen one after the other."""

    def make_input(self) -> Choices:
        steps = self.question["steps"]
        self.shuffled = list(range(len(steps)))
        chance = random.Random(self.question["id"])  # the same order each time
        while self.shuffled == sorted(self.shuffled):
            chance.shuffle(self.shuffled)
        choices = super().make_input()
        self.order: list[int] = []  # the letters' numbers, as they were chosen
        self.so_far = Status()
        for number, button in enumerate(choices.buttons):
            button.observe(lambda change, number=number: self._choose(number, change.new), "value")
        self._say_order()
        choices.children += (self.so_far,)
        return choices

    def options(self) -> list[str]:
        return [self.question["steps"][step]["text"] for step in self.shuffled]

    def _choose(self, number: int, chosen: bool) -> None:
        self.order = [n for n in self.order if n != number] + [number] * chosen
        self._say_order()

    def _say_order(self) -> None:
        letters = " → ".join(ascii_uppercase[n] for n in self.order)
        self.so_far.say(f"Your order: {letters or '(press the letters one after the other)'}")

    def verdict(self) -> Verdict | str:
        steps = self.question["steps"]
        if len(self.order) < len(steps):
            return f"Press all {len(steps)} letters, one after the other. Pressing one again takes it out."
        given = [self.shuffled[n] for n in self.order]
        answer = " → ".join(steps[step]["text"].strip() for step in given)
        misplaced = [place for place, step in enumerate(given) if place != step]
        if not misplaced:
            return True, answer, self.question["because"]
        place = misplaced[0]
        return False, answer, f"Look at place {place + 1}. {steps[given[place]]['why']}"


KINDS: dict[str, type[QuestionCard]] = {
    "single": ChoiceCard,
    "several": ChoiceCard,
    "number": NumberCard,
    "order": OrderCard,
}
