"""pyproject.toml's ranges, constraints.txt's versions and environment.yml tell the same story."""

import re
import tomllib
from functools import cache
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONSTRAINTS = [
    line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and not line.startswith("#")
]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}

BASE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = PROJECT["optional-dependencies"]
TEST = [Requirement(text) for text in EXTRAS["test"] + EXTRAS["classroom"] if text != "warmup_course[classroom]"]


@cache
def pins() -> dict[str, str]:
    """Canonical name -> version, of constraints.txt."""
    requirements = [Requirement(line) for line in CONSTRAINTS]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in requirements}


def test_what_starts_jupyter_builds_no_grammar():
    """jsonschema 4.25 and later do, at each import."""
    assert "rfc3987-syntax" not in pins()


def test_constraints_are_names_and_versions_only():
    line = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*==[0-9]+(\.[0-9]+)*(b[0-9]+)?(; \w+ (==|<|!=) "[\w.]+")?')
    assert [text for text in CONSTRAINTS if not line.fullmatch(text)] == []
    assert len(pins()) == len(CONSTRAINTS)


@pytest.mark.parametrize("requirement", BASE + TEST, ids=str)
def test_each_direct_dependency_is_pinned_within_its_range(requirement: Requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_everything_these_need_in_turn_is_pinned():
    direct = {requirement.name: pins()[canonicalize_name(requirement.name)] for requirement in [*BASE, *TEST]}
    if any(distribution(name).version.partition("+")[0] != pinned for name, pinned in direct.items()):
        pytest.skip("other versions than the pinned ones are installed")
    cuda = ("nvidia-", "cuda-", "triton")  # come with torch, and depend on its build
    open_, seen = [*BASE, *TEST], set()
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        if requirement.url is None and (name, *requirement.extras) not in seen and not name.startswith(cuda):
            seen.add((name, *requirement.extras))
            for text in distribution(name).requires or ():
                needed = Requirement(text)
                extras = requirement.extras or {""}
                if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                    open_.append(needed)
    assert {name for name, *_ in seen} - set(pins()) == set()


def test_what_is_pinned_runs_on_the_first_release_of_the_oldest_python_too():
    [oldest] = re.findall(r">=([\d.]+)", PROJECT["requires-python"])
    pinned = [each for each in distributions() if pins().get(canonicalize_name(each.name)) == each.version]
    assert pinned
    needed = {each.name: SpecifierSet(each.metadata.get("Requires-Python", "")) for each in pinned}
    assert [name for name, pythons in needed.items() if f"{oldest}.0" not in pythons] == []


def test_conda_specs_are_well_formed():
    spec = re.compile(r"[a-z0-9][a-z0-9._-]*(==?[0-9]+(\.[0-9]+)*)?")
    assert ENVIRONMENT["name"] == "warmup-course"
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]
    assert [text for text in conda_specs() if not spec.fullmatch(text)] == []
    assert ENVIRONMENT["dependencies"][-1] == {"pip": ["-e ."]}


def test_conda_gets_the_same_versions():
    python = ENVIRONMENT["dependencies"][0]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.removeprefix("python="))
    expected = {python, "pip"}
    for requirement in BASE:
        name = canonicalize_name(requirement.name)
        expected.add(f"{CONDA_NAMES.get(name, name)}=={pins()[name]}")
    assert set(conda_specs()) == expected


def conda_specs() -> list[str]:
    return [spec for spec in ENVIRONMENT["dependencies"] if isinstance(spec, str)]
