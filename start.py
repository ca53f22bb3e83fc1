#!/usr/bin/env python3
"""Start the course: make .venv beside this file, once, then run a command of warmup-course in it.

    python3 start.py lab          open the lessons in JupyterLab
    python3 start.py restore 03   a fresh copy of lesson 03; yours is kept beside it
    python3 start.py progress     what you have done, and what is left
    python3 start.py class FILES  for teachers: one page of the answers that learners handed in
    python3 start.py handout 03   for teachers: two pages of a lesson to print; --answers: their key
    python3 start.py demo LAB     for teachers: one lab alone in the browser, with prepared moments
    python3 start.py slides 03    for teachers: slides of a lesson, one HTML file
    python3 start.py site         for teachers: web pages of all lessons, for any web server
    python3 start.py doctor       what keeps the course from running here, and what mends it
    python3 start.py run          execute the lessons and say which cells fail and which claims do not hold
    python3 start.py test         run the checks; --fast: the quick ones; --slow: the long ones; 03: those of one lesson
    python3 start.py refresh      for authors: execute and normalise the stored lessons
    python3 start.py evidence     for authors: measure how often each claim holds
    python3 start.py bench        measure how fast the sweeps and the labs are
    python3 start.py bundle DIR   download what a class needs into DIR, for machines without internet (see --wheels)

Each command explains itself: python3 start.py lab --help

    --torch cpu    take PyTorch's own build without GPU support (on Linux, several GB smaller than the usual one)
    --torch cuda   take PyTorch's own build for NVIDIA GPUs
    --wheels DIR   install from what bundle downloaded, and ask no index; same system and same Python as there

The first start needs the network, and 2 GB of disk; on Linux 6 GB, because the usual PyTorch brings CUDA there
(--torch cpu: 2 GB). --torch is remembered. What pip says is kept in install.log. To start over, delete .venv.
"""

import sys

OLDEST, NEWEST = (3, 11), (3, 13)
# Comes first, and nothing in this file needs more than Python 3.6 to be read, so that an old Python gets this far.
if not OLDEST <= sys.version_info[:2] <= NEWEST:
    sys.exit(
        "start.py: the course needs Python {}.{} to {}.{}, and this is Python {}.{} ({}).\n".format(
            *OLDEST + NEWEST + sys.version_info[:2] + (sys.executable,)
        )
        + "Install one of these, from python.org or your package manager, and start with it: "
        + "{} start.py lab".format("py -3.12" if sys.platform == "win32" else "python3.12")
    )

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
# What is installed, see goal_for(). An update that did not end has UNFINISHED for its requirements; an installation
# from scratch that did not end has left no stamp, and .venv is made anew.
STAMP = VENV / "installed.json"
UNFINISHED = "unfinished"
LOG = ROOT / "install.log"
HERE = "{}.{}".format(*sys.version_info[:2])
SUPPORTED = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
QUIET = ["--disable-pip-version-check", "--no-input"]
COMMANDS = re.findall(r"^    python3 start\.py (\w+)", __doc__ or "", re.MULTILINE)

# PyTorch's own wheel indexes (cu130: its stable CUDA build since torch 2.11). Not tried by the authors.
INDEXES = {"cpu": "https://download.pytorch.org/whl/cpu", "cuda": "https://download.pytorch.org/whl/cu130"}
GIGABYTES = {"default": 6.0 if sys.platform == "linux" else 2.0, "cpu": 2.0, "cuda": 6.0}

EXTRAS = ["", "[classroom]", "[test]"]  # of the course's packages, each with those before it

Lock = tuple[int, ...]  # the file descriptors that hold the lock of only_one_installation()


