"""The labs that compute in the browser: their JavaScript against Python, and their Python side on its own."""

import base64
import json
import re
import subprocess
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import xarray as xr
from ipywidgets import widget_serialization

from warmup_course import Schedule
from warmup_course.authoring.normal_form import WIDGET_VIEW
from warmup_course.classroom import plots, store
from warmup_course.classroom.cards import Goal
from warmup_course.classroom.labs import QuadraticLab, ScheduleLab, StabilityLab, browser, quadratic
from warmup_course.classroom.labs import schedule as schedule_lab
from warmup_course.export import Library, to_code
from warmup_course.quadratic import arrival, descend, stability_limit, verdict
from warmup_course.shapes import DECAYS, WARMUPS


def in_node(lab, body, data):
    """Run the body of a JavaScript function of (lab, data), lab being the lab's module; what it returns."""
    driver = pytest.importorskip("playwright._impl._driver")
    node = Path(driver.compute_driver_executable()[0])
    if not node.exists():
        pytest.skip("playwright brings no node here")
    module = base64.b64encode(str(lab._esm).encode()).decode()
    script = f"""
        import {{ readFileSync }} from "node:fs";
        const lab = await import("data:text/javascript;base64,{module}");
        const run = (lab, data) => {{ {body} }};
        process.stdout.write(JSON.stringify(run(lab, JSON.parse(readFileSync(0, "utf-8")))));
    """
    command = [node, "--input-type=module", "-e", script]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def random_schedule(rng):
    total = int(rng.choice([1, 2, 5, 30, 200, 1000]))
    warmup = int(rng.integers(0, total + 1))
    return Schedule(
        total,
        warmup,
        warmup=str(rng.choice([*WARMUPS])),
        stable_steps=int(rng.integers(0, total - warmup + 1)),
        decay=str(rng.choice([*DECAYS])),
        start_factor=float(rng.choice([0.001, 0.01, 0.3, 1.0, rng.uniform(0.001, 1)])),
        end_factor=float(rng.choice([0.0, 0.1, 1.0, rng.uniform()])),
        count_from=int(rng.integers(0, 2)),
    )


def random_bowl(rng):
    """Arguments of descend, within the sliders' ranges."""
    weights = int(rng.integers(1, 3))
    return {
        "lr": float(10 ** rng.uniform(-3, 1)),
        "curvatures": (10 ** rng.uniform(-1, 2, weights)).tolist(),
        "momentum": float(rng.choice([0, 0.99, rng.uniform(0, 0.99)])),
        "start": rng.uniform(0.1, 2, weights).tolist(),
        "steps": int(rng.integers(1, 150)),
    }


@pytest.fixture(scope="module")
def runs():
    """Made-up runs; some break off, some reach beyond the picture."""
    rng = np.random.default_rng(0)
    loss = np.exp(rng.normal(0, 3, (3, 4, 5, 20))).astype(np.float32)
    for cell in np.ndindex(3, 4, 5):
        if rng.random() < 0.4:
            end = rng.integers(0, 20)
            loss[*cell, end:] = np.nan
            loss[*cell, end] = rng.choice([np.nan, np.inf])
    outcomes = rng.choice(["trained", "slow", "stalled", "diverged"], (3, 4, 5))
    return xr.Dataset(
        {"batch_loss": (("peak_lr", "warmup_steps", "seed", "step"), loss), "outcome": (LAB_DIMS, outcomes)},
        coords={"peak_lr": [1.0, 0.25, 0.5], "warmup_steps": [0, 32, 8, 100], "seed": range(5), "step": range(20)},
    )


LAB_DIMS = ("peak_lr", "warmup_steps", "seed")


# ---- JavaScript against Python ----


@pytest.fixture(params=[1, pytest.param(5, marks=pytest.mark.slow)], ids=["usual", "many"])
def times(request: pytest.FixtureRequest) -> int:
    """How many times as many random cases."""
    return request.param


def test_factors_are_those_of_schedule(times):
    rng = np.random.default_rng(1)
    schedules = [random_schedule(rng) for _ in range(600 * times)]
    steps = []
    for s in schedules:
        turns = {0, s.warmup_steps - 1, s.warmup_steps, s.warmup_steps + s.stable_steps, s.total_steps - 1}
        turns |= {s.total_steps, s.total_steps + 7, *rng.integers(0, s.total_steps, 5).tolist()}
        steps.append(sorted(turns - {-1}))
    body = "return data.map(([schedule, steps]) => steps.map((step) => lab.factor(schedule, step)))"
    factors = in_node(ScheduleLab, body, [(asdict(s), at) for s, at in zip(schedules, steps, strict=True)])
    for schedule, at, factor in zip(schedules, steps, factors, strict=True):
        # Near the foot of a cosine the digits cancel, so there the error is absolute.
        np.testing.assert_allclose(factor, schedule(at), rtol=1e-12, atol=1e-15, err_msg=str(schedule))


