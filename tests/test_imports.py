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
BASE = {"checks", "variables", "device", "shapes", "schedulers", "data", "model"}
MAY_IMPORT = {
    "checks": set(),
    "variables": set(),
    "device": {"checks", "variables"},
    "shapes": set(),
    "schedulers": {"checks", "shapes"},
    "data": {"checks"},
    "model": {"checks", "data"},
    "training": BASE,
    "stacked": BASE | {"training"},
    "sweep": BASE | {"training", "stacked"},
    "probes": {"checks", "schedulers"},
    "export": {"checks", "shapes", "schedulers"},
    "classroom": BASE | {"training", "stacked", "sweep", "probes", "export", "lesson_files"},
    "evidence": {"classroom", "lesson_files"},
    "lab_settings": set(),
    "lesson_files": {"checks", "variables"},
    "headless": {"lesson_files", "variables"},
    "cli": BASE
    | {"training", "stacked", "sweep", "probes", "export", "classroom", "evidence", "lesson_files", "headless"}
    | {"__version__"},
}
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
def test_importing_the_package_costs_what_torch_costs():
    heavy = {"matplotlib", "ipywidgets", "pandas", "xarray", "sklearn", "joblib"}
    code = f"import sys, warmup_course; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.process
def test_the_command_line_loads_no_more():
    heavy = {"matplotlib", "ipywidgets", "pandas", "xarray", "sklearn", "joblib"}
    heavy |= {"papermill", "nbformat", "jupyterlab", "playwright"}
    code = f"import sys, warmup_course.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