def main(arguments: list[str]) -> int:
    options, command = take_options(arguments)
    torch, wheels = options.get("--torch"), options.get("--wheels")
    asks = ("-h", "--help")
    if not command or command[0] in (*asks, "help") or (command[0] == "bundle" and command[-1] in asks):
        print(__doc__)
        return 0
    if command[0] not in COMMANDS:
        fail(f"COMMAND must be one of {', '.join(COMMANDS)}; got {command[0]!r}", status=2)
    refuse_where_anyone_may_write()
    for name in ("pyproject.toml", "constraints.txt"):
        if not (ROOT / name).is_file():
            fail(f"{name} is not beside start.py.", "Run start.py inside the complete course folder.")
    if command[0] == "bundle":
        with only_one_installation() as lock:
            return bundle(command[1:], torch, lock)
    for_teachers = dict.fromkeys(("demo", "slides", "site", "handout", "class"), "[classroom]")
    extra = {"test": "[test]", **for_teachers}.get(command[0], "")
    if any(word in asks for word in command):
        extra = ""  # to be read, a command's help needs nothing of it
    if read_stamp() != goal_for(torch, extra):
        with only_one_installation() as lock:
            goal = goal_for(torch, extra)  # another one may have ended just now
            if read_stamp() != goal:
                install(goal, lock, wheels)
    # -P: nothing is imported from the folder that one happens to be in.
    return hand_over([str(PYTHON), "-P", "-m", "warmup_course.cli", *command])


