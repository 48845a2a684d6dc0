"""The daemon's settings: the operator's file and variables, as far as they make sense on one machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vott_guard.rules import Rules
from vott_messaging.errors import SettingsError
from vott_traind.command_line import main
from vott_traind.settings import QUEUE_VARIABLES, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*QUEUE_VARIABLES, "VOTT_TRAIN_CONFIG", "VOTT_TRAIN_PLUGIN"):
        monkeypatch.delenv(name, raising=False)


def test_the_first_vott_train_s_variables_name_queue_and_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_SERVICE_BUS_NAMESPACE", "labels")
    monkeypatch.setenv("VOTT_TRAIN_PLUGIN", "mine")
    settings = load_settings()
    assert [(queue.kind, queue.name) for queue in settings.queues] == [("serviceBus", "training")]
    assert settings.plugins.default == "mine"


def test_a_file_and_the_environment_are_read_under_the_operator_s_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "settings.yaml").write_text(
        """
        queues: [{kind: storage, name: cats, model: "https://s/{requestId}"}, {kind: serviceBus, name: dogs}]
        outgoing: {allowHttp: true}
        callbacks: {giveUpAfterSeconds: 60}
        trainer: {budgetMinutes: 90, terminationGracePeriodSeconds: 20}
        trainingJob: {backoffLimit: 5}
        logLevel: DEBUG
        """
    )
    monkeypatch.setenv("VOTT_TRAIN_CONFIG", str(file))
    monkeypatch.setenv("VOTT_TRAIN_TRAINER__BUDGET_MINUTES", "5")
    settings = load_settings()
    assert [queue.name for queue in settings.queues] == ["cats", "dogs"]
    assert (settings.trainer.budget_minutes, settings.trainer.termination_grace_period_seconds) == (5, 20)
    assert (settings.training_job.backoff_limit, settings.log_level) == (5, "DEBUG")
    assert settings.rules == Rules(allow_http=True)


def test_without_the_section_outgoing_the_trainer_s_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "labels")
    monkeypatch.setenv("VOTT_ALLOW_HTTP", "true")
    monkeypatch.delenv("VOTT_ALLOWED_NETWORKS", raising=False)  # the trainer's tests set it
    assert load_settings().rules == Rules(allow_http=True)
    monkeypatch.setenv("VOTT_ALLOW_HTTP", "maybe")
    with pytest.raises(SettingsError, match="VOTT_ALLOW_HTTP is 'maybe'"):
        _ = load_settings().rules


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("queue: []", "queue: unknown setting"),
        ("queues: [{name: cats}, {name: cats}]", r"queues\[1\] is the same queue as \[0\]"),
        ("trainer: {image: x}", "trainer.image: unknown setting"),
        ("trainer: {budgetMinutes: -1}", "trainer.budgetMinutes"),
        ("[", "can't be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str) -> None:
    (file := tmp_path / "settings.yaml").write_text(text)
    monkeypatch.setenv("VOTT_TRAIN_CONFIG", str(file))
    with pytest.raises(SettingsError, match=problem):
        load_settings()


def test_without_a_queue_one_sentence_shows_the_smallest_environment() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 64
    (line,) = result.output.splitlines()
    assert "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_KEY, or AZURE_SERVICE_BUS_NAMESPACE" in line
    assert "docker run -e AZURE_STORAGE_ACCOUNT_NAME -e AZURE_STORAGE_KEY IMAGE traind.py" in line


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--state", "/proc/state"], "--state: /proc/state can't be written"),
        (["--work", "/proc/work"], "--work: /proc/work/vott-traind can't be written"),
        (["--gpus-per-training", "9"], "--gpus-per-training is 9, but this machine has 0"),
        (["--http", "8080"], "--http is '8080'; use ADDRESS:PORT"),
    ],
)
def test_a_wrong_option_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], problem: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "labels")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    others = [f"--state={tmp_path}"] if "--state" not in arguments else []
    others += [f"--work={tmp_path / 'w'}"] if "--work" not in arguments else []
    result = CliRunner().invoke(main, [*others, *arguments])
    assert (result.exit_code, problem in result.output) == (64, True), result.output


def test_help_names_every_option_and_the_variables() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    for text in (
        "--state",
        "--work",
        "--gpus-per-training",
        "--http",
        "VOTT_TRAIN_CONFIG",
        "docker run",
        *QUEUE_VARIABLES,
    ):
        assert text in shown


def test_queues_can_be_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_QUEUES", json.dumps([{"kind": "storage", "name": "cats"}]))
    assert [queue.name for queue in load_settings().queues] == ["cats"]
