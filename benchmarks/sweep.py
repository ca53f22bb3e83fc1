"""How much faster is a sweep than what one would write instead, and how near to what the machine can do?

The README's grid: 8 learning rates x 4 warmups x 10 seeds x 200 steps of plain SGD on the digits, two hidden layers of
64, batches of 64, squared error. All rivals take turns in one process, several rounds, so that the ratios hold although
times vary. The loops train every 20th run of the grid. What is counted are steps really made: a run of a loop that
diverges stops there. At the end the small network of lesson 01, 10-50-2 in batches of 32.

JAX takes part where it is installed: pip install jax
"""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import joblib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from warmup_course import MLP, TrainConfig, sweep, train
from warmup_course.authoring.execution import cores
from warmup_course.data import batch_order
from warmup_course.training import LOSSES

CONFIG = TrainConfig(loss="squared_error", device="cpu")
SMALL = TrainConfig(data="tabular", model=lambda: MLP.for_data("tabular", hidden=[50]), batch_size=32, device="cpu")
GRID: dict[str, Any] = {"peak_lr": [2.0**-k for k in range(8)], "warmup_steps": [0, 8, 32, 100], "seed": range(10)}
RUNS = [
    replace(CONFIG, **dict(zip(GRID, combination, strict=True))) for combination in itertools.product(*GRID.values())
]
ROUNDS = 3

Rival = Callable[[], int]  # does its work; how many run-steps that were


def loop_of_train(configs: Sequence[TrainConfig]) -> int:
    return sum(len(train(config).batch_loss) for config in configs)


def bare_loop(configs: Sequence[TrainConfig]) -> int:
    """What one would write by hand: plain tensors, the LR set in the loop, all rows evaluated once an epoch."""
    steps = 0
    for config in configs:
        data, model, loss_function = config.load_data(), config.make_model(), LOSSES[config.loss]
        optimizer = config.make_optimizer(model.parameters(), lr=config.peak_lr)
        order = batch_order(len(data.x_train), config.batch_size, config.seed)
        for step, rows in enumerate(itertools.islice(itertools.chain.from_iterable(itertools.repeat(order)), 200)):
            optimizer.param_groups[0]["lr"] = config.peak_lr * min((step + 1) / max(config.warmup_steps, 1), 1)
            optimizer.zero_grad()
            loss = loss_function(model(data.x_train[rows]), data.y_train[rows])
            loss.backward()
            optimizer.step()
            steps += 1
            if not torch.isfinite(loss):
                break
            if (step + 1) % len(order) == 0 or step == 199:
                with torch.no_grad():
                    for x, y in ((data.x_train, data.y_train), (data.x_valid, data.y_valid)):
                        outputs = model(x)
                        loss_function(outputs, y).item(), (outputs.argmax(dim=1) == y).double().mean().item()
    return steps


def factors() -> Tensor:
    """The LR of each step of each run, (steps, runs)."""
    lrs = [config.peak_lr * config.schedule(np.arange(200)) for config in RUNS]
    return torch.tensor(np.array(lrs), dtype=torch.float32).T