def take_options(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """The values of --torch and --wheels, wherever they stand, and the other arguments."""
    options, others, remaining = {}, [], iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if name in ("--torch", "--wheels"):
            options[name] = value if equals else next(remaining, "")
        else:
            others.append(argument)
    if options.get("--torch", "cpu") not in INDEXES:
        fail(f"--torch must be cpu or cuda, got {options['--torch']!r}", status=2)
    wheels = options.get("--wheels")
    if wheels is not None and not (wheels and any(Path(wheels).glob("torch-*.whl"))):
        fail(f"--wheels must be a folder that start.py bundle has filled, got {wheels!r}", status=2)
    if wheels and any(Path(wheels).glob("torch-*+cpu-*.whl")):
        options.setdefault("--torch", "cpu")
    return options, others


def refuse_where_anyone_may_write() -> None:
    """Code from such a folder is run by nobody. One with the sticky bit is safe; on Windows, there are no such bits."""
    for folder in (ROOT, ROOT / "warmup_course", VENV):
        if os.name == "posix" and folder.exists() and is_world_writable(folder) and keeps_modes(folder):
            fail(
                f"every user of this machine may change what is in {folder}, so nothing in it is run.",
                f"To close it: chmod -R o-w '{ROOT}'",
            )


def is_world_writable(path: Path) -> bool:
    return path.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH


def keeps_modes(folder: Path) -> bool:
    """Whether modes mean anything there: Windows drives in WSL, USB sticks and some shares show the same for all."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as private:
            return not is_world_writable(Path(private.name))
    except OSError:  # read-only for us, and so, on such a file system, for everybody
        return False


def goal_for(torch: str | None, extra: str) -> dict[str, Any]:
    """What .venv is to hold. Where the stamp says anything else, there is something to install."""
    installed = read_stamp()
    return {
        "folder": str(VENV),  # a virtual environment works only where it was made
        "python": python_of_venv(),  # whichever one starts this file
        "torch": torch or installed.get("torch", "default"),
        "extra": max(extra, installed.get("extra", ""), key=EXTRAS.index),
        "requirements": hashlib.sha256(read("pyproject.toml") + read("constraints.txt")).hexdigest(),
    }


def python_of_venv() -> str:
    """The version of .venv's Python, "" if it has none of use. It is asked: a system's upgrade may have changed it."""
    ask = [str(PYTHON), "-I", "-S", "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"]
    try:
        said = subprocess.run(ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    except OSError:
        return ""
    return said if said in SUPPORTED else ""


def read_stamp() -> dict[str, Any]:
    try:
        stamp = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(stamp: dict[str, Any]) -> None:
    new = STAMP.with_suffix(".new")  # a full disk leaves the old one as it was
    new.write_text(json.dumps(stamp, indent=1), "utf-8")
    new.replace(STAMP)


def read(name: str) -> bytes:
    return (ROOT / name).read_bytes().replace(b"\r\n", b"\n")


def bundle(arguments: list[str], torch: str | None, lock: Lock) -> int:
    """Download what .venv is made of, all but what only the tests need."""
    if len(arguments) != 1 or not arguments[0] or arguments[0].startswith("-") or Path(arguments[0]).is_file():
        fail(f"bundle needs one folder, got {' '.join(arguments)!r}", status=2)
    wheels = Path(arguments[0]).resolve()
    wheels.mkdir(parents=True, exist_ok=True)
    begin_log()
    print(f"Downloading into {wheels}:")
    with tempfile.TemporaryDirectory() as folder:  # with a pip of its own: many a Python comes without one
        python = Path(folder) / PYTHON.relative_to(VENV)
        run("virtual environment", [sys.executable, "-m", "venv", folder], lock)
        pip = [str(python), "-m", "pip", "download", *QUIET, "--dest", str(wheels), "--find-links", str(wheels)]
        install_with(pip, ".[classroom]", torch or read_stamp().get("torch", "default"), lock, build_requirements())
    there = shlex.quote(wheels.name)
    print(f"Take the course's folder and this one to each machine. There: python3 start.py --wheels {there} lab")
    return 0


def build_requirements() -> list[str]:
    """What pip needs to install the course's own folder."""
    [listed] = re.findall(r"^requires = \[(.*)\]", read("pyproject.toml").decode(), re.MULTILINE)
    return re.findall(r'"([^"]+)"', listed)


def begin_log() -> None:
    if not os.access(ROOT, os.W_OK):
        fail(
            f"{ROOT} is read-only, and {VENV.name} and {LOG.name} would be made in it.",
            "Copy the course's folder to one of your own.",
        )
    LOG.write_text("", "utf-8")


def install(goal: dict[str, Any], lock: Lock, wheels: str | None) -> None:
    """Bring .venv to the goal, from whatever state it is in."""
    # pip can add packages to a sound .venv and change their versions; in any other case .venv is made anew.
    begin_log()
    installed = read_stamp()
    sound = all(installed.get(key) == goal[key] for key in ("folder", "python", "torch"))
    if sound:
        print("Bringing .venv up to date:")
        write_stamp({**installed, "requirements": UNFINISHED})  # whatever stops what follows, the next start sees it
    else:
        check_machine(GIGABYTES[goal["torch"]])
        STAMP.unlink(missing_ok=True)
        print("Setting up, this once:" if not VENV.exists() else "Making .venv anew, what is there is of no use here:")
        run("virtual environment", [sys.executable, "-m", "venv", "--clear", str(VENV)], lock)
        goal = {**goal, "python": HERE}

    offline = ["--no-index", "--find-links", str(Path(wheels).resolve())] if wheels else []
    # A pip.conf may say user = true, which pip refuses in a virtual environment.
    pip = [str(PYTHON), "-m", "pip", "install", *QUIET, "--no-user", *offline]
    try:
        install_with(pip, f".{goal['extra']}", "default" if wheels else goal["torch"], lock, ["--editable"])
    except BaseException:
        # pip says so once all is downloaded, before it changes anything.
        if sound and "Installing collected packages" not in LOG.read_text("utf-8", "replace"):
            write_stamp(installed)
        raise
    write_stamp(goal)


def install_with(pip: list[str], course: str, torch: str, lock: Lock, more: list[str]) -> None:
    """Install, or download, what constraints.txt pins."""
    # PyTorch goes first and alone: its own index has its builds, but not our versions of the packages that it needs.
    [version] = re.findall(r"^torch==(\S+)", read("constraints.txt").decode(), re.MULTILINE)
    index = ["--index-url", INDEXES[torch]] if torch in INDEXES else []
    run(f"PyTorch {version}, 200 MB or more", [*pip, "--no-deps", *index, f"torch=={version}"], lock)
    run("JupyterLab and the course, 150 MB", [*pip, "-c", "constraints.txt", *more, course], lock)


def check_machine(gigabytes: float) -> None:
    """Stop where .venv cannot be made here, and say what to do."""
    if Path(sys.prefix).resolve() == VENV:
        fail(".venv has to be made anew, and this Python lives in it.", 'Type "deactivate" and start again.')
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        fail(
            f"this Python ({sys.executable}) lacks venv or ensurepip, which make virtual environments.",
            f"On Debian and Ubuntu: sudo apt install python{HERE}-venv",
            "Elsewhere, a Python from python.org has them.",
        )
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes and not VENV.exists():
        fail(
            f"the course needs about {gigabytes:.1f} GB, and the disk of {ROOT} has {free:.1f} GB free.",
            f"Make {gigabytes - free:.1f} GB free and start again."
            + (" With --torch cpu it needs 2 GB." if gigabytes > GIGABYTES["cpu"] else ""),
        )


def run(what: str, command: list[str], lock: Lock) -> None:
    """Run one step of the installation. It shows a dot now and then; its own words are kept in the log."""
    print(f"  {what} ", end="", flush=True)
    begin = time.monotonic()
    with LOG.open("a+", encoding="utf-8", errors="replace") as log:
        start = log.tell()
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, pass_fds=lock)
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=3)
                except subprocess.TimeoutExpired:
                    print(".", end="", flush=True)
        except KeyboardInterrupt:  # the step gets it too
            process.wait()
            print()
            raise
        log.seek(start)
        said = log.read()
    if process.returncode:
        print()
        fail(
            *explain(what, said),
            "Then start again with the same command: what was downloaded is kept.",
            f"All that was said is in {LOG}",
        )
    print(f" {time.monotonic() - begin:.0f} s")


