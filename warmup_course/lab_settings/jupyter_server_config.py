"""Jupyter's settings for the course: a lesson that is opened again shows pictures and questions, not errors.

A widget lives only as long as its kernel, and JupyterLab has nothing but an error to show for one that is gone. So what
is saved is what stands beside the widget: the lab's figure, the question's text. Saving the state of all widgets
instead would bring back buttons that no kernel hears.

This file is read by the server, which need not wait until torch is imported: so it imports nothing of the course.
"""

from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
READABLE = ("image/png", "text/markdown", "text/html")
HINT = {
    "output_type": "display_data",
    "data": {"text/markdown": "*This is how it stood when it was saved. Run the cell (Shift+Enter): then it answers.*"},
    "metadata": {},
}


def save_what_can_be_read(model: dict[str, Any], **_: Any) -> None:
    """Replace the widgets in a notebook that is about to be saved by what stands beside them, and say so below."""
    content = model.get("content")
    if model.get("type") != "notebook" or not isinstance(content, dict):
        return
    for cell in content.get("cells", ()):
        outputs = cell.get("outputs", ())
        if not any(WIDGET_VIEW in output.get("data", ()) for output in outputs):
            continue
        saved = []
        for output in outputs:
            data = output.get("data", {})
            if WIDGET_VIEW in data:
                if not any(kind in data for kind in READABLE):
                    continue
                data = {kind: value for kind, value in data.items() if kind != WIDGET_VIEW}
                output = {**output, "data": data}
            saved.append(output)
        cell["outputs"] = [*saved, HINT]


c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.FileContentsManager.pre_save_hook = save_what_can_be_read
