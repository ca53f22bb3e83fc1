"""The larger language models of lesson 12: ``python -m warmup_course.authoring.language_model``, ten minutes of a core.

Writes language_model.csv: the last validation loss of each run, in nats a character. It was run with torch 2.13 on a
CPU.
"""

from dataclasses import replace
from functools import partial
from typing import get_args

import pandas as pd
import torch

from warmup_course.data import docstrings
from warmup_course.lesson_files import PACKAGE
from warmup_course.model import Norm, TinyGPT
from warmup_course.sweep import sweep
from warmup_course.training import TrainConfig

STORED = PACKAGE / "classroom" / "language_model.csv"


if __name__ == "__main__":
    torch.set_num_threads(1)
    config = TrainConfig(
        data=docstrings(train_rows=8000),
        optimizer="AdamW",
        betas=(0.9, 0.95),
        batch_size=16,
        total_steps=1000,  # two epochs
        decay="linear",
        weight_decay=0.1,
        evaluate="end",
        device="cpu",
    )
    found: list[pd.DataFrame] = []
    for norm in get_args(Norm):
        of_norm = replace(config, model=partial(TinyGPT, norm, layers=3))
        runs = sweep(of_norm, peak_lr=[0.003, 0.01, 0.03, 0.1], warmup_steps=[0, 100], seed=[0, 1])
        table = runs.valid_loss.isel(epoch=-1, drop=True).to_dataframe().round(4).reset_index()
        table.insert(0, "norm", norm)
        found.append(table)
    pd.concat(found).to_csv(STORED, index=False)
