"""How much faster is a sweep than a loop over its runs?

One stacked sweep of 8 learning rates x 4 warmups x 10 seeds x 200 steps (two hidden layers of 64, digits) against two
loops over the same 320 runs on the same cores: train(), and a bare loop without DataLoader or scheduler, with the same
evaluations. The sweep and the loops take turns in one process, so that the ratios hold although times vary.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from warmup_course import TrainConfig, sweep, train
from warmup_course.data import batch_order
from warmup_course.training import squared_error

CONFIG = TrainConfig(loss="squared_error", device="cpu")
PEAK_LRS = [2.0**-k for k in range(8)]
WARMUPS = [0, 8, 32, 100]
SEEDS = range(10)


def bare_loop(config: TrainConfig) -> tuple[list[float], list[float]]:
    """What one would write by hand: plain tensors, the LR set in the loop, all rows evaluated once an epoch."""
    data, model = config.load_data(), config.make_model()
    optimizer = config.make_optimizer(model.parameters(), lr=config.peak_lr)
    order = batch_order(len(data.x_train), config.batch_size, config.seed)
    losses: list[float] = []
    metrics: list[float] = []
    while len(losses) < config.total_steps:
        for rows in itertools.islice(order, config.total_steps - len(losses)):
            optimizer.param_groups[0]["lr"] = config.peak_lr * min((len(losses) + 1) / max(config.warmup_steps, 1), 1)
            optimizer.zero_grad()
            loss = squared_error(model(data.x_train[rows]), data.y_train[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            for x, y in ((data.x_train, data.y_train), (data.x_valid, data.y_valid)):
                outputs = model(x)
                metrics.append(squared_error(outputs, y).item())
                metrics.append((outputs.argmax(dim=1) == y).float().mean().item())
    return losses, metrics


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    grid = [
        replace(CONFIG, peak_lr=peak_lr, warmup_steps=warmup_steps, seed=seed)
        for peak_lr, warmup_steps, seed in itertools.product(PEAK_LRS, WARMUPS, SEEDS)
    ]
    train(CONFIG)  # first calls import and allocate
    stacked, looped, bare = [], 0.0, 0.0
    for part in range(4):  # in turns, so that a busy moment of the machine does not fall on one side alone
        stacked.append(seconds(lambda: sweep(CONFIG, peak_lr=PEAK_LRS, warmup_steps=WARMUPS, seed=SEEDS)))
        runs = grid[part::4]
        looped += seconds(partial(list, map(train, runs)))
        bare += seconds(partial(list, map(bare_loop, runs)))
    sweep_seconds = sum(stacked) / len(stacked)
    print(f"sweep of {len(grid)} runs, {torch.get_num_threads()} threads:       {sweep_seconds:6.1f} s")
    print(f"loop of train() over the same runs:   {looped:6.1f} s, {looped / sweep_seconds:4.1f} times as long")
    print(f"bare loop over the same runs:         {bare:6.1f} s, {bare / sweep_seconds:4.1f} times as long")


if __name__ == "__main__":
    main()