def test_cursors_budget_and_words(times):
    rng = np.random.default_rng(2)
    schedules = [random_schedule(rng) for _ in range(300 * times)]
    body = "return data.map((schedule) => [lab.numbers(schedule), lab.scheduleMessage(schedule)])"
    for schedule, (numbers, message) in zip(
        schedules, in_node(ScheduleLab, body, [asdict(s) for s in schedules]), strict=True
    ):
        factors = schedule(np.arange(schedule.total_steps))
        seam = schedule.warmup_steps + schedule.stable_steps
        assert (numbers["first"], numbers["last"]) == (0, schedule.total_steps - 1)
        assert numbers["peak"] == np.flatnonzero(factors >= factors.max() * (1 - 1e-12))[0]
        falls = schedule.decay != "constant" and schedule.end_factor < 1 and seam < schedule.total_steps
        assert numbers["seam"] == (seam if falls else None)
        assert numbers["budget"] == pytest.approx(factors.sum(), rel=1e-11)
        assert message == schedule_lab.schedule_message(schedule)


def test_what_a_control_leaves_behind_is_a_legal_schedule(times):
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(600 * times):
        schedule = random_schedule(rng)
        moved = str(rng.choice(["total_steps", "warmup_steps", "stable_steps", "warmup", "start_factor"]))
        value = {
            "total_steps": int(rng.integers(1, 2001)),
            "warmup_steps": int(rng.integers(0, schedule.total_steps + 1)),
            "stable_steps": int(rng.integers(0, schedule.total_steps + 1)),
            "warmup": str(rng.choice([*WARMUPS])),
            "start_factor": float(rng.choice([0, 0.5])),
        }[moved]
        settings = asdict(schedule)
        if moved == "warmup" and WARMUPS[schedule.warmup].from_zero:
            settings["start_factor"] = 0.0
        cases.append(({**settings, moved: value}, moved))
    notes = 0
    body = "return data.map(([settings, moved]) => lab.legalise(settings, moved))"
    for (asked, moved), (legal, note) in zip(cases, in_node(ScheduleLab, body, cases), strict=True):
        Schedule(**legal)
        needs_start = asked["start_factor"] == 0 and not WARMUPS[asked["warmup"]].from_zero
        assert bool(note) == needs_start
        assert legal["start_factor"] == (0.001 if needs_start else asked["start_factor"])
        if not needs_start:
            assert legal[moved] == asked[moved]
            if asked["warmup_steps"] + asked["stable_steps"] <= asked["total_steps"]:
                assert legal == asked
        notes += needs_start
    assert notes > 20


def test_paths_are_those_of_descend(times):
    rng = np.random.default_rng(4)
    bowls = [random_bowl(rng) for _ in range(400 * times)]
    body = """return data.map((bowl) => {
        const path = lab.descend(bowl);
        return [path, lab.arrival(path), lab.descentMessage(bowl)];
    })"""
    lab, finite_paths = QuadraticLab(), 0
    for bowl, (path, arrived, message) in zip(bowls, in_node(QuadraticLab, body, bowls), strict=True):
        expected, found = descend(**bowl), np.array(path, dtype=float)  # JSON has null where a number is not finite
        finite = np.isfinite(expected)
        assert np.array_equal(finite, np.isfinite(found))
        np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-9)
        assert arrived == arrival(expected)
        finite_paths += finite.all()
        lab.settings = bowl
        assert message == lab.message
    assert finite_paths > 200


