"""The environment variables that the course reads."""

import os
from pathlib import Path

from warmup_course.arguments import refused

# The folder of the learner's answers, and that of the learner's copies of the lessons.
HOME = "WARMUP_COURSE_HOME"
WORKSPACE = "WARMUP_COURSE_WORKSPACE"
# The device, where a notebook asks for "auto".
DEVICE = "WARMUP_COURSE_DEVICE"
# Where it is set, a claim that does not hold stops its lesson.
STRICT = "WARMUP_COURSE_STRICT"


def folder_from(variable: str) -> Path | None:
    """The folder that an environment variable names, None if it names none; ``~`` is the home.

    A relative one is a ValueError: it would be another folder in each place from which a program starts.
    """
    value = os.environ.get(variable)
    if not value:
        return None
    try:
        folder = Path(value).expanduser()
    except RuntimeError:  # a user who is not known here
        folder = Path()
    if not folder.is_absolute():
        raise refused(variable, "a full path, or begin with ~", value)
    return folder