def explain(what: str, said: str) -> list[str]:
    """What kept a step of the installation from its end, and what to do."""

    def find(pattern: str) -> str:
        found = re.search(pattern, said, re.IGNORECASE)
        return found.group(found.lastindex or 0).strip() if found else ""

    index = find(r"looking in indexes: (.+)") or find(r"looking in links: (.+)") or "PyPI"
    if find("connection broken|failed to establish|name resolution|timed out|HTTP error [45]|SSLError"):
        return [
            f"the package index cannot be reached ({index}).",
            "Check the network, the proxy where there is one, and which index pip is set to (pip config list).",
            "If you have a folder of wheels, name it: --wheels DIR",
        ]
    if find("no space left on device|disk quota exceeded"):
        return [f"{what}: No space left on device.", "Make room."]
    if find("read-only file system|permission denied"):
        return [find(".*(?:read-only file system|permission denied).*"), "Make the course's folder your own."]
    # Our ranges and pins agree, so where pip sees a conflict with a pin, that version is not to be had.
    missing = find(r"no matching distribution found for (\S+)") or find(r"\(constraint\) (\S+==\S+)")
    if missing:
        machine = f"Python {HERE} on {sysconfig.get_platform()}"
        return [
            f"the package index ({index}) has no {missing} for this machine ({machine}).",
            "PyTorch needs a 64-bit Python, and has no builds for Macs with an Intel processor.",
            "An index other than PyPI may lack this version, or its address may be wrong (pip config list).",
        ]
    errors = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()
    return [f"could not install: {what}. It says:", *errors[-4:], "Remove what is in the way."]


@contextlib.contextmanager
def only_one_installation() -> Iterator[Lock]:
    """Wait for any other installation here, a step that a killed start.py left behind included.

    The lock is on this file, and each step of the installation inherits it. Windows goes without.
    """
    if sys.platform == "win32":
        yield ()
        return
    import fcntl

    with open(__file__, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another installation is under way here; waiting for it to end.")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # some network file systems have no locks
            pass
        yield (file.fileno(),)


def hand_over(command: list[str]) -> int:
    """Become the command; on Windows, where that is not possible, wait for it."""
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command gets it too, and decides what it means
            pass


def fail(*lines: str, status: int = 1) -> NoReturn:
    print("start.py: " + "\n".join(lines), file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    # Their packages are another Python's. pip would take them for those of .venv, and kernels would find them first.
    for name in ("PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        fail("stopped. The same command goes on from here.")
    except OSError as error:
        ours = isinstance(error, PermissionError) and os.name == "posix" and str(error.filename).startswith(str(ROOT))
        own = f"Make the course's folder your own, as with: sudo chown -R \"$USER\" '{ROOT}'"
        fail(str(error), *([own] if ours else []))
