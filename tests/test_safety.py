"""What a learner is sent runs no code: no file, name, answer or title; and nothing is open to other machines."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import lessons
import pytest

from warmup_course import Schedule, TrainConfig
from warmup_course.classroom import ScheduleLab, SliderLab, TrainingLab
from warmup_course.classroom.cards import Card, Choices, Status, rendered
from warmup_course.classroom.labs.kernel import Lab
from warmup_course.classroom.picture import Picture
from warmup_course.classroom.predictions import Prediction
from warmup_course.classroom.quiz import KINDS, QuestionCard

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = [
    ROOT / "start.py",
    *(path for part in ("warmup_course", "benchmarks") for path in (ROOT / part).rglob("*.py")),
]


# ---- code -----------------------------------------------------------------------------------------------------------

# Calls that run what stands in a file or a text.
RUNS_ANYTHING = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"),
    *(
        f"{module}.{name}"
        for module in ("pickle", "dill", "joblib", "marshal", "shelve")
        for name in ("load", "loads", "open")
    ),
    *(f"yaml.{name}" for name in ("load", "load_all", "full_load", "unsafe_load", "Loader", "UnsafeLoader")),
    *("pandas.read_pickle", "pd.read_pickle", "torch.jit.load"),
}


def risks(code: str) -> Iterator[str]:
    """Calls that could run what somebody else wrote."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            if (
                name in RUNS_ANYTHING
                or (name == "torch.load" and given.get("weights_only") != "True")
                or (name.endswith("np.load") and given.get("allow_pickle", "False") != "False")
                or given.get("shell", "False") != "False"
            ):
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::", "--ip=*"):
            yield ast.unparse(node)


@cache
def sources() -> dict[str, str]:
    found = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in PROGRAMS}
    return found | {path.name: "\n".join(lessons.sources(path, "code")) for path in lessons.FOLDER.glob("*.ipynb")}


ALLOWED = {
    # What the package has just written, in front of the learner.
    "07_warmup_then_decay.ipynb": ["exec(code, names)"],
    # The course's own lessons, for authors.
    "warmup_course/authoring/demo.py": ["compile(ast.Module([statement], []), 'lesson', 'exec')"],
    "warmup_course/authoring/evidence.py": ["compile(tree, f'code cell {number}', 'exec')", "exec(code, names)"],
}


@pytest.mark.parametrize("name", sources())
def test_nothing_runs_what_it_reads(name: str):
    assert list(risks(sources()[name])) == ALLOWED.get(name, [])


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "pickle.loads(b)",
        "yaml.load(t, yaml.SafeLoader)",
        "eval(t)",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "np.load(f, allow_pickle=True)",
        "server.listen('0.0.0.0')",
    ],
)
def test_the_search_finds(code: str):
    assert len(list(risks(code))) == 1


def test_the_browser_is_given_text_and_never_markup():
    scripts = [*(ROOT / "warmup_course").rglob("*.js"), ROOT / "warmup_course/classroom/cards.py"]
    words = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function")
    assert [(path.name, word) for path in scripts for word in words if word in path.read_text("utf-8")] == []


# ---- what is shown --------------------------------------------------------------------------------------------------
# Trusted are the course's own HTML around these texts, and what the learner's kernel shows of itself as Markdown.

BAD = "<img src=x onerror=alert(1)>"
QUESTIONS: dict[str, dict[str, Any]] = {
    "single": {"choices": [{"text": BAD, "why": BAD, "right": True}, {"text": f"{BAD}2", "why": BAD}]},
    "several": {"choices": [{"text": BAD, "why": BAD, "right": True}, {"text": f"{BAD}2", "why": BAD}]},
    "number": {"answer": 1, "tolerance": 0.1, "because": BAD, "mistakes": [{"value": 2, "why": BAD}], "otherwise": BAD},
    "order": {"steps": [{"text": f"{BAD}{i}", "why": BAD} for i in range(3)], "because": BAD},
}


def answered(kind: str) -> QuestionCard:
    card = KINDS[kind](BAD, {"kind": kind, "id": BAD, "ask": BAD} | QUESTIONS[kind], BAD)
    if kind == "number":
        card.input.value = BAD
        card.check()
        card.input.value = "3"
    else:
        for button in card.input.buttons:
            button.value = True
    card.check()
    assert "onerror" in card.status.value
    return card


def predicted() -> widgets.Widget:
    guess = Prediction("03_x", BAD, [BAD, "no"])
    guess.choice_buttons.chosen = [0]
    guess.lock_button.click()
    answer = guess.reveal("no", BAD)
    answer.compare()
    return widgets.VBox([guess, answer])


def said() -> Status:
    status = Status()
    status.say(BAD)
    status.add(f"[x](javascript:alert(1)) {BAD}")
    return status


def drawn(figure: Any, lr: float) -> None:
    print(BAD)


class _Still(Lab):
    def on_move(self) -> None:
        self.show_goal()


def still() -> Lab:
    slider = widgets.IntSlider(0, 0, 1, description=BAD)
    lab = _Still({"x": slider}, Picture(), BAD, goal=BAD, reached=lambda _: True)
    slider.value = 1
    return lab


def failed() -> TrainingLab:
    lab = TrainingLab(TrainConfig(total_steps=3, device="cpu"), warmup_steps=1, seeds=[0])

    def fail(values: Any) -> None:
        raise ValueError(BAD)

    lab.run = fail  # type: ignore[method-assign]
    lab.controls["peak_lr"].value = 1.0
    lab.wait()
    assert "failed" in lab.status.said
    return lab


SHOWN: dict[str, Callable[[], widgets.Widget]] = {
    "rendered": lambda: rendered(BAD),
    "Status": said,
    "Choices": lambda: Choices([BAD, BAD]),
    "Card": lambda: Card([rendered(BAD)], BAD),
    "Prediction": predicted,
    "SliderLab": lambda: SliderLab(drawn, lr=widgets.FloatSlider(description=BAD), goal=BAD, reached=lambda _: True),
    "Lab": still,
    "TrainingLab": failed,
    "ScheduleLab": lambda: ScheduleLab(Schedule(30), 0.1, goal=BAD, reached=lambda _: False),
    **{f"quiz {kind}": (lambda kind=kind: answered(kind)) for kind in KINDS},
}


def markup(widget: widgets.Widget) -> Iterator[str]:
    """The HTML in a widget and all that it holds."""
    if isinstance(widget, widgets.HTML | widgets.HTMLMath):
        yield widget.value
    if getattr(widget, "description_allow_html", False):
        yield widget.description
    for child in getattr(widget, "children", ()):
        yield from markup(child)


@pytest.mark.parametrize("make", SHOWN.values(), ids=SHOWN)
def test_texts_are_shown_as_text(make: Callable[[], widgets.Widget]):
    for html in markup(make()):
        assert "<img" not in html
        assert "javascript:" not in html
