"""A learner commits to an answer before the experiment, and sees it beside what was measured."""

from collections.abc import Sequence

import ipywidgets as widgets

from warmup_course.arguments import elements, one_of, refused, text
from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, Choices, Status, lettered, remembered, rendered

SEVERAL = "from 2 to 26 different texts"
WIDE_BUTTON = {"width": "auto", "align_self": "flex-start"}  # as wide as its words
# cards.css blurs the text below an open prediction: it explains the answer.
OPEN = "wc-open"
# What is chosen and not locked: lesson and question -> choice. A cell that is run again makes a new card, and
# Shift+Enter runs a cell to go on to the next.
unlocked: dict[tuple[str, str], str] = {}


class Prediction(Card):
    """A question whose answer is locked before the experiment is run. It waits for nothing.

    Args:
        lesson: the name of the lesson's file, such as "03_linear_warmup".
        question: Markdown; it is the key under which the answer is kept.
        choices: Markdown, from two to 26 different ones: each has a letter.

    Raises:
        ValueError: for an empty question, or choices that are not from two to 26 different texts.
    """

    def __init__(self, lesson: str, question: str, choices: Sequence[str]) -> None:
        self.lesson, self.question = text("lesson", lesson), text("question", question)
        self.choices = tuple(text("choices", choice) for choice in elements("choices", choices, SEVERAL))
        if not 2 <= len(self.choices) <= 26 or len(set(self.choices)) < len(self.choices):
            raise refused("choices", SEVERAL, choices)
        self.locked: str | None = None
        self.comparisons: list[Comparison] = []
        self.choice_buttons, self.status = Choices(self.choices), Status()
        self.lock_button = widgets.Button(description="Lock my prediction", layout=WIDE_BUTTON)
        self.lock_button.on_click(lambda _: self._lock())
        if (choice := unlocked.get((lesson, question))) in self.choices:
            self.choice_buttons.chosen = [self.choices.index(choice)]
        for button in self.choice_buttons.buttons:
            button.observe(lambda _: self._remember_chosen(), "value")
        rows = [rendered(f"**Predict.** {question}"), self.choice_buttons, self.lock_button, self.status]
        words = f"**Predict.** {question}\n\n{lettered(self.choices)}"
        super().__init__(rows, words, on_shown=self.recall)
        self.add_class(OPEN)

    def _remember_chosen(self) -> None:
        for number in self.choice_buttons.chosen:
            unlocked[self.lesson, self.question] = self.choices[number]

    def _lock(self) -> None:
        if self.closed:
            return
        if not self.choice_buttons.chosen:
            self.status.say("Choose one first.")
            return
        [number] = self.choice_buttons.chosen
        self._show_locked(self.choices[number])
        self.remember(self.choices[number], "locked", self.status)
        for comparison in self.comparisons:
            comparison.compare()

    def remember(self, answer: str, state: str, status: Status) -> None:
        """Keep an event, unless it is what was kept last."""
        asked = self.lesson, "prediction", self.question
        last = (remembered(lambda: store.events(*asked), status) or [None])[-1]
        if last is None or (last.answer, last.state) != (answer, state):
            remembered(lambda: store.record(*asked, answer, state), status)

    def recall(self) -> None:
        """Show what was locked on an earlier day."""
        if self.locked is None:
            events = remembered(lambda: store.events(self.lesson, "prediction", self.question), self.status)
            locked = [event.answer for event in events or () if event.state == "locked"]
            if locked and locked[-1] in self.choices:
                self._show_locked(locked[-1])

    def _show_locked(self, choice: str) -> None:
        self.locked = choice
        self.choice_buttons.chosen = [self.choices.index(choice)]
        self.close_with("Locked")
        self.status.say(
            "Locked. " + ("What was measured stands below." if self.comparisons else "Now run the experiment.")
        )

    @property
    def closed(self) -> bool:
        """Whether it is too late to predict."""
        return self.choice_buttons.buttons[0].disabled is True

    def close_with(self, word: str) -> None:
        """Allow no change. The button itself is never switched off: the keyboard would lose its place."""
        self.choice_buttons.lock()
        self.lock_button.description = word
        self.remove_class(OPEN)

    def reveal(self, choice: str, measured: str) -> "Comparison":
        """The locked answer beside what was measured.

        Args:
            choice: the choice that the measurement bears out, computed from it.
            measured: what came out, in words with numbers.

        Raises:
            ValueError: if ``choice`` is none of the choices, or ``measured`` is no text.
        """
        one_of("choice", choice, self.choices)
        return Comparison(self, choice, text("measured", measured))


class Comparison(Card):
    """A prediction beside what was measured. It shows by itself once the prediction is locked, before or after.

    Args:
        prediction: the prediction.
        choice: the one of its choices that the measurement bears out.
        measured: what came out, in words with numbers.
    """

    def __init__(self, prediction: Prediction, choice: str, measured: str) -> None:
        self.prediction, self.choice, self.measured, self.status = prediction, choice, measured, Status()
        self.status.say("It is measured. **Lock your prediction above**, and here you see both.")
        self.skip_button = widgets.Button(description="Show it without a prediction", layout=WIDE_BUTTON)
        self.skip_button.on_click(lambda _: self._skip())
        prediction.comparisons.append(self)
        prediction.remove_class(OPEN)
        text = f"**Measured:** {measured}. **So:** {choice.rstrip('.')}."
        super().__init__([self.status, self.skip_button], text, on_shown=self.compare)

    def compare(self) -> None:
        """Show both, if there are both."""
        self.prediction.recall()
        locked, answer = self.prediction.locked, self.choice.rstrip(".")
        if locked is None:
            return
        self.skip_button.layout.display = "none"
        held = locked == self.choice
        verdict = "✔ It held." if held else f"✘ It did not hold: the answer is: {answer}."
        self.status.say(f"**You predicted:** {locked.rstrip('.')}. **Measured:** {self.measured}. {verdict}")
        self.prediction.remember(self.measured, "held" if held else "missed", self.status)

    def _skip(self) -> None:
        self.compare()  # a click comes from a person, whether or not the page has told so before
        if self.prediction.locked is None:
            self.prediction.close_with("Not predicted")
            self.skip_button.description = "Shown"
            self.status.say(f"{self.text} You had locked no prediction.")
