"""The lab that shows recorded runs from the inside: moved as a browser moves it, through its controls."""

from dataclasses import replace
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from pretended_browser import pixels

from warmup_course import MLP, TrainConfig, train
from warmup_course.classroom import InsideLab
from warmup_course.classroom.labs.inside import PANELS
from warmup_course.probes import Probe
from warmup_course.training import squared_error

MODELS = {"one hidden layer": lambda: MLP(hidden=[16]), "linear": lambda: MLP(hidden=[])}
RATES, RAMPS, STEPS = (0.05, 40.0), (0, 4), 18
NETWORK, LINEAR = MODELS


def recorded(model: str, lr: float, warmup_steps: int) -> Any:
    run = TrainConfig(model=MODELS[model], loss="squared_error", total_steps=STEPS, device="cpu")
    run = replace(run, peak_lr=lr, warmup_steps=warmup_steps)
    data = run.load_data()
    probe = Probe(squared_error, data.x_train[:60], data.y_train[:60], every=5, first=3)
    return probe, train(run, on_start=probe.watch)


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, float, int], Any]:
    return {key: recorded(*key) for key in product(MODELS, RATES, RAMPS)}


@pytest.fixture(scope="module")
def drawn_once(runs: Any) -> tuple[InsideLab, bytes]:
    """A lab and its first picture."""
    lab = InsideLab(runs, (NETWORK, 0.05, 4))
    return lab, lab.picture.value


@pytest.fixture
def lab(drawn_once: tuple[InsideLab, bytes]) -> InsideLab:
    """The same lab each time, as it was at first."""
    drawn_once[0].reset()
    return drawn_once[0]


def move(lab: InsideLab, **values: Any) -> None:
    for name, value in values.items():
        lab.controls[name].value = value


def drawn(lab: InsideLab, panel: str) -> dict[str, Any]:
    """The lines of a panel by what they are."""
    titles = {ax: "".join(map(ax.get_title, ("left", "center", "right"))) for ax in lab.picture.figure.axes}
    [ax] = [ax for ax, title in titles.items() if title == PANELS[panel]]
    return dict(zip(("curve", "cursor", "dot", "limit"), ax.lines, strict=False))


def test_all_panels_show_what_was_recorded(runs: Any) -> None:
    lab = InsideLab(runs, (NETWORK, 0.05, 4))
    probe, history = runs[NETWORK, 0.05, 4]
    assert probe.step == [0, 1, 2, 5, 10, 15]
    expected = {
        "lr": [0.05 * min((step + 1) / 4, 1) for step in probe.step],
        "loss": [history.batch_loss[step] for step in probe.step],
        "sharpness": probe.sharpness,
        "gradient": probe.gradient_norm,
        "update": [size.norm for size in probe.update_size],
        "product": [lr * sharpness for lr, sharpness in zip(probe.lr, probe.sharpness, strict=True)],
    }
    assert PANELS.keys() == expected.keys()
    for name, values in expected.items():
        curve = drawn(lab, name)["curve"]
        assert list(curve.get_xdata()) == probe.step
        assert curve.get_ydata() == pytest.approx(values)
    assert drawn(lab, "sharpness")["limit"].get_ydata() == pytest.approx([2 / lr for lr in expected["lr"]])


def test_one_cursor_goes_through_all_panels(lab: InsideLab, runs: Any) -> None:
    move(lab, warmup_steps=0)
    probe, _ = runs[NETWORK, 0.05, 0]
    for step, at in ((0, 0), (2, 2), (3, 2), (4, 2), (5, 5), (9, 5), (15, 15)):
        move(lab, step=step)
        assert [list(drawn(lab, panel)["cursor"].get_xdata()) for panel in PANELS] == [[at, at]] * 6
        row = probe.step.index(at)
        assert drawn(lab, "sharpness")["dot"].get_ydata() == pytest.approx([probe.sharpness[row]])
        assert f"Step {at}: LR 0.05," in lab.status.value
        assert f"sharpness {probe.sharpness[row]:.3g}," in lab.status.value


