"""One thread for each test process: small tensors gain nothing from more, and several processes may run at once."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch

from warmup_course.classroom import store

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a shell, whose children would inherit it; some tests press Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)
gc.set_threshold(20_000, 10, 10)  # the hundreds of thousands of objects that the imports made are walked less often

# What waits for another program that a busy machine keeps from answering is tried once more. What is wrong is not.
# Only those: to be ready for a second try costs a test 20 ms.
ONCE_MORE = pytest.mark.flaky(reruns=1, only_rerun="(?i)timeout|takes too long|^Empty")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("process") and not config.option.usepdb:  # a debugger wants the first try
            item.add_marker(ONCE_MORE)


@pytest.fixture(autouse=True, scope="session")
def no_learners_answers(tmp_path_factory: pytest.TempPathFactory):
    """Tests, and the processes that they start, never touch the answers of the person who runs them."""
    with patch.dict(os.environ, WARMUP_COURSE_HOME=str(tmp_path_factory.mktemp("home"))):
        yield


@pytest.fixture(autouse=True)
def same_environment():
    """What a command, called here, sets for the process that ends with it, is gone before the next test."""
    before = os.environ.copy()
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A file takes 100 bytes."""
    if sys.platform == "win32":
        pytest.skip("limits of a process")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(autouse=True)
def no_earlier_cards():
    """A progress table of an earlier test hears nothing, and takes no news from this one."""
    store.watchers.clear()
    store.news()


@pytest.fixture
def full_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The learner's store takes no answer any more."""

    def fail(*_: str) -> None:
        raise store.StoreError("The disk is full", "Make room.")

    monkeypatch.setattr(store, "record", fail)
