"""The questions of the lessons: their form, and each key against a computation or against what its lesson claims."""

import copy
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, pairwise, product
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from warmup_course import MLP, Schedule, TrainConfig, data, sweep, train
from warmup_course.classroom.lesson import Lesson
from warmup_course.training import outcome

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "warmup_course" / "classroom" / "quizzes"
QUIZZES = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("[0-9][0-9]_*.yaml"))}
QUESTIONS = [(lesson, question) for lesson, quiz in QUIZZES.items() for question in quiz["questions"]]
BY_ID = {question["id"]: question for _, question in QUESTIONS}
CHECK = jsonschema.Draft202012Validator(yaml.safe_load((FOLDER / "schema.yaml").read_text("utf-8")))

each_lesson = pytest.mark.parametrize("lesson", QUIZZES)
each_question = pytest.mark.parametrize("question", [pytest.param(q, id=q["id"]) for _, q in QUESTIONS])


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [question for _, question in QUESTIONS if question["kind"] == kind]


def each_of_kind(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("question", [pytest.param(q, id=q["id"]) for q in of_kind(kind)])


def place_of_right(question: dict[str, Any]) -> int:
    return [bool(choice.get("right")) for choice in question["choices"]].index(True)


def first_cell(lesson: str) -> str:
    notebook = json.loads((ROOT / "notebooks" / f"{lesson}.ipynb").read_text("utf-8"))
    return "".join(notebook["cells"][0]["source"])


# ---- form ------------------------------------------------------------------------------------------------------------


def test_there_are_quizzes():
    assert list(QUIZZES)[:4] == [
        "00_start_here",
        "01_learning_rate_basics",
        "02_high_lr_instability",
        "03_linear_warmup",
    ]


@each_lesson
def test_a_quiz_follows_the_schema(lesson: str):
    CHECK.check_schema(CHECK.schema)
    CHECK.validate(QUIZZES[lesson])


def spoilt(kind: str, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A good quiz in which the first question of one kind was changed."""
    quiz = next(q for q in QUIZZES.values() if any(question["kind"] == kind for question in q["questions"]))
    quiz = copy.deepcopy(quiz)
    change(next(question for question in quiz["questions"] if question["kind"] == kind))
    return quiz


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("single", lambda q: q.update(hint="none")),
        ("single", lambda q: q.update(kind="multiple")),
        ("single", lambda q: q.pop("kind")),
        ("single", lambda q: q.pop("id")),
        ("single", lambda q: q.update(id="Not kebab")),
        ("single", lambda q: q.update(ask=" ")),
        ("single", lambda q: q["choices"].__delitem__(slice(2, None))),
        ("single", lambda q: [choice.update(right=True) for choice in q["choices"]]),
        ("single", lambda q: q["choices"][place_of_right(q)].pop("right")),
        ("single", lambda q: q["choices"][0].update(right=False)),
        ("single", lambda q: q["choices"][0].pop("why")),
        ("several", lambda q: [choice.pop("right", None) for choice in q["choices"]]),
        ("number", lambda q: q.update(choices=[])),
        ("number", lambda q: q.update(answer="0.1")),
        ("number", lambda q: q.update(tolerance=0)),
        ("number", lambda q: q.update(mistakes=[])),
        ("number", lambda q: q["mistakes"][0].pop("why")),
        ("number", lambda q: q.pop("otherwise")),
        ("order", lambda q: q["steps"].__delitem__(slice(2, None))),
        ("order", lambda q: q["steps"].append(q["steps"][0])),
        ("order", lambda q: q.pop("because")),
    ],
)
def test_the_schema_refuses_what_breaks_the_format(kind: str, change: Callable[[dict[str, Any]], Any]):
    assert not CHECK.is_valid(spoilt(kind, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda quiz: quiz.update(author="me"),
        lambda quiz: quiz.pop("title"),
        lambda quiz: quiz.update(minutes=0),
        lambda quiz: quiz["questions"].__delitem__(slice(4, None)),
    ],
)
def test_the_schema_refuses_a_quiz_with_a_bad_head(change: Callable[[dict[str, Any]], Any]):
    quiz = copy.deepcopy(QUIZZES["00_start_here"])
    change(quiz)
    assert not CHECK.is_valid(quiz)


@each_lesson
def test_title_and_minutes_are_those_of_the_notebook(lesson: str):
    header = first_cell(lesson)
    title = re.match(rf"# {lesson[:2]} · (.+)\n", header)
    minutes = re.search(r"\*About (\d+) minutes", header)
    assert title is not None
    assert minutes is not None
    assert (title[1], int(minutes[1])) == (QUIZZES[lesson]["title"], QUIZZES[lesson]["minutes"])


def test_ids_are_unique_in_the_course():
    assert Counter(question["id"] for _, question in QUESTIONS).most_common(1)[0][1] == 1


@each_question
def test_no_text_stands_twice_in_a_question(question: dict[str, Any]):
    parts = question.get("choices") or question.get("steps") or question["mistakes"]
    for field in parts[0].keys() - {"right", "value"}:
        texts = [part[field] for part in parts]
        assert len(set(texts)) == len(texts)


@each_of_kind("number")
def test_mistakes_can_be_told_apart(question: dict[str, Any]):
    values = sorted([question["answer"], *(mistake["value"] for mistake in question["mistakes"])])
    assert min(np.diff(values)) > question["tolerance"]


def test_the_kinds_are_mixed():
    counts = Counter(question["kind"] for _, question in QUESTIONS)
    assert counts.keys() == {"single", "several", "number", "order"}
    assert counts["single"] <= 2 / 3 * len(QUESTIONS)


@each_of_kind("single")
def test_the_right_choice_is_not_the_longest(question: dict[str, Any]):
    lengths = [len(choice["text"]) for choice in question["choices"]]
    assert lengths[place_of_right(question)] < max(lengths)


def test_the_right_choice_moves_about():
    for lesson in QUIZZES:
        places = [place_of_right(q) for of, q in QUESTIONS if of == lesson and q["kind"] == "single"]
        assert len(set(places)) > 1 or len(places) < 2, lesson
    common = Counter(place_of_right(question) for question in of_kind("single")).most_common(1)[0][1]
    assert common <= len(of_kind("single")) / 2


@each_of_kind("several")
def test_ticking_everything_is_wrong(question: dict[str, Any]):
    assert not all(choice.get("right") for choice in question["choices"])


# ---- what the keys are computed from ---------------------------------------------------------------------------------

DEEP = TrainConfig(model=lambda: MLP(hidden=[64] * 4), loss="squared_error", device="cpu")  # the demo's network
TABLE = TrainConfig(
    data="tabular", model=lambda: MLP(10, 2, hidden=[50], init="torch"), batch_size=32, total_steps=125, device="cpu"
)  # the network of lesson 01, five epochs


def steps_to_arrive(factor: float) -> float:
    """How many steps bring a weight from 1 to within 0.01 of 0, if each multiplies it by ``factor``."""
    size = abs(factor)
    if size >= 1:
        return math.inf
    return 1 if size < 0.01 else math.ceil(math.log(0.01) / math.log(size))


def steps_to_explode(lr: float, ramp: int) -> float:
    """When full-batch descent of a linear model on the digits is a thousand times further out than at its start.

    The loss is the squared error. The LR climbs over the first ``ramp`` steps.
    """
    digits = data.digits()
    x = np.c_[digits.x_train.double(), np.ones(len(digits.x_train))]
    hessian = x.T @ x / len(x)
    assert 0.265 < 2 / np.linalg.eigvalsh(hessian)[-1] < 0.275  # the limit that the question states
    pull = x.T @ np.eye(10)[digits.y_train] / len(x)
    w = np.ones_like(pull)
    for step in range(2000):
        w = w - lr * min((step + 1) / max(ramp, 1), 1) * (hessian @ w - pull)
        if np.abs(w).max() > 1000:
            return step
    return math.inf


def linear_sharpness(x: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> float:
    """The largest eigenvalue of the Hessian of a linear model's squared error, by automatic differentiation."""
    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).double()

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return 0.5 * (x @ flat.view(x.shape[1], -1) - F.one_hot(labels)).square().sum(dim=1).mean()

    hessian = torch.autograd.functional.hessian(loss, weights.flatten())
    return torch.linalg.eigvalsh(hessian)[-1].item()


def sharpness(model: torch.nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """The largest eigenvalue of the Hessian of a model's squared error, by power iteration."""
    weights = list(model.parameters())
    loss = 0.5 * (model(x) - F.one_hot(labels, 10)).square().sum(dim=1).mean()
    gradient = torch.nn.utils.parameters_to_vector(torch.autograd.grad(loss, weights, create_graph=True))
    direction = gradient.detach()
    for _ in range(10):
        direction = direction / direction.norm()
        direction = torch.nn.utils.parameters_to_vector(
            torch.autograd.grad(gradient, weights, grad_outputs=direction, retain_graph=True)
        )
    return direction.norm().item()


# ---- number: the answer, then the mistakes as they are listed --------------------------------------------------------


def networks_in_this_lesson() -> list[float]:
    rates, arms, seeds = range(6), range(2), range(10)
    demo = len(list(product(rates, arms, seeds)))
    one_arm = len(list(product(rates, seeds)))
    return [1 + demo + 30, 1 + one_arm + 30, 1 + demo, demo + 30, 1 + demo + 30 + demo, demo]


def eighth_step_of_a_ramp() -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 32, total_iters=31)
    lrs = [0.5 / 32]
    for _ in range(31):
        optimizer.step()
        scheduler.step()
        lrs.append(optimizer.param_groups[0]["lr"])
    from_zero = [0.5 * step / 32 for step in range(32)]
    return [lrs[7], lrs[7] / 0.5, from_zero[7], lrs[8], lrs[0]]


def limit_of_three_weights() -> list[float]:
    curvatures = [0.5, 4.0, 20.0]

    def arrive(lr: float) -> bool:
        return all(steps_to_arrive(1 - lr * h) < math.inf for h in curvatures)

    low, high = 0.001, 10.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (middle, high) if arrive(middle) else (low, middle)
    return [low, 2 / curvatures[0], 1 / max(curvatures), 2 / np.mean(curvatures), 2 / sum(curvatures), 20 / 2]


def epochs_for_the_same_loss() -> list[float]:
    goal = train(replace(TABLE, peak_lr=0.01, total_steps=4 * 25)).train_loss[-1]
    losses = train(replace(TABLE, peak_lr=0.002, total_steps=22 * 25)).train_loss
    return [1 + int(np.argmin(np.abs(np.array(losses) - goal))), 40 * 2, 4 * 2, 40 / 2 / 2]


def guessing_among_four() -> list[float]:
    price = F.cross_entropy(torch.zeros(1, 4), torch.tensor([1])).item()
    return [price, math.log(2), 1 / 4, 3 / 4, 4 * math.log(2)]


def guessing_among_five() -> list[float]:
    def cost(classes: int) -> float:
        errors = torch.full((classes,), 1 / classes) - F.one_hot(torch.tensor(0), classes)
        return errors.square().sum().item() / 2

    return [cost(5), 2 * cost(5), 0.5 * (1 - 1 / 5) ** 2, cost(5) / 5, cost(10), math.log(5)]


def lr_at_step_499() -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 1000, total_iters=999)
    for _ in range(499):
        optimizer.step()
        scheduler.step()
    lr = optimizer.param_groups[0]["lr"]
    return [lr, 0.1 * 499 / 1000, lr / 0.1, 0.1, 0.1 * (0 + 1) / 1000]


