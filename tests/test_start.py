"""start.py as a learner runs it, in a process of its own. Only its slow steps (venv and pip) are stand-ins."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from warmup_course.cli import make_parser

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "start.py"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="the Python that a stand-in makes is a shell script"),
]

# Found before the real modules, because they are on the PYTHONPATH of start.py, in the folder where it starts others,
# and on that of the Python that they make. Each writes down what it was asked to do. -S saves most of the time in which
# a Python begins.
STAND_INS = {
    "venv.py": """
import pathlib, shutil, sys
if __name__ == "__main__":
    print("venv", file=open("asked.txt", "a"))
    folder = pathlib.Path(sys.argv[-1])
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin/python"
    first = "${PYTHONPATH:+$PYTHONPATH:}" + str(pathlib.Path("stand_ins").resolve())
    python.write_text(f'#!/bin/sh\\nPYTHONPATH="{first}" exec {sys.executable} -S "$@"\\n')
    python.chmod(0o755)
""",
    "pip.py": """
import os, sys, time
print(*sys.argv[1:], file=open("options.txt", "a"))
print(os.environ.get("PIP_SAYS", ""), flush=True)
print("pip", *[word for word in sys.argv[1:] if word[0] != "-"], file=open("asked.txt", "a"), flush=True)
time.sleep(float(os.environ.get("PIP_TAKES", 0)))
sys.exit("PIP_SAYS" in os.environ)
""",
    "warmup_course/cli.py": """
import sys
print("handed over:", sys.argv[1:])
sys.exit(7)
""",
    "warmup_course/__init__.py": "",
    "sitecustomize.py": "",
}
VENV, TORCH, COURSE = "venv", "pip install torch==2.13.0", "pip install constraints.txt ."
FREE = "import shutil; shutil.disk_usage = lambda path: shutil._ntuple_diskusage(9, 9, {})"
COURSE_WITH_TESTS = "pip install constraints.txt .[test]"
NO_NETWORK = "WARNING: Retrying after connection broken by NewConnectionError"


class Course:
    """A folder with start.py and what it reads, and nothing installed."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name, text in STAND_INS.items():
            path = folder / "stand_ins" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "stand_ins/venv.py").rename(folder / "venv.py")  # where start.py begins others
        (folder / "start.py").write_bytes(SCRIPT.read_bytes())
        (folder / "pyproject.toml").write_text('[build-system]\nrequires = ["setuptools>=77", "wheel"]\n')
        (folder / "constraints.txt").write_text("numpy==2.4.6\ntorch==2.13.0\n")

    def popen(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "start.py", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder / "stand_ins")} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def start(self, *arguments: str, **environment: str) -> tuple[int, str]:
        process = self.popen(*arguments, **environment)
        said, _ = process.communicate(timeout=300)
        assert "Traceback" not in said
        return process.returncode, said

    def asked(self) -> list[str]:
        """What venv and pip were asked for since the last call."""
        path = self.folder / "asked.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def wait_for(self, line: str) -> None:
        path = self.folder / "asked.txt"
        wait_for(lambda: path.exists() and line in path.read_text())


@pytest.fixture
def course(tmp_path: Path) -> Course:
    (tmp_path / "the course").mkdir()  # with a space, as in many people's paths
    return Course(tmp_path / "the course")


@pytest.fixture
def installed(course: Course) -> Course:
    """The same after its first start."""
    course.start("lab")
    course.asked()
    return course


def test_first_start_installs_torch_then_the_rest_and_hands_over(course: Course):
    status, said = course.start("lab", "--no-browser", "--port", "8899")
    assert course.asked() == [VENV, TORCH, COURSE]
    assert "PyTorch 2.13.0" in said
    assert "handed over: ['lab', '--no-browser', '--port', '8899']" in said
    assert status == 7  # the command's own


def test_second_start_is_quick_and_installs_nothing(installed: Course):
    begin = os.times()
    _, said = installed.start("lab")
    work = os.times()
    # Of the processor, in seconds: how busy others keep the machine does not count.
    assert 0 < work.children_user + work.children_system - begin.children_user - begin.children_system < 1
    assert (installed.asked(), said) == ([], "handed over: ['lab']\n")


