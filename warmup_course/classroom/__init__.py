"""What draws, asks and remembers: everything that a notebook needs besides the training itself."""

from warmup_course.classroom import plots
from warmup_course.classroom.exercises import exercise
from warmup_course.classroom.labs import InsideLab, QuadraticLab, ScheduleLab, SliderLab, StabilityLab, TrainingLab
from warmup_course.classroom.lesson import Lesson, Number, begin
from warmup_course.classroom.progress import progress_table, results_page
from warmup_course.classroom.quiz import quiz

__all__ = [
    "InsideLab",
    "Lesson",
    "Number",
    "QuadraticLab",
    "ScheduleLab",
    "SliderLab",
    "StabilityLab",
    "TrainingLab",
    "begin",
    "exercise",
    "plots",
    "progress_table",
    "quiz",
    "results_page",
]