def lr_of_batch_60() -> list[float]:
    per_epoch = [0.01 * min((epoch + 1) / 5, 1) for epoch in range(10) for _ in range(25)]
    per_batch = [0.01 * min((step + 1) / 125, 1) for step in range(250)]
    stair = 0.01 / 5
    return [per_epoch[60], per_batch[60], per_epoch[60] - stair, per_epoch[60] + stair, per_epoch[-1]]


NUMBERS: dict[str, Callable[[], list[float]]] = {
    "networks-in-this-lesson": networks_in_this_lesson,
    "eighth-step-of-a-ramp": eighth_step_of_a_ramp,
    "limit-of-three-weights": limit_of_three_weights,
    "epochs-for-the-same-loss": epochs_for_the_same_loss,
    "guessing-among-four": guessing_among_four,
    "guessing-among-five": guessing_among_five,
    "lr-at-step-499": lr_at_step_499,
    "lr-of-batch-60": lr_of_batch_60,
}


# ---- single and several: whether each choice holds, in their order ---------------------------------------------------

Choices = list[dict[str, Any]]


def what_a_new_seed_changes(_: Choices) -> list[bool]:
    lessons = [Lesson("00_start_here", "cpu", seed=seed, standard=True) for seed in (0, 1)]
    seeds = [lesson.seeds(10) for lesson in lessons]
    weights = [next(replace(DEEP, seed=s[0]).make_model().parameters()) for s in seeds]
    digits = [replace(DEEP, seed=s[0]).load_data() for s in seeds]
    batches = [next(iter(rows.train_loader(64, s[0])))[0] for rows, s in zip(digits, seeds, strict=True)]
    return [
        not torch.equal(*weights),
        len(seeds[0]) != len(seeds[1]),
        not torch.equal(*batches),
        not torch.equal(digits[0].x_valid, digits[1].x_valid),
    ]