def test_the_line_says_on_which_side_of_2_a_step_is(lab: InsideLab, runs: Any) -> None:
    move(lab, model=LINEAR, warmup_steps=0)
    assert "below 2. This run ended as" in lab.status.value
    move(lab, peak_lr=40.0)
    ended = len(runs[LINEAR, 40.0, 0][1].batch_loss) - 1
    assert "above 2" in lab.status.value
    assert f"This run diverged at step {ended}." in lab.status.value


def test_the_control_has_a_level_needle(runs: Any) -> None:
    lab = InsideLab(runs, (LINEAR, 0.05, 4))
    probe, _ = runs[LINEAR, 0.05, 4]
    inputs = torch.cat([probe.x, torch.ones(60, 1)], dim=1)
    exact = torch.linalg.eigvalsh(inputs.T @ inputs / 60)[-1].item()
    assert drawn(lab, "sharpness")["curve"].get_ydata() == pytest.approx([exact] * 6, rel=1e-3)


def test_it_bears_every_position(lab: InsideLab) -> None:
    draw = np.random.default_rng(0)
    ends = list(product(MODELS, RATES, RAMPS, (0, lab.controls["step"].max)))
    others = [(*ends[draw.integers(len(ends))][:3], int(draw.integers(16))) for _ in range(4)]
    for model, lr, ramp, step in ends + others:
        move(lab, model=model, peak_lr=lr, warmup_steps=ramp, step=step)
        assert lab.chosen == (model, lr, ramp)
        for line in (drawn(lab, panel)[part] for panel in PANELS for part in ("curve", "dot")):
            low, high = line.axes.get_ylim()
            assert np.isfinite(line.get_ydata()).all()
            assert ((low <= line.get_ydata()) & (line.get_ydata() <= high)).all()


def test_reset_brings_back_the_first_picture(drawn_once: tuple[InsideLab, bytes]) -> None:
    lab, first = drawn_once
    move(lab, model=LINEAR, peak_lr=40.0, warmup_steps=0, step=7)
    assert lab.picture.value != first
    lab.reset()
    assert lab.picture.value == first


def test_a_saved_page_shows_the_cursor_too(lab: InsideLab) -> None:
    move(lab, step=5)
    bundle, metadata = lab._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == bundle["text/plain"]
    assert bundle["text/plain"].startswith("A lab with controls for model, peak LR, warmup steps, step.")
    file = BytesIO()
    lab.picture.figure.savefig(file, dpi=72)
    saved, shown = pixels(file.getvalue()), pixels(lab.picture.value)
    assert saved.shape == shown.shape
    assert (saved != shown).any(axis=-1).mean() < 0.01


def test_it_knows_its_goal(runs: Any) -> None:
    lab = InsideLab(runs, (NETWORK, 0.05, 0), goal="Linear.", reached=lambda lab: lab.chosen[0] == LINEAR)
    assert "reached" not in lab.children[0].value
    move(lab, model=LINEAR)
    assert "✔ <strong>reached" in lab.children[0].value


@pytest.mark.parametrize(
    ("change", "chosen", "message"),
    [
        (lambda runs: runs.pop((LINEAR, 40.0, 4)), (NETWORK, 0.05, 0), "every combination.*linear.*40.0, 4"),
        (
            lambda runs: runs.update({(LINEAR, 40.0, 4): (Probe(squared_error, *[torch.zeros(1)] * 2), None)}),
            (NETWORK, 0.05, 0),
            "measurements",
        ),
        (lambda runs: None, (NETWORK, 0.1, 0), "chosen must be"),
        (dict.clear, (NETWORK, 0.05, 0), "runs must be a dict"),
    ],
)
def test_what_it_refuses(runs: Any, change: Any, chosen: Any, message: str) -> None:
    changed = dict(runs)
    change(changed)
    with pytest.raises(ValueError, match=message):
        InsideLab(changed, chosen)
