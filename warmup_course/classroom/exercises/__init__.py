"""All exercises, one module a lesson."""

import pkgutil
from importlib import import_module

from warmup_course.arguments import one_of
from warmup_course.classroom.exercises.checker import Exercise

_LESSONS = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name.startswith("lesson_"))
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for lesson in _LESSONS for exercise in import_module(f"{__name__}.{lesson}").EXERCISES
}


def exercise(name: str) -> Exercise:
    """The exercise of that name.

    Raises:
        ValueError: if there is none.
    """
    one_of("name", name, EXERCISES)
    return EXERCISES[name]
