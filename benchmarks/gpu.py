"""How fast is a sweep on a GPU, what do its kernels' launches cost, and how far is it from what the card can do?

The map of a deep network: 4 hidden layers of 64, 10 learning rates x 10 warmups x 100 seeds = 10,000 runs of 200 steps
of plain SGD, batches of 64, squared error on the digits. Then one step of so many runs again and again: each kernel
launched by Python, and all of them replayed as one CUDA graph.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from warmup_course import MLP, TrainConfig, sweep
from warmup_course.data import batch_order
from warmup_course.stacked import StackedMLP

CONFIG = TrainConfig(loss="squared_error", model=lambda: MLP(hidden=[64, 64, 64, 64]), device="auto")
LR = [2.0**-k for k in range(10)]
WARMUP = [0, 1, 2, 4, 8, 16, 32, 64, 128, 200]
# Products of one sample: 6 a weight, but for the first layer, whose inputs need no gradient.
WEIGHTS = [64 * 64] * 4 + [64 * 10]
FLOP = CONFIG.batch_size * (6 * sum(WEIGHTS) - 2 * WEIGHTS[0])
STEPS = 100


def seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def times(number: int, work: Callable[[], object]) -> None:
    for _ in range(number):
        work()


def large_product() -> float:
    """FLOP/s of one matrix product that fills the card."""
    a = torch.randn(8192, 8192, device="cuda")
    out = torch.empty_like(a)
    torch.mm(a, a, out=out)
    return 10 * 2 * 8192**3 / seconds(partial(times, 10, partial(torch.mm, a, a, out=out)))


def small_products() -> float:
    """FLOP/s of as many products of 64 x 64 matrices as there are runs."""
    a = torch.randn(10_000, 64, 64, device="cuda")
    out = torch.empty_like(a)
    torch.bmm(a, a, out=out)
    return 100 * 10_000 * 2 * 64**3 / seconds(partial(times, 100, partial(torch.bmm, a, a, out=out)))


def a_step(runs: int) -> Callable[[], object]:
    data, seeds = CONFIG.load_data(), range(runs // 100)
    stack = StackedMLP(CONFIG, seeds, 100)
    orders = [torch.tensor(list(batch_order(len(data.x_train), 64, seed).sampler))[:64] for seed in seeds]
    rows = torch.stack(orders).cuda()
    lr = torch.full((runs,), 0.01, device="cuda")
    return lambda: stack.step(data.x_train[rows], data.y_train[rows], lr)


def as_graph(work: Callable[[], object]) -> Callable[[], object]:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def main() -> None:
    if not torch.cuda.is_available():
        print("torch sees no GPU here")
        return
    print(torch.cuda.get_device_name(), torch.__version__)
    most, small = large_product(), small_products()
    print(f"limit: {most / 1e12:.1f} TFLOP/s in one large product, {small / 1e12:.1f} in 10,000 small ones", flush=True)
    print(f"\n{'runs in a step':>16}{'launched':>14}{'as one graph':>14}{'share of limit':>16}")
    for runs in (100, 1000, 3000, 10_000):
        step = a_step(runs)
        step()
        rates = []
        for work in (step, as_graph(step)):
            work()
            rates.append(runs * STEPS / seconds(partial(times, STEPS, work)))
        print(f"{runs:16,}{rates[0]:14,.0f}{rates[1]:14,.0f}{rates[1] * FLOP / most:16.0%}", flush=True)
    print(f"\n{'evaluated':>16}{'seconds':>14}{'run-steps/s':>14}{'share of limit':>16}")
    sweep(replace(CONFIG, total_steps=30), peak_lr=LR, seed=range(10))
    for evaluate in ("epoch", "end"):
        config = replace(CONFIG, evaluate=evaluate)
        took = seconds(partial(sweep, config, peak_lr=LR, warmup_steps=WARMUP, seed=range(100)))
        rate = 10_000 * CONFIG.total_steps / took
        print(f"{evaluate:>16}{took:14.2f}{rate:14,.0f}{rate * FLOP / most:16.0%}", flush=True)


if __name__ == "__main__":
    main()
