"""What every lesson starts with: a device, its seeds, and claims that are checked when the notebook runs."""

import csv
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from warmup_course import variables
from warmup_course.arguments import instance, one_of, real_number, text, truth_value, whole_number
from warmup_course.classroom.cards import Goal, style_page
from warmup_course.classroom.plots import use_course_style
from warmup_course.classroom.predictions import Prediction
from warmup_course.classroom.quiz import quizzes
from warmup_course.device import resolve_device
from warmup_course.lesson_files import EVIDENCE

# More threads than this do not speed up models this small, and several lessons may run side by side.
MOST_THREADS = 2
SEEDS = 1000  # for the runs of one notebook seed
MOST_SEED = 3999  # of a notebook
FIRST_FREE_SEED = SEEDS * (MOST_SEED + 1)


@dataclass(frozen=True)
class Number:
    """A number of a notebook's parameters cell.

    Attributes:
        value: as the cell has it.
        usual: the value that the lesson's text was written for. Where it is an int, the value must be whole.
        least, most: the limits within which the lesson runs to its end; by default those of a number of seeds.
    """

    value: Any
    usual: float
    least: float = 1
    most: float = SEEDS

    def check(self, name: str) -> None:
        """ValueError, with ``name``, unless the value is one that the lesson can do with."""
        if isinstance(self.usual, int):
            whole_number(name, self.value, int(self.least), int(self.most))
        else:
            real_number(name, self.value, self.least, self.most)


@dataclass(frozen=True)
class Lesson:
    """One execution of a notebook.

    Attributes:
        name: the name of the lesson's file, such as "03_linear_warmup".
        device: the name of the device that everything runs on, such as "cpu".
        seed: the notebook's seed.
        standard: whether the other parameters are those that the prose was written for.

    Raises:
        ValueError: for a seed not in [0, 3999], or an attribute of another type.
    """

    name: str
    device: str
    seed: int
    standard: bool

    def __post_init__(self) -> None:
        text("name", self.name)
        resolve_device(self.device)
        whole_number("seed", self.seed, 0, MOST_SEED)
        truth_value("standard", self.standard)

    def seeds(self, count: int) -> list[int]:
        """``count`` seeds for runs: 1000 * seed + i, so that two notebook seeds share no run.

        Raises:
            ValueError: for a count not in [1, 1000].

        >>> Lesson("03", "cpu", seed=3, standard=True).seeds(2)
        [3000, 3001]
        """
        return [SEEDS * self.seed + i for i in range(whole_number("count", count, 1, SEEDS))]

    def claim(self, statement: str, holds: object) -> None:
        """Print what the prose says, with a tick if it holds here.

        Args:
            statement: the claim in words, without numbers that may differ on another machine.
            holds: the condition, measured: True or False, or such a scalar of numpy, torch or xarray.

        Raises:
            ValueError: if ``holds`` is no truth value, such as NaN, a text or an array.
            AssertionError: if it does not hold although the lesson runs at its standard parameters, and the variable
                WARMUP_COURSE_STRICT is set, as where lessons are checked. For a learner the line says so instead, and
                how often it held at other seeds: the lesson goes on.

        >>> Lesson("03", "cpu", seed=0, standard=True).claim("two and two are four", 2 + 2 == 4)
        ✔ two and two are four
        >>> Lesson("03", "cpu", seed=0, standard=False).claim("two and two are five", 2 + 2 == 5)
        ✘ does not hold at these settings: two and two are five
        """
        text("statement", statement)
        if truth_value("holds", holds):
            print(f"✔ {statement}")
        elif not self.standard:
            print(f"✘ does not hold at these settings: {statement}")
        elif os.environ.get(variables.STRICT):
            raise AssertionError(f"this run does not bear out the claim: {statement}")
        else:
            print(f"✘ does not hold at this seed: {statement}{self._how_often(statement)}")

    def _how_often(self, statement: str) -> str:
        """What the evidence file knows of a claim, as the end of a sentence."""
        with suppress(FileNotFoundError), EVIDENCE.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if (row["lesson"], row["claim"]) == (self.name, statement):
                    return f" (at {row['held']} of {row['seeds']} other seeds it does)"
        return ""

    def predict(self, question: str, choices: Sequence[str]) -> Prediction:
        """Ask for a prediction, to be locked before the experiment is run; see Prediction."""
        return Prediction(self.name, question, choices)


def begin(name: str, *, device: str, seed: int, **numbers: Number) -> Lesson:
    """Set up a notebook: resolve the device, cap the threads, set the style of the figures, and say so in one line.

    Args:
        name: the name of the lesson's file, such as "03_linear_warmup"; the learner's predictions are kept under it.
        device: "auto", "cpu", "cuda" or "cuda:1", see resolve_device.
        seed: a whole number from 0 to 3999; every seed counts as usual. From 4 000 000 on, the seeds of runs belong to
            the capstone's last comparison.
        numbers: the notebook's other parameters, by their names, such as
            ``n_seeds=Number(n_seeds, usual=10)``.

    Raises:
        ValueError: for an unknown lesson, a device that is unknown or not there, or a seed or number out of its limits.

    >>> begin("03_linear_warmup", device="cpu", seed=0, n_seeds=Number(2.5, usual=10))
    Traceback (most recent call last):
    ValueError: n_seeds must be a whole number from 1 to 1000, got 2.5
    """
    one_of("name", name, [lesson for lesson in quizzes() if lesson != "final"])
    for parameter, number in numbers.items():
        instance(parameter, number, Number, "a Number")
        number.check(parameter)
    Goal.lesson = name
    resolved = resolve_device(device)
    standard = all(number.value == number.usual for number in numbers.values())
    lesson = Lesson(name, str(resolved), seed, standard)
    torch.set_num_threads(min(torch.get_num_threads(), MOST_THREADS))
    use_course_style()
    style_page()
    where = "the CPU" if resolved.type == "cpu" else f"the GPU ({torch.cuda.get_device_name(resolved)})"
    print(f"Ready: torch {torch.__version__} on {where}, notebook seed {seed}.")
    if not standard:
        print("The parameters differ from those the text was written for, so some of its claims may not hold here.")
    return lesson
