"""The published recipes of lesson 13: their form, and their steps against what the sources say in other units."""

import re
from importlib.resources import files

import pandas as pd
import pytest

RECIPES = pd.read_csv(files("warmup_course.classroom") / "recipes.csv").set_index("model")
IMAGES = 1_281_167  # ImageNet's training set; the last, smaller batch of an epoch is dropped
OLMO = 1024 * 4096  # tokens a step


def epochs(count: int, batch: int) -> int:
    return count * (IMAGES // batch)


def test_each_row_says_where_it_was_read():
    for _, row in RECIPES.iterrows():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.repository)
        assert re.fullmatch(r"[0-9a-f]{12}", row.commit)
        assert re.fullmatch(r"[\w./-]+\.(md|py|sh|ya?ml)", row.path)
    assert RECIPES.index.is_unique


def test_each_row_has_the_steps_or_what_was_said_in_their_place():
    assert set(RECIPES.kind) == {"language", "vision", "speech", "diffusion", "fine-tuning"}
    assert set(RECIPES.told_in) == {"steps", "epochs", "tokens", "share"}
    assert (RECIPES.warmup_steps.notna() ^ RECIPES.warmup_share.notna()).all()
    assert RECIPES.peak_lr.between(1e-7, 1).all()
    assert not (RECIPES.warmup_steps > RECIPES.run_steps).any()
    assert RECIPES.betas.dropna().str.fullmatch(r"(\?|0\.\d+)( 0\.\d+)?").all()


@pytest.mark.parametrize(
    ("model", "warmup", "run"),
    [
        ("OLMo 2 7B", 8_388_608_000 / OLMO, 928_646),  # stage 2 loads this step, not that of the 5e12 tokens planned
        ("Pythia 6.9B", 0.01 * 143_000, 143_000),
        ("MAE, ViT-L", epochs(40, 4096), epochs(800, 4096)),
        ("ConvNeXt-T", epochs(20, 4096), epochs(300, 4096)),
        ("DeiT-S", epochs(5, 1024), epochs(300, 1024)),
        ("ResNet-50", 0, epochs(100, 256)),
        ("RegNetY-4.0GF", epochs(5, 512), epochs(100, 512)),
        ("ViT-S/16", 10_000, round(90 * 0.99 * IMAGES / 1024)),
        ("wav2vec 2.0 base, 960 h", 0.1 * 320_000, 320_000),
        ("Alpaca 7B", 37, 3 * (52_000 // 128)),  # 0.03 of the run is 36.5 steps, rounded up
        ("BERT on MRPC", int(0.1 * int(3 * 3668 / 32)), int(3 * 3668 / 32)),
    ],
)
def test_what_a_source_says_in_other_units_is_rightly_converted(model: str, warmup: float, run: float):
    assert RECIPES.warmup_steps[model] == warmup
    assert RECIPES.run_steps[model] == pytest.approx(run, abs=1)


def test_peaks_that_grow_with_the_batch_are_those_of_the_whole_batch():
    assert RECIPES.peak_lr["MAE, ViT-L"] == pytest.approx(1.5e-4 * 4096 / 256)
    assert RECIPES.peak_lr["DeiT-S"] == pytest.approx(5e-4 * 1024 / 512)