def test_test_brings_its_packages_and_they_stay(installed: Course):
    for teachers in ("site", "slides", "demo"):
        installed.start(teachers)
        assert installed.asked() == ([TORCH, f"{COURSE}[classroom]"] if teachers == "site" else [])
    installed.start("test")
    assert installed.asked() == [TORCH, COURSE_WITH_TESTS]
    installed.start("site")
    assert installed.asked() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_into_the_same_environment(installed: Course, name: str):
    with (installed.folder / name).open("a") as file:
        file.write("# changed\n")
    installed.start("lab")
    assert installed.asked() == [TORCH, COURSE]


def test_moved_folder_gets_a_new_environment(installed: Course):
    installed.folder = installed.folder.rename(installed.folder.with_name("moved"))
    installed.start("lab")
    assert installed.asked() == [VENV, TORCH, COURSE]


OTHER = (3, 13, 0) if sys.version_info[:2] == (3, 12) else (3, 12, 0)


def test_an_environment_that_is_of_no_use_is_made_anew(course: Course):
    """Damaged, or of another Python: a system's upgrade leaves /usr/bin/python3 in its place, with no packages."""
    course.start("lab")
    python, stamp = course.folder / ".venv/bin/python", course.folder / ".venv/installed.json"
    exchanged = json.dumps(json.loads(stamp.read_text()) | {"python": "{}.{}".format(*OTHER)})
    damages = [python.unlink, stamp.unlink, *(partial(stamp.write_text, text) for text in ("{", "[]", exchanged))]
    for damage in damages:
        course.asked()
        damage()
        assert "anew" in course.start("lab")[1]
        assert course.asked() == [VENV, TORCH, COURSE]


def test_another_supported_python_starts_what_is_installed(installed: Course):
    (installed.folder / "stand_ins/sitecustomize.py").write_text(f"import sys; sys.version_info = {OTHER}")
    assert installed.start("lab")[1] == "handed over: ['lab']\n"
    assert "handed over" in installed.start("site")[1]
    assert installed.asked() == [TORCH, f"{COURSE}[classroom]"]
    # Made anew, .venv is of the Python that makes it.
    assert "anew" in installed.start("--torch", "cpu", "lab")[1]
    assert json.loads((installed.folder / ".venv/installed.json").read_text())["python"] == "{}.{}".format(*OTHER)


def test_killed_installation_is_waited_for_and_repaired(course: Course):
    process = course.popen("lab", PIP_TAKES="2")
    course.wait_for(TORCH)
    process.kill()
    process.communicate()
    _, said = course.start("lab")
    assert "Another installation is under way" in said  # the pip that lives on
    assert "handed over: ['lab']" in said
    assert course.asked() == [VENV, TORCH, VENV, TORCH, COURSE]


def test_interrupted_installation_says_so_and_is_repaired(course: Course):
    process = course.popen("lab", PIP_TAKES="30")
    course.wait_for(TORCH)
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the step that is under way, too
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.endswith("start.py: stopped. The same command goes on from here.\n")
    course.asked()
    course.start("lab")
    assert course.asked() == [VENV, TORCH, COURSE]


def test_without_a_network_what_was_installed_still_starts(installed: Course):
    status, said = installed.start("slides", PIP_SAYS=NO_NETWORK)
    assert (status, installed.asked()) == (1, [TORCH])
    assert "the package index cannot be reached" in said
    assert installed.start("lab") == (7, "handed over: ['lab']\n")
    assert installed.asked() == []
    assert "handed over" in installed.start("slides")[1]
    assert VENV not in installed.asked()


def test_an_update_stopped_before_it_changed_anything_changes_nothing(installed: Course):
    process = installed.popen("slides", PIP_TAKES="30")
    installed.wait_for(TORCH)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert said.endswith("start.py: stopped. The same command goes on from here.\n")
    installed.asked()
    assert installed.start("lab") == (7, "handed over: ['lab']\n")
    assert installed.asked() == []


