"""Jupyter's settings for the course: a lesson that is opened again shows pictures and questions, not errors.

A widget lives only as long as its kernel, and JupyterLab has nothing but an error to show for one that is gone. So what
is saved is what stands beside the widget: the lab's figure, the question's text. Saving the state of all widgets
instead would bring back buttons that no kernel hears.

This file is read by the server, which need not wait until torch is imported: so it imports nothing of the course.
"""

import warnings
from pathlib import Path
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
        widgets = [output for output in cell.get("outputs", ()) if WIDGET_VIEW in output.get("data", ())]
        readable = [output for output in widgets if any(kind in output["data"] for kind in READABLE)]
        for output in readable:
            output["data"] = {kind: value for kind, value in output["data"].items() if kind != WIDGET_VIEW}
        if widgets:
            kept = [output for output in cell["outputs"] if output in readable or output not in widgets]
            # A progress bar beside what came of it need not come back.
            cell["outputs"] = [*kept, HINT] if readable or not kept else kept


# These settings are read by the server, and again by JupyterLab within it.
warnings.filterwarnings("ignore", "Overriding existing pre_save_hook")

c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.FileContentsManager.pre_save_hook = save_what_can_be_read
c.ServerApp.root_dir = str(Path.cwd())  # the learner's copies: the server is started there
c.ServerApp.default_url = c.LabApp.default_url = "/lab/tree/00_start_here.ipynb"
c.JupyterNotebookApp.default_url = "/notebooks/00_start_here.ipynb"
c.LabApp.app_settings_dir = str(Path(__file__).parent)  # keeps JupyterLab from asking for news and updates
