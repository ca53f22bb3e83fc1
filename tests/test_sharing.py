"""A long sweep on several cores or machines: the same numbers, nothing lost, and an end when one is asked for."""

import itertools
import re
import signal
import subprocess
import sys
import threading
import time
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
from torch import nn
from waiting import wait_for

from warmup_course import MLP, TrainConfig, sweep
from warmup_course.stacked import StackedMLP

CONFIG = TrainConfig(model=lambda: MLP(hidden=[16]), loss="squared_error", total_steps=40, device="cpu")
AXES: dict[str, Any] = {"peak_lr": [0.05, 0.1, 1e4], "seed": range(4), "loss": ["cross_entropy", "squared_error"]}
STACKS = 8


@pytest.fixture
def many_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs a stack."""
    run = 4 * (sum(p.numel() for p in MLP(hidden=[16]).parameters()) + 64 * 64)
    monkeypatch.setattr(StackedMLP, "BYTES", 3 * run)


@pytest.fixture
def here(many_stacks: None) -> xr.Dataset:
    """What the sweep gives in this process."""
    return sweep(CONFIG, progress=iter, **AXES)


@pytest.mark.parametrize(
    "where",
    [{"n_jobs": 1}, {"n_jobs": 2}, pytest.param({"backend": "loky", "n_jobs": 2}, marks=pytest.mark.process)],
    ids=str,
)
def test_the_numbers_do_not_depend_on_the_workers(where: dict[str, Any], here: xr.Dataset) -> None:
    with joblib.parallel_config(**where):
        runs = sweep(CONFIG, keep_models=[0], **AXES)
    xr.testing.assert_identical(runs.drop_vars(["model", "before"]), here)
    seeds = [run.make_model() for run in (replace(CONFIG, seed=seed) for seed in AXES["seed"])]
    for kept in runs.model.isel(before=0).transpose(..., "seed").values.reshape(-1, len(seeds)):
        torch.testing.assert_close([m.state_dict() for m in kept], [m.state_dict() for m in seeds])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many stacks other processes were asked to train, each time that they were."""
    seen: list[int] = []

    def run(tasks: Any) -> Iterator[Any]:
        calls = list(tasks)
        seen.append(len(calls))
        yield from (function(*args, **options) for function, args, options in reversed(calls))

    monkeypatch.setattr(joblib, "Parallel", lambda *_, **__: run)
    with joblib.parallel_config("loky"):
        yield seen


def test_stacks_may_end_in_any_order(here: xr.Dataset, asked: list[int]) -> None:
    xr.testing.assert_identical(sweep(CONFIG, **AXES), here)
    assert asked == [STACKS]


@pytest.mark.parametrize("watch", [{"progress": iter}, {"on_epoch": lambda so_far: None}], ids=["progress", "on_epoch"])
def test_who_watches_has_the_sweep_here(watch: Any, many_stacks: None, asked: list[int]) -> None:
    sweep(CONFIG, **watch, **AXES)
    assert asked == []


def test_one_stack_stays_here(many_stacks: None, asked: list[int]) -> None:
    sweep(CONFIG, seed=[0, 1])
    assert asked == []
    sweep(CONFIG, seed=range(4))
    assert asked == [2]


def test_the_bar_goes_to_its_end(many_stacks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def bar(planned: range, **_: Any) -> Iterator[int]:
        for step in planned:
            steps.append(step)
            yield step
        steps.append(-1)

    monkeypatch.setattr("tqdm.auto.tqdm", bar)
    sweep(CONFIG, **AXES)
    assert steps == [*range(STACKS * CONFIG.total_steps), -1]


def test_an_error_beside_others_is_the_callers_and_ends_them() -> None:
    """The other stack would otherwise take minutes."""
    before, made = set(threading.enumerate()), itertools.count()

    def model() -> MLP:
        if next(made) == 2:  # the sweep's own look at it is 0, that of the first stack 1
            raise ArithmeticError("the third")
        return MLP(hidden=[16])

    with joblib.parallel_config(n_jobs=2), pytest.raises(ArithmeticError, match="the third"):
        sweep(replace(CONFIG, model=model, total_steps=100_000), momentum=[0, 0.5])
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"tqdm_monitor"}


