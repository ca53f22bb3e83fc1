"""Lesson 13."""

import math

import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, TensorDataset

from keys import key


@key("epochs-into-steps")
def epochs_into_steps() -> list[float]:
    """The lengths of DataLoaders."""
    images = TensorDataset(torch.empty(1_281_167, 0))
    whole, every = (len(DataLoader(images, batch_size=2048, drop_last=drop)) for drop in (True, False))
    return [30 * whole, 30 * every, 30 * len(images) / 2048, 30]


def steps_of_a_run(examples: int, batch_size: int, accumulate: int, processes: int, epochs: int) -> int:
    """Counted by running through the samplers that torch deals out batches with."""
    rows = DistributedSampler(range(examples), num_replicas=processes, rank=0, shuffle=False)
    steps = 0
    for _ in range(epochs):
        waiting = 0
        for _ in BatchSampler(rows, batch_size, drop_last=False):
            waiting += 1
            if waiting == accumulate:
                steps, waiting = steps + 1, 0
        steps += waiting > 0
    return steps


# ---- numbers ---------------------------------------------------------------------------------------------------------


@key("ramp-in-steps-on-eight-processes")
def ramp_in_steps_on_eight_processes() -> list[float]:
    seen_by_the_ramp = 200 * 16 * 4
    return [steps_of_a_run(seen_by_the_ramp, 16, 4, 8, epochs=1), 200, 200 * 8, 200 / 4, 200 / (4 * 8)]


# ---- exercises -------------------------------------------------------------------------------------------------------


def by_counting(examples, batch_size, accumulate, processes, epochs, ratio):
    return math.ceil(ratio * steps_of_a_run(examples, batch_size, accumulate, processes, epochs))


def by_floor_division(examples, batch_size, accumulate, processes, epochs, ratio):
    for divisor in (processes, batch_size, accumulate):
        examples = -(-examples // divisor)
    return -int(-(ratio * examples * epochs) // 1)


def rounded_by(rounding):
    def answer(examples, batch_size, accumulate, processes, epochs, ratio):
        return rounding(ratio * steps_of_a_run(examples, batch_size, accumulate, processes, epochs))

    return answer


WRONG = {
    "13_in_practice/warmup_steps": [
        (lambda n, b, a, p, e, r: steps_of_a_run(n, b, a, p, e), "all steps of the run"),
        (lambda n, b, a, p, e, r: by_counting(n, b, a, p, e, r) * a * b * p, "counts examples"),
        (lambda n, b, a, p, e, r: by_counting(n, b, 1, p, e, r), "share one step"),
        (lambda n, b, a, p, e, r: by_counting(n, b, a, 1, e, r), "They share them"),
        (lambda n, b, a, p, e, r: p * by_counting(n, b, a, p, e, r), "counts once"),
        (lambda n, b, a, p, e, r: by_counting(n, b, a, p, 1, r), "one epoch's steps"),
        (lambda n, b, a, p, e, r: e * by_counting(n, b, a, p, 1, r), "round in each epoch"),
        (lambda n, b, a, p, e, r: math.ceil(r * e * (math.ceil(n / p / b) // a)), "get a step too"),
        (lambda n, b, a, p, e, r: math.ceil(r * math.ceil(e * math.ceil(n / p / b) / a)), "not carried on"),
        (lambda n, b, a, p, e, r: by_counting(n // p, b, a, 1, e, r), "is rounded up"),
        (rounded_by(int), "round the share down"),
        (rounded_by(round), "round the share down"),
        (rounded_by(float), "Steps are whole"),
        (lambda *a: str(by_counting(*a)), "is text, not a number"),
        (20, "should be a function"),
    ],
}

RIGHT = {"13_in_practice/warmup_steps": [by_counting, by_floor_division]}
