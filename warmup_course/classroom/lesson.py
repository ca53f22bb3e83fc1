"""What every lesson starts with: a device, its seeds, and claims that are checked when the notebook runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from warmup_course.checks import whole_number
from warmup_course.classroom.plots import use_course_style
from warmup_course.classroom.predictions import Prediction
from warmup_course.device import resolve_device

# More threads than this do not speed up models this small, and several lessons may run side by side.
MOST_THREADS = 2


@dataclass(frozen=True)
class Lesson:
    """One execution of a notebook.

    Attributes:
        name: the name of the lesson's file, such as "03_linear_warmup".
        device: the name of the device that everything runs on, such as "cpu".
        seed: the notebook's seed.
        standard: whether the other parameters are those that the prose was written for.
    """

    name: str
    device: str
    seed: int
    standard: bool

    def seeds(self, count: int) -> list[int]:
        """``count`` seeds for runs: 1000 * seed + i, so that two notebook seeds share no run.

        >>> Lesson("03", "cpu", seed=3, standard=True).seeds(2)
        [3000, 3001]
        """
        if whole_number("count", count, 1) > 1000:
            raise ValueError(f"count must be at most 1000, got {count}")
        return [1000 * self.seed + i for i in range(count)]

    def claim(self, statement: str, holds: object) -> None:
        """Print what the prose says, with a tick if it holds here.

        Args:
            statement: the claim in words, without numbers that may differ on another machine.
            holds: the condition, measured.

        Raises:
            AssertionError: if it does not hold although the lesson runs at its standard parameters; at others the line
                says so instead.

        >>> Lesson("03", "cpu", seed=0, standard=True).claim("two and two are four", 2 + 2 == 4)
        ✔ two and two are four
        >>> Lesson("03", "cpu", seed=0, standard=False).claim("two and two are five", 2 + 2 == 5)
        ✘ does not hold at these settings: two and two are five
        """
        if bool(holds):
            print(f"✔ {statement}")
        elif self.standard:
            raise AssertionError(f"this run does not bear out the claim: {statement}")
        else:
            print(f"✘ does not hold at these settings: {statement}")

    def predict(self, question: str, choices: Sequence[str]) -> Prediction:
        """Ask for a prediction, to be locked before the experiment is run; see Prediction."""
        return Prediction(self.name, question, choices)


def begin(name: str, *, device: str, seed: int, standard: bool = True) -> Lesson:
    """Set up a notebook: resolve the device, cap the threads, set the style of the figures, and say so in one line.

    Args:
        name: the name of the lesson's file, such as "03_linear_warmup"; the learner's predictions are kept under it.
        device: "auto", "cpu", "cuda" or "cuda:1", see resolve_device.
        seed: a whole number of at least 0; every seed counts as standard.
        standard: whether the notebook's other parameters have the values that its prose was written for.

    Raises:
        ValueError: for a device that is unknown or not there, or a bad seed.
    """
    resolved = resolve_device(device)
    whole_number("seed", seed, 0)
    torch.set_num_threads(min(torch.get_num_threads(), MOST_THREADS))
    use_course_style()
    where = "the CPU" if resolved.type == "cpu" else f"the GPU ({torch.cuda.get_device_name(resolved)})"
    print(f"Ready: torch {torch.__version__} on {where}, notebook seed {seed}.")
    if not standard:
        print("The parameters differ from those the text was written for, so some of its claims may not hold here.")
    return Lesson(name, str(resolved), seed, standard)
