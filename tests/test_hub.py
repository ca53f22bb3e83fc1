"""The real JupyterHub, on this machine alone: a class opens lesson 00 at once, in one clone that nobody may change.

Its proxy is npm's: ``npm install --global configurable-http-proxy``. With -s, pytest shows what was measured.
"""

import json
import logging
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest
import requests
from waiting import wait_for
from websocket import WebSocket, create_connection

ROOT = Path(__file__).resolve().parent.parent
PROXY = "configurable-http-proxy"
LEARNERS = [f"learner{number}" for number in range(8)]
CHOICES = ["Within the first ten steps", "Later, in the first half", "In the second half"]
SECONDS = 300

# Beside what docs/hub.md says. Root, as in a container, may write anywhere: so the place of the copies is named here.
SETTINGS = """
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.bind_url, c.JupyterHub.hub_bind_url, c.ConfigurableHTTPProxy.api_url = {addresses}
c.Authenticator.allowed_users = {learners}
c.SimpleLocalProcessSpawner.home_dir_template = "{homes}/{{username}}"
c.Spawner.environment.update({environment})
c.Spawner.args = ["--allow-root"]
"""

pytestmark = pytest.mark.process


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The course's folder, read-only."""
    folder = tmp_path / "clone"
    for name in ("warmup_course", "notebooks", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


@pytest.fixture
def hub(clone: Path, tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Its address and its process; the learners' homes are in tmp_path."""
    with ExitStack() as sockets:
        taken = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        addresses = tuple("http://{}:{}".format(*each.getsockname()) for each in taken)
    environment = {"PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1", "WARMUP_COURSE_WORKSPACE": "~/course"}
    [documented] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/hub.md").read_text("utf-8"), re.DOTALL)
    settings = SETTINGS.format(addresses=addresses, learners=set(LEARNERS), homes=tmp_path, environment=environment)
    settings = documented.replace("/srv/warmup_course/.venv", sys.prefix) + settings
    (tmp_path / "jupyterhub_config.py").write_text(settings, "utf-8")
    log = tmp_path / "log"
    with log.open("w") as file:
        process = psutil.Popen([sys.executable, "-m", "jupyterhub"], cwd=tmp_path, stdout=file, stderr=file)
    try:
        wait_for(lambda: process.poll() is not None or "is now running at" in log.read_text("utf-8"), SECONDS)
        assert process.poll() is None, log.read_text("utf-8")
        yield addresses[0], process
    finally:
        process.terminate()  # it ends the learners' servers and its proxy
        process.wait(timeout=60)
        logging.getLogger("jupyterhub").warning(log.read_text("utf-8"))  # shown where the test fails


class Learner:
    """Someone with a browser, as far as the hub can tell."""

    def __init__(self, hub: str, name: str) -> None:
        self.session, self.home, self.hub = requests.Session(), f"{hub}/user/{name}/", f"{hub}/hub/api/users/{name}"
        login = {"auth": {"username": name, "password": ""}}
        self.token = f"token {self.session.post(f'{self.hub}/tokens', json=login).json()['token']}"
        self.session.headers["Authorization"] = self.token

    def start(self) -> float:
        """How long it takes until the learner's server is there."""
        begin = time.monotonic()
        self.session.post(f"{self.hub}/server").raise_for_status()
        wait_for(lambda: self.session.get(self.hub).json()["pending"] is None, SECONDS, every=1)
        assert self.session.get(self.hub).json()["server"], "see the hub's log"
        return time.monotonic() - begin

    def work(self, answer: str) -> float:
        """How long lesson 00 takes. Its prediction is answered by clicks."""
        assert self.session.get(self.home).url == f"{self.home}lab/tree/00_start_here.ipynb"
        cells = self.session.get(f"{self.home}api/contents/00_start_here.ipynb").json()["content"]["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert [cell["outputs"] for cell in code] == [[]] * len(code)
        begin = time.monotonic()
        kernel = self.session.post(f"{self.home}api/kernels", json={"name": "python3"}).json()["id"]
        address = f"{self.home}api/kernels/{kernel}/channels".replace("http", "ws", 1)
        with closing(create_connection(address, timeout=SECONDS, header={"Authorization": self.token})) as channels:
            for cell in code:
                execute(channels, cell["source"])
                if "predict(" in cell["source"]:
                    execute(channels, f"guess.choice_buttons.chosen = [{CHOICES.index(answer)}]")
                    execute(channels, "guess.lock_button.click()")
        return time.monotonic() - begin


def execute(channels: WebSocket, source: str) -> None:
    """Run a cell to its end, as JupyterLab does."""
    header = {"msg_id": str(time.monotonic_ns()), "msg_type": "execute_request", "session": "", "username": ""}
    request = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": {"code": source}}
    channels.send(json.dumps(request))
    while True:
        said = channels.recv()
        if isinstance(said, str):  # others carry pictures
            message = json.loads(said)
            if message["parent_header"].get("msg_id") == header["msg_id"] and message["msg_type"] == "execute_reply":
                assert message["content"]["status"] == "ok", message["content"]
                return


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
@pytest.mark.skipif(not shutil.which(PROXY), reason=f"{PROXY} is not installed")
def test_a_class_at_once(hub: tuple[str, psutil.Process], clone: Path, tmp_path: Path) -> None:
    address, process = hub
    before = contents(clone)
    learners = [Learner(address, name) for name in LEARNERS]
    answers = [CHOICES[number % 3] for number in range(len(LEARNERS))]
    with ThreadPoolExecutor(len(learners)) as pool:
        starts = list(pool.map(Learner.start, learners))
        lessons = list(pool.map(Learner.work, learners, answers))
    for name, answer in zip(LEARNERS, answers, strict=True):
        with closing(sqlite3.connect(tmp_path / name / ".local/share/warmup_course/progress.sqlite3")) as store:
            assert store.execute("SELECT answer FROM events WHERE state = 'locked'").fetchall() == [(answer,)]
        assert (tmp_path / name / "course/14_capstone.ipynb").exists()
    assert contents(clone) == before

    servers = [child for child in process.children() if "singleuser" in " ".join(child.cmdline())]
    memory = [
        sum(each.memory_full_info().pss for each in [server, *server.children(recursive=True)]) for server in servers
    ]
    assert len(memory) == len(LEARNERS)
    print(
        f"\n{len(LEARNERS)} learners at once, each: start {max(starts):.0f} s at most, "
        f"lesson 00 {max(lessons):.0f} s at most, memory {max(memory) / 1e6:.0f} MB at most"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="it is run in Linux containers")
def test_binders_server_starts_in_fresh_copies(tmp_path: Path) -> None:
    """Binder hands the file ``start`` its own command, whatever that is."""
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "WARMUP_COURSE_WORKSPACE": str(tmp_path / "copies"),
    }
    command = [sys.executable, "-c", "import json, sys; print(json.load(open(sys.argv[1])))", "00_start_here.ipynb"]
    said = subprocess.run([ROOT / "start", *command], env=environment, capture_output=True, text=True, check=True)
    assert "'outputs': []" in said.stdout
    assert "image/png" not in said.stdout
