"""The labs: those that compute in the browser, each with its JavaScript, and those that train in the kernel."""

from warmup_course.classroom.labs.inside import InsideLab
from warmup_course.classroom.labs.kernel import SliderLab
from warmup_course.classroom.labs.quadratic import QuadraticLab
from warmup_course.classroom.labs.schedule import ScheduleLab
from warmup_course.classroom.labs.stability import StabilityLab
from warmup_course.classroom.labs.training import TrainingLab

__all__ = ["InsideLab", "QuadraticLab", "ScheduleLab", "SliderLab", "StabilityLab", "TrainingLab"]
