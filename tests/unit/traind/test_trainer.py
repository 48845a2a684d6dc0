"""What a trainer gets: arguments without credentials, and an environment without a queue's."""

import json
import os
from pathlib import Path

import pytest

from vott_messaging.messages.message import parse_message
from vott_traind import trainer
from vott_traind.devices import Slot
from vott_traind.folders import TrainingFolder, WorkFolder
from vott_traind.trainer import Job, TrainerOptions

OPTIONS = TrainerOptions({"VOTT_ALLOW_HTTP": "false"}, 60, 0, False, (Path("/state"), Path("/keys")))
SECRETS = {
    "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=1",
    "AZURE_STORAGE_KEY": "2",
    "AZURE_STORAGE_SAS_TOKEN": "3",
    "AZURE_SERVICE_BUS_CONNECTION_STRING": "4",
    "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE": "5",
    "AZURE_CLIENT_ID": "6",
    "AZURE_FEDERATED_TOKEN_FILE": "/token",
    "VOTT_TRAIN_QUEUES": "[]",
    "DATABASE_PASSWORD": "7",
}


@pytest.fixture
def folder(tmp_path: Path) -> TrainingFolder:
    (tmp_path / "training").mkdir()
    return TrainingFolder(tmp_path / "training")


def command(folder: TrainingFolder, *, signed: bool = False, **fields: object) -> dict[str, str]:
    """The trainer's options for a message with these fields."""
    urls = {"annotations": "https://h/a.csv", "model": "https://s/m?sig=M", "status": "https://c/hooks/TOKEN"}
    job = Job("vott-1", "detection", parse_message(json.dumps(urls | fields).encode()))
    line = trainer.command(job, folder, signed_callbacks=signed)
    options = line[line.index("vott_trainer") + 1 :]
    return dict(option.removeprefix("--").split("=", 1) for option in options)


def environment(folder: TrainingFolder, own: dict[str, str], options: TrainerOptions = OPTIONS) -> dict[str, str]:
    return trainer.environment(options, Slot(0), folder, WorkFolder(Path("/w")), own)


def test_urls_with_credentials_are_in_files_that_only_the_user_can_read(folder: TrainingFolder) -> None:
    options = command(folder)
    assert options["annotations"] == "https://h/a.csv"
    for name, url in (("model", "https://s/m?sig=M"), ("status", "https://c/hooks/TOKEN")):
        file = Path(options[name].removeprefix("@"))
        assert (file.read_text(), file.stat().st_mode & 0o077) == (url, 0)
        assert file.is_relative_to(folder.path)
    assert (options["name"], options["plugin"], options["status-file"]) == ("vott-1", "detection", str(folder.status))


def test_signed_callbacks_stay_with_the_daemon(folder: TrainingFolder) -> None:
    assert "status" not in command(folder, signed=True)
    assert not (folder.urls / "status").exists()


@pytest.mark.parametrize(
    ("weights", "in_parameters", "in_file"),
    [
        ("resnet50", "resnet50", None),
        ("https://h/w.tgz", "https://h/w.tgz", None),
        ("https://h/w.tgz?sig=W", None, "https://h/w.tgz?sig=W"),
    ],
)
def test_initial_weights_with_a_credential_leave_the_parameters(
    folder: TrainingFolder, weights: str, in_parameters: str | None, in_file: str | None
) -> None:
    options = command(folder, parameters={"initialWeights": weights, "epochs": 3})
    parameters = json.loads(options["parameters"])
    assert (parameters["epochs"], parameters.get("initialWeights")) == (3, in_parameters)
    file = options.get("initial-weights")
    assert (file and Path(file.removeprefix("@")).read_text()) == in_file


def test_no_credential_of_a_queue_is_in_the_environment(folder: TrainingFolder) -> None:
    passed = {"PATH": "/bin", "AWS_REGION": "eu", "CUDA_HOME": "/cuda", "VOTT_CHECKPOINTS": "/c"}
    variables = environment(folder, passed | SECRETS)
    assert not SECRETS.keys() & variables.keys()
    assert passed.items() <= variables.items()


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"VOTT_MODEL_CONTAINERS": "models"}, {"AZURE_STORAGE_CONNECTION_STRING"}),
        ({"VOTT_DATA_CONTAINERS": " , *"}, {"AZURE_STORAGE_CONNECTION_STRING"}),
        (
            {"VOTT_MODEL_CONTAINERS": "https://a.blob.core.windows.net/m"},
            {"AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"},
        ),
        (
            {"VOTT_CHECKPOINTS": "https://a.blob.core.windows.net/c"},
            {"AZURE_STORAGE_CONNECTION_STRING", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"},
        ),
        ({"VOTT_MODEL_BUCKETS": "models"}, set()),
    ],
)
def test_identities_reach_a_trainer_only_if_a_container_is_listed_for_them(
    folder: TrainingFolder, lists: dict[str, str], expected: set[str]
) -> None:
    assert SECRETS.keys() & environment(folder, lists | SECRETS).keys() == expected


def test_a_trainer_gets_the_rules_its_folders_and_what_is_private(folder: TrainingFolder) -> None:
    variables = environment(folder, {"VOTT_ALLOW_HTTP": "true"})
    assert variables["VOTT_ALLOW_HTTP"] == "false"
    assert variables["VOTT_PRIVATE_PATHS"].split(os.pathsep) == ["/state", "/keys"]
    assert (variables["VOTT_WORK_DIR"], variables["TMPDIR"], variables["HOME"]) == ("/w/work", "/w/tmp", "/w/tmp")
    assert (variables["VOTT_GRACE_SECONDS"], variables["VOTT_TERMINATION_LOG"]) == ("60", str(folder.termination))


@pytest.mark.parametrize(
    ("minutes", "own", "expected"),
    [(0, {}, None), (0, {"VOTT_BUDGET_MINUTES": "3"}, "3"), (1.5, {"VOTT_BUDGET_MINUTES": "3"}, "1.5")],
)
def test_the_setting_of_the_budget_overrides_the_variable(
    folder: TrainingFolder, minutes: float, own: dict[str, str], expected: str | None
) -> None:
    options = TrainerOptions({}, 60, minutes, False, ())
    assert environment(folder, own, options).get("VOTT_BUDGET_MINUTES") == expected