def test_verdicts_follow_the_eigenvalues_of_the_update():
    rng = np.random.default_rng(5)
    cases, expected = [], []
    while len(cases) < 500:
        bowl = random_bowl(rng)
        lr, h, m, steps = bowl["lr"], bowl["curvatures"][0], bowl["momentum"], bowl["steps"]
        eigenvalues = np.linalg.eigvals([[1 - lr * h, -lr * m], [h, m]])
        largest = max(eigenvalues, key=abs)
        size = abs(largest)
        if (
            abs(size - 1) < 1e-6
            or abs(min(size, 1) ** steps - 0.01) < 1e-6
            or abs(eigenvalues[0] - eigenvalues[1]) < 1e-6
        ):
            continue  # too close to call
        cases.append((lr, h, m, steps))
        if size > 1:
            expected.append("diverges")
        elif abs(largest.imag) > 0:
            expected.append("settles, swinging to and fro")
        elif largest.real < 0:
            expected.append("settles, bouncing from wall to wall")
        else:
            expected.append("creeps" if size**steps > 0.01 else "settles without crossing")
    assert set(expected) > {"diverges", "creeps", "settles without crossing"}
    assert [verdict(*case) for case in cases] == expected
    assert in_node(QuadraticLab, "return data.map((bowl) => lab.verdict(...bowl))", cases) == expected


def test_the_limit_is_the_edge():
    cases, expected = [], []
    for curvature, momentum in [(1, 0), (10, 0), (2, 0.5), (1, 0.9), (50, 0.99)]:
        limit = stability_limit(curvature, momentum)
        cases += [(limit * share, curvature, momentum, 40) for share in (0.999, 1, 1.001)]
        below, at, above = words = [verdict(*case) for case in cases[-3:]]
        assert below.startswith("settles, ")
        assert (at, above) == ("stays at the edge", "diverges")
        expected += [[word, limit] for word in words]
    body = "return data.map((bowl) => [lab.verdict(...bowl), lab.stabilityLimit(bowl[1], bowl[2])])"
    assert in_node(QuadraticLab, body, cases) == expected


def test_a_map_and_its_losses_are_those_of_the_runs(runs):
    lab = StabilityLab(runs)
    body = """
        const losses = new Float32Array(Uint8Array.from(atob(data.losses), (c) => c.charCodeAt(0)).buffer);
        const runs = Array.from({ length: losses.length / data.steps }, (_, i) =>
            lab.drawnLosses(losses.subarray(i * data.steps, (i + 1) * data.steps), data.floor, data.ceiling));
        return { counts: data.outcomes.map((row) => row.map(lab.tally)), runs };
    """
    drawn = in_node(StabilityLab, body, {**lab.data, "losses": base64.b64encode(lab.losses).decode()})
    rates, ramps = [0.25, 0.5, 1.0], [0, 8, 32, 100]
    assert (lab.data["peak_lr"], lab.data["warmup_steps"]) == (rates, ramps)
    for i, lr in enumerate(rates):
        for j, warmup in enumerate(ramps):
            cell = runs.sel(peak_lr=lr, warmup_steps=warmup)
            counts = {name: int((cell.outcome == name).sum()) for name in plots.OUTCOME_LOOKS}
            assert drawn["counts"][i][j] == counts
            for seed in range(5):
                run = drawn["runs"][(i * len(ramps) + j) * 5 + seed]
                loss = cell.batch_loss.sel(seed=seed).to_numpy().astype(float)
                broken = np.flatnonzero(~np.isfinite(loss))
                assert run["diverged"] == bool(len(broken))
                shown = np.clip(np.nan_to_num(loss, nan=np.inf), plots.LOSS_FLOOR, plots.LOSS_CEILING)
                expected = shown[: broken[0] + 1 if len(broken) else None].tolist()
                assert run["shown"] == pytest.approx(expected, rel=2**-11)  # half precision


def test_sentences_of_the_map(runs):
    lab = StabilityLab(runs)
    cells = [(lr, warmup) for lr in (0.25, 0.5, 1.0) for warmup in (0, 8, 32, 100)]
    expected, cases = [], []
    for lr, warmup in cells:
        lab.settings = {"peak_lr": lr, "warmup_steps": warmup}
        bare = int((runs.outcome.sel(peak_lr=lr, warmup_steps=0) == "trained").sum())
        cases.append((lr, warmup, lab.trained, 5, bare))
        expected.append(lab.message)
    assert in_node(StabilityLab, "return data.map((cell) => lab.stabilityMessage(...cell))", cases) == expected


def test_numbers_read_the_same_in_both_languages():
    numbers = [0, 1, 0.1, 0.03126, 1e-4, 9.999e-5, 1e-5, 2.47e-6, 0.30000000000000004, 99.95, 123.4]
    assert in_node(ScheduleLab, "return data.map((number) => lab.short(number))", numbers) == [
        browser.short(number) for number in numbers
    ]


