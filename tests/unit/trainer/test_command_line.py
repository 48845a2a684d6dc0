"""The command line: settings, exit codes and the termination message."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import Field

from tests.support.http_server import Answer, HttpServer
from tests.support.trainer_process import trainer_environment
from vott_trainer import plugins
from vott_trainer.__main__ import command, main
from vott_trainer.command_line import parse
from vott_trainer.errors import InvalidParametersError, UnknownPluginError
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import LearningParameters, Parameters
from vott_trainer.plugins.script import ScriptParameters
from vott_trainer.settings import PredictSettings, TrainSettings
from vott_trainer.termination_message import write_termination_message

URLS = ["--annotations", "https://h/a.csv", "--model", "https://h/c?sig=x"]


@pytest.fixture
def termination_log(tmp_path: Path) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    return path


def termination_message(path: Path) -> dict[str, str]:
    message: dict[str, str] = json.loads(path.read_bytes())
    return message


@pytest.mark.parametrize(
    ("arguments", "environment", "plugin"),
    [
        ([], {}, "detection"),
        ([], {"VOTT_TRAIN_PLUGIN": "a"}, "a"),
        (["--plugin", "b"], {"VOTT_TRAIN_PLUGIN": "a"}, "b"),
    ],
)
def test_plugin_comes_from_argument_then_environment_then_default(
    arguments: list[str], environment: dict[str, str], plugin: str
) -> None:
    settings = parse([*URLS, *arguments], environment)
    assert isinstance(settings, TrainSettings)
    assert settings.plugin == plugin


@pytest.mark.parametrize(
    ("arguments", "environment", "job", "checkpoints"),
    [
        (["--name", "vott-1"], {}, "vott-1", "vott-1"),
        (["--trainingjob", "training/cats"], {"TRAININGJOB_UID": "uid-1"}, "cats", "uid-1"),
        ([], {}, "local", "local-0e05ee52445f35bc"),
    ],
)
def test_a_name_names_callbacks_and_checkpoints_as_a_trainingjob_does(
    arguments: list[str], environment: dict[str, str], job: str, checkpoints: str
) -> None:
    settings = parse([*URLS, *arguments], environment)
    assert isinstance(settings, TrainSettings)
    assert (settings.job, settings.checkpoint_key) == (job, checkpoints)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--annotations", "https://h/a"], "--model"),
        ([*URLS, "--image", "x"], "unrecognized arguments"),
        ([*URLS, "--parameters", "{"], "--parameters: expected a JSON object"),
        ([*URLS, "--parameters", "[1]"], "--parameters: expected a JSON object"),
        *(([*URLS, "--name", name], "--name: expected") for name in ("", "Cats", "../cats", "-", "a/b", "a" * 254)),
        ([*URLS, "--trainingjob", "a/b", "--name", "c"], "--trainingjob: a TrainingJob has its own name and status"),
        ([*URLS, "--trainingjob", "a/b", "--status-file", "s"], "--trainingjob: a TrainingJob has its own name"),
        (["predict", "--model", "m.tgz"], "--image"),
        (
            ["predict", "--model", "m", "--image", "i", "--score", "1.5"],
            "--score: expected a number from 0 to 1, found",
        ),
        (["predict", "--model", "m", "--image", "i", "--score", "half"], "expected a number from 0 to 1, found 'half'"),
    ],
)
def test_usage_error_ends_with_64_and_names_the_problem(
    arguments: list[str], message: str, termination_log: Path
) -> None:
    assert main(arguments, termination_log) == 64
    assert termination_message(termination_log)["reason"] == "InvalidParameters"
    assert message in termination_message(termination_log)["message"]


def test_prediction_requires_a_model_and_an_image() -> None:
    required = ["predict", "--model", "m", "--image", "i"]
    assert parse(required) == PredictSettings(Path("m"), Path("i"))
    assert parse([*required, "--out", "o.jpg", "--score", "0.25", "--json", "j.json"]) == PredictSettings(
        Path("m"), Path("i"), Path("o.jpg"), 0.25, Path("j.json")
    )


def test_unknown_plugin_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownPluginError,
        match=r"There is no plugin 'cats'. Known plugins: classification, detection, hello-world, segmentation",
    ):
        plugins.load("cats")


class Example(Parameters):
    batch_size: int = Field(default=8, ge=1)
    seed: int = 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "there is no parameter 'epoch'. Known parameters: batchSize, seed."),
        ({"batch_size": 3}, "there is no parameter 'batch_size'"),
        ({"batchSize": 0}, "parameter 'batchSize': input should be greater than or equal to 1, found 0"),
        ({"batchSize": "many"}, "parameter 'batchSize': input should be a valid integer"),
        ({"batchSize": 0, "x": 1}, "; there is no parameter 'x'"),
    ],
)
def test_invalid_parameters_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParametersError) as error:
        validate(Example, values)
    assert message in str(error.value)


@pytest.mark.parametrize("empty", [None, "", " "])
def test_an_empty_parameter_is_one_that_is_absent(empty: str | None) -> None:
    values = {"batchSize": empty, "seed": empty}
    assert validate(Example, values) == Example()
    learner = LearningParameters.model_validate({"budgetMinutes": 7})
    names = ("epochs", "imagesUrl", "initialWeights", "annotationFormat", "budgetMinutes")
    assert validate(LearningParameters, dict.fromkeys(names, empty), budget_minutes=7) == learner
    assert validate(ScriptParameters, values).model_dump() == values  # a script's own may have a meaning


def run(server: HttpServer, termination_log: Path, *arguments: str, model: str = "?sp=w&sig=SECRET") -> int:
    urls = ["--annotations", f"{server.url}/a.csv?sig=SECRET", "--model", f"{server.url}/account/models{model}"]
    return main(["--plugin", "hello-world", *urls, "--status", f"{server.url}/status", *arguments], termination_log)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refused_annotations_end_with_66(status: int, server: HttpServer, termination_log: Path) -> None:
    server.always["/a.csv"] = Answer(status)
    assert run(server, termination_log) == 66
    assert termination_message(termination_log)["reason"] == "AnnotationsUnreachable"
    assert (
        f"The annotations at {server.url}/a.csv can't be fetched: HTTP {status}"
        in termination_message(termination_log)["message"]
    )


def test_annotations_that_do_not_parse_end_with_65(server: HttpServer, termination_log: Path) -> None:
    server.serve("/a.csv", b"https://h/a.jpg,1,2,3\n")
    assert run(server, termination_log) == 65
    assert termination_message(termination_log)["reason"] == "BadAnnotations"
    assert termination_message(termination_log)["message"].startswith("a.csv line 1: expected 6 fields")


def test_read_only_link_ends_with_73_before_anything_is_fetched(server: HttpServer, termination_log: Path) -> None:
    assert run(server, termination_log, model="?sp=r&sig=SECRET") == 73
    assert termination_message(termination_log)["reason"] == "UploadRefused"
    assert [request.method for request in server.requests] == ["POST"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--plugin", "cats"], "UnknownPlugin"), (["--parameters", '{"epochs": 0}'], "InvalidParameters")],
)
def test_plugin_and_parameters_are_checked_first(
    arguments: list[str], reason: str, server: HttpServer, termination_log: Path
) -> None:
    assert run(server, termination_log, *arguments) == 64
    assert termination_message(termination_log)["reason"] == reason


def test_without_kubernetes_the_failure_is_posted_to_the_callback(server: HttpServer, termination_log: Path) -> None:
    assert run(server, termination_log) == 66
    last = server.bodies("/status")[-1]
    assert (last["state"], last["message"]) == ("failed", termination_message(termination_log)["message"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parameters", "{"], "--parameters: expected a JSON object"),
        (["--annotations", "ftp://h/a"], "--annotations: expected a URL"),
        (["--annotations", "https://10.0.0.1/a?sig=SECRET"], "10.0.0.1 is refused: that address is private"),
        (["--initial-weights", "https://10.0.0.1/a?sig=SECRET"], "initial weights at https://10.0.0.1/a can't be"),
        (["--no-such"], "unrecognized arguments"),
    ],
)
def test_without_kubernetes_a_usage_error_is_posted_to_the_callback(
    arguments: list[str], message: str, server: HttpServer, termination_log: Path
) -> None:
    assert run(server, termination_log, *arguments) == 64
    (post,) = server.bodies("/status")
    assert (post["state"], post["message"]) == ("failed", termination_message(termination_log)["message"])
    assert message in post["message"]


def test_usage_error_is_posted_with_the_training_s_name(server: HttpServer, termination_log: Path) -> None:
    assert run(server, termination_log, "--parameters", "{", "--name", "cats") == 64
    assert [post["job"] for post in server.bodies("/status")] == ["cats"]


@pytest.mark.parametrize(
    "arguments",
    [["--trainingjob", "training/cats"], ["--status-file", "/nowhere/status"], ["--status", "ftp://h/"], ["--status"]],
)
def test_usage_error_is_not_posted_if_a_status_is_read_or_without_a_valid_callback(
    arguments: list[str], server: HttpServer, termination_log: Path
) -> None:
    assert run(server, termination_log, "--parameters", "{", *arguments) == 64
    assert server.requests == []


def test_annotations_on_an_invalid_host_end_with_64(termination_log: Path) -> None:
    urls = ["--annotations", "https://images..example/a.csv", "--model", "https://h/c?sp=w&sig=x"]
    assert main(["--plugin", "hello-world", *urls], termination_log) == 64
    assert termination_message(termination_log)["reason"] == "AddressRefused"
    assert "that is not an ASCII host name" in termination_message(termination_log)["message"]


def test_invalid_rules_are_named_and_nothing_is_requested(
    server: HttpServer, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTT_ALLOWED_NETWORKS", "10.0.0.1/8")
    assert run(server, termination_log) == 64
    assert termination_message(termination_log)["reason"] == "InvalidParameters"
    assert "VOTT_ALLOWED_NETWORKS: '10.0.0.1/8' is not a network" in termination_message(termination_log)["message"]
    assert server.requests == []


def test_output_shows_no_credentials(
    server: HttpServer, termination_log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(server, termination_log)
    written = capfd.readouterr()
    assert "SECRET" not in written.out + written.err + termination_log.read_text(encoding="utf-8")


def test_long_termination_message_is_cut_to_what_the_kubelet_reads(termination_log: Path) -> None:
    write_termination_message("BadAnnotations", "ü" * 5000, termination_log)
    assert len(termination_log.read_bytes()) <= 4096
    assert termination_message(termination_log)["message"].endswith("…")


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ("BadAnnotations", "PeerLost", "BadAnnotations"),
        ("PeerLost", "BadAnnotations", "BadAnnotations"),
        ("PeerLost", "PeerLost", "PeerLost"),
        ("GPUError", "TrainerError", "GPUError"),
    ],
)
def test_cause_is_not_overwritten_by_its_consequences(
    first: str, second: str, stands: str, termination_log: Path
) -> None:
    write_termination_message(first, "a longer sentence than the second one", termination_log)
    write_termination_message(second, "so", termination_log)
    assert termination_message(termination_log)["reason"] == stands


def test_invalid_number_of_processes_ends_with_64(termination_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PET_NPROC_PER_NODE", "auto")
    assert main(URLS, termination_log) == 64
    assert "PET_NPROC_PER_NODE: expected a whole number" in termination_message(termination_log)["message"]


@pytest.mark.parametrize("arguments", [["--help"], ["--plugin", "x"], []])
def test_traind_py_as_first_argument_starts_the_daemon(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def daemon(argv: list[str]) -> int:
        started.append(argv)
        return 7

    module = ModuleType("vott_traind.__main__")
    monkeypatch.setattr(module, "main", daemon, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys, "argv", ["vott_trainer", "traind.py", *arguments])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as stopped:
            command()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.value.code == 7
    assert started == [arguments]


def test_a_training_does_not_import_the_daemon() -> None:
    program = "import sys; sys.argv[1:] = ['--help']; from vott_trainer.__main__ import command\ntry: command()\n"
    program += "finally: print('daemon imported:', 'vott_traind' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=trainer_environment(), capture_output=True, text=True)
    assert done.stdout.endswith("daemon imported: False\n")


def test_help_explains_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    urls = ("--annotations", "--model", "--status", "--initial-weights")
    for argument in (*urls, "--plugin", "--parameters", "--trainingjob", "--name", "--status-file", "predict"):
        assert argument in shown