def shared_by_both_arms(_: Choices) -> list[bool]:
    arms = [replace(DEEP, peak_lr=0.03125, seed=3, warmup_steps=steps) for steps in (0, 32)]
    weights = [torch.nn.utils.parameters_to_vector(arm.make_model().parameters()) for arm in arms]
    bare, ramp = (train(arm).lr for arm in arms)
    return [
        torch.equal(*weights),
        math.isclose(bare[4], ramp[4]),
        math.isclose(bare[149], ramp[149]),
        math.isclose(np.mean(bare), np.mean(ramp)),
        len(bare) == len(ramp),
    ]


def eighty_five_percent(choices: Choices) -> list[bool]:
    return [choice["text"] == outcome(True, 0.85, chance=1 / 10, trained_above=0.9) for choice in choices]


def both_lines_at_the_bottom(_: Choices) -> list[bool]:
    runs = sweep(replace(DEEP, peak_lr=0.03125), warmup_steps=[0, 32], seed=[0, 1, 2], progress=iter)
    trained = (runs.outcome == "trained").sum("seed")
    falling = bool((runs.train_loss.diff("epoch").isel(epoch=slice(-2, None)) < 0).all())
    return [
        bool(trained.sel(warmup_steps=32) < trained.sel(warmup_steps=0)),
        not falling,
        bool((runs.outcome == "diverged").any()),
        falling and bool((trained == 0).all()),
    ]


