"""What draws, asks and remembers: everything that a notebook needs besides the training itself."""

from warmup_course.classroom import plots
from warmup_course.classroom.labs import slider_lab
from warmup_course.classroom.lesson import Lesson, begin

__all__ = ["Lesson", "begin", "plots", "slider_lab"]