def torch_func_recipe() -> int:
    """PyTorch's tutorial on model ensembling, with a gradient and an LR for each model; nothing is evaluated."""
    data, model = CONFIG.load_data(), CONFIG.make_model()
    orders = {seed: itertools.chain.from_iterable(itertools.repeat(batch_order(1437, 64, seed))) for seed in range(10)}
    parameters, buffers = stack_module_state([config.make_model() for config in RUNS])

    def loss_of(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (functional_call(model, (parameters, buffers), (x,)) - y).square().sum(dim=-1).mean()

    targets = F.one_hot(data.y_train).float()
    step_of_all = vmap(grad_and_value(loss_of))
    for lr in factors():
        batches = {seed: next(order) for seed, order in orders.items()}
        rows = torch.tensor([batches[config.seed] for config in RUNS])
        gradients, _ = step_of_all(parameters, buffers, data.x_train[rows], targets[rows])
        with torch.no_grad():
            for name, p in parameters.items():
                p -= lr.view(-1, *[1] * (p.dim() - 1)) * gradients[name]
    return 200 * len(RUNS)


def jax_rival() -> Rival:
    """jit of vmap of scan over all runs, with the same batches for all seeds; the first call compiles."""
    import jax
    import jax.numpy as jnp

    data = CONFIG.load_data()
    x_all, y_all = jnp.array(data.x_train.numpy()), jnp.array(data.y_train.numpy())
    weights = [dict(config.make_model().named_parameters()) for config in RUNS]
    layers = [
        [jnp.stack([w[f"{i}.{n}"].detach().numpy().T for w in weights]) for n in ("weight", "bias")] for i in (0, 2, 4)
    ]
    full = [batch for batch in itertools.islice(itertools.cycle(batch_order(1437, 64, 0)), 300) if len(batch) == 64]
    rows, lrs = jnp.array(full[:200]), jnp.array(factors().T.numpy())

    def loss_of(layers: Any, x: Any, y: Any) -> Any:
        for weight, bias in layers[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = layers[-1]
        return 0.5 * jnp.square(x @ weight + bias - jax.nn.one_hot(y, 10)).sum(axis=-1).mean()

    def run(layers: Any, lr: Any) -> Any:
        def step(layers: Any, at: Any) -> Any:
            rows, lr = at
            loss, gradients = jax.value_and_grad(loss_of)(layers, x_all[rows], y_all[rows])
            return jax.tree.map(lambda p, g: p - lr * g, layers, gradients), loss

        return jax.lax.scan(step, layers, (rows, lr))[1]

    compiled = jax.jit(jax.vmap(run, in_axes=(0, 0)))

    def work() -> int:
        compiled(layers, lrs).block_until_ready()
        return 200 * len(RUNS)

    return work


def of_sweep(config: TrainConfig, n_jobs: int) -> Rival:
    def work() -> int:
        with joblib.parallel_config(n_jobs=n_jobs):
            runs = sweep(config, **GRID)
        return runs.outcome.size * config.total_steps

    return work


def rate(work: Rival) -> float:
    """Run-steps in a second."""
    begin = time.perf_counter()
    steps = work()
    return steps / (time.perf_counter() - begin)


def limit(threads: int) -> float:
    """Run-steps in a second if matrix products were all, and as fast as those of 1024 x 1024 numbers on these cores.

    A step of a run multiplies each layer's weights with 62.5 rows on average, forward, for the weights' gradient, and,
    but for the first layer, for the inputs' gradient.
    """
    flop = 62.5 * 2 * (2 * 64 * 64 + 3 * 64 * 64 + 3 * 64 * 10)
    a = torch.randn(1024, 1024)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    rates = [rate(lambda: int(torch.mm(a, a).numel() > 0)) for _ in range(20)]
    torch.set_num_threads(before)
    return max(rates) * 2 * 1024**3 / flop


def compare(title: str, rivals: Mapping[str, Callable[[], float]]) -> None:
    """Let the rivals take turns and print their rates, each beside the first one's of the same round."""
    print(f"\n{title}\n{'':44}{'run-steps/s':>12}   times the first, by round")
    seen: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, rate_of_rival in rivals.items():
            seen[name].append(rate_of_rival())
    first, *_ = seen.values()
    for name, rates in seen.items():
        ratios = sorted(a / b for a, b in zip(rates, first, strict=True))
        print(f"{name:44}{statistics.median(rates):12,.0f}   {' '.join(f'{ratio:5.1f}' for ratio in ratios)}")


def main() -> None:
    at_end, few = replace(CONFIG, evaluate="end"), RUNS[::20]
    rivals = {
        "train(), one run after the other": partial(rate, lambda: loop_of_train(few)),
        "a bare loop": partial(rate, lambda: bare_loop(few)),
        "torch.func's recipe, no evaluation": partial(rate, torch_func_recipe),
        "sweep, one core": partial(rate, of_sweep(CONFIG, 1)),
        "sweep, one core, evaluated at the end": partial(rate, of_sweep(at_end, 1)),
        f"sweep, {cores()} cores": partial(rate, of_sweep(CONFIG, cores())),
        f"sweep, {cores()} cores, evaluated at the end": partial(rate, of_sweep(at_end, cores())),
    }
    train(CONFIG)  # imports and allocates
    if find_spec("jax"):
        rivals["JAX, all cores, no evaluation"] = partial(rate, jax_rival())
        print(f"first call of JAX, which compiles: {rivals['JAX, all cores, no evaluation']():,.0f} run-steps/s")
    rivals["limit of one core"] = partial(limit, 1)
    rivals[f"limit of {cores()} cores"] = partial(limit, cores())
    compare(f"{len(RUNS)} runs of 200 steps, 64-64-64-10", rivals)

    small = [replace(SMALL, peak_lr=run.peak_lr, warmup_steps=run.warmup_steps, seed=run.seed) for run in few]
    rivals = {
        "train(), one run after the other": partial(rate, lambda: loop_of_train(small)),
        "sweep, one core": partial(rate, of_sweep(SMALL, 1)),
    }
    compare(f"{len(RUNS)} runs of 200 steps, 10-50-2", rivals)


if __name__ == "__main__":
    main()
