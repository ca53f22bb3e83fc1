"""The detective's cases: each can be solved with the lab's sliders, and is no right schedule."""

import numpy as np
import pytest

from warmup_course import Schedule
from warmup_course.classroom.detective import CASES, UPDATES, WARMUP_STEPS, log_of, trace

PLAN = {"milestone": 6, "t_max": 24, "calls": 1}
# One slider off its place; the lab's are as wide.
ONE_OFF = [
    PLAN | {name: value}
    for name, values in {"milestone": range(1, 13), "t_max": range(6, 37), "calls": range(1, 5)}.items()
    for value in values
    if value != PLAN[name]
]


def test_the_plan_is_a_ramp_and_a_cosine() -> None:
    planned = 0.1 * Schedule(UPDATES, WARMUP_STEPS)(np.arange(UPDATES))
    np.testing.assert_allclose(trace(**PLAN), planned)


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_explained_by_one_slider_and_in_one_way(case: str) -> None:
    assert not np.allclose(log_of(case), trace(**PLAN))
    assert sum(np.allclose(log_of(case), trace(**settings)) for settings in ONE_OFF) == 1
