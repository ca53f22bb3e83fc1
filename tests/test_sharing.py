"""A long sweep on several cores or machines: the same numbers, nothing lost, and an end when one is asked for."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import psutil
import pytest
import torch
import xarray as xr
from waiting import wait_for

from warmup_course import MLP, TrainConfig, sweep
from warmup_course.stacked import StackedMLP

CONFIG = TrainConfig(model=lambda: MLP(hidden=[16]), loss="squared_error", total_steps=40, device="cpu")
AXES: dict[str, Any] = {"peak_lr": [0.05, 0.1, 1e4], "seed": range(4), "loss": ["cross_entropy", "squared_error"]}
STACKS = 8
MODULE = sys.modules[sweep.__module__]  # warmup_course.sweep is the function


@pytest.fixture
def many_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs a stack, and no sweep too short to be shared."""
    run = 4 * (sum(p.numel() for p in MLP(hidden=[16]).parameters()) + 64 * 64)
    monkeypatch.setattr(StackedMLP, "BYTES", 3 * run)
    monkeypatch.setattr(MODULE, "WORTH_SHARING", -1.0)


@pytest.fixture
def here(many_stacks: None) -> xr.Dataset:
    """What the sweep gives in this process."""
    return sweep(CONFIG, progress=iter, **AXES)


@pytest.mark.parametrize(
    "where",
    [
        {"n_jobs": 1},
        pytest.param({"n_jobs": 2}, marks=pytest.mark.process),
        {"backend": "threading", "n_jobs": 2},
    ],
    ids=str,
)
def test_the_numbers_do_not_depend_on_the_workers(where: dict[str, Any], here: xr.Dataset) -> None:
    with joblib.parallel_config(**where):
        runs = sweep(CONFIG, keep_models=[0], **AXES)
    xr.testing.assert_identical(runs.drop_vars(["model", "before"]), here)
    seeds = [run.make_model() for run in (replace(CONFIG, seed=seed) for seed in AXES["seed"])]
    for kept in runs.model.isel(before=0).transpose(..., "seed").values.reshape(-1, len(seeds)):
        torch.testing.assert_close([m.state_dict() for m in kept], [m.state_dict() for m in seeds])


def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many stacks were shared, each time that some were."""
    seen: list[int] = []

    def run(tasks: Any) -> Iterator[Any]:
        calls = list(tasks)
        seen.append(len(calls))
        yield from (function(*args, **options) for function, args, options in reversed(calls))

    monkeypatch.setattr(joblib, "Parallel", lambda *_, **__: run)
    return seen


def test_stacks_may_end_in_any_order(here: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch)
    xr.testing.assert_identical(sweep(CONFIG, **AXES), here)
    assert seen == [STACKS]


@pytest.mark.parametrize("watch", [{"progress": iter}, {"on_epoch": lambda so_far: None}], ids=["progress", "on_epoch"])
def test_who_watches_has_the_sweep_here(watch: Any, many_stacks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch)
    sweep(CONFIG, **watch, **AXES)
    assert seen == []


def test_what_is_short_or_one_stack_stays_here(many_stacks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch)
    sweep(CONFIG, seed=[0, 1])
    monkeypatch.setattr(MODULE, "perf_counter", itertools.count().__next__)  # one second a step
    for worth in (STACKS * CONFIG.total_steps, STACKS * CONFIG.total_steps - 1):
        assert seen == []
        monkeypatch.setattr(MODULE, "WORTH_SHARING", worth)
        sweep(CONFIG, **AXES)
    assert seen == [STACKS]


def test_the_work_is_judged_before_it_is_done(many_stacks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million steps would take long; a sweep that is asked for them is shared at once."""
    stop = RuntimeError("shared")

    def parallel(*_: Any, **__: Any) -> Iterator[Any]:
        raise stop

    monkeypatch.setattr(MODULE, "WORTH_SHARING", 2.0)
    monkeypatch.setattr(joblib, "Parallel", parallel)
    with pytest.raises(RuntimeError) as error:
        sweep(TrainConfig(total_steps=1_000_000, evaluate="end", device="cpu"), peak_lr=[0.001 * i for i in range(9)])
    assert error.value is stop


