"""The command `vott-train` itself."""

from importlib.metadata import PackageNotFoundError

import pytest
from click.testing import CliRunner

from vott_operator import cli


def test_version_is_told_in_a_checkout_too() -> None:
    outcome = CliRunner().invoke(cli.main, ["--version"])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.startswith("vott-train, version ")


def test_version_is_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        return {"vott-train": "1.2.3"}[name]

    monkeypatch.setattr(cli, "version", installed)
    assert cli._version() == "1.2.3"


def test_version_without_the_package_says_why_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cli, "version", missing)
    assert "not installed" in cli._version()
