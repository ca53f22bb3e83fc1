"""What the learner has done in each lesson, what is left, and which predictions held: read from the store."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

import ipywidgets as widgets

from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, Status, remembered, to_html
from warmup_course.classroom.exercises import EXERCISES
from warmup_course.classroom.quiz import load, quizzes
from warmup_course.lesson_files import LESSONS, CommandError, outputs, read

HEADER = ("lesson", "questions", "exercises", "predictions", "goals", "left")
WITHOUT_KERNEL = (
    "A table of what you have done in each lesson and what is left stands here while the notebook is running; "
    "`python3 start.py progress` prints the same."
)


@dataclass(frozen=True)
class LessonProgress:
    """How far the learner is in one lesson, or in the final quiz.

    Attributes:
        lesson: its name, such as "03_linear_warmup"; "final" for the final quiz.
        title: the question that it answers.
        minutes: what the whole lesson takes.
        questions_right: questions of which some try was right.
        questions: how many it has.
        exercises_done: exercises that passed their check at least once.
        exercises: how many it has.
        predictions_locked: predictions made.
        predictions_held: those that held when they were last revealed.
        predictions: how many it asks for.
        goals_reached: goals of its labs that were reached at least once.
        goals: how many they have.
    """

    lesson: str
    title: str
    minutes: int
    questions_right: int
    questions: int
    exercises_done: int
    exercises: int
    predictions_locked: int
    predictions_held: int
    predictions: int = 0
    goals_reached: int = 0
    goals: int = 0

    @property
    def minutes_left(self) -> int:
        """The lesson's minutes times the share of all that it asks for that is not done, rounded up; 0 if it is done.

        Who has made its predictions and reached its goals has read it as far as there.
        """
        did = self.questions_right + self.exercises_done + self.predictions_locked + self.goals_reached
        total = self.questions + self.exercises + self.predictions + self.goals
        return 0 if self.done else -(-self.minutes * (total - did) // total)

    @property
    def done(self) -> bool:
        """Whether every question was answered rightly and every exercise passed."""
        return (self.questions_right, self.exercises_done) == (self.questions, self.exercises)


@cache
def asked_in(lesson: str) -> tuple[int, int]:
    """How many predictions a lesson asks for, and how many goals its labs have; counted in its file, if it has one."""
    path = LESSONS / f"{lesson}.ipynb"
    try:
        lesson_file = read(path) if path.exists() else {"cells": []}
    except CommandError:  # whoever opens the lesson is told
        lesson_file = {"cells": []}
    shown = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs(lesson_file)]
    code = ["".join(cell["source"]) for cell in lesson_file["cells"] if cell["cell_type"] == "code"]
    predictions = sum(text.startswith("**Predict.** ") for text in shown)
    return predictions, sum(len(re.findall(r"\bgoal=", source)) for source in code)


def summary(events: Iterable[store.Event] | None = None) -> list[LessonProgress]:
    """The progress in each lesson, in their order, and in the final quiz.

    Args:
        events: what the learner did, oldest first; None stands for all that is in the store.

    Raises:
        StoreError: if the store is asked for and cannot be read.
    """
    events = store.events() if events is None else list(events)
    right = {event.item for event in events if event.state == "right"}
    exercised = {event.item for event in events if event.state == "done"}
    reached = {(event.lesson, event.item) for event in events if event.state == "reached"}
    compared = predictions(events)

    found = []
    for lesson in quizzes():
        quiz = load(lesson)
        questions = {question["id"] for question in quiz["questions"]}
        exercises = {exercise.name for exercise in EXERCISES.values() if exercise.lesson == lesson}
        made = [one.state for one in compared if one.lesson == lesson]
        met = sum(name == lesson for name, _ in reached)
        asked, goals = asked_in(lesson)
        found.append(
            LessonProgress(
                lesson,
                quiz["title"],
                quiz["minutes"],
                questions_right=len(questions & right),
                questions=len(questions),
                exercises_done=len(exercises & exercised),
                exercises=len(exercises),
                predictions_locked=len(made),
                predictions_held=made.count("held"),
                # No fewer than were made: a later version may ask for others.
                predictions=max(asked, len(made)),
                goals_reached=met,
                goals=max(goals, met),
            )
        )
    return found


def as_text(summaries: Sequence[LessonProgress]) -> str:
    """A table for the terminal, with the totals below."""
    rows = [HEADER, *((one.lesson, *_cells(one)) for one in summaries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", totals(summaries)])


def totals(summaries: Sequence[LessonProgress]) -> str:
    """One line, such as "2 of 14 done, about 48 minutes left"."""
    minutes = sum(one.minutes_left for one in summaries)
    left = f", about {minutes} minute{'s' * (minutes != 1)} left" if minutes else ""
    return f"{sum(one.done for one in summaries)} of {len(summaries)} done{left}."


@dataclass(frozen=True)
class Compared:
    """A prediction beside what was measured.

    Attributes:
        lesson: the lesson's name.
        question: what was asked (Markdown), as are the next two.
        predicted: the choice that was locked last.
        measured: what came out when it was last compared; "" if it never was.
        state: "held", "missed", or "not compared".
    """

    lesson: str
    question: str
    predicted: str
    measured: str
    state: str


def predictions(events: Iterable[store.Event]) -> list[Compared]:
    """All predictions that were locked, in the order of the lessons, and in each in the order they were made.

    Args:
        events: what the learner did, oldest first.
    """
    found: dict[tuple[str, str], Compared] = {}
    for event in events:
        if event.kind == "prediction":
            key = (event.lesson, event.item)
            if event.state == "locked":
                found[key] = Compared(*key, event.answer, "", "not compared")
            elif key in found:
                found[key] = Compared(*key, found[key].predicted, event.answer, event.state)
    return sorted(found.values(), key=lambda one: one.lesson)


def verdict(compared: Sequence[Compared]) -> str:
    """One line, such as "Of 5 predictions 2 held, 2 did not, and 1 is not compared yet"."""
    if not compared:
        return "No predictions yet. Those that you lock in the lessons will stand here."
    held, missed, waiting = ([one.state for one in compared].count(s) for s in ("held", "missed", "not compared"))
    rest = f", and {waiting} {'is' if waiting == 1 else 'are'} not compared yet" if waiting else ""
    return f"Of {len(compared)} prediction{'s' * (len(compared) != 1)} {held} held, {missed} did not{rest}."


def progress_table() -> Card:
    """The same table as a widget. It shows what is in the store once a browser shows it, and what is done from then on.

    What is done in other lessons it shows on Refresh.
    """
    table = widgets.HTML()

    def show(events: Sequence[store.Event]) -> str:
        now = summary(events)
        table.value = _as_html(now)
        return totals(now)

    return _live(show, [table], WITHOUT_KERNEL)


def results_page() -> Card:
    """That table, and below it each prediction beside what was measured."""
    table, beside = widgets.HTML(), widgets.HTMLMath()

    def show(events: Sequence[store.Event]) -> str:
        now, compared = summary(events), predictions(events)
        table.value, beside.value = _as_html(now), _predictions_as_html(compared)
        return f"{totals(now)} {verdict(compared)}"

    return _live(show, [table, beside], f"{WITHOUT_KERNEL} Below it stands each prediction, and whether it held.")


def _live(show: Callable[[Sequence[store.Event]], str], parts: Sequence[widgets.Widget], text: str) -> Card:
    """A card whose parts are filled by ``show``, which is given the events and returns what is said of them."""
    status = Status()
    show([])
    status.say("**Refresh** reads your answers.")  # until they are read, the table is not to be believed

    def update() -> None:
        status.say("")
        events = remembered(store.events, status)
        if events is not None:
            status.add(show(events))

    def begin() -> None:
        update()
        store.watchers[text] = update  # the one that is seen; an earlier run of the cell has left another

    refresh = widgets.Button(description="Refresh", tooltip="Read your answers again")
    refresh.on_click(lambda _: update())
    return Card([*parts, refresh, status], text, on_shown=begin)


def _cells(one: LessonProgress) -> tuple[str, str, str, str, str]:
    """The words in all columns but the first."""
    held = f", {one.predictions_held} held" if one.predictions_held else ""
    return (
        f"{one.questions_right} of {one.questions}",
        f"{one.exercises_done} of {one.exercises}" if one.exercises else "none",
        f"{one.predictions_locked} of {one.predictions}{held}" if one.predictions else "none",
        f"{one.goals_reached} of {one.goals}" if one.goals else "none",
        "done" if one.done else f"{one.minutes_left} min",
    )


def _as_html(summaries: Sequence[LessonProgress]) -> str:
    rows = [[f"{_number(one.lesson)} · {escape(one.title)}", *_cells(one)] for one in summaries]
    return _table("Your progress", HEADER, rows)


def _predictions_as_html(compared: Sequence[Compared]) -> str:
    if not compared:
        return ""
    signs = {"held": "✔ held", "missed": "✘ missed", "not compared": "not compared yet"}
    rows = [
        [_number(one.lesson), *map(to_html, (one.question, one.predicted, one.measured)), signs[one.state]]
        for one in compared
    ]
    table = _table("Your predictions", ("lesson", "question", "you predicted", "measured", "verdict"), rows)
    return table.replace("<p>", '<p style="margin: 0">')  # its own margins make a row twice as high


def _number(lesson: str) -> str:
    """The lesson's number, or "final", as HTML.

    >>> _number("03_linear_warmup")
    '03'
    """
    return escape(lesson.partition("_")[0])


def _table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in JupyterLab's colours, or the page's own where there are none. The cells are HTML."""
    line = "border-bottom: 1px solid var(--jp-border-color2, GrayText); padding: 0.4em 0.6em; text-align: left"
    head = "".join(f'<th scope="col" style="{line}; white-space: nowrap">{name}</th>' for name in header)
    body = ""
    for first, *others in rows:
        # Short cells stay on one line.
        wrap = ["" if len(cell) > 12 else "; white-space: nowrap" for cell in others]
        cells = "".join(f'<td style="{line}{how}">{cell}</td>' for how, cell in zip(wrap, others, strict=True))
        body += f'<tr><th scope="row" style="{line}; font-weight: normal">{first}</th>{cells}</tr>'
    return (
        '<table style="border-collapse: collapse; line-height: 1.4; color: var(--jp-ui-font-color1, inherit)">'
        f'<caption style="text-align: left; font-weight: bold">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