def test_the_bar_goes_to_its_end(many_stacks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch)
    steps: list[int] = []

    def bar(planned: range, **_: Any) -> Iterator[int]:
        for step in planned:
            steps.append(step)
            yield step
        steps.append(-1)

    monkeypatch.setattr("tqdm.auto.tqdm", bar)
    sweep(CONFIG, **AXES)
    assert steps == [*range(STACKS * CONFIG.total_steps), -1]


@pytest.mark.process
def test_an_error_in_a_worker_is_the_callers(many_stacks: None) -> None:
    here = os.getpid()

    def model() -> MLP:
        if os.getpid() != here:
            raise ArithmeticError("not in a worker")
        return MLP(hidden=[16])

    with joblib.parallel_config(n_jobs=2), pytest.raises(ArithmeticError, match="not in a worker"):
        sweep(TrainConfig(model=model, total_steps=5, device="cpu"), **AXES)


# ---- what takes longer ----------------------------------------------------------------------------------------------

LONG = """
import os, sys, joblib
from warmup_course import TrainConfig, sweep
print(os.getpid(), flush=True)
config = TrainConfig(loss="squared_error", total_steps=20_000, device="cpu")
sweep(config, peak_lr=[0.01, 0.02], seed=range(200))
print("ended", flush=True)
"""


def trainers(pid: int) -> list[psutil.Process]:
    """The process's children that have trained for some seconds; joblib has others, which end with the process."""
    return [child for child in psutil.Process(pid).children(recursive=True) if child.cpu_times().user > 4]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal's Ctrl-C is POSIX here")
def test_ctrl_c_ends_a_shared_sweep_and_leaves_no_process() -> None:
    environment = os.environ | {"LOKY_MAX_CPU_COUNT": "2"}
    process = subprocess.Popen(
        [sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True, preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    wait_for(lambda: len(trainers(process.pid)) == 2)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, errors = process.communicate(timeout=20)
    assert "ended" not in output
    assert errors.strip().endswith("KeyboardInterrupt")
    wait_for(lambda: gone(children), seconds=10)


@pytest.mark.slow
def test_jupyters_stop_button_ends_a_shared_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        asked = client.execute(LONG)
        pid = manager.provisioner.pid
        wait_for(lambda: len(trainers(pid)) == 2)
        children = trainers(pid)
        manager.interrupt_kernel()
        # A slow start is asked after more than once, and answers each time.
        while (reply := client.get_shell_msg(timeout=20))["parent_header"]["msg_id"] != asked:
            assert reply["msg_type"] == "kernel_info_reply"
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        wait_for(lambda: gone(children), seconds=10)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


DASK = """
import os, signal, sys, threading, time
import joblib, psutil
from dask.distributed import Client, LocalCluster
from warmup_course import MLP, TrainConfig, sweep
import warmup_course.sweep
sys.modules["warmup_course.sweep"].WORTH_SHARING = -1.0

def main():
    config = TrainConfig(model=lambda: MLP(hidden=[32]), loss="squared_error", total_steps=1500, device="cpu")
    axes = dict(peak_lr=[0.05, 0.1, 1e4], seed=range(150))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        workers = [worker.process.process.pid for worker in cluster.workers.values()]

        def kill_one():
            while psutil.Process(workers[0]).cpu_times().user < 5:
                time.sleep(0.05)
            os.kill(workers[0], signal.SIGKILL)
            print("killed", flush=True)

        thread = threading.Thread(target=kill_one)
        thread.start()
        with joblib.parallel_config("dask"):
            there = sweep(config, **axes)
        print("was killed midway" if not thread.is_alive() else "ended before", flush=True)
        thread.join()
    here = sweep(config, progress=iter, **axes)
    print("identical" if there.identical(here) else "different", flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_numbers(tmp_path: Path) -> None:
    script = tmp_path / "cluster.py"
    script.write_text(DASK, "utf-8")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ended.stdout.splitlines() == ["killed", "was killed midway", "identical"], ended.stderr
