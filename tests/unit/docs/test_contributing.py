"""CONTRIBUTING.md and the pre-commit hooks match the Makefile and the import contracts."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
TARGETS = sorted(set(re.findall(r"`make ([\w./-]+)`", PAGE)))


def documented_modules(package: str) -> list[str]:
    """The modules in the table of a package's layers, from the top."""
    table = PAGE.partition(f"\n| {package} | |\n")[2].partition("\n\n")[0]
    return [module for row in table.splitlines() for module in re.findall(r"`(\w+)`", row.split("|")[1])]


def enforced_modules(package: str) -> list[str]:
    """The same from import-linter's contract."""
    (layers,) = (contract["layers"] for contract in CONTRACTS if contract["name"] == f"Layers of the {package}")
    return [module for layer in layers for module in layer.split(" | ")]


@pytest.mark.parametrize("package", ["daemon", "messaging", "operator", "trainer"])
def test_layers_are_those_that_import_linter_enforces(package: str) -> None:
    assert documented_modules(package) == enforced_modules(package)


@pytest.mark.parametrize("target", TARGETS)
def test_every_command_is_a_target_of_the_makefile(target: str) -> None:
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE.replace("$(VENV)", ".venv"), re.MULTILINE)


def test_hooks_type_check_the_same_packages_as_make_check() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = {hook["id"]: hook["entry"] for hook in repository["hooks"]}
    packages = re.search(r"^PACKAGES := (.+)$", MAKEFILE, re.MULTILINE)
    assert packages
    assert entries["mypy"] == f".venv/bin/mypy {packages[1]} tests"


def test_ci_runs_what_a_developer_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert [command.split()[-1] for command in commands] == [".ci/run"]
    assert workflow["permissions"] == {"contents": "read"}