class Smoothed:
    """Momentum of the learner's own, which begins anew with each run."""

    def __call__(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        gradients = [p.grad for p in optimizer.param_groups[0]["params"]]
        self.velocity = [0.9 * v + g for v, g in zip(self.velocity, gradients, strict=True)] if step else gradients
        for p, v in zip(optimizer.param_groups[0]["params"], self.velocity, strict=True):
            p.grad = v


def test_the_learners_function_may_have_a_state(many_stacks: None) -> None:
    config = replace(CONFIG, before_step=Smoothed(), total_steps=200)
    axes: dict[str, Any] = {"weight_decay": [0, 0.001, 0.01], "seed": range(4)}
    with joblib.parallel_config(n_jobs=2):
        xr.testing.assert_identical(sweep(config, **axes), sweep(config, progress=iter, **axes))


def test_models_may_share_a_module_and_it_stays_as_it_was() -> None:
    body = nn.Sequential(nn.Linear(64, 16), nn.Tanh()).requires_grad_(False)
    before = {name: p.clone() for name, p in body.state_dict().items()}
    config = replace(CONFIG, model=lambda: nn.Sequential(body, nn.Linear(16, 10)), total_steps=100)
    axes: dict[str, Any] = {"weight_decay": [0, 0.001, 0.01, 0.1], "seed": range(2)}
    with joblib.parallel_config(n_jobs=2):
        xr.testing.assert_identical(sweep(config, **axes), sweep(config, progress=iter, **axes))
    torch.testing.assert_close(body.state_dict(), before, rtol=0, atol=0)


def test_a_model_may_be_chosen_by_a_sweep() -> None:
    """Threads would wait for the random state that its making keeps."""

    def best() -> nn.Module:
        runs = sweep(replace(CONFIG, total_steps=5), keep_models=[5], momentum=[0, 0.5])
        found: nn.Module = runs.model.values[0, 0]
        return found

    with joblib.parallel_config(n_jobs=2):
        assert isinstance(replace(CONFIG, model=best).make_model(), MLP)


# ---- what takes longer ----------------------------------------------------------------------------------------------

LONG = """
import os, joblib
from warmup_course import TrainConfig, sweep
config = TrainConfig(loss="squared_error", total_steps=1_000_000, device="cpu")
print(os.getpid(), flush=True)
with joblib.parallel_config(n_jobs=2):
    sweep(config, peak_lr=[0.01, 0.02], seed=range(200))
print("ended", flush=True)
"""
IDLE = (
    "import time; begin = time.process_time(); time.sleep(1); print(f'{time.process_time() - begin:.3f} s in a second')"
)


def trains(pid: int) -> bool:
    """Whether two cores have worked for some seconds in the process, which has no child that works too."""
    process = psutil.Process(pid)
    busy = [thread for thread in process.threads() if thread.user_time > 1]
    return len(busy) >= 2 and not [child for child in process.children() if child.cpu_times().user > 1]


def assert_idle(said: str) -> None:
    seconds = re.fullmatch(r"([\d.]+) s in a second", said.strip())
    assert seconds, said
    assert float(seconds[1]) < 0.2


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal's Ctrl-C is POSIX here")
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_shared_sweep_and_python(presses: int) -> None:
    """A thread that is still in torch when Python ends would abort it."""
    process = subprocess.Popen(
        [sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    wait_for(lambda: trains(process.pid))
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    output, errors = process.communicate(timeout=20)
    assert "ended" not in output
    assert "KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT


@pytest.mark.process
def test_jupyters_stop_button_ends_a_shared_sweep() -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        asked = client.execute(LONG)
        wait_for(lambda: trains(manager.provisioner.pid))
        manager.interrupt_kernel()
        # A slow start is asked after more than once, and answers each time.
        while (reply := client.get_shell_msg(timeout=20))["parent_header"]["msg_id"] != asked:
            assert reply["msg_type"] == "kernel_info_reply"
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        said: list[str] = []
        client.execute_interactive(
            IDLE, timeout=20, output_hook=lambda message: said.append(message["content"].get("text", ""))
        )
        assert_idle("".join(said))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


DASK = """
import os, signal, sys, threading, time
import joblib, psutil
from dask.distributed import Client, LocalCluster
from warmup_course import MLP, TrainConfig, sweep

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
