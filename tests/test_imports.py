"""Imports point one way, and what draws or tabulates is not loaded with the package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import warmup_course

PACKAGE = Path(warmup_course.__file__).parent
# Each module or subpackage, and the ones beside it that it may import, wherever in the file it does so.
MAY_IMPORT: dict[str, set[str]] = {
    "arguments": set(),
    "variables": {"arguments"},
    "device": {"arguments", "variables"},
    "shapes": set(),
    "schedulers": {"arguments", "shapes"},
    "data": {"arguments"},
    "model": {"arguments", "data"},
    "training": {"arguments", "device", "shapes", "schedulers", "data", "model"},
    "stacked": {"arguments", "data", "model", "training"},
    "sweep": {"arguments", "device", "data", "stacked", "training"},
    "probes": {"arguments"},
    "quadratic": set(),
    "export": {"arguments", "shapes", "schedulers"},
    "lesson_files": {"variables"},
    "moments": set(),
    "jupyterlab_settings": set(),
}
MAY_IMPORT["classroom"] = MAY_IMPORT.keys() - {"jupyterlab_settings"}
MAY_IMPORT["authoring"] = {"variables", "lesson_files", "moments", "data", "model", "training", "sweep", "classroom"}
MAY_IMPORT["doctor"] = {"device", "variables", "lesson_files", "classroom"}
MAY_IMPORT["cli"] = {"variables", "lesson_files", "moments", "classroom", "authoring", "doctor", "__version__"}
DRAWING = {"matplotlib", "ipywidgets", "anywidget", "IPython"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The full names that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path):
    part = part_of(path)
    own = {name.split(".")[1] for name in imported(path) if name.startswith("warmup_course.")} - {part}
    assert own <= MAY_IMPORT[part]
    if part != "classroom":
        assert not DRAWING & {name.split(".")[0] for name in imported(path)}


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("from warmup_course import *", {"torch"}),
        ("from torch.optim.lr_scheduler import *; import warmup_course as c; c.used_lrs(ConstantLR, 2)", {"torch"}),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str, needed: set[str]):
    heavy = {"torch", "torch._dynamo", "matplotlib", "ipywidgets", "pandas", "xarray", "sklearn", "joblib"}
    heavy |= {"papermill", "nbformat", "jupyterlab", "playwright"}
    code += f"; import sys; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert said == f"{sorted(needed)}\n"


@pytest.mark.process
def test_the_command_starts_without_the_packages_that_doctor_looks_for():
    """They may be broken. What loads the package lazily is the exception."""
    code = "import sys; before = {*sys.modules}; import warmup_course.cli, warmup_course.doctor\n"
    code += "loaded = {name.partition('.')[0] for name in {*sys.modules} - before}\n"
    code += "print(sorted(loaded - sys.stdlib_module_names))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert said == "['lazy_loader', 'warmup_course']\n"