def rates_that_arrive(choices: Choices) -> list[bool]:
    return [steps_to_arrive(1 - 8 * float(choice["text"])) <= 100 for choice in choices]


def barely_below_ln_2(_: Choices) -> list[bool]:
    creeping = replace(TABLE, peak_lr=0.0003)
    tries = [
        replace(creeping, model=lambda: MLP(10, 2, hidden=[200], init="torch")),
        replace(creeping, peak_lr=0.003),
        replace(creeping, peak_lr=0.00003),
        replace(creeping, seed=1),
    ]
    losses = [train(attempt).train_loss for attempt in tries]
    gains = [loss[0] - loss[-1] for loss in losses]
    return [gain > 2 * sorted(gains)[-2] for gain in gains]  # one stands out


def which_are_catapults(choices: Choices) -> list[bool]:
    runs = [[float(number) for number in re.findall(r"\d+(?:\.\d+)?", choice["text"])] for choice in choices]
    return [highest > 2 * first and step < 20 and last < first / 4 for first, highest, step, last in runs]


def what_moves_the_limit(_: Choices) -> list[bool]:
    rows = data.tabular()
    x, y, zeros = rows.x_train, rows.y_train, torch.zeros(11, 2, dtype=torch.float64)
    as_it_is = linear_sharpness(x, y, zeros)

    def moved(x: torch.Tensor = x, y: torch.Tensor = y, weights: torch.Tensor = zeros) -> bool:
        return abs(linear_sharpness(x, y, weights) / as_it_is - 1) > 0.01

    ramp_moves_it = steps_to_explode(0.28, ramp=50) == math.inf
    batches = [moved(xb, yb) for xb, yb in islice(rows.train_loader(64, seed=0), 5)]
    return [moved(weights=zeros + 3), moved(x=2 * x), moved(y=y.flip(0)), ramp_moves_it, all(batches)]


def ramp_above_the_limit(_: Choices) -> list[bool]:
    at_once, *ramped = [steps_to_explode(0.28, ramp) for ramp in (0, 50, 500)]
    trains = max(ramped) == math.inf
    return [trains, trains, at_once < min(ramped) <= max(ramped) < math.inf, min(ramped) < at_once]


def which_climb_linearly(choices: Choices) -> list[bool]:
    def linear(text: str) -> bool:
        code = compile(text.strip("`").removeprefix("lr = "), "choice", "eval")
        lrs = [eval(code, {"min": min, "step": step}) for step in range(5000)]
        climbs = np.diff(lrs[:1000])
        level = np.allclose(lrs[1000:], 0.1)
        return bool(level and climbs.min() > 0 and np.allclose(climbs, climbs[0]))

    return [linear(choice["text"]) for choice in choices]


