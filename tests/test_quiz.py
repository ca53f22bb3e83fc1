"""The quiz as a learner meets it: choosing, checking, trying again, coming back another day."""

import ipywidgets as widgets
import pytest
from pretended_browser import is_shown

from warmup_course.classroom import quiz, store
from warmup_course.classroom.cards import Status, remembered
from warmup_course.classroom.quiz import KINDS, QuestionCard

SINGLE = {
    "id": "a-single",
    "kind": "single",
    "ask": "What is `a < b` and $x^2$?",
    "choices": [
        {"text": "wrong one", "why": "because `W`"},
        {"text": "right one", "right": True, "why": "well seen"},
        {"text": "other", "why": "no"},
    ],
}
SEVERAL = {
    "id": "some",
    "kind": "several",
    "ask": "Which?",
    "choices": [
        {"text": "yes", "right": True, "why": "why yes"},
        {"text": "no", "why": "why no"},
        {"text": "also", "right": True, "why": "why also"},
    ],
}
NUMBER = {
    "id": "a-number",
    "kind": "number",
    "ask": "How much?",
    "answer": 0.05,
    "tolerance": 0.001,
    "because": "half of it",
    "mistakes": [{"value": 0.5, "why": "ten times too much"}],
    "otherwise": "count again",
}
ORDER = {
    "id": "an-order",
    "kind": "order",
    "ask": "In which order?",
    "steps": [{"text": name, "why": f"why {name}"} for name in ("first", "second", "third")],
    "because": "so it goes",
}


def card_of(question: dict) -> QuestionCard:
    return KINDS[question["kind"]]("03_linear_warmup", question, "**1 of 1.**")


def choose(card: QuestionCard, *texts: str) -> None:
    for text in texts:
        card.input.buttons[card.input.texts.index(text)].value = True


def tries(question: dict) -> list[tuple[str, str]]:
    return [(event.answer, event.state) for event in store.events(kind="question", item=question["id"])]


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path))


def test_a_wrong_choice_is_told_why_and_another_try_is_a_try_of_its_own() -> None:
    card = card_of(SINGLE)
    card.check_button.click()
    assert "Choose one first" in card.status.value
    choose(card, "wrong one")
    choose(card, "other")
    choose(card, "wrong one")
    assert card.input.chosen == [0]  # one at a time
    card.check_button.click()
    assert "Not this time" in card.status.value
    assert "because <code>W</code>" in card.status.value
    assert "well seen" not in card.status.value
    assert card.check_button.disabled
    assert all(button.disabled for button in card.input.buttons)
    card.again_button.click()
    assert card.input.chosen == []
    assert card.status.said == ""
    choose(card, "right one")
    card.check_button.click()
    assert "Right." in card.status.value
    assert "well seen" in card.status.value
    assert tries(SINGLE) == [("wrong one", "wrong"), ("right one", "right")]


@pytest.mark.parametrize(
    ("chosen", "right", "told", "not_told"),
    [
        (["yes", "also"], True, ["why yes", "why also"], ["why no"]),
        (["yes"], False, ["C: <strong>Holds.</strong> why also"], ["why yes", "why no"]),
        (["yes", "no", "also"], False, ["B: <strong>Does not hold.</strong> why no"], ["why yes", "why also"]),
        (
            ["no"],
            False,
            [
                "A: <strong>Holds.</strong> why yes",
                "B: <strong>Does not hold.</strong> why no",
                "C: <strong>Holds.</strong> why also",
            ],
            [],
        ),
    ],
)
def test_several_choices_are_judged_one_by_one(
    chosen: list[str], right: bool, told: list[str], not_told: list[str]
) -> None:
    card = card_of(SEVERAL)
    card.check_button.click()
    assert "Choose at least one" in card.status.value
    choose(card, *chosen)
    card.check_button.click()
    assert ("Right." in card.status.value) == right
    assert all(why in card.status.value for why in told)
    assert not any(why in card.status.value for why in not_told)
    assert tries(SEVERAL) == [("; ".join(chosen), "right" if right else "wrong")]


@pytest.mark.parametrize(
    ("entered", "right", "told"),
    [
        ("0.05", True, "half of it"),
        (" 5e-2 ", True, "half of it"),
        ("0,0505", True, "half of it"),
        ("0.052", False, "count again"),
        ("0.5", False, "ten times"),
        ("1/20", True, "half of it"),
        ("\N{MINUS SIGN}0.05", False, "count again"),
    ],
)
def test_a_number_is_right_within_its_tolerance(entered: str, right: bool, told: str) -> None:
    card = card_of(NUMBER)
    card.input.value = entered
    card.check_button.click()
    assert ("Right." in card.status.value) == right
    assert told in card.status.value
    assert tries(NUMBER) == [(entered.strip(), "right" if right else "wrong")]


@pytest.mark.parametrize("entered", ["", "a lot", "nan", "1/0", "1/"])
def test_what_is_no_number_is_no_try(entered: str) -> None:
    card = card_of(NUMBER)
    card.input.value = entered
    card.check_button.click()
    assert "number" in card.status.value
    assert not card.check_button.disabled
    assert tries(NUMBER) == []


