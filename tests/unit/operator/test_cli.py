"""The command line `vott-train`: its version, and the schemas that it prints."""

from importlib.metadata import PackageNotFoundError

import pytest
from click.testing import CliRunner

from vott_messaging.messages import json_schema
from vott_operator import cli


def test_a_checkout_has_a_version_too() -> None:
    result = CliRunner().invoke(cli.main, ["--version"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("vott-train, version ")


def test_the_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        return {"vott-train": "1.2.3"}[name]

    monkeypatch.setattr(cli, "version", installed)
    assert cli._version() == "1.2.3"


def test_the_version_without_a_package_names_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cli, "version", missing)
    assert "not installed" in cli._version()


@pytest.mark.parametrize("name", json_schema.NAMES)
def test_the_command_prints_a_schema(name: str) -> None:
    result = CliRunner().invoke(cli.main, ["schema", name])
    assert (result.exit_code, result.output) == (0, json_schema.to_json(name))
