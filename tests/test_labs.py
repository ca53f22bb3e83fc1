"""The labs that draw in the kernel: moved as a browser moves them, through their controls."""

import threading
import time
from dataclasses import replace
from io import BytesIO
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from pretended_browser import pixels
from waiting import wait_for

from warmup_course import MLP, TrainConfig, sweep
from warmup_course.classroom import SliderLab, TrainingLab, begin, plots
from warmup_course.classroom.labs.training import summary_of
from warmup_course.classroom.picture import Picture

SHORT = TrainConfig(loss="squared_error", peak_lr=0.125, total_steps=40, device="cpu")


# ---- Picture --------------------------------------------------------------------------------------------------------


def test_moving_artists_are_drawn_as_matplotlib_draws_them() -> None:
    picture = Picture((4, 3))
    ax = picture.figure.add_subplot()
    line = ax.plot([0, 1], [0, 1], animated=True)[0]
    picture.show()
    without = pixels(picture.value)
    for end in (0.3, 0.8):
        line.set_ydata([0, end])
        picture.show_moving([line])
    whole = BytesIO()
    picture.figure.savefig(whole, dpi=picture.figure.dpi)
    assert (without != pixels(picture.value)).any()
    # matplotlib puts lines before the frame, the moving ones come last; nothing else may differ.
    assert (pixels(whole.getvalue()) != pixels(picture.value)).any(axis=-1).mean() < 0.002


# ---- SliderLab ------------------------------------------------------------------------------------------------------


def test_a_slider_lab_draws_once_at_the_start_and_then_on_each_move() -> None:
    drawn = []

    def draw(figure, lr: float, steps: int) -> None:
        drawn.append((lr, steps))
        figure.subplots().plot([0, lr])
        print(f"lr < {lr}")

    slider, box = widgets.FloatSlider(0.5, min=0, max=1, step=0.1), widgets.IntSlider(3)
    lab = SliderLab(draw, lr=slider, steps=box)
    assert drawn == [(0.5, 3)]
    first = bytes(lab.picture.value)
    assert first.startswith(b"\x89PNG")
    assert "lr &lt; 0.5" in lab.status.value
    slider.value = 0.7
    box.value = 4
    assert drawn[1:] == [(0.7, 3), (0.7, 4)]
    assert bytes(lab.picture.value) != first
    assert "lr &lt; 0.7" in lab.status.value
    lab.reset()
    assert drawn[-1] == (0.5, 3)
    assert bytes(lab.picture.value) == first
    assert not plt.get_fignums()


def test_a_checkbox_takes_no_room_from_a_slider() -> None:
    box = widgets.Checkbox(description="words that stand behind the box, and not in front of it")
    alone, beside = widgets.FloatSlider(description="learning rate"), widgets.FloatSlider(description="learning rate")
    SliderLab(lambda figure, lr: None, lr=alone)
    SliderLab(lambda figure, lr, box: None, lr=beside, box=box)
    assert beside.style.description_width == alone.style.description_width


def test_a_slider_lab_knows_its_goal() -> None:
    lab = SliderLab(
        lambda figure, x: figure.subplots().plot([x]),
        goal="Find 7.",
        reached=lambda lab: lab.values["x"] == 7,
        x=widgets.IntSlider(3),
    )
    line = lab.children[0]
    assert "Find 7." in line.value
    assert "reached" not in line.value
    lab.controls["x"].value = 7
    assert "✔ <strong>reached" in line.value
    lab.reset()
    assert "✔ <strong>reached" in line.value  # once is enough


def test_an_error_in_a_lab_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        SliderLab(lambda figure, x: figure.subplots().plot(1 / x), x=widgets.IntSlider(0))


@pytest.mark.parametrize("kind", ["slider", "training"])
def test_a_saved_page_shows_the_figure(kind: str) -> None:
    if kind == "slider":
        lab = SliderLab(lambda figure, x: figure.subplots().plot([0, x]), x=widgets.IntSlider(3))
    else:
        lab = TrainingLab(SHORT, seeds=range(1))
    bundle, metadata = lab._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == bundle["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"].startswith("A lab with controls for")
    assert pixels(lab.picture.value).std() > 1
    snapshot = BytesIO()
    lab.picture.figure.savefig(snapshot, dpi=72)
    assert pixels(snapshot.getvalue()).shape == pixels(lab.picture.value).shape


# ---- Present --------------------------------------------------------------------------------------------------------

SCREEN = {"width": 1850, "height": 700, "em": 26, "ratio": 1.5}  # as the browser tells of a full one