def test_a_second_click_that_the_kernel_hears_late_is_no_second_try() -> None:
    card = card_of(SINGLE)
    choose(card, "wrong one")
    card.check_button.click()
    card.check_button.click()
    assert tries(SINGLE) == [("wrong one", "wrong")]


def test_enter_checks_a_number() -> None:
    card = card_of(NUMBER)
    card.input.value = "5e-2"
    card.input._handle_custom_msg({"event": "submit"}, [])
    assert tries(NUMBER) == [("5e-2", "right")]


def test_that_several_choices_may_hold_is_said_and_chosen_is_no_tick() -> None:
    assert "Choose all that hold" in card_of(SEVERAL).text
    assert "Choose all that hold" not in card_of(SINGLE).text
    for question, signs in ((SINGLE, "○●"), (SEVERAL, "□■")):
        card = card_of(question)
        choose(card, card.options()[1])
        chosen = [f"{signs[0]} A", f"{signs[1]} B", f"{signs[0]} C"]
        assert [button.description for button in card.input.buttons] == chosen
        assert {button.icon for button in card.input.buttons} == {""}


def test_the_keyboard_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is switched off loses the focus, so something else gets it."""
    focused: list[str] = []
    monkeypatch.setattr(widgets.DOMWidget, "focus", lambda self: focused.append(type(self).__name__))
    for question, answer in ((SINGLE, "right one"), (ORDER, "first"), (NUMBER, None)):
        card = card_of(question)
        if answer:
            choose(card, *([step["text"] for step in ORDER["steps"]] if question is ORDER else [answer]))
        else:
            card.input.value = "1"
        card.check_button.click()
        assert not card.again_button.disabled
        card.again_button.click()
    assert focused == ["Button", "ToggleButton", "Button", "ToggleButton", "Button", "Text"]


def test_steps_are_put_in_order_one_after_the_other() -> None:
    card = card_of(ORDER)
    assert list(card.options()) != ["first", "second", "third"]
    assert card.options() == card_of(ORDER).options()  # the same shuffle each time
    choose(card, "first", "second")
    card.check_button.click()
    assert "all 3 letters" in card.status.value
    choose(card, "third")
    card.check_button.click()
    assert "so it goes" in card.status.value
    card.again_button.click()
    assert card.order == []
    choose(card, "first", "third", "second")
    card.check_button.click()
    assert "Look at place 2. why third" in card.status.value
    assert tries(ORDER) == [("first → second → third", "right"), ("first → third → second", "wrong")]


def test_a_step_chosen_twice_is_taken_out_again() -> None:
    card = card_of(ORDER)
    choose(card, "first", "third")
    card.input.buttons[card.input.texts.index("first")].value = False
    choose(card, "second", "first")
    assert [card.options()[number] for number in card.order] == ["third", "second", "first"]


def test_another_day_the_quiz_remembers_once_a_browser_shows_it() -> None:
    first = quiz("03_linear_warmup")
    asked = [card for card in first.children if isinstance(card, QuestionCard)]
    store.record("03_linear_warmup", "question", asked[0].question["id"], "a", "wrong")
    store.record("03_linear_warmup", "question", asked[0].question["id"], "b", "right")
    store.record("03_linear_warmup", "question", asked[1].question["id"], "a", "wrong")
    assert all(not card.status.said for card in asked)
    is_shown(first)
    assert "right before" in asked[0].status.value
    assert "tried this one before" in asked[1].status.value
    assert not asked[2].status.value


def test_a_view_opened_later_does_not_wipe_an_explanation() -> None:
    whole = quiz("03_linear_warmup")
    card = whole.children[0]
    card.status.say("You see why")
    store.record("03_linear_warmup", "question", card.question["id"], "a", "right")
    is_shown(whole)
    assert "You see why" in card.status.value


@pytest.mark.usefixtures("full_store")
def test_a_store_that_fails_is_said_and_the_quiz_goes_on() -> None:
    card = card_of(SINGLE)
    choose(card, "right one")
    card.check_button.click()
    assert "Right." in card.status.value
    assert "Make room." in card.status.value
    card.again_button.click()
    assert not card.check_button.disabled


def test_only_the_stores_own_failures_are_caught() -> None:
    with pytest.raises(ZeroDivisionError):
        remembered(lambda: 1 / 0, Status())


def test_code_and_formulas_render() -> None:
    asked = card_of(SINGLE).children[0].value
    assert "<code>a &lt; b</code>" in asked
    assert r"\(x^2\)" in asked


def test_code_blocks_stay_together_on_a_saved_page() -> None:
    code = "```python\nx = 1\ny = 2\n```"
    choices = [{"text": code, "right": True, "why": "yes"}, {"text": "else", "why": "no"}]
    page = card_of(SINGLE | {"ask": code, "choices": choices}).text
    assert page.startswith(f"**1 of 1.**\n\n{code}\n\n- A. ```python\n  x = 1\n  y = 2\n  ```\n- B. else")
