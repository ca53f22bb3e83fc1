"""The doctor, on a machine that is broken on purpose: each time it names what is wrong and the line that mends it."""

import errno
import importlib.metadata
import io
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from warmup_course import cli, doctor
from warmup_course.classroom import store
from warmup_course.doctor import Finding

PYTHON = f'"{sys.executable}"'
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="made of POSIX's locks, links, modes or scripts")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folders, without what this machine's owner keeps for Jupyter."""
    for name in ("WARMUP_COURSE_HOME", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("WARMUP_COURSE_WORKSPACE", "JUPYTER_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli, "WORKSPACE", tmp_path / "workspace")
    store.can_lock.cache_clear()
    return tmp_path


def wrong() -> Finding:
    """The only finding that is not sound."""
    [finding] = [finding for finding in doctor.examine(cli.WORKSPACE) if not finding.sound]
    return finding


def hint() -> Finding:
    [finding] = [finding for finding in doctor.examine(cli.WORKSPACE) if finding.mend]
    assert finding.sound
    return finding


# ---- what is said ---------------------------------------------------------------------------------------------------


def test_a_healthy_environment_is_all_ticks(machine, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "gpu", lambda: Finding(True, "a machine with a driver that is too old gets a hint"))
    assert cli.main(["doctor"]) == 0
    *lines, empty, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("✔ ") for line in lines)
    assert (empty, last) == ("", "Nothing is wrong.")
    assert not {"workspace", "WARMUP_COURSE_HOME"} & {path.name for path in machine.iterdir()}  # to look makes none


def test_what_is_wrong_has_its_line_and_status_1(capsys, monkeypatch):
    monkeypatch.setenv("WARMUP_COURSE_HOME", "answers")
    monkeypatch.setattr(doctor, "LEAST_MEMORY", 1e6)
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    crosses = [number for number, line in enumerate(lines) if line.startswith("✘")]
    assert len(crosses) == 2
    assert all(lines[number + 1].startswith("  To mend it: ") for number in crosses)
    assert lines[-1] == "Wrong: 2. The line below each cross mends it."


def test_a_console_without_a_tick_is_no_obstacle(monkeypatch):
    """As on Windows, where the output goes into a file."""
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    assert cli.main(["doctor"]) == 0
    console.seek(0)
    assert console.read().startswith("? Python 3.")


def test_a_package_that_cannot_be_imported_does_not_keep_it_from_the_rest(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    finding = wrong()
    assert finding.found.startswith("jupyter_client cannot be imported (")
    assert finding.mend == f"{PYTHON} -m pip install --force-reinstall jupyter_client"


def test_the_line_names_what_pip_knows_and_comes_once(monkeypatch):
    def broken() -> Finding:
        raise ImportError("No module named 'PIL'", name="PIL.Image")

    for check in ("kernel", "front_ends"):
        monkeypatch.setattr(doctor, check, broken)
    assert wrong().mend == f"{PYTHON} -m pip install --force-reinstall pillow"


@pytest.mark.parametrize(("folder", "package"), [("sklearn", "scikit-learn"), ("yaml", "PyYAML")])
def test_a_package_whose_folder_is_gone_is_damaged(tmp_path, monkeypatch, folder, package):
    version = importlib.metadata.version(package)
    metadata = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (metadata / "RECORD").write_text(f"{folder}/__init__.py,sha256=x,1\n{folder}/more/__init__.py,sha256=x,1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert wrong().found.endswith(f"{package} is damaged")
    assert "--force-reinstall" in wrong().mend
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "__init__.py").touch()
    assert all(finding.sound for finding in doctor.examine(cli.WORKSPACE))


@pytest.mark.parametrize("fails", [ImportError("undefined symbol", name="torch"), OSError("[WinError 126]")])
def test_a_broken_torch_does_not_keep_it_from_the_rest(monkeypatch, fails):
    class Broken(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "torch":
                raise fails

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert wrong().found == f"torch cannot be imported ({fails})"


# Neither can be imported; one is not installed either.
WITHOUT = """
import importlib.metadata as metadata, sys
[missing] = sys.argv[1:]
sys.modules |= {"numpy": None, "filelock": None}
there = metadata.version
def version(name):
    if name == missing:
        raise metadata.PackageNotFoundError(name)
    return there(name)
metadata.version = version
from warmup_course.cli import main
sys.exit(main(["doctor"]))
"""


@pytest.mark.process
@pytest.mark.parametrize("missing", ["filelock", "numpy"])
def test_it_starts_without_what_it_should_find(missing: str):
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", WITHOUT, missing]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1
    assert f"; {missing} is missing" in done.stdout
    assert "✘ numpy cannot be imported (" in done.stdout
    assert "Traceback" not in done.stderr


# ---- Python and its packages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.10.14", "3.14.0", "3.14.0rc1"])
def test_a_python_out_of_range(monkeypatch, version):
    monkeypatch.setattr(platform, "python_version", lambda: version)
    finding = wrong()
    assert finding.found.startswith(f"this is Python {version}, and the course needs >=3.11,<3.14")
    assert finding.mend.endswith("python3.12 start.py lab")


def test_another_python_has_another_name_on_windows(monkeypatch):
    monkeypatch.setattr(platform, "python_version", lambda: "3.14.0")
    monkeypatch.setattr(sys, "platform", "win32")
    assert doctor.python().mend.endswith(": py -3.12 start.py lab")


def installed(folder: Path, name: str, version: str) -> None:
    """Let a package be found there in this version."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_packages_out_of_their_range(machine, monkeypatch):
    installed(machine / "site", "numpy", "1.26.4")
    installed(machine / "site", "ipywidgets", "7.8.1")
    monkeypatch.syspath_prepend(machine / "site")
    finding = wrong()
    assert finding.found.endswith("; numpy is 1.26.4, ipywidgets is 7.8.1")
    assert finding.mend == f'{PYTHON} -m pip install "numpy<3,>=2.1" "ipywidgets<9,>=8.1.5"'


def test_packages_of_another_python(machine, monkeypatch):
    for name in ("numpy", "torch", "rclpy"):
        installed(machine / "modules", name, "2.1.0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(machine / "nothing"), str(machine / "modules")]))
    finding = wrong()
    assert finding.found == "PYTHONPATH brings another numpy, another torch, before that of this Python"
    assert finding.mend == "remove the variable PYTHONPATH"


@pytest.mark.filterwarnings("ignore:Implicit None:DeprecationWarning")
def test_a_package_that_lost_the_file_with_its_version(machine, monkeypatch):
    installed(machine / "site", "numpy", "2.1.0")
    (machine / "site/numpy-2.1.0.dist-info/METADATA").unlink()
    monkeypatch.syspath_prepend(machine / "site")
    finding = wrong()
    assert finding.found == "the course needs numpy<3,>=2.1; numpy is damaged"
    assert finding.mend == f'{PYTHON} -m pip install --force-reinstall "numpy<3,>=2.1"'


@pytest.mark.parametrize("version", ["2.13.0+cu130", "2.14.0a0+git123"])
def test_a_build_of_its_own_is_in_range(machine, monkeypatch, version):
    installed(machine / "site", "torch", version)
    monkeypatch.syspath_prepend(machine / "site")
    assert doctor.packages().sound


@pytest.mark.parametrize("in_clone", [True, False])
def test_a_missing_package(monkeypatch, in_clone):
    there = importlib.metadata.version

    def version(name: str) -> str:
        if name == "anywidget":
            raise importlib.metadata.PackageNotFoundError(name)
        return there(name)

    monkeypatch.setattr(doctor, "IN_CLONE", in_clone)
    monkeypatch.setattr(doctor, "version", version)
    finding = wrong()
    assert finding.found.endswith("; anywidget is missing")
    assert finding.mend == f'{PYTHON} -m pip install "anywidget<1,>=0.9.18"'


@pytest.mark.parametrize("in_clone", [True, False])
def test_the_packages_of_the_checks_are_not_asked_for(monkeypatch, in_clone):
    monkeypatch.setattr(doctor, "IN_CLONE", in_clone)
    supported, needed = doctor.requirements()
    assert Requirement(f"python{supported}").specifier.contains(platform.python_version())
    assert "torch" in {Requirement(text).name for text in needed}
    monkeypatch.setattr(doctor, "requirements", lambda: (supported, ['nothing-of-that-name; extra == "test"']))
    assert doctor.packages().sound


# ---- Jupyter --------------------------------------------------------------------------------------------------------


def kernelspec(folder: Path, text: str) -> Path:
    place = folder / "kernels/python3"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(text)
    return place


def starts(program: str | Path) -> str:
    command = [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return json.dumps({"argv": command, "display_name": "Python 3", "language": "python"})


def another_python(folder: Path) -> Path:
    """The Python of another environment, which is a link to the same program as this one."""
    python = folder / "other/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    return python


@posix_only
def test_a_foreign_kernel_in_the_jupyter_path(machine, monkeypatch):
    python = another_python(machine)
    place = kernelspec(machine / "shared", starts(python))
    monkeypatch.setenv("JUPYTER_PATH", str(machine / "shared"))
    assert wrong() == Finding(
        False,
        f"the kernel python3 in {place} starts another Python, {python}",
        "remove the variable JUPYTER_PATH",
    )
    monkeypatch.delenv("JUPYTER_PATH")
    assert doctor.kernel().sound


@pytest.mark.process
def test_a_stale_kernel_of_the_learners_own_is_removed_by_the_line(machine, monkeypatch):
    """As another environment leaves it, where it was installed with --user and then deleted."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")  # as outside a virtual environment
    place = kernelspec(machine / "JUPYTER_DATA_DIR", starts(machine / "gone/bin/python"))
    finding = wrong()
    assert finding.found == (f"the kernel python3 in {place} starts {machine / 'gone/bin/python'}, which is not there")
    assert finding.mend == f"{PYTHON} -m jupyter_client.kernelspecapp remove python3"
    command = [sys.executable, *finding.mend.removeprefix(f"{PYTHON} ").split()]
    subprocess.run(command, input="y\n", text=True, capture_output=True, check=True)
    assert not place.exists()
    assert doctor.kernel().sound


@pytest.mark.parametrize("text", ["{", "[]", '{"argv": 3}', '{"argv": [], "display_name": "", "language": ""}', "\xff"])
def test_a_damaged_kernel(machine, monkeypatch, text):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    place = kernelspec(machine / "JUPYTER_DATA_DIR", text)
    finding = wrong()
    assert finding.found.startswith(f"the kernel python3 in {place} is damaged (")
    assert finding.mend.endswith("remove python3")


@pytest.mark.parametrize("program", ["python", "python3", sys.executable])
def test_names_by_which_jupyter_starts_this_python(machine, monkeypatch, program):
    kernelspec(machine / "shared", starts(program))
    monkeypatch.setenv("JUPYTER_PATH", str(machine / "shared"))
    monkeypatch.setenv("PATH", "")
    assert doctor.kernel().sound


def test_no_kernel_at_all(machine, monkeypatch):
    monkeypatch.setattr("jupyter_client.kernelspec.jupyter_path", lambda *_: [])
    monkeypatch.setitem(sys.modules, "ipykernel.kernelspec", None)
    finding = wrong()
    assert finding.found == "Jupyter finds no kernel python3"
    assert finding.mend == f"{PYTHON} -m pip install --force-reinstall ipykernel"


@pytest.mark.parametrize(
    ("there", "brings"),
    [
        (["anywidget"], "jupyterlab_widgets"),
        (["@jupyter-widgets/jupyterlab-manager"], "anywidget"),
        ([], "jupyterlab_widgets anywidget"),
    ],
)
def test_front_ends_that_are_missing(machine, monkeypatch, there, brings):
    for name in there:
        (machine / "labextensions" / name).mkdir(parents=True)
        (machine / "labextensions" / name / "package.json").touch()
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *below: [str(machine.joinpath(*below))])
    finding = doctor.front_ends()
    assert not finding.sound
    assert finding.found.startswith("JupyterLab has no front end ")
    assert not any(name in finding.found for name in there)
    assert finding.mend == f"{PYTHON} -m pip install --force-reinstall --no-deps {brings}"


# ---- a GPU ----------------------------------------------------------------------------------------------------------


def torch_with(monkeypatch: pytest.MonkeyPatch, cuda: str | None, available: bool = False) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)