@pytest.mark.parametrize("kind", ["slider", "training"])
def test_a_presented_figure_is_drawn_for_its_place_and_then_as_before(kind: str) -> None:
    drawn = []

    def draw(figure, x: int) -> None:
        drawn.append(x)
        figure.subplots().plot([0, x], color=plots.WITH_WARMUP)

    if kind == "slider":
        lab = SliderLab(draw, x=widgets.IntSlider(3))
    else:
        lab = TrainingLab(SHORT, seeds=range(1), hidden_layers=1)
    before = bytes(lab.picture.value)
    lab.present.set_state({"room": SCREEN})  # as a message from the browser does
    shown = pixels(lab.picture.value)
    assert shown.shape == (1050, 2775, 3)
    figure = lab.picture.figure
    letters = [label.get_fontsize() * figure.dpi / 72 for ax in figure.axes for label in ax.get_xticklabels()]
    assert min(letters) >= 24 * 1.5
    for colour in (plots.WITH_WARMUP, plots.WITHOUT_WARMUP)[: 1 if kind == "slider" else 2]:  # what moves is there too
        line = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(shown - np.int16(line)).sum(axis=-1) < 30).sum() > 1000
    lab.present.set_state({"room": {}})
    assert pixels(lab.picture.value).shape == pixels(before).shape
    if kind == "slider":  # the other's axes were laid out when they were empty, and may be a pixel off
        assert bytes(lab.picture.value) == before
    assert drawn == [3] * (kind == "slider")  # an experiment is not repeated for a larger picture


def test_the_browser_knows_and_sets_where_the_controls_are() -> None:
    lab = SliderLab(
        lambda figure, **values: None,
        lr=widgets.SelectionSlider(options=[("1/3", 1 / 3), ("1/2", 1 / 2)], description="learning rate"),
        steps=widgets.IntSlider(3),
        box=widgets.Checkbox(),
    )
    assert lab.present.settings == lab.present.defaults == {"lr": 0, "steps": 3, "box": False}
    lab.controls["lr"].value = 1 / 2
    assert lab.present.settings == {"lr": 1, "steps": 3, "box": False}
    lab.present.set_state({"settings": {"lr": 0, "steps": 7, "box": True}})
    assert lab.values == {"lr": 1 / 3, "steps": 7, "box": True}
    lab.reset()
    assert lab.values == {"lr": 1 / 3, "steps": 3, "box": False}


# ---- TrainingLab ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pasted", [{"lr": 99, "steps": 4}, {"lr": -5, "steps": 4}, {"lr": 1, "steps": 99}])
def test_a_position_beyond_the_controls_is_taken_as_far_as_they_go(pasted: dict[str, int]) -> None:
    lab = SliderLab(
        lambda figure, lr, steps: None,
        lr=widgets.SelectionSlider(options=[0.1, 0.2], description="lr"),
        steps=widgets.IntSlider(3, 1, 9, description="steps"),
    )
    lab.present.set_state({"settings": pasted})
    assert lab.present.settings == lab.settings
    assert lab.settings in ({"lr": 0, "steps": 3}, {"lr": 1, "steps": 9})


def test_the_training_lab_shows_what_a_sweep_gives() -> None:
    begin("03_linear_warmup", device="cpu", seed=0)
    lab = TrainingLab(SHORT, warmup_steps=10, hidden_layers=1, seeds=[3, 4, 5])
    chosen: dict[str, Any] = {"loss": "cross_entropy", "peak_lr": 0.25, "batch_size": 32}
    config = replace(SHORT, model=lambda: MLP(hidden=[64]), **chosen)
    wanted = sweep(config, warmup_steps=[0, 5], seed=[3, 4])
    for name, value in {"warmup_steps": 5, **chosen}.items():
        lab.controls[name].value = value
    lab.controls["n_seeds"].value = 2
    lab.wait()
    np.testing.assert_allclose(lab.runs.batch_loss, wanted.batch_loss, rtol=1e-5)
    assert summary_of(lab.runs) in lab.status.value.replace("</p>", "").replace("\n", " ")
    trained = (wanted.outcome == "trained").sum("seed").values
    assert headlines(lab) == [f"{count} of 2 train" for count in trained]


def test_the_training_lab_shows_every_epoch() -> None:
    begin("03_linear_warmup", device="cpu", seed=0)
    lab = TrainingLab(replace(SHORT, evaluate="end"), hidden_layers=1, seeds=[3])
    assert lab.runs.epoch.values.tolist() == [1, 2]


def test_the_first_run_needs_no_thread_and_the_last_position_wins() -> None:
    before = threading.active_count()
    lab = TrainingLab(SHORT, hidden_layers=1, seeds=range(4))
    assert threading.active_count() == before
    for exponent in np.arange(-10, 2.5, 0.5):
        lab.controls["peak_lr"].value = 2.0**exponent
    assert threading.active_count() <= before + 1
    lab.wait()
    assert threading.active_count() == before
    alone = TrainingLab(SHORT, hidden_layers=1, seeds=range(4))
    alone.controls["peak_lr"].value = 4.0
    alone.wait()
    np.testing.assert_array_equal(lab.runs.batch_loss, alone.runs.batch_loss)
    np.testing.assert_array_equal(lab.picture.value, alone.picture.value)


def headlines(lab: TrainingLab) -> list[str]:
    """What stands above the panels on each arm."""
    return [text.get_text().split(": ")[1] for text in lab.picture.figure.texts]