def test_ticks_are_round_and_inside():
    ends = [(0, 29), (0, 1), (0, 0.1), (-1.6, 1.6), (0, 99999), (-0.8, 40.8)]
    body = "return data.map((ends) => lab.ticks(...ends, 8))"
    for (low, high), found in zip(ends, in_node(ScheduleLab, body, ends), strict=True):
        assert 3 <= len(found) <= 17
        assert low <= found[0] < found[-1] <= high
        step = found[1] - found[0]
        np.testing.assert_allclose(np.diff(found), step, rtol=1e-9)
        assert f"{step:.0e}"[0] in "125"


PARSED = """
    return data.texts.map((text) => {
        try { return lab.parseSettings(text, data.like) } catch (error) { return error.message }
    });
"""


@pytest.mark.parametrize("name", ["schedule", "quadratic", "stability"])
def test_positions_are_read_from_lines(name, make):
    lab, states = make[name]()
    states = [*[*states][:20], {"ask": "Why?", **lab.settings}]
    lines = "\n".join(map(json.dumps, states))
    assert in_node(lab, PARSED, {"like": lab.settings, "texts": [lines, f"{lines}\n"]}) == [states, states]


def test_what_is_no_position_of_this_lab_is_refused():
    lab = ScheduleLab(Schedule(60, 5), 0.1)
    wrong = [{"peak_lr": "0.1"}, {"peak_lr": -5}, {"peak_lr": None}, {"warmup": 3}, {"total_steps": [30]}, {"ask": 3}]
    texts = [json.dumps(one) for one in (QuadraticLab().settings, *(lab.settings | one for one in wrong))]
    *refused, torn, empty = in_node(
        ScheduleLab, PARSED, {"like": lab.settings, "texts": [*texts, "null", "3", '"text"', "[]", "{", ""]}
    )
    assert refused == [f"no settings of this lab: {text}" for text in [*texts, "null", "3", '"text"', "[]"]]
    assert isinstance(torn, str)
    assert isinstance(empty, str)


# ---- The Python side ----


@pytest.mark.parametrize(("lr", "momentum"), [(0.1, 0.0), (0.05, 0.9), (0.25, 0.5)])
def test_descend_is_torch_sgd(lr, momentum):
    start, curvatures = [1.5, -0.5], torch.tensor([1.0, 10.0], dtype=torch.float64)
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer, path = torch.optim.SGD([weights], lr=lr, momentum=momentum), [start]
    for _ in range(40):
        optimizer.zero_grad()
        (0.5 * (curvatures * weights**2).sum()).backward()
        optimizer.step()
        path.append(weights.detach().clone().tolist())
    np.testing.assert_allclose(descend(lr, curvatures, momentum, start, 40), path, rtol=1e-12, atol=1e-14)


def schedule_lab_states(rng):
    ends = {
        "total_steps": (1, 60),
        "warmup_steps": (0, 30),
        "stable_steps": (0, 25),
        "warmup": WARMUPS,
        "decay": DECAYS,
        "start_factor": (0.0, 1.0),
        "end_factor": (0.0, 1.0),
        "count_from": (0, 1),
        "peak_lr": (1e-6, 100),
    }
    base = {**asdict(Schedule(60, 5, start_factor=0.01)), "peak_lr": 0.1, "compared": None}
    for name, values in ends.items():
        for value in values:
            room = {"warmup_steps": 0} if name == "total_steps" else {}
            yield {**base, **room, name: value}
    for i in range(60):
        one, two = ({**asdict(random_schedule(rng)), "peak_lr": 10 ** rng.uniform(-6, 2)} for _ in range(2))
        yield {**one, "compared": two if i % 2 else None}


def quadratic_lab_states(rng):
    for name, ends in quadratic.LIMITS.items():
        for end in ends:
            base = {"lr": 0.1, "momentum": 0.0, "curvatures": [1.0, 10.0], "start": [1.0, 1.0], "steps": 40}
            yield {**base, name: end if name in ("lr", "momentum") else [1.0, end]}
    yield from (random_bowl(rng) for _ in range(60))


def stability_lab_states():
    yield from ({"peak_lr": lr, "warmup_steps": w} for lr in (0.25, 0.5, 1.0) for w in (0, 8, 32, 100))


