"""What breaks the course in practice, looked for on this machine; what is wrong comes with the line that mends it."""

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, distributions, metadata, requires, version
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryFile

from warmup_course import variables
from warmup_course.lesson_files import IN_CLONE, PACKAGE, chosen

LEAST_MEMORY = 1.5  # GB; a kernel whose sweep is shared among two processes took up to 0.8 GB
LEAST_DISK = 0.1  # GB; the executed lessons took up to 2 MB each
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, which the system's own count leaves out
GPU_DRIVER = Path("/proc/driver/nvidia/version")
# Front end -> the package that brings it.
FRONT_ENDS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "anywidget": "anywidget"}
# Imported by the name before, installed by the one after; pip knows the others by the name that is imported.
INSTALLED_AS = {
    "PIL": "pillow",
    "dateutil": "python-dateutil",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
HOSTS = r"C:\Windows\System32\drivers\etc\hosts" if sys.platform == "win32" else "/etc/hosts"


@dataclass(frozen=True)
class Finding:
    """What one check found, and the line that mends it. Where the course runs all the same, that is a hint.

    >>> print(Finding(False, "there is no room", "make some"))
    ✘ there is no room
      To mend it: make some
    """

    sound: bool
    found: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{'✔' if self.sound else '✘'} {self.found}"
        return f"{line}\n  {'Hint' if self.sound else 'To mend it'}: {self.mend}" if self.mend else line


def examine(workspace: Path) -> Iterator[Finding]:
    """The findings of all checks, one by one; the learner's copies are usually in ``workspace``."""
    copies = partial(chosen, workspace)
    checks: list[Callable[[], Finding]] = [
        *(python, packages, kernel, front_ends, gpu),
        lambda: writable("your copies of the lessons", copies, variables.WORKSPACE),
        *(answers, lambda: disk(copies), memory, loopback),
    ]
    broken = set()
    for check in checks:
        try:
            yield check()
        except ImportError as error:  # a package that is there, and broken
            package = (error.name or "warmup_course").partition(".")[0]
            if package not in broken:
                mend = pip("--force-reinstall", INSTALLED_AS.get(package, package))
                yield Finding(False, f"{package} cannot be imported ({error})", mend)
            broken.add(package)


def python() -> Finding:
    from packaging.specifiers import SpecifierSet  # JupyterLab itself needs packaging

    here, (supported, _) = platform.python_version(), requirements()
    if not SpecifierSet(supported).contains(here, prereleases=True):
        another = "py -3.12" if sys.platform == "win32" else "python3.12"
        mend = f"start the course with one of these, as in: {another} start.py lab"
        return Finding(False, f"this is Python {here}, and the course needs {supported}", mend)
    return Finding(True, f"Python {here}: {sys.executable}")


def packages() -> Finding:
    """Those that the course names, against its ranges. constraints.txt has one choice among these, and others do."""
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in requirements()[1]]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    first = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    others = {one.name for one in needed} & {found.name for found in distributions(path=first)}
    if others:
        found = f"PYTHONPATH brings another {', another '.join(sorted(others))}, before that of this Python"
        return Finding(False, found, "remove the variable PYTHONPATH")
    wrong, options = {}, []
    for one in needed:
        try:
            found = version(one.name)
        except PackageNotFoundError:
            wrong[f"{one.name}{one.specifier}"] = f"{one.name} is missing"
            continue
        except FileNotFoundError:  # says importlib_metadata, which some packages put before the standard library's
            found = ""
        if not found or _is_hollow(one.name):  # the file that names it is gone, or its folder
            wrong[f"{one.name}{one.specifier}"] = f"{one.name} is damaged"
            options = ["--force-reinstall"]
        elif not one.specifier.contains(found, prereleases=True):
            wrong[f"{one.name}{one.specifier}"] = f"{one.name} is {found}"
    if wrong:
        mend = pip(*options, *wrong)
        return Finding(False, f"the course needs {', '.join(wrong)}; {', '.join(wrong.values())}", mend)
    return Finding(True, f"the {len(needed)} packages that the course needs, in versions that it knows")


