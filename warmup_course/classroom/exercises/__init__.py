"""All exercises, one module a lesson."""

from warmup_course.checks import one_of
from warmup_course.classroom.exercises import (
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_10,
    lesson_11,
)
from warmup_course.classroom.exercises.checker import Exercise

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for lesson in (
        lesson_01,
        lesson_02,
        lesson_03,
        lesson_04,
        lesson_05,
        lesson_06,
        lesson_07,
        lesson_08,
        lesson_10,
        lesson_11,
    )
    for exercise in lesson.EXERCISES
}


def exercise(name: str) -> Exercise:
    """The exercise of that name.

    Raises:
        ValueError: if there is none.
    """
    one_of("name", name, EXERCISES)
    return EXERCISES[name]