@pytest.fixture
def make(runs):
    """The name of a lab -> a lab and the states to put it into."""
    rng = np.random.default_rng(7)
    return {
        "schedule": lambda: (ScheduleLab(Schedule(60, 5), 0.1), schedule_lab_states(rng)),
        "quadratic": lambda: (QuadraticLab((1.0, 10.0)), quadratic_lab_states(rng)),
        "stability": lambda: (StabilityLab(runs), stability_lab_states()),
    }


@pytest.mark.parametrize("name", ["schedule", "quadratic", "stability"])
def test_every_control_everywhere(name, make):
    lab, states = make[name]()
    for i, state in enumerate(states):
        lab.set_state({"settings": state})  # as a message from the browser does
        assert lab.settings == state
        assert lab.describe().endswith(".")
        if i % 30 == 0:
            lab.snapshot().savefig(BytesIO(), format="png")
    lab.settings = lab.defaults
    assert lab.describe() == make[name]()[0].describe()


@pytest.mark.parametrize("name", ["schedule", "quadratic", "stability"])
def test_readers_without_widgets_get_a_picture_and_a_sentence(name, make):
    (one, _), (two, _) = make[name](), make[name]()
    data, metadata = one._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == one.describe()
    again, _ = two._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == again["text/plain"] == one.describe()
    assert data["image/png"] == again["image/png"]
    assert_they_stand_before_the_lab_until_its_style_loads(one, data)


def assert_they_stand_before_the_lab_until_its_style_loads(lab, data):
    box = widget_serialization["from_json"](f"IPY_MODEL_{data[WIDGET_VIEW]['model_id']}", None)
    still, shown = box.children
    assert shown is lab
    assert still.children[0].value == base64.b64decode(data["image/png"])
    assert "pip install anywidget" in still.children[1].value
    [hiding] = still.get_state()["_dom_classes"]
    assert f".{hiding} {{\n  display: none;" in lab._css
    assert f".{hiding} ~ :has(" in still.children[1].value


def test_schedule_lab_tells_what_it_shows():
    lab = ScheduleLab(Schedule(30, 5), 0.1, compare=Schedule(30), compare_peak_lr=0.3)
    assert (lab.schedule, lab.peak_lr, lab.compared) == (Schedule(30, 5), 0.1, (Schedule(30), 0.3))
    assert ScheduleLab(Schedule(30), 0.1, compare=Schedule(20)).compared == (Schedule(20), 0.1)
    assert ScheduleLab(Schedule(30), 0.1).compared is None


LIBRARIES = get_args(Library)


def test_the_open_panel_has_the_code_of_whatever_is_shown():
    lab = ScheduleLab(Schedule(60, 5), 0.1)
    lab.set_state({"code_open": True})  # as a message from the browser does
    for state in [lab.settings, *schedule_lab_states(np.random.default_rng(8))]:
        lab.set_state({"settings": state})
        schedule = Schedule(**{name: state[name] for name in asdict(Schedule(1))})
        written = {library: to_code(schedule, state["peak_lr"], library) for library in LIBRARIES}
        assert lab.code == {**written, "settings": state}


def test_a_closed_panel_computes_nothing(monkeypatch):
    calls = []
    monkeypatch.setattr(schedule_lab, "to_code", lambda *arguments: calls.append(arguments) or "code")
    lab = ScheduleLab(Schedule(60, 5), 0.1)
    lab.settings = {**lab.settings, "peak_lr": 0.2}
    assert (lab.code, calls) == ({}, [])
    lab.set_state({"code_open": True})
    assert calls == [(Schedule(60, 5), 0.2, library) for library in LIBRARIES]
    lab.set_state({"code_open": False})
    lab.settings = {**lab.settings, "peak_lr": 0.3}
    assert (lab.code, len(calls)) == ({}, 3)


def test_the_code_belongs_to_the_settings_when_both_have_crossed_to_the_browser():
    # The panel shows the code where these two texts agree, so they must, number by number.
    lab = ScheduleLab(Schedule(60, 5), 0.1, compare=Schedule(30))
    lab.code_open = True
    body = "return data.map(([code, settings]) => JSON.stringify(code.settings) === JSON.stringify(settings))"
    pairs = []
    for state in schedule_lab_states(np.random.default_rng(9)):
        lab.set_state({"settings": state})
        pairs.append((lab.get_state(["code"])["code"], state))
    assert in_node(ScheduleLab, body, pairs) == [True] * len(pairs)
    assert in_node(ScheduleLab, body, [(pairs[0][0], pairs[1][1])]) == [False]


