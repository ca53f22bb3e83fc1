"""A class's answers on one page: which predictions split it, and which questions went wrong, with which answer.

Each learner decides whether to hand in a file, as ``warmup-course progress --csv`` writes it. It holds no name.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path

from warmup_course.arguments import one_of
from warmup_course.classroom import progress
from warmup_course.classroom.cards import html_of
from warmup_course.classroom.quiz import load, quizzes, right_answer
from warmup_course.classroom.store import STATES, Event

MARK = "<!-- warmup-course class -->"  # tells such a page from a file of somebody else's
MOST_BYTES = 20_000_000  # a learner's file has some hundred lines
STYLE = """
:root { color-scheme: light dark; font: 18px/1.45 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { margin: 0 0 2rem; break-inside: avoid; }
p { margin: 0.3rem 0; }
td p { margin: 0; }
table { border-collapse: collapse; width: 100%; }
td { padding: 0.15rem 0.6rem 0.15rem 0; vertical-align: top; }
td:nth-child(1) { width: 3.5rem; text-align: right; white-space: nowrap; }
td:nth-child(2) { width: 12rem; }
meter { width: 100%; }
small { opacity: 0.75; }
"""


@dataclass(frozen=True)
class Asked:
    """A prediction or a question, and how the class answered it.

    Attributes:
        lesson: the lesson's name.
        ask: what was asked (Markdown).
        answers: how many learners gave each answer (Markdown): the prediction locked last, or the first try.
        right: the answers that are right, given or not; for a prediction, what the learners' own runs bore out.
    """

    lesson: str
    ask: str
    answers: Counter[str]
    right: frozenset[str]

    @property
    def learners(self) -> int:
        return self.answers.total()

    @property
    def wrong(self) -> int:
        """How many learners' answers are not right."""
        return sum(n for answer, n in self.answers.items() if answer not in self.right)

    @property
    def split(self) -> int:
        """How many learners did not choose the most popular answer."""
        return self.learners - max(self.answers.values())


def read_answers(file: Path) -> list[Event]:
    """What one learner did, oldest first, from a file that ``warmup-course progress --csv`` wrote.

    Raises:
        ValueError: for a file that is none of these, or is damaged.
        OSError: for a file that cannot be read.
    """
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES // 1_000_000} MB")
    names = [field.name for field in fields(Event)]
    try:
        header, *rows = csv.reader(io.StringIO(file.read_text("utf-8-sig"), newline=""), strict=True)
    except (ValueError, csv.Error) as error:  # no line at all is a ValueError too, and what is not UTF-8
        raise ValueError("is no file of `progress --csv`") from error
    if header != names:
        raise ValueError(f"does not begin with the line {','.join(names)}")
    events = []
    for number, row in enumerate(rows, start=2):
        if not any(row):  # a spreadsheet may leave some
            continue
        if len(row) != len(names):
            raise ValueError(f"has {len(row)} values in place of {len(names)} in its row {number}")
        event = Event(*row)
        try:
            one_of("kind", event.kind, STATES)
            one_of("state", event.state, STATES[event.kind])
        except ValueError as error:
            raise ValueError(f"is damaged in its row {number}: {error}") from error
        events.append(event)
    return events


def merged(files: Iterable[Path]) -> tuple[list[list[Event]], dict[Path, str]]:
    """Each learner's events, and why each of the other files was skipped.

    Who hands in twice counts once: a file whose events are the first of another's is left out.
    """
    found: dict[Path, list[Event]] = {}
    skipped: dict[Path, str] = {}
    for file in files:
        try:
            found[file] = read_answers(file)
        except OSError as error:
            skipped[file] = f"cannot be read ({error.strerror})"
        except ValueError as error:
            skipped[file] = str(error)
    learners: list[list[Event]] = []
    for file, events in sorted(found.items(), key=lambda pair: -len(pair[1])):
        if not events:
            skipped[file] = "has no answers yet"
        elif any(events == longer[: len(events)] for longer in learners):
            skipped[file] = "is an earlier copy of another one"
        else:
            learners.append(events)
    return learners, skipped


def predictions(learners: Sequence[Sequence[Event]]) -> list[Asked]:
    """Each prediction that somebody locked, the one that split the class most first."""
    answers: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    right: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for events in learners:
        for one in progress.predictions(events):
            key = one.lesson, one.question
            answers[key][one.predicted] += 1
            if one.state == "held":
                right[key].add(one.predicted)
    found = [Asked(*key, counts, frozenset(right[key])) for key, counts in answers.items()]
    return sorted(found, key=lambda asked: (-asked.split, asked.lesson))


def questions(learners: Sequence[Sequence[Event]]) -> list[Asked]:
    """Each question of a quiz that somebody tried, by first tries, the one that most learners got wrong first."""
    found = []
    for lesson in quizzes():
        for question in load(lesson)["questions"]:
            answers: Counter[str] = Counter()
            right = set()
            for events in learners:
                tries = [e for e in events if e.kind == "question" and e.item == question["id"]]
                answers.update(event.answer for event in tries[:1])
                right |= {event.answer for event in tries if event.state == "right"}
            if answers:
                found.append(Asked(lesson, question["ask"], answers, frozenset(right or {right_answer(question)})))
    return sorted(found, key=lambda asked: -asked.wrong)


def page(learners: Sequence[Sequence[Event]], skipped: dict[Path, str]) -> str:
    """The overview as one HTML file that needs no other."""
    parts = [f"<h1>{len(learners)} learner{'s' * (len(learners) != 1)}</h1>"]
    parts += ["<p>✔ is right; in a prediction, what the learner's own runs bore out.</p>"]
    parts += ["<h2>Which predictions split the class</h2>", *map(_section, predictions(learners))]
    parts += ["<h2>Which questions went wrong, at the first try</h2>", *map(_section, questions(learners))]
    # Last: the files are often named after learners.
    parts += [f"<small>Skipped: {escape(file.name)}{html_of(why)}</small>" for file, why in skipped.items()]
    return (
        f'<!doctype html>\n{MARK}\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>The class</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _section(asked: Asked) -> str:
    nobodys = sorted(asked.right - set(asked.answers))
    rows = "".join(
        f'<tr><td>{"✔" if answer in asked.right else ""} {count}</td><td><meter value="{count}" '
        f'max="{asked.learners}">{count}</meter></td><td>{html_of(answer)}</td></tr>'
        for answer, count in [*asked.answers.most_common(), *((answer, 0) for answer in nobodys)]
    )
    lesson = escape(asked.lesson.partition("_")[0])
    return f"<section><small>{lesson}</small>{html_of(asked.ask)}<table>{rows}</table></section>"
