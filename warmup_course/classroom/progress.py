"""What the learner has done in each lesson, and what is left: counted from the store, shown as text and as a widget."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import ipywidgets as widgets

from warmup_course.classroom import store
from warmup_course.classroom.cards import Card, FrontEnd, Status, remembered
from warmup_course.classroom.exercises import EXERCISES
from warmup_course.classroom.quiz import lessons, load

HEADER = ("lesson", "questions", "exercises", "predictions", "time left")
WITHOUT_KERNEL = (
    "A table of what you have done in each lesson and what is left stands here while the notebook is running; "
    "`python3 start.py progress` prints the same."
)


@dataclass(frozen=True)
class LessonProgress:
    """How far the learner is in one lesson.

    Attributes:
        lesson: its name, such as "03_linear_warmup".
        title: the question that it answers.
        minutes: what the whole lesson takes.
        questions_right: questions of which some try was right.
        questions: how many it has.
        exercises_done: exercises that passed their check at least once.
        exercises: how many it has.
        predictions_locked: predictions made.
        predictions_held: those that held when they were last revealed.
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

    @property
    def minutes_left(self) -> int:
        """The lesson's minutes times the share of its questions and exercises that are not done, rounded up."""
        total = self.questions + self.exercises
        left = total - self.questions_right - self.exercises_done
        return -(-self.minutes * left // total)

    @property
    def done(self) -> bool:
        """Whether every question was answered rightly and every exercise passed."""
        return self.minutes_left == 0


def summary(events: Iterable[store.Event] | None = None) -> list[LessonProgress]:
    """The progress in each lesson, in their order.

    Args:
        events: what the learner did, oldest first; None stands for all that is in the store.

    Raises:
        StoreError: if the store is asked for and cannot be read.
    """
    events = store.events() if events is None else list(events)
    right = {event.item for event in events if event.state == "right"}
    exercised = {event.item for event in events if event.state == "done"}
    locked = {(event.lesson, event.item) for event in events if event.state == "locked"}
    # A prediction can be revealed again and again; the latest one counts.
    revealed = {(event.lesson, event.item): event.state for event in events if event.state in ("held", "missed")}

    found = []
    for lesson in lessons():
        quiz = load(lesson)
        questions = {question["id"] for question in quiz["questions"]}
        exercises = {exercise.name for exercise in EXERCISES.values() if exercise.lesson == lesson}
        found.append(
            LessonProgress(
                lesson,
                quiz["title"],
                quiz["minutes"],
                questions_right=len(questions & right),
                questions=len(questions),
                exercises_done=len(exercises & exercised),
                exercises=len(exercises),
                predictions_locked=sum(name == lesson for name, _ in locked),
                predictions_held=sum(name == lesson and revealed.get((name, item)) == "held" for name, item in locked),
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
    """One line, such as "2 of 4 lessons done, about 48 minutes left"."""
    minutes = sum(one.minutes_left for one in summaries)
    left = f", about {minutes} minute{'s' * (minutes != 1)} left" if minutes else ""
    return f"{sum(one.done for one in summaries)} of {len(summaries)} lessons done{left}."


def progress_table() -> Card:
    """The same table as a widget. It shows what is in the store once a browser shows it, and again on Refresh."""
    table, status = widgets.HTML(_as_html(summary([]))), Status()

    def update() -> None:
        status.say("")
        now = remembered(summary, status)
        if now is not None:
            table.value = _as_html(now)
            status.say(totals(now))

    refresh = widgets.Button(description="Refresh", tooltip="Read your answers again")
    refresh.on_click(lambda _: update())
    return Card([table, refresh, status, FrontEnd(update)], WITHOUT_KERNEL)


def _cells(one: LessonProgress) -> tuple[str, str, str, str]:
    """The words in all columns but the first."""
    held = f"{one.predictions_held} of {one.predictions_locked} held" if one.predictions_locked else "none yet"
    return (
        f"{one.questions_right} of {one.questions}",
        f"{one.exercises_done} of {one.exercises}" if one.exercises else "none",
        held,
        "done" if one.done else f"{one.minutes_left} min",
    )


def _as_html(summaries: Sequence[LessonProgress]) -> str:
    """The table in JupyterLab's colours, or the page's own where there are none."""
    line = "border-bottom: 1px solid var(--jp-border-color2, GrayText); padding: 0.4em 0.8em; text-align: left"
    head = "".join(f'<th scope="col" style="{line}; white-space: nowrap">{name}</th>' for name in HEADER)
    body = ""
    for one in summaries:
        name = f"{one.lesson[:2]} · {escape(one.title)}"
        cells = "".join(f'<td style="{line}; white-space: nowrap">{cell}</td>' for cell in _cells(one))
        body += f'<tr><th scope="row" style="{line}; font-weight: normal">{name}</th>{cells}</tr>'
    return (
        '<table style="border-collapse: collapse; line-height: 1.4; color: var(--jp-ui-font-color1, inherit)">'
        '<caption style="text-align: left; font-weight: bold">Your progress</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