def test_snapshots_draw_the_settings():
    lab = ScheduleLab(Schedule(30), 0.1, compare=Schedule(20, 5), compare_peak_lr=0.3)
    now, compared = lab.snapshot().axes[0].lines
    np.testing.assert_allclose(now.get_ydata(), 0.1 * Schedule(30)(np.arange(30)))
    np.testing.assert_allclose(compared.get_ydata(), 0.3 * Schedule(20, 5)(np.arange(20)))
    assert (now.get_color(), compared.get_color()) == (plots.WITHOUT_WARMUP, plots.WITH_WARMUP)
    bowl = QuadraticLab((1.0,), 0.5)
    bowl.settings = {**bowl.settings, "steps": 10}
    left, right = bowl.snapshot().axes
    assert len(right.lines[0].get_ydata()) == 11
    np.testing.assert_allclose(left.lines[1].get_xdata(), 0.5 ** np.arange(11))


def test_the_order_of_dimensions_does_not_matter(runs):
    lab, turned = StabilityLab(runs), StabilityLab(runs.transpose("step", "seed", "warmup_steps", "peak_lr"))
    assert (turned.data, turned.losses) == (lab.data, lab.losses)
    assert lab.chosen == turned.chosen == (0.5, 32)


def test_a_goal_once_reached_stays_so_and_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(Goal, "lesson", "01_learning_rate_basics")
    lab = QuadraticLab((1.0,), goal="There in one step", reached=lambda lab: lab.arrival == 1)
    assert (lab.goal, lab.goal_reached) == ("There in one step", False)
    lab.settings = {**lab.settings, "lr": 1.0}
    assert lab.goal_reached
    lab.set_state({"settings": lab.defaults})
    lab.settings = {**lab.settings, "lr": 1.0}
    assert lab.goal_reached
    kept = ("01_learning_rate_basics", "goal", "There in one step", "reached")
    assert [(event.lesson, event.kind, event.item, event.state) for event in store.events()] == [kept]
    again = QuadraticLab((1.0,), goal="There in one step", reached=lambda lab: lab.arrival == 1)
    monkeypatch.setattr(browser, "asked_by_a_person", lambda: True)
    again._repr_mimebundle_()
    assert again.goal_reached
    assert ScheduleLab(Schedule(30), 0.1, goal="No warmup", reached=lambda lab: True).goal_reached


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance of a colour such as #121212."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_presented_stands_out_from_its_paper(theme):
    style = ScheduleLab._css
    shades = dict(
        re.findall(r"--jp-([\w-]+): (#\w+);", style.partition(f"color-scheme: {theme};")[0].rpartition("{")[2])
    )
    shades = {
        name: colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
        for name, colour in shades.items()
    }
    lines = {"stroke": (plots.WITH_WARMUP, plots.WITHOUT_WARMUP), "fill": (plots.WITH_WARMUP, plots.WITHOUT_WARMUP)}
    if theme == "dark":
        lines = {
            kind: [re.search(rf"\.wc-dark \[{kind}='{c}'\] {{ {kind}: (#\w+); }}", style)[1] for c in lines[kind]]
            for kind in lines
        }

    def contrast(colour: str) -> float:
        low, high = sorted(luminance(one) for one in (colour, shades["layout-color0"]))
        return (high + 0.05) / (low + 0.05)

    assert contrast(shades["ui-font-color1"]) > 15
    assert contrast(shades["border-color1"]) > 7
    assert all(contrast(colour) > (3.8 if theme == "light" else 7) for kind in lines.values() for colour in kind)


def test_settings_that_cannot_be_shown_are_refused_later_too():
    lab = ScheduleLab(Schedule(30), 0.1)
    with pytest.raises(ValueError, match=r"warmup_steps \+ stable_steps"):
        lab.settings = {**lab.settings, "warmup_steps": 31}
    assert lab.schedule == Schedule(30)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("start", [1.0], "curvatures must be one or two numbers, and start as many"),
        ("start", [1.0, 0], r"start must be a finite number in \[0.1, 2.0\], got 0"),
        ("steps", 0, "steps must be a whole number from 1 to 1000, got 0"),
        ("steps", 1001, "steps must be a whole number from 1 to 1000, got 1001"),
    ],
)
def test_so_are_those_that_no_control_reaches(name: str, value: Any, told: str):
    lab = QuadraticLab((1.0, 2.0))
    with pytest.raises(ValueError, match=told):
        lab.settings = {**lab.settings, name: value}
