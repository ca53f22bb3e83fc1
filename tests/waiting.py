"""Waiting for what another thread or another program does."""

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], seconds: float = 60, every: float = 0.02) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(every)
