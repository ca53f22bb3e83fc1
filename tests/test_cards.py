"""What predictions, quizzes and exercises share: when a person is there, and text that carries no code."""

from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from pretended_browser import is_shown

from warmup_course.classroom import cards, store
from warmup_course.classroom.cards import Card, FrontEnd, Status, asked_by_a_person, to_html


def test_here_no_person_asks_so_the_page_is_asked() -> None:
    assert not asked_by_a_person()
    shown: list[str] = []
    card = Card([Status()], "text", on_shown=lambda: shown.append("now"))
    card._repr_mimebundle_()
    assert shown == []
    assert isinstance(card.children[-1], FrontEnd)
    is_shown(card)
    assert shown == ["now"]


def test_where_a_person_asks_showing_the_card_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "asked_by_a_person", lambda: True)
    shown: list[str] = []
    card = Card([Status()], "text", on_shown=lambda: shown.append("now"))
    assert shown == []
    assert len(card.children) == 1  # nothing that needs anywidget's front end
    card._repr_mimebundle_()
    assert shown == ["now"]


@pytest.mark.process
def test_a_kernel_keeps_what_a_person_asks_for_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab names the cell in its request; nbclient and nbval do not, and nobody sees what they execute."""
    monkeypatch.setenv("WARMUP_COURSE_HOME", str(tmp_path))
    manager, client = start_new_kernel(kernel_name="python3")

    def run(code: str, metadata: dict[str, Any]) -> list[str]:
        """What it shows."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        asked = client.session.msg("execute_request", content, metadata=metadata)
        client.shell_channel.send(asked)
        shown = []
        while True:
            said = client.get_iopub_msg(timeout=120)
            if said["parent_header"].get("msg_id") != asked["msg_id"]:  # of the client's own start
                continue
            if said["content"] == {"execution_state": "idle"}:
                return shown
            assert said["msg_type"] != "error", said["content"]
            if said["msg_type"] == "display_data":
                shown.append(said["content"]["data"]["text/markdown"])

    try:
        run("from warmup_course.classroom import exercise", {})
        task = 'exercise("01_learning_rate_basics/valley").check(2 / 52)'
        [unseen] = run(task, {})
        assert "Done" in unseen
        assert "Not remembered here" in unseen
        assert store.events() == []
        [seen] = run(task, {"cellId": "8a7b", "deletedCells": []})
        assert "Done" in seen
        assert "remembered" not in seen
        assert [event.state for event in store.events()] == ["done"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


IMAGE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("around", ["", "`", "``", "$", "$$", "**", "\n\n    ", "\n\n$$\n", "`` ` $", "\n```html\n"])
def test_what_somebody_typed_becomes_no_tag(around: str) -> None:
    assert "<img" not in to_html(f"{around}{IMAGE}{around}")
    assert "<img" not in to_html(f"You wrote `{around}{IMAGE}{around}`.")


def test_text_asks_no_other_machine_for_an_image() -> None:
    shown = to_html("![a <b> map](https://example.org/map.png) and [a link](javascript:alert(1))")
    assert "<img" not in shown
    assert "example.org" not in shown
    assert "a &lt;b&gt; map" in shown
    assert "javascript:" not in shown