def reading_the_map(_: Choices) -> list[bool]:
    lines = BY_ID["reading-the-map"]["ask"].split("```")[1].strip().splitlines()
    ramps = [int(word) for word in lines[0].split()]
    trained = {float(line.split()[0]): [int(word) for word in line.split()[1:]] for line in lines[1:]}
    enough = {
        lr: min((w for w, n in zip(ramps, row, strict=True) if n >= 7), default=None) for lr, row in trained.items()
    }
    peaks = [lr for lr in sorted(enough) if enough[lr] is not None]
    return [
        all((np.diff(row) >= 0).all() for row in trained.values()),
        all(max(row) >= 7 for row in trained.values()),
        all(abs(row[1] - row[3]) <= 3 for row in trained.values()),
        enough[peaks[-1]] > max(enough[lr] for lr in peaks[:-1]),
    ]


CHOICES: dict[str, Callable[[Choices], list[bool]]] = {
    "what-a-new-seed-changes": what_a_new_seed_changes,
    "shared-by-both-arms": shared_by_both_arms,
    "eighty-five-percent": eighty_five_percent,
    "both-lines-at-the-bottom": both_lines_at_the_bottom,
    "rates-that-arrive": rates_that_arrive,
    "barely-below-ln-2": barely_below_ln_2,
    "which-are-catapults": which_are_catapults,
    "what-moves-the-limit": what_moves_the_limit,
    "ramp-above-the-limit": ramp_above_the_limit,
    "which-climb-linearly": which_climb_linearly,
    "reading-the-map": reading_the_map,
}


# ---- order: what the steps are sorted by -----------------------------------------------------------------------------


def steps_by_learning_rate(texts: Sequence[str]) -> list[float]:
    def lr(text: str) -> float:
        match = re.fullmatch(r"Step (\d+) (with|without) warmup, peak ([\d.]+)", text)
        assert match is not None
        warmup_steps = 32 if match[2] == "with" else 0
        return float(match[3]) * Schedule(200, warmup_steps, decay="constant")(int(match[1]) - 1)

    return [lr(text) for text in texts]


def first_to_arrive(texts: Sequence[str]) -> list[float]:
    return [steps_to_arrive(1 - 2 * float(text.removeprefix("LR "))) for text in texts]


def course_of_a_catapult(_: Sequence[str]) -> list[float]:
    """The step at which each thing happens, in the median of four networks."""
    lr, config = 0.125, TrainConfig(model=lambda: MLP(hidden=[64, 64]), device="cpu")
    digits, times = config.load_data(), []
    for seed in range(4):
        model, losses, sharp = replace(config, seed=seed).make_model(), [], []
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for x, y in islice(digits.train_loader(64, seed), 10):
            sharp.append(sharpness(model, digits.x_train[:500], digits.y_train[:500]))
            loss = 0.5 * (model(x) - F.one_hot(y, 10)).square().sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        too_sharp, high = np.array(sharp) > 2 / lr, np.array(losses) > losses[0] / 10
        times.append([too_sharp.argmax(), np.argmax(losses), (~too_sharp).argmax(), np.flatnonzero(high)[-1] + 1])
        assert max(losses) > 2 * losses[0]
    return [float(time) for time in np.median(times, axis=0)]


def two_conventions_by_learning_rate(texts: Sequence[str]) -> list[float]:
    def lr(text: str) -> float:
        step = int(re.findall(r"\d+", text)[0])
        factors = {"`step / W`": step / 5, "`(step + 1) / W`": (step + 1) / 5}
        meant = [factor for code, factor in factors.items() if code in text] or list(factors.values())
        lrs = {0.1 * min(factor, 1) for factor in meant}
        assert len(lrs) == 1
        return lrs.pop()

    return [lr(text) for text in texts]


ORDERS: dict[str, Callable[[Sequence[str]], list[float]]] = {
    "steps-by-learning-rate": steps_by_learning_rate,
    "first-to-arrive": first_to_arrive,
    "course-of-a-catapult": course_of_a_catapult,
    "two-conventions-by-learning-rate": two_conventions_by_learning_rate,
}


# ---- keys that rest on a claim which the lesson checks whenever it runs ----------------------------------------------