def _is_hollow(package: str) -> bool:
    """Whether a folder that it has brought is gone."""
    itself = distribution(package)
    brought = re.findall(r"^\w+/__init__\.py(?=,)", itself.read_text("RECORD") or "", re.MULTILINE)
    return not all(Path(str(itself.locate_file(file))).exists() for file in brought)


def kernel() -> Finding:
    """Jupyter starts the first python3 on its path, whoever put it there."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    place, mend = "", f'"{sys.executable}" -m jupyter_client.kernelspecapp remove python3'
    try:
        place = KernelSpecManager().find_kernel_specs().get("python3", "")
        if any(Path(place).is_relative_to(folder) for folder in os.environ.get("JUPYTER_PATH", "").split(os.pathsep)):
            mend = "remove the variable JUPYTER_PATH"  # there the kernel may be right for others
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding(False, "Jupyter finds no kernel python3", pip("--force-reinstall", "ipykernel"))
    except Exception as error:  # whatever Jupyter stumbles over in that file
        return Finding(False, f"the kernel python3 in {place} is damaged ({error})", mend)
    # By these names, Jupyter means the Python that it runs in.
    if program not in ("python", "python3", "python{}.{}".format(*sys.version_info)):
        if (found := shutil.which(program)) is None:
            return Finding(False, f"the kernel python3 in {place} starts {program}, which is not there", mend)
        # Each environment has its own folder of programs; its Python may be a link to the one that made it.
        one, other = Path(found), Path(sys.executable)
        if (one.parent.resolve(), one.resolve()) != (other.parent.resolve(), other.resolve()):
            return Finding(False, f"the kernel python3 in {place} starts another Python, {program}", mend)
    return Finding(True, f"Jupyter's kernel python3 is this Python: {place}")


def front_ends() -> Finding:
    """What draws the quizzes and labs in the browser, where this environment's Jupyter looks for it."""
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [name for name in FRONT_ENDS if not any((folder / name / "package.json").is_file() for folder in folders)]
    if missing:
        mend = pip("--force-reinstall", "--no-deps", *(FRONT_ENDS[name] for name in missing))
        return Finding(False, f"JupyterLab has no front end {' and no '.join(missing)}", mend)
    return Finding(True, f"JupyterLab has the front ends {' and '.join(FRONT_ENDS)}")


def gpu() -> Finding:
    """The course needs none, so one that lies idle is no fault; one that is asked for must be there."""
    try:
        import torch
    except OSError as error:  # on Windows, where one of its libraries cannot be loaded
        raise ImportError(str(error), name="torch") from error
    from warmup_course.device import resolve_device

    try:
        resolve_device()
    except ValueError as error:
        return Finding(False, str(error), f"remove the variable {variables.DEVICE}, or set it to cpu")
    with warnings.catch_warnings(action="ignore"):  # torch's, of an old driver
        if torch.cuda.is_available():
            return Finding(True, f"torch {torch.__version__} sees a GPU: {torch.cuda.get_device_name()}")
    there = GPU_DRIVER.exists()
    with suppress(OSError, subprocess.TimeoutExpired):
        there = there or subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=20).returncode == 0
    if not there:
        return Finding(True, f"torch {torch.__version__} on the CPU; no NVIDIA GPU is here, and none is needed")
    if torch.version.cuda is not None:
        return Finding(
            True, f"a GPU is here, and torch cannot use it with CUDA {torch.version.cuda}", "renew its driver"
        )
    mend = "python3 start.py lab --torch cuda" if IN_CLONE else "install PyTorch's build for CUDA"
    return Finding(True, f"a GPU is here, and torch {torch.__version__} is a build without CUDA", mend)


