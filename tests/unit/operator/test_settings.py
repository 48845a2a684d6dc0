"""The administrator's settings."""

from pathlib import Path

import pytest

from vott_operator.errors import SettingsError
from vott_operator.settings import CONFIG_ENV, Settings, load

SEED = {"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_KEY": "a2V5"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_TRAINER__IMAGE", "trainer:1")
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_QUEUE_NAME", "VOTT_TRAIN_PLUGIN", CONFIG_ENV, *SEED):
        monkeypatch.delenv(name, raising=False)


def from_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    monkeypatch.setenv(CONFIG_ENV, str(file))
    return load()


def test_the_seeds_environment_alone_gives_a_working_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SEED | {"VOTT_TRAIN_PLUGIN": "hello-world"}).items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert [queue.name for queue in settings.queues] == ["training"]
    assert "AccountName=acme;AccountKey=a2V5" in settings.storage_connection_string
    assert settings.plugins.default == "hello-world"


def test_a_seeds_plugin_of_ones_own_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_PLUGIN", "my-plugin")
    assert "my-plugin" in load().plugins.allowed


def test_the_queues_name_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_QUEUE_NAME", "cats")
    assert load().queues[0].name == "cats"


def test_a_connection_string_wins_over_name_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SEED | {"AZURE_STORAGE_CONNECTION_STRING": "UseThis=1"}).items():
        monkeypatch.setenv(name, value)
    assert load().storage_connection_string == "UseThis=1"


def test_missing_credentials_are_named() -> None:
    with pytest.raises(SettingsError, match="AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME"):
        _ = load().storage_connection_string


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTT_TRAIN_TRAINER__IMAGE", "env:1")
    settings = from_file("trainer: {image: 'file:1', sharedMemory: 1Gi}\nmaxUnfinishedJobs: 5\n", tmp_path, monkeypatch)
    assert (settings.trainer.image, settings.trainer.shared_memory, settings.max_unfinished_jobs) == ("env:1", "1Gi", 5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("trainer: {imege: x}", "trainer.imege"),
        ("maxUnfinishedJobs: 0", "maxUnfinishedJobs"),
        ("queues: [{kind: kafka, name: abc}]", "queues.0.kind"),
        ("plugins: {default: x, allowed: [y]}", "plugins.default is 'x'"),
        ("maxUnfinishedJob: 5", "maxUnfinishedJob"),
        ("a: b: c", "can't be read"),
        ("[1, 2]", "can't be read"),
    ],
)
def test_a_wrong_setting_is_named(text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"settings\.yaml") as caught:
        from_file(text, tmp_path, monkeypatch)
    assert named in str(caught.value)


def test_a_missing_trainer_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOTT_TRAIN_TRAINER__IMAGE")
    with pytest.raises(SettingsError, match=r"trainer\.image is not set"):
        load()


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_ENV, "/nowhere/settings.yaml")
    with pytest.raises(SettingsError, match=r"/nowhere/settings\.yaml"):
        load()


def test_a_credential_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", "SECRET")
    assert "SECRET" not in repr(load())