CLAIMED: dict[str, list[str]] = {
    "validation-turns": [
        "LR 1, epoch 5 to 40: the training loss halves, 9 seeds in 10",
        "its validation loss ends 0.02 above its lowest, every seed",
    ],
    "two-loss-tables": [
        "LR 3: some seed jumps above 1.0, none at the good LR does",
        "LR 3: at least 8 seeds in 10 train above 90 %",
        "LR 10: every seed passes 1000 within 15 steps",
        "too high: no seed ever comes back",
        "LR 1.1: the loss rises in every epoch, for 9 seeds in 10",
    ],
    "reading-a-range-test": [
        "every range test blows up between LR 3 and 30",
        "its pick trains every seed below 0.25 in five epochs",
        "at LR 0.001 the loss falls in each of the forty epochs",
    ],
    "fast-then-bouncing": [
        "LR 1: the training loss falls to a third within three epochs, in 7 of 10 seeds",
        "LR 0.1, and LR 1 lowered: by less than 0.15",
    ],
    "sharpness-of-fifty": [
        "LR 0.125 is over twice 2 / sharpness for every fresh network",
        "LR 0.125: in at least 7 of 10 seeds the loss first more than doubles",
        "yet at least 9 of 10 end below a quarter of the loss they began with",
        "a single batch can be twice as sharp as the full data",
    ],
    "flat-at-045": [
        "every stalled run ends within 10 % of the loss of guessing",
        "five times the steps do not wake it",
        "stalled: hardly a unit of the second layer is on; trained: half of them or more",
    ],
    "one-run-at-each-rate": ["hidden layers: some LR loses between a tenth and nine tenths of the seeds"],
    "why-a-gentle-start-works": [
        "all five are at least four times flatter than at the start",
        "LR 0.28 after a 50-step ramp: the loss explodes all the same, within 600 steps",
        "LR 0.03125 throughout: at most 2 of 10 train in these 200 steps",
    ],
    "warmup-is-a-myth": [
        "warmup wins nothing: median accuracy not 1 point better",
        "LR 0.25, no warmup: at most 1 of 10 train",
        "LR 0.25, 32 or 100 steps: at least 9 of 10",
    ],
    "what-was-measured-about-warmup": [
        "with (step + 1) / W it runs at a fifth of the peak",
        "its training loss is behind on at least 8 of 10 seeds",
        "LR 0.031, no warmup, 200 steps: at most 1 of 10",
        "the same with 1000 steps: at least 9 of 10",
        "LR 0.25, 32 warmup steps, 200 steps: at least 9 of 10",
    ],
}

# ---- keys that are matters of wording --------------------------------------------------------------------------------

WORDING = {"what-a-tick-says", "why-start-low"}


# ---- the keys --------------------------------------------------------------------------------------------------------


def test_no_key_goes_unchecked():
    checked = [*NUMBERS, *CHOICES, *ORDERS, *CLAIMED, *WORDING]
    assert sorted(checked) == sorted(BY_ID)
    assert sorted(NUMBERS) == sorted(question["id"] for question in of_kind("number"))
    assert sorted(ORDERS) == sorted(question["id"] for question in of_kind("order"))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_and_its_mistakes_are_computed(name: str):
    question = BY_ID[name]
    stated = [question["answer"], *(mistake["value"] for mistake in question["mistakes"])]
    # Much nearer than the tolerance: a learner who rounds must not end up at the wrong one.
    assert NUMBERS[name]() == pytest.approx(stated, rel=0, abs=question["tolerance"] / 10)


@pytest.mark.parametrize("name", CHOICES)
def test_the_right_choices_are_computed(name: str):
    choices = BY_ID[name]["choices"]
    assert CHOICES[name](choices) == [bool(choice.get("right")) for choice in choices]


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_is_computed(name: str):
    keys = ORDERS[name]([step["text"] for step in BY_ID[name]["steps"]])
    assert len(keys) == len(BY_ID[name]["steps"])
    assert all(before < after for before, after in pairwise(keys))


@cache
def claims_of(lesson: str) -> str:
    """The code of a lesson's cells that check claims."""
    notebook = json.loads((ROOT / "notebooks" / f"{lesson}.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "\n".join(cell for cell in cells if "claim(" in cell)


@pytest.mark.parametrize(("name", "claim"), [(name, claim) for name, claims in CLAIMED.items() for claim in claims])
def test_the_lesson_still_claims_what_a_key_rests_on(name: str, claim: str):
    lesson = next(lesson for lesson, question in QUESTIONS if question["id"] == name)
    assert claim in claims_of(lesson)
