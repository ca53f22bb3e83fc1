"""Predictions: locked before the experiment, set beside what was measured, kept for another day."""

import pytest
from pretended_browser import is_shown

from warmup_course.classroom import begin, predictions, store
from warmup_course.classroom.predictions import Prediction
from warmup_course.lesson_files import PACKAGE

ASKED = ("How many of ten train?", ["0 or 1", "2 to 5", "6 or more"])


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(predictions, "unlocked", {})


def predict() -> Prediction:
    return begin("03_linear_warmup", device="cpu", seed=0).predict(*ASKED)


def lock(guess: Prediction, choice: str) -> None:
    guess.choice_buttons.buttons[guess.choices.index(choice)].value = True
    guess.lock_button.click()


def kept() -> list[tuple[str, str, str, str]]:
    return [(event.lesson, event.item, event.answer, event.state) for event in store.events(kind="prediction")]


@pytest.mark.parametrize(
    ("choice", "state", "said"), [("6 or more", "held", "It held"), ("0 or 1", "missed", "did not hold")]
)
def test_a_locked_prediction_is_set_beside_what_was_measured(choice: str, state: str, said: str) -> None:
    guess = predict()
    lock(guess, choice)
    assert "Now run the experiment" in guess.status.value
    assert guess.closed
    assert all(button.disabled for button in guess.choice_buttons.buttons)
    compared = guess.reveal("6 or more", "9 of 10 train")
    is_shown(compared)
    for text in (said, choice, "9 of 10 train"):
        assert text in compared.status.value
    lesson, question = "03_linear_warmup", ASKED[0]
    events = [(lesson, question, choice, "locked"), (lesson, question, "9 of 10 train", state)]
    assert kept() == events
    is_shown(guess.reveal("6 or more", "9 of 10 train"))  # the cell is run again
    assert kept() == events


def test_what_is_locked_after_the_measurement_is_compared_at_once() -> None:
    guess = predict()
    compared = guess.reveal("6 or more", "9 of 10 train")
    is_shown(compared)
    assert "Lock your prediction above" in compared.status.value
    assert "9 of 10" not in compared.status.value
    lock(guess, "6 or more")
    assert "What was measured stands below" in guess.status.value
    assert "It held" in compared.status.value
    assert compared.skip_button.layout.display == "none"
    assert [state for *_, state in kept()] == ["locked", "held"]


def test_what_follows_is_blurred_until_a_prediction_is_locked_or_measured() -> None:
    locked, measured = predict(), predict()
    assert {"wc-open"} <= {*locked._dom_classes} & {*measured._dom_classes}
    lock(locked, "6 or more")
    measured.reveal("6 or more", "9 of 10 train")
    assert "wc-open" not in {*locked._dom_classes} | {*measured._dom_classes}
    assert ".jp-Cell:has(.wc-open) ~ .jp-MarkdownCell" in (PACKAGE / "classroom/cards.css").read_text("utf-8")


def test_a_letter_that_is_not_locked_survives_another_run_of_its_cell() -> None:
    buttons = predict().choice_buttons.buttons
    buttons[0].value = True
    buttons[2].value = True
    again = predict()
    assert again.choice_buttons.chosen == [2]
    assert not again.closed
    assert kept() == []


def test_the_button_is_never_switched_off_and_locks_once() -> None:
    """A button that is switched off loses the keyboard's place."""
    guess = predict()
    lock(guess, "2 to 5")
    guess.lock_button.click()
    assert not guess.lock_button.disabled
    assert guess.lock_button.description == "Locked"
    assert len(kept()) == 1


def test_without_a_person_it_waits_for_nothing_and_keeps_nothing() -> None:
    guess = predict()
    page = guess._repr_mimebundle_()["text/plain"]
    assert page == "**Predict.** How many of ten train?\n\n- A. 0 or 1\n- B. 2 to 5\n- C. 6 or more"
    assert "9 of 10 train" in guess.reveal("6 or more", "9 of 10 train")._repr_mimebundle_()["text/plain"]
    assert kept() == []


def test_who_locked_nothing_sees_the_measurement_and_can_predict_no_more() -> None:
    guess = predict()
    guess.lock_button.click()
    assert "Choose one first" in guess.status.value
    compared = guess.reveal("6 or more", "9 of 10 train")
    compared.skip_button.click()
    assert "9 of 10 train" in compared.status.value
    assert "no prediction" in compared.status.value
    assert guess.closed
    guess.choice_buttons.buttons[0].value = True
    guess.lock_button.click()
    assert kept() == []


def test_another_day_it_is_still_locked_once_a_browser_shows_it() -> None:
    lock(predict(), "2 to 5")
    again = predict()
    assert again.locked is None
    is_shown(again)
    assert again.locked == "2 to 5"
    assert again.closed
    assert again.choice_buttons.chosen == [1]


def test_a_click_finds_what_was_locked_though_no_page_has_told_that_it_shows_it() -> None:
    lock(predict(), "2 to 5")
    compared = predict().reveal("6 or more", "9 of 10 train")
    compared.skip_button.click()
    assert "You predicted:</strong> 2 to 5" in compared.status.value
    assert kept()[-1][2:] == ("9 of 10 train", "missed")


def test_a_choice_that_the_lesson_no_longer_offers_is_forgotten() -> None:
    store.record("03_linear_warmup", "prediction", ASKED[0], "all of them", "locked")
    guess = predict()
    is_shown(guess)
    assert guess.locked is None
    assert not guess.closed


@pytest.mark.usefixtures("full_store")
def test_a_store_that_fails_is_said_and_the_prediction_stays_locked() -> None:
    guess = predict()
    lock(guess, "2 to 5")
    assert guess.locked == "2 to 5"
    assert "Make room." in guess.status.value
    compared = guess.reveal("2 to 5", "4 of 10")
    is_shown(compared)
    assert "It held" in compared.status.value
    assert "Make room." in compared.status.value