@pytest.mark.parametrize("how", ["fails", "is interrupted", "is killed"])
def test_an_unfinished_update_is_finished_in_the_same_environment(course: Course, how: str):
    course.start("--torch", "cpu", "site")
    course.asked()
    begun = {"PIP_SAYS": "Installing collected packages: pytest\nERROR: out of luck"}
    if how == "fails":
        course.start("test", **begun)
    else:
        process = course.popen("test", PIP_TAKES="2", **begun)
        course.wait_for("torch==2.13.0")
        if how == "is killed":
            process.kill()  # and pip lives on
        else:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate()
    course.asked()
    assert "handed over: ['lab']" in course.start("lab")[1]
    asked = [f"pip install https://download.pytorch.org/whl/cpu {TORCH.split()[-1]}", f"{COURSE}[classroom]"]
    assert course.asked() == asked
    assert course.start("site")[1] == "handed over: ['site']\n"


def test_a_full_disk_leaves_the_environment_as_it_was(installed: Course):
    full = "import pathlib\nwrite = pathlib.Path.write_text\ndef write_text(path, text, *more):\n"
    full += "    write(path, '', *more)\n    if text: raise OSError(28, 'No space left on device')\n"
    (installed.folder / "stand_ins/sitecustomize.py").write_text(f"{full}pathlib.Path.write_text = write_text\n")
    assert installed.start("site") == (1, "Bringing .venv up to date:\nstart.py: [Errno 28] No space left on device\n")
    assert installed.start("lab")[1] == "handed over: ['lab']\n"


def test_an_interrupted_wait_for_another_installation_ends_in_one_line(course: Course):
    first = course.popen("lab", PIP_TAKES="1")
    course.wait_for(TORCH)
    waits = course.popen("lab", PYTHONUNBUFFERED="1")
    assert waits.stdout is not None
    assert "Another installation is under way" in waits.stdout.readline()
    waits.send_signal(signal.SIGINT)
    assert waits.communicate()[0] == "start.py: stopped. The same command goes on from here.\n"
    assert (waits.returncode, "handed over" in first.communicate()[0]) == (1, True)


def test_a_file_of_another_user_is_named_with_what_to_do(course: Course):
    course.start("lab")
    roots = "import pathlib\ndef write_text(path, *_):\n    raise PermissionError(13, 'Permission denied', str(path))\n"
    (course.folder / "stand_ins/sitecustomize.py").write_text(f"{roots}pathlib.Path.write_text = write_text\n")
    told = f"start.py: [Errno 13] Permission denied: '{course.folder / 'install.log'}'\n"
    told += f"Make the course's folder your own, as with: sudo chown -R \"$USER\" '{course.folder}'\n"
    assert course.start("site") == (1, told)


def test_two_starts_at_once_install_once(course: Course):
    processes = [course.popen("lab", PIP_TAKES="0.3") for _ in range(2)]
    for process in processes:
        assert "handed over" in process.communicate(timeout=60)[0]
    assert course.asked() == [VENV, TORCH, COURSE]


def test_torch_may_stand_anywhere_and_is_remembered(course: Course):
    from_index = "pip install https://download.pytorch.org/whl/cpu torch==2.13.0"
    for build, arguments in (
        ("cpu", ("--torch", "cpu", "lab")),
        ("cu130", ("lab", "--torch", "cuda")),
        ("cpu", ("lab", "--torch=cpu")),
    ):
        assert "handed over: ['lab']" in course.start(*arguments)[1]
        assert course.asked() == [VENV, from_index.replace("cpu", build), COURSE]
        course.start("lab")
        assert course.asked() == []


@pytest.mark.parametrize("arguments", [("lab", "--torch", "gpu"), ("lab", "--torch"), ("lab", "--torch=")])
def test_unknown_build_of_torch(course: Course, arguments: tuple[str, ...]):
    status, said = course.start(*arguments)
    assert (status, course.asked()) == (2, [])
    assert "--torch must be cpu or cuda, got" in said