@posix_only
@pytest.mark.parametrize("seen_by", ["nvidia-smi", "driver"])
def test_a_gpu_that_lies_idle_is_a_hint(machine, monkeypatch, seen_by):
    torch_with(monkeypatch, cuda=None)
    if seen_by == "nvidia-smi":
        (machine / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100'")
        (machine / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", str(machine), prepend=os.pathsep)
    else:
        (machine / "version").touch()
        monkeypatch.setattr(doctor, "GPU_DRIVER", machine / "version")
    assert hint().mend == "python3 start.py lab --torch cuda"
    monkeypatch.setattr(doctor, "IN_CLONE", False)
    assert hint().mend == "install PyTorch's build for CUDA"
    torch_with(monkeypatch, cuda="13.0")  # another build would change nothing
    assert hint() == Finding(True, "a GPU is here, and torch cannot use it with CUDA 13.0", "renew its driver")


@posix_only
def test_without_a_gpu_there_is_no_hint(machine, monkeypatch):
    torch_with(monkeypatch, cuda=None)
    monkeypatch.setattr(doctor, "GPU_DRIVER", machine / "none")
    (machine / "nvidia-smi").write_text("#!/bin/sh\necho 'no devices were found'; exit 6")
    (machine / "nvidia-smi").chmod(0o755)
    for path in (str(machine), str(machine / "nothing here")):
        monkeypatch.setenv("PATH", path)
        assert doctor.gpu().sound
        assert not doctor.gpu().mend


def test_a_device_that_is_asked_for_and_not_there(monkeypatch):
    monkeypatch.setenv("WARMUP_COURSE_DEVICE", "cuda:99")
    found = doctor.gpu()
    assert not found.sound
    assert "WARMUP_COURSE_DEVICE is 'cuda:99'" in found.found
    assert found.mend == "remove the variable WARMUP_COURSE_DEVICE, or set it to cpu"


def test_a_gpu_that_torch_sees(monkeypatch):
    torch_with(monkeypatch, cuda="13.0", available=True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert doctor.gpu() == Finding(True, f"torch {torch.__version__} sees a GPU: NVIDIA H100")


# ---- folders --------------------------------------------------------------------------------------------------------

FOLDERS = {"WARMUP_COURSE_HOME": "your answers", "WARMUP_COURSE_WORKSPACE": "your copies of the lessons"}


@pytest.mark.parametrize(("variable", "what"), FOLDERS.items())
@pytest.mark.parametrize("place", ["note", "note/a/b", "closed", "course"])
def test_a_folder_that_cannot_be_used(machine, monkeypatch, variable, what, place):
    """In a file, below one, read-only, or relative."""
    (machine / "note").write_text("mine")
    (machine / "closed").mkdir(mode=0o555)
    make = os.open

    def refuse(path, *arguments, **options):  # permissions do not bind root, so the system's answer is given here
        if str(path).startswith(str(machine / "closed")):
            raise OSError(errno.EROFS, "Read-only file system", path)
        return make(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setenv(variable, place if place == "course" else str(machine / place))
    finding = wrong()
    why = f"{variable} must be a full path, or begin with ~, got 'course')" if place == "course" else str(machine)
    assert finding.found.startswith(f"{what} cannot be kept (")
    assert why in finding.found
    assert finding.mend == f"set {variable} to a folder of your own, such as ~/warmup_course"


def test_a_folder_on_a_drive_that_is_not_there(machine, monkeypatch):
    """As on Windows, where a path may begin with any letter."""
    monkeypatch.setattr(os.path, "exists", lambda _: False)
    finding = doctor.writable("your answers", lambda: machine / "drive/answers", "WARMUP_COURSE_HOME")
    assert finding.found.startswith("your answers cannot be kept (")
    assert finding.mend.startswith("set WARMUP_COURSE_HOME to ")


@posix_only
@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_network_home_without_locks(monkeypatch, begun, code):
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(code, "No locks available")

    if begun:
        store.record("03_linear_warmup", "question", "lr-of-batch-60", "0.006", "right")
    monkeypatch.setattr(fcntl, "lockf", refuse)
    store.can_lock.cache_clear()
    try:
        finding = wrong()
    finally:
        store.can_lock.cache_clear()
    assert finding.found.endswith("locks no files, as some network homes do not")
    assert finding.mend == "Set WARMUP_COURSE_HOME to a folder on a local disk."


def test_answers_that_cannot_be_read():
    store.home().mkdir()
    store.path().write_bytes(b"")
    assert doctor.answers().found.endswith(": 0 so far.")
    store.path().unlink()
    store.path().mkdir()
    finding = wrong()
    assert "cannot be opened or changed" in finding.found
    assert finding.mend.startswith("Make it and its folder writable, or set WARMUP_COURSE_HOME")


def test_answers_of_somebody_else_can_only_be_read(monkeypatch):
    """As a course leaves them that was once started with sudo."""
    store.record("03_linear_warmup", "question", "lr-of-batch-60", "0.006", "right")
    assert doctor.answers().found.endswith(": 1 so far.")
    monkeypatch.setattr(os, "access", lambda path, mode: path != store.path())  # permissions do not bind root
    finding = wrong()
    assert finding.found == f"{store.path()} cannot be changed"
    assert finding.mend == "make it your own, or set WARMUP_COURSE_HOME"


def test_a_damaged_file_of_answers_is_told():
    store.home().mkdir()
    store.path().write_bytes(b"The dog ate it. " * 100)
    finding = doctor.answers()
    assert finding.sound
    assert "was damaged. None of its answers could still be read." in finding.found


# ---- room and network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_full_disk(machine, monkeypatch, variable):
    usage = namedtuple("usage", "total used free")
    (machine / "full").mkdir()
    monkeypatch.setenv(variable, str(machine / "full/below"))
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(9, 9, 2 * 10**7 if path == machine / "full" else 10**9)
    )
    finding = wrong()
    assert finding.found == f"the disk of {machine / 'full/below'} has 0.02 GB free, and the course needs 0.1"
    assert finding.mend == f"make room there, or set {variable} to a folder on another disk"


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="memory is not measured here")
def test_too_little_memory(machine, monkeypatch):
    (machine / "memory.max").write_text(f"{10**9}\n")
    monkeypatch.setattr(doctor, "MEMORY_LIMIT", machine / "memory.max")
    assert wrong() == Finding(
        False, "1.0 GB of memory; the course needs 1.5", "give this machine or container at least 1.5 GB"
    )
    (machine / "memory.max").write_text("max\n")
    assert doctor.memory().sound
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 120_000}[name])
    assert wrong().found == "0.5 GB of memory; the course needs 1.5"


def test_where_memory_cannot_be_measured_it_says_so(monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert doctor.memory() == Finding(True, "how much memory is here was not measured; the course needs 1.5 GB")


@pytest.mark.parametrize("address", [None, "192.0.2.7"])
def test_a_localhost_that_is_not_here(monkeypatch, address):
    def resolve(host, *_):
        if address is None:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    finding = wrong()
    assert finding.found == f"localhost is not this machine, but {address or 'unknown'}"
    assert finding.mend == f"add this line to {doctor.HOSTS}: 127.0.0.1 localhost"


def test_no_port_can_be_opened(monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    finding = wrong()
    assert finding.found.startswith("no port can be opened on this machine (")
    assert finding.mend.startswith(f"let {sys.executable} open ports on 127.0.0.1")