def part(lab: widgets.Box, kind: type[widgets.Widget], description: str = "") -> widgets.Widget:
    """The one widget of that kind in a lab's rows."""
    in_rows = [widget for row in lab.children for widget in getattr(row, "children", ())]
    [found] = [w for w in in_rows if isinstance(w, kind) and w.description == description]
    return found


def sweep_for_ever(config: TrainConfig, *, progress, **_: object) -> None:
    for _ in progress(range(10**9)):
        time.sleep(0.001)


def test_a_newer_position_ends_the_run_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = TrainingLab(SHORT, seeds=range(1), hidden_layers=1)
    with monkeypatch.context() as patch:
        patch.setattr("warmup_course.classroom.labs.training.sweep", sweep_for_ever)
        lab.controls["hidden_layers"].value = 2
        time.sleep(0.2)
        assert "TrainingLab" in {thread.name for thread in threading.enumerate()}
    lab.controls["hidden_layers"].value = 0
    lab.wait()
    assert lab.runs.step.size == 40


def test_the_learning_rate_follows_the_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = TrainingLab(SHORT, seeds=range(1), hidden_layers=1)
    monkeypatch.setattr(lab, "on_move", lambda: None)  # nothing is trained: it is about the controls
    at_first = lab.values
    lab.controls["optimizer"].value = "Adam"
    assert lab.values["peak_lr"] == pytest.approx(at_first["peak_lr"] / 8)
    lab.controls["optimizer"].value = "SGD"
    assert lab.values == at_first
    lab.controls["optimizer"].value = "Adam"
    with_adam = lab.settings
    lab.reset()
    assert lab.values == at_first
    lab.present.set_state({"settings": with_adam})  # as a message from the browser does
    assert lab.settings == with_adam
    lab.reset()
    lab.wait()
    assert lab.values == at_first


def test_a_long_run_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmup_course.classroom.labs.training.PARTIAL_EVERY", 0.02)
    lab = TrainingLab(SHORT, seeds=range(1), hidden_layers=1)
    monkeypatch.setattr("warmup_course.classroom.labs.training.sweep", sweep_for_ever)
    stop = part(lab, widgets.Button, "Stop")
    stop.click()  # it ends no run but the one under way
    lab.controls["hidden_layers"].value = 2
    wait_for(lambda: "Training." in lab.status.value)
    stop.click()
    lab.wait()
    assert "Stopped in step" in lab.status.value
    assert headlines(lab) == ["stopped", "stopped"]
    lab.controls["hidden_layers"].value = 1
    wait_for(lambda: "Training." in lab.status.value)  # it says no longer that the last one was stopped
    stop.click()
    lab.wait()


def test_a_longer_run_shows_what_it_has_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = TrainingLab(SHORT, seeds=range(1), hidden_layers=1)
    drawn, said = [], []

    def keep(_: object) -> None:
        figure = lab.picture.figure
        drawn.append(len(figure.axes[0].collections[1].get_segments()[0]))
        said.append(any("training ..." in text.get_text() for text in figure.findobj(Text)))

    lab.picture.observe(keep, "value")
    monkeypatch.setattr("warmup_course.classroom.labs.training.PARTIAL_EVERY", 0)
    lab.controls["hidden_layers"].value = 2
    lab.wait()
    # The schedules, before the old runs; then after the first epoch; after the last, cut one; the result.
    assert drawn == [40, 23, 40, 40]
    assert said == [True, True, True, False]
    assert part(lab, widgets.IntProgress).value == 0


def test_a_failing_run_says_so_and_the_lab_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = TrainingLab(SHORT, seeds=range(1), hidden_layers=1)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("warmup_course.classroom.labs.training.sweep", fail)
        lab.controls["hidden_layers"].value = 2
        lab.wait()
    assert "out of memory" in lab.status.value
    lab.controls["hidden_layers"].value = 1
    lab.wait()
    assert "seeds each" in lab.status.value


def ends(control: widgets.Widget) -> list:
    if hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return [values[0], values[-1]]
    if isinstance(control, widgets.FloatLogSlider):
        return [control.base**control.min, control.base**control.max]
    return [control.min, control.max]


def test_every_control_at_both_ends_and_at_random_settings() -> None:
    lab = TrainingLab(TrainConfig(total_steps=6, device="cpu"), warmup_steps=2, seeds=range(3))
    rng = np.random.default_rng(0)
    values = {name: [*ends(control), control.value] for name, control in lab.controls.items()}
    settings = [{name: values[name][end] for name in values} for end in (0, 1)]
    settings += [{name: values[name][rng.integers(3)] for name in values} for _ in range(10)]
    for setting in settings:
        lab.reset()
        for name, value in setting.items():
            lab.controls[name].value = value
        lab.wait()
        assert "seeds each" in lab.status.value, setting
        assert lab.runs.seed.size == lab.controls["n_seeds"].value