def test_a_bundle_is_all_that_a_class_needs_and_is_installed_without_an_index(course: Course):
    status, said = course.start("bundle", "the wheels")
    wheels = course.folder / "the wheels"
    download = f"pip download {wheels} {wheels}"  # where to, and what is there already
    asked = [VENV, f"{download} torch==2.13.0", f"{download} constraints.txt setuptools>=77 wheel .[classroom]"]
    assert (status, course.asked()) == (0, asked)
    assert not (course.folder / ".venv").exists()
    assert said.endswith("There: python3 start.py --wheels 'the wheels' lab\n")
    (wheels / "torch-2.13.0-py3-none-any.whl").touch()
    _, said = course.start("--wheels", "the wheels", "lab")
    assert "handed over: ['lab']" in said
    assert course.asked() == [VENV, f"pip install {wheels} torch==2.13.0", f"pip install {wheels} constraints.txt ."]
    options = (course.folder / "options.txt").read_text().splitlines()
    assert ["--no-index" in line for line in options] == [False, False, True, True]
    course.start("lab")
    assert course.asked() == []


def test_a_bundle_of_the_cpu_build_needs_less_disk_and_is_remembered(course: Course):
    index = "https://download.pytorch.org/whl/cpu"
    course.start("bundle", "--torch", "cpu", "wheels")
    assert any(index in line for line in course.asked())
    (course.folder / "wheels/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    machine = f"import sys; sys.platform = 'linux'; {FREE.format(3e9)}"
    (course.folder / "stand_ins/sitecustomize.py").write_text(machine)
    assert "handed over" in course.start("--wheels=wheels", "lab")[1]
    assert not any(index in line for line in course.asked())
    course.start("bundle", "more wheels")
    assert any(index in line for line in course.asked())
    assert json.loads((course.folder / ".venv/installed.json").read_text())["torch"] == "cpu"


@pytest.mark.parametrize("line", ["bundle", "bundle a b", "bundle start.py", "--wheels . lab", "lab --wheels"])
def test_no_folder_of_wheels_is_refused_before_anything_is_made(course: Course, line: str):
    status, said = course.start(*line.split())
    assert (status, course.asked()) == (2, [])
    told = "bundle needs one folder, got " if line.startswith("bundle") else "--wheels must be a folder that"
    assert said.startswith(f"start.py: {told}")
    assert not (course.folder / "install.log").exists()


# Makes a wheel, and is the build backend of a course that is small enough to be installed in a test.
BACKEND = """
import pathlib, zipfile
def wheel(folder, name, version, needs="", **files):
    info = f"{name}-{version}.dist-info"
    files |= {f"{name}/__init__.py": "", f"{info}/RECORD": ""}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{needs}"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    path = pathlib.Path(folder) / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
    return path.name
def build_wheel(folder, *_):
    cli = {"warmup_course/cli.py": "import sys, torch, numpy\\nprint('handed over:', sys.argv[1:])"}
    needs = ["torch", "numpy<3", "sphinx; extra == 'classroom'", "other; extra == 'test'"]
    needs = "".join(f"Requires-Dist: {need}\\n" for need in needs) + "Provides-Extra: classroom\\n"
    return wheel(folder, "warmup_course", "1", needs, **cli)
build_editable = build_wheel
"""


@pytest.mark.slow
def test_the_real_pip_bundles_and_installs_without_an_index(tmp_path: Path):
    (tmp_path / "the course").mkdir()
    course = Course(tmp_path / "the course")
    shutil.rmtree(course.folder / "stand_ins")
    (course.folder / "venv.py").unlink()
    (course.folder / "backend.py").write_text(BACKEND)
    project = '[build-system]\nrequires = ["tool"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (course.folder / "pyproject.toml").write_text(project)
    backend: dict[str, Any] = {}
    exec(BACKEND, backend)
    index, wheels = tmp_path / "index", tmp_path / "stick"
    index.mkdir()
    for each in ("torch 2.13.0", "numpy 2.4.6", "numpy 2.9", "tool 1", "sphinx 1", "other 1"):
        backend["wheel"](index, *each.split())
    status, said = course.start("bundle", str(wheels), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    assert status == 0, said
    bundled = ["numpy-2.4.6", "sphinx-1", "tool-1", "torch-2.13.0"]
    assert sorted(path.name.split("-py3")[0] for path in wheels.iterdir()) == bundled
    shutil.rmtree(index)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nuser = true\n")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": str(config), "PIP_FIND_LINKS": ""}
    for command in ("lab", "site"):
        if command == "site":  # ... fails where neither index nor wheels are to be had, and breaks nothing
            assert "index cannot be reached" in course.start(command, PIP_RETRIES="1", **nowhere)[1]
            assert course.start("lab") == (0, "handed over: ['lab']\n")
        _, said = course.start("--wheels", str(wheels), command, **nowhere)
        assert f"handed over: ['{command}']" in said, (course.folder / "install.log").read_text("utf-8")
        installed = subprocess.run([course.folder / ".venv/bin/python", "-c", "import sphinx"], capture_output=True)
        assert (installed.returncode == 0) == (command == "site")


@pytest.mark.parametrize(
    ("pip_says", "told"),
    [
        # What pip 23 to 26 say: of a dead index, ...
        (
            "Looking in indexes: http://mirror/simple\nWARNING: Retrying after connection broken by NewConnectionError",
            "the package index cannot be reached (http://mirror/simple).\nCheck the network",
        ),
        ("ERROR: HTTP error 503 while getting http://mirror/torch.whl", "the package index cannot be reached (PyPI)"),
        # ... where there is no wheel for the machine, ...
        (
            (
                "Looking in links: /stick/wheels\n"
                "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 2.2.2)\n"
                "ERROR: No matching distribution found for torch==2.13.0"
            ),
            "the package index (/stick/wheels) has no torch==2.13.0 for this machine (Python 3.",
        ),
        # ... the same, of a package with a range and a pin, ...
        (
            (
                "ERROR: Cannot install warmup_course because these package versions have conflicting dependencies.\n"
                "The conflict is caused by:\n    warmup_course 0.1.0 depends on numpy<3 and >=2.1\n"
                "    The user requested (constraint) numpy==2.4.6\n\nERROR: ResolutionImpossible: for help visit"
            ),
            "has no numpy==2.4.6 for this machine",
        ),
        # ... and of disks.
        ("ERROR: [Errno 28] No space left on device", "No space left on device.\nMake room."),
        ("error: could not create 'x': Read-only file system", "could not create 'x': Read-only file system\nMake"),
        ("OSError: [Errno 13] Permission denied: '/x'", "OSError: [Errno 13] Permission denied: '/x'\nMake"),
        ("ERROR: out of luck", "could not install: PyTorch 2.13.0, 200 MB or more. It says:\nERROR: out of luck"),
    ],
)
def test_failed_installation_says_why_and_leaves_no_stamp(course: Course, pip_says: str, told: str):
    status, said = course.start("lab", PIP_SAYS=pip_says)
    assert status == 1
    assert told in said
    assert "start again" in said
    assert "Remove what is in the way" not in said or "luck" in pip_says
    assert "handed over" not in said
    log = course.folder / "install.log"
    assert said.endswith(f"All that was said is in {log}\n")
    assert pip_says in log.read_text("utf-8")
    assert course.asked() == [VENV, TORCH]
    assert not (course.folder / ".venv/installed.json").exists()


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ("import sys; sys.version_info = (3, 8, 18)", "needs Python 3.11 to 3.13, and this is Python 3.8"),
        ("import sys; sys.version_info = (3, 8, 18)", "and start with it: python3.12 start.py lab\n"),
        ("import sys; sys.version_info = 3, 8; sys.platform = 'win32'", "and start with it: py -3.12 start.py lab\n"),
        ("import sys; sys.version_info = (3, 14, 0)", "needs Python 3.11 to 3.13, and this is Python 3.14"),
        ("import sys; sys.modules['ensurepip'] = None", "sudo apt install python3."),
        (f"import sys; sys.platform = 'darwin'; {FREE.format(5e8)}", "Make 1.5 GB free"),
        (
            f"import sys; sys.platform = 'linux'; {FREE.format(5e9)}",
            "Make 1.0 GB free and start again. With --torch cpu it needs 2 GB.",
        ),
        (
            "import os; os.access = lambda path, mode: False",
            "is read-only, and .venv and install.log would be made in it.",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_is_made(course: Course, machine: str, told: str):
    (course.folder / "stand_ins/sitecustomize.py").write_text(machine)
    status, said = course.start("lab")
    assert (status, course.asked()) == (1, [])
    assert told in said
    assert not (course.folder / ".venv").exists()


@pytest.mark.parametrize("word", ["Lab", "--version", ""])
def test_unknown_command_is_refused_before_anything_is_made(course: Course, word: str):
    known = "lab, restore, progress, class, handout, demo, slides, site, "
    known += "doctor, run, test, refresh, evidence, bench, bundle"
    assert course.start(word) == (2, f"start.py: COMMAND must be one of {known}; got {word!r}\n")
    assert course.asked() == []


def test_nothing_is_run_from_where_anyone_may_write(installed: Course):
    for name in (".", "warmup_course", ".venv"):
        folder = (installed.folder / name).resolve()
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        status, said = installed.start("lab")
        assert (status, installed.asked()) == (1, [])
        assert said.startswith(f"start.py: every user of this machine may change what is in {folder}, so")
        assert said.endswith(f"chmod -R o-w '{installed.folder}'\n")
        for safe in (0o1777, 0o775):  # as /tmp is; a group's folder
            folder.chmod(safe)
            assert "handed over" in installed.start("lab")[1]


def test_a_file_system_that_keeps_no_modes_is_no_obstacle(course: Course):
    """As in WSL on a Windows drive, where a new file shows the same 0777 as everything."""
    course.folder.chmod(0o777)
    shown = "import os, tempfile; make = os.open\n"
    shown += "def all_may(path, flags, mode=0o777, **more):\n    d = make(path, flags, mode, **more)\n"
    shown += (
        "    if flags & os.O_CREAT:\n        os.fchmod(d, 0o777)\n    return d\nos.open = tempfile._os.open = all_may"
    )
    (course.folder / "stand_ins/sitecustomize.py").write_text(shown)
    assert "handed over" in course.start("lab")[1]


def test_what_lies_in_the_current_folder_is_not_imported(course: Course, tmp_path: Path):
    course.start("lab")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "warmup_course").mkdir(parents=True)
    (elsewhere / "warmup_course/__init__.py").write_text("raise SystemExit('not ours')")
    said = subprocess.run(
        [sys.executable, course.folder / "start.py", "lab"],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(course.folder / "stand_ins")},
        capture_output=True,
        text=True,
    )
    assert said.stdout == "handed over: ['lab']\n"


