"""The workflow file of the CI service: as its schema has it, and with commands that there are."""

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from warmup_course.cli import make_parser

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / ".github/workflows/checks.yml"
JOBS = yaml.safe_load(FILE.read_text("utf-8"))["jobs"]
STEPS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


@pytest.mark.process
def test_the_file_is_as_its_schema_has_it() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(FILE)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_the_oldest_and_the_newest_python_are_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    supported = [f"3.{minor}" for minor in range(99) if f"3.{minor}" in SpecifierSet(project["requires-python"])]
    tried = {job["resolution"]: job["python"] for job in JOBS["ranges"]["strategy"]["matrix"]["include"]}
    assert tried == {"lowest-direct": supported[0], "highest": supported[-1]}


@pytest.mark.parametrize("command", ["python start.py --torch cpu", "warmup-course"])
def test_steps_run_commands_that_there_are(command: str) -> None:
    given = [shlex.split(step.removeprefix(command)) for step in STEPS if step.startswith(command)]
    assert given
    for arguments in given:
        make_parser().parse_args(arguments)
