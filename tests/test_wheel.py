"""The course as a wheel, built from the sdist and installed outside the clone. Nothing of it needs the network."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import warmup_course
from warmup_course.authoring.headless import TOKEN, server_address
from warmup_course.lesson_files import pages

ROOT = Path(__file__).resolve().parent.parent
NAME = f"warmup_course-{warmup_course.__version__}"
LESSONS = [path.name for path in pages(ROOT / "notebooks")]
BESIDE = [*(f"notebooks/{name}" for name in LESSONS), "docs/evidence.csv", "docs/hub.md", "docs/teaching.md"]
PACKAGE = {
    str(path.relative_to(ROOT))
    for path in (ROOT / "warmup_course").rglob("*.*")
    if path.is_file() and path.suffix != ".pyc" and ".ipynb_checkpoints" not in path.parts
}
BUILD = "from setuptools import build_meta; build_meta.build_{}('dist')"

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, made in a copy of the clone, and the wheel, made of the sdist."""
    folder = tmp_path_factory.mktemp("built")
    for name in ("warmup_course", "notebooks", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for kind, place in (("sdist", folder), ("wheel", folder / NAME)):
        if kind == "wheel":
            with tarfile.open(folder / f"dist/{NAME}.tar.gz") as archive:
                archive.extractall(folder, filter="data")
        said = subprocess.run([sys.executable, "-c", BUILD.format(kind)], cwd=place, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        assert "Warning" not in said.stderr
    shutil.move(folder / NAME / f"dist/{NAME}-py3-none-any.whl", folder / "dist")
    return folder / "dist"


def test_wheel_and_sdist_hold_the_package_and_the_lessons(dist: Path):
    with zipfile.ZipFile(dist / f"{NAME}-py3-none-any.whl") as wheel:
        files = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert files == PACKAGE | {f"warmup_course/{name}" for name in BESIDE}
        for name in BESIDE:
            assert wheel.read(f"warmup_course/{name}") == (ROOT / name).read_bytes()
    with tarfile.open(dist / f"{NAME}.tar.gz") as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    assert PACKAGE | {*BESIDE} | {"pyproject.toml", "README.md", "LICENSE"} <= files


Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command warmup-course in an environment that has the wheel, and what it needs from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    scripts = "Scripts" if os.name == "nt" else "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(folder / scripts / "python"), "install", "--no-deps"]
    subprocess.run([*pip, "--no-index", "-q", str(dist / f"{NAME}-py3-none-any.whl")], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    # A path in a .pth file is searched last, and the .pth files there, such as the clone's, are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return folder / scripts / "warmup-course"


@pytest.fixture
def start(installed: Path, tmp_path: Path) -> Command:
    """Start the command in a folder of its own, with a home of its own."""

    def popen(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        places = {"HOME": str(tmp_path / "home"), "WARMUP_COURSE_HOME": str(tmp_path / "answers")}
        places["JUPYTERLAB_DIR"] = str(Path(sys.prefix) / "share/jupyter/lab")
        known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        (tmp_path / "here").mkdir(exist_ok=True)
        return subprocess.Popen(
            [str(installed), *arguments],
            cwd=tmp_path / "here",
            env=known | places | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return popen


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said, _ = process.communicate(timeout=300)
    assert "Traceback" not in said
    return process.returncode, said


def test_it_says_its_version_and_what_needs_a_clone(start: Command):
    assert end(start("--version")) == (0, f"warmup-course {warmup_course.__version__}\n")
    for command in ("test", "refresh", "bench"):
        told = f"warmup-course: {command} is for authors, and works in a clone of the course only\n"
        assert end(start(command)) == (2, told)


def test_it_runs_and_restores_lessons_where_one_is(start: Command, tmp_path: Path):
    status, said = end(start("run", "00", "-p", "device", "cpu"))
    assert status == 0, said
    executed = re.escape(str(tmp_path / "here/executed"))
    assert re.search(rf"([1-9]\d*) of \1 claims hold\. Executed copies: {executed}\n$", said)
    assert (tmp_path / "here/executed/00_start_here.ipynb").exists()
    assert end(start("restore", "03")) == (0, "warmup_course_workspace/03_linear_warmup.ipynb is fresh.\n")
    assert (tmp_path / "here/warmup_course_workspace/03_linear_warmup.ipynb").exists()


def test_lab_opens_the_lessons_where_one_is(start: Command, tmp_path: Path):
    server = start("lab", "--no-browser", "--port", "0", JUPYTER_TOKEN=TOKEN, JUPYTER_RUNTIME_DIR=str(tmp_path / "run"))
    try:
        address = server_address(tmp_path / "run", server)
        request = urllib.request.Request(f"{address}api/contents", headers={"Authorization": f"token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            served = {entry["name"] for entry in json.load(answer)["content"]}
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert served == set(LESSONS) == {path.name for path in tmp_path.glob("here/warmup_course_workspace/*.ipynb")}


def test_the_command_has_the_name_by_which_it_is_run_without_installing():
    """uvx and pipx run start the script of the project's name; hyphens and underscores are the same to them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {project["name"].replace("_", "-"): "warmup_course.cli:main"}