def test_packages_of_another_python_are_not_imported(course: Course, tmp_path: Path):
    """As a cluster's modules put them on PYTHONPATH."""
    for name in ("pip", "warmup_course"):
        (tmp_path / f"another/{name}").mkdir(parents=True)
        (tmp_path / f"another/{name}/__init__.py").write_text("raise SystemExit('not ours')")
    code, said = course.start("lab", PYTHONPATH=str(tmp_path / "another"))
    assert (code, said.splitlines()[-1]) == (7, "handed over: ['lab']")


def test_start_py_alone_says_where_it_belongs(course: Course):
    (course.folder / "constraints.txt").unlink()
    assert course.start("lab") == (
        1,
        "start.py: constraints.txt is not beside start.py.\nRun start.py inside the complete course folder.\n",
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("bundle", "--help")])
def test_help_lists_every_command_and_installs_nothing(course: Course, arguments: tuple[str, ...]):
    status, said = course.start(*arguments)
    assert (status, course.asked()) == (0, [])
    commands = re.findall(r"^    (\w+)(?:  |$)", make_parser().format_help(), re.MULTILINE)
    assert set(re.findall(r"^    python3 start\.py (\w+)", said, re.MULTILINE)) == {*commands, "bundle"}


def test_help_of_a_command_brings_nothing_that_only_the_command_needs(installed: Course):
    for line in (["slides", "--help"], ["test", "-h"], ["class", "--help"]):
        assert installed.start(*line) == (7, f"handed over: {line}\n")
        assert installed.asked() == []


def test_old_pythons_can_read_it():
    ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 7))


def test_python_versions_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    oldest, newest = (ast.literal_eval(text) for text in re.findall(r"\(3, \d+\)", SCRIPT.read_text("utf-8"))[:2])
    assert project["requires-python"] == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
