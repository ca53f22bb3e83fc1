"""A learner commits to an answer before the experiment, and sees it beside what was measured."""

from collections.abc import Sequence

import ipywidgets as widgets

from warmup_course.checks import elements, one_of, refused, text
from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, Choices, Status, lettered, remembered, rendered

SEVERAL = "from 2 to 26 different texts"
WIDE_BUTTON = {"width": "auto", "align_self": "flex-start"}  # as wide as its words


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
        self.choice_buttons, self.status = Choices(self.choices), Status()
        self.lock_button = widgets.Button(description="Lock my prediction", layout=WIDE_BUTTON)
        self.lock_button.on_click(lambda _: self._lock())
        rows = [rendered(f"**Predict.** {question}"), self.choice_buttons, self.lock_button, self.status]
        words = f"**Predict.** {question}\n\n{lettered(self.choices)}"
        super().__init__(rows, words, on_shown=self._recall)

    def _lock(self) -> None:
        if not self.choice_buttons.chosen:
            self.status.say("Choose one first.")
            return
        [number] = self.choice_buttons.chosen
        self._show_locked(self.choices[number])
        remembered(
            lambda: store.record(self.lesson, "prediction", self.question, self.choices[number], "locked"), self.status
        )

    def _recall(self) -> None:
        """Show what was locked on an earlier day."""
        if self.locked is None:
            events = remembered(lambda: store.events(self.lesson, "prediction", self.question), self.status)
            locked = [event.answer for event in events or () if event.state == "locked"]
            if locked and locked[-1] in self.choices:
                self._show_locked(locked[-1])

    def _show_locked(self, choice: str) -> None:
        self.locked = choice
        self.choice_buttons.chosen = [self.choices.index(choice)]
        self._close()
        self.status.say("Locked. Now run the experiment.")

    def _close(self) -> None:
        self.choice_buttons.lock()
        self.lock_button.disabled = True

    def reveal(self, choice: str, measured: str) -> Card:
        """A button that sets the locked answer beside what was measured.

        Args:
            choice: the choice that the measurement bears out, computed from it.
            measured: what came out, in words with numbers.

        Raises:
            ValueError: if ``choice`` is none of the choices, or ``measured`` is no text.
        """
        one_of("choice", choice, self.choices)
        text("measured", measured)
        status, answer = Status(), choice.rstrip(".")
        button = widgets.Button(description="Compare with my prediction", layout=WIDE_BUTTON)

        def show(_: object) -> None:
            self._recall()  # a click comes from a person, whether or not the page has told so before
            self._close()  # it is no prediction from here on
            if self.locked is None:
                status.say(f"**Measured:** {measured}. **So:** {answer}. You had locked no prediction.")
                return
            held = self.locked == choice
            verdict = "✔ It held." if held else f"✘ It did not hold: the answer is: {answer}."
            status.say(f"**You predicted:** {self.locked.rstrip('.')}. **Measured:** {measured}. {verdict}")
            state = "held" if held else "missed"
            remembered(lambda: store.record(self.lesson, "prediction", self.question, measured, state), status)

        button.on_click(show)
        return Card([button, status], f"**Measured:** {measured}. **So:** {answer}.")
