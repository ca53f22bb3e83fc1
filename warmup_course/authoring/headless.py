"""JupyterLab in a Chromium without a window: for the tests and the benchmark that need the real thing.

JupyterLab is the one of ``warmup-course lab``, with a home, settings and answers of its own. It is driven by its
commands, which do not change as often as its menus.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_course import variables
from warmup_course.authoring.execution import CELL_TIMEOUT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "token"
# None of these calls out, and none needs a GPU; a sandbox is not to be had in most containers.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
START_SECONDS = 90


def find_chromium() -> str | None:
    """The program, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def jupyterlab(lessons: Path, folder: Path, server: Sequence[str] = ()) -> Iterator[str]:
    """``warmup-course lab`` for other lessons than the course's.

    Args:
        lessons: the folder of the notebooks, named like lessons.
        folder: an empty one for all that is written, the copies of the lessons in workspace/ included.
        server: the command of another Jupyter server, which serves JupyterLab or Notebook 7.

    Yields:
        The server's address.
    """
    homes = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
    environment = os.environ | {name: str(folder / name) for name in homes} | {"JUPYTER_TOKEN": TOKEN}
    environment[variables.WORKSPACE] = str(folder / "workspace")
    settings = {
        "JUPYTER_CONFIG_DIR/jupyter_lab_config.json": {"LabApp": {"expose_app_in_browser": True}},
        "JUPYTER_CONFIG_DIR/jupyter_notebook_config.json": {"JupyterNotebookApp": {"expose_app_in_browser": True}},
        # All cells stay in the page, so that a script finds what is off the screen too.
        "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
        # On a slow machine, one save that overlaps another takes the file for somebody else's, and asks.
        "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": {"autosave": False},
    }
    for name in homes:
        (folder / name).mkdir(parents=True)
    for name, values in settings.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(values), "utf-8")
    code = (
        "from pathlib import Path; from warmup_course import cli\n"
        f"cli.LESSONS = Path({str(lessons)!r})\n"
        f"cli.main({['lab', *(['--server', *server] if server else ['--no-browser', '--port', '0'])]!r})"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=log, stderr=log)
    try:
        yield server_address(folder / "JUPYTER_RUNTIME_DIR", process)
    finally:
        process.terminate()  # it ends its kernels
        process.wait(timeout=30)


def server_address(runtime: Path, server: subprocess.Popen[Any]) -> str:
    """The address of the one server whose files are in the folder, once it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            try:
                address = json.loads(path.read_text("utf-8"))["url"]
                urllib.request.urlopen(address, timeout=START_SECONDS).close()
                return str(address)
            except (ValueError, OSError):  # the file is being written; it is there before the server listens
                pass
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start; see the log in {runtime.parent}")


class OpenNotebook:
    """A notebook, open in a page of its own.

    Args:
        page: an empty page.
        address: of the server.
        name: of the notebook in its folder.
        place: where the server has its notebooks: in JupyterLab, or in "notebooks", Notebook 7.

    Attributes:
        page: the page.
        problems: what the browser complained about, and requests to anything but the server.
    """

    def __init__(self, page: "Page", address: str, name: str, place: str = "lab/tree") -> None:
        self.page = page
        self.problems: list[str] = []
        self._watch(address)
        page.goto(f"{address}{place}/{name}?reset&token={TOKEN}")
        page.wait_for_function(
            "path => window.jupyterapp?.shell?.currentWidget?.context?.path === path",
            arg=name,
            timeout=1000 * START_SECONDS,
        )
        self.do("await panel.context.ready; await panel.sessionContext.ready;")

    def _watch(self, address: str) -> None:
        server = address.partition("//")[2]

        def check(url: str) -> None:
            if not url.partition("//")[2].startswith(server) and not url.startswith(("data:", "blob:")):
                self.problems.append(f"asks {url}")

        self.page.on("request", lambda request: check(request.url))
        self.page.on("websocket", lambda socket: check(socket.url))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on(
            "console", lambda said: self.problems.append(f"console: {said.text}") if said.type == "error" else None
        )

    def do(self, script: str, argument: Any = None, seconds: float = START_SECONDS) -> Any:
        """Run JavaScript that knows ``app``, the notebook's ``panel`` and ``argument``; what it returns.

        Raises:
            playwright.sync_api.Error: if it fails, or takes longer than this.
        """
        body = f"""async ([argument, milliseconds]) => {{
            const app = window.jupyterapp;
            const panel = app.shell.currentWidget;
            const late = new Promise((_, fail) => setTimeout(() => fail(new Error("out of time")), milliseconds));
            return Promise.race([(async () => {{ {script} }})(), late]);
        }}"""
        return self.page.evaluate(body, [argument, 1000 * seconds])

    def run_all(self) -> bool:
        """Run all cells; whether all ran to their end."""
        ran: bool = self.do("return app.commands.execute('notebook:run-all-cells');", seconds=CELL_TIMEOUT)
        return ran

    def write(self, number: int, source: str) -> None:
        """Put another source into a cell."""
        self.do("panel.content.widgets[argument[0]].model.sharedModel.setSource(argument[1]);", [number, source])

    def restart(self) -> None:
        """Give the notebook a fresh kernel."""
        self.do("await panel.sessionContext.restartKernel();")

    def value(self, expression: str) -> str:
        """The repr of a Python expression in the notebook's kernel."""
        script = """
            const content = { code: "", store_history: false, user_expressions: { it: argument } };
            const reply = await panel.sessionContext.session.kernel.requestExecute(content).done;
            const { it } = reply.content.user_expressions;
            if (it.status !== "ok") throw new Error(`${argument}: ${it.ename}: ${it.evalue}`);
            return it.data["text/plain"];
        """
        value: str = self.do(script, expression)
        return value