def writable(what: str, folder: Callable[[], Path], variable: str) -> Finding:
    try:
        with TemporaryFile(dir=_nearest(folder())):
            return Finding(True, f"{what} are kept in {folder()}")
    except (OSError, ValueError) as error:
        mend = f"set {variable} to a folder of your own, such as ~/warmup_course"
        return Finding(False, f"{what} cannot be kept ({error})", mend)


def answers() -> Finding:
    """Their folder, its locks, and the file itself."""
    from warmup_course.classroom import store

    finding = writable("your answers", store.home, variables.HOME)
    if not finding.sound:
        return finding
    try:
        store.need_locks(_nearest(store.home()))
        count = len(store.events())
        if store.path().exists() and not os.access(store.path(), os.W_OK):
            return Finding(False, f"{store.path()} cannot be changed", f"make it your own, or set {variables.HOME}")
    except store.StoreError as error:
        return Finding(False, error.problem, error.advice)
    return Finding(True, " ".join([f"{finding.found}: {count} so far.", *store.news()]))


def disk(copies: Callable[[], Path]) -> Finding:
    from warmup_course.classroom import store

    free = {}
    for variable, folder in ((variables.WORKSPACE, copies), (variables.HOME, store.home)):
        with suppress(OSError, ValueError):  # writable() tells of it
            free[variable] = shutil.disk_usage(_nearest(folder())).free / 1e9
            if free[variable] < LEAST_DISK:
                mend = f"make room there, or set {variable} to a folder on another disk"
                found = f"the disk of {folder()} has {free[variable]:.2f} GB free, and the course needs {LEAST_DISK}"
                return Finding(False, found, mend)
    least = f"{min(free.values()):.1f} GB of disk are free" if free else "how much disk is free was not measured"
    return Finding(True, f"{least}; the course needs {LEAST_DISK} GB")


def memory() -> Finding:
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return Finding(True, f"how much memory is here was not measured; the course needs {LEAST_MEMORY} GB")
    with suppress(OSError, ValueError):  # "max" stands for no limit
        there = min(there, int(MEMORY_LIMIT.read_text()))
    found = f"{there / 1e9:.1f} GB of memory; the course needs {LEAST_MEMORY}"
    mend = f"give this machine or container at least {LEAST_MEMORY} GB"
    return Finding(True, found) if there >= LEAST_MEMORY * 1e9 else Finding(False, found, mend)


def loopback() -> Finding:
    """JupyterLab, its kernels and the browser meet there."""
    found: set[str] = set()
    with suppress(OSError):
        found = {str(address[0]) for *_, address in socket.getaddrinfo("localhost", None)}
    if not any(ip_address(address).is_loopback for address in found):
        mend = f"add this line to {HOSTS}: 127.0.0.1 localhost"
        return Finding(False, f"localhost is not this machine, but {', '.join(found) or 'unknown'}", mend)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        mend = f"let {sys.executable} open ports on 127.0.0.1, in the firewall or the container's settings"
        return Finding(False, f"no port can be opened on this machine ({error})", mend)
    return Finding(True, "localhost is this machine, and ports can be opened on it")


def pip(*words: str) -> str:
    """A command for this Python's pip; what could mean something to a shell is quoted.

    >>> pip("numpy>=2").removeprefix(f'"{sys.executable}" ')
    '-m pip install "numpy>=2"'
    """
    quoted = (word if word.replace("-", "").replace("_", "").isalnum() else f'"{word}"' for word in words)
    return " ".join([f'"{sys.executable}" -m pip install', *quoted])


def requirements() -> tuple[str, list[str]]:
    """The Pythons and packages that the course needs; in a clone, not those at the time it was installed."""
    if IN_CLONE:
        project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
        return project["requires-python"], project["dependencies"]
    return metadata("warmup_course")["Requires-Python"], requires("warmup_course") or []


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest around it that is there: to look makes none. Itself, where its drive is not there."""
    return next((place for place in (folder, *folder.parents) if os.path.exists(place)), folder)
