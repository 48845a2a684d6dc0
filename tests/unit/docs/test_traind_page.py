"""docs/traind.md and manifests/traind/ match the daemon's options, settings, variables and metrics."""

import re
import shlex
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from vott_messaging.queues.service_bus import authentication as service_bus_client
from vott_messaging.queues.storage import authentication as storage_client
from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.queue import QueueSettings
from vott_traind import command_line, daemon
from vott_traind.folders import DEFAULT_STATE
from vott_traind.metrics import Metrics
from vott_traind.settings import Settings, TrainerSettings
from vott_trainer.__main__ import DAEMON
from vott_trainer.version import VERSION

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/traind.md").read_text()
MANIFESTS = ROOT / "manifests/traind"
DOCKERFILE = (ROOT / "trainer-image/Dockerfile").read_text()
OPTIONS = [parameter for parameter in command_line.main.params if isinstance(parameter, click.Option)]
VARIABLES = sorted(
    {
        *(
            value
            for module in (storage_client, service_bus_client)
            for value in vars(module).values()
            if isinstance(value, str) and value.startswith("AZURE_")
        ),
        *re.findall(r"\bAZURE_\w+|\bVOTT_TRAIN_[A-Z]+\b", str(command_line.main.help)),
    }
)


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings; `queues` has a table of its own."""
    for field in model.model_fields.values():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(inner, f"{prefix}{field.alias}.")
        else:
            yield f"{prefix}{field.alias}"


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.envvar], ids=lambda option: option.opts[0])
def test_every_option_is_documented_with_its_variable(option: click.Option) -> None:
    assert f"| `{option.opts[0]}` | `{option.envvar}` |" in PAGE


@pytest.mark.parametrize("name", sorted(settings(Settings)))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", sorted(str(field.alias) for field in QueueSettings.model_fields.values()))
def test_every_setting_of_a_queue_is_documented(name: str) -> None:
    assert f"`queues[].{name}`" in PAGE


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_documented(name: str) -> None:
    assert re.search(rf"`{name}[`=]", PAGE)


@pytest.mark.parametrize(
    "setting", ["`VOTT_TRAIN_TRAINING_JOB__BACKOFF_LIMIT=0`", "`VOTT_TRAIN_TRAINER__BUDGET_MINUTES=30`"]
)
def test_variables_of_settings_are_read(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting in PAGE
    variable, _, value = setting.strip("`").partition("=")
    monkeypatch.setenv(variable, value)
    loaded = Settings()
    assert float(value) in (loaded.training_job.backoff_limit, loaded.trainer.budget_minutes)


def test_every_metric_is_documented() -> None:
    families = re.findall(r"^# TYPE (\w+) ", Metrics().render().decode(), re.MULTILINE)
    metrics = {name for name in families if not name.endswith("_created")}
    assert len(metrics) > 10
    assert metrics == set(re.findall(r"`(vott_train_\w+)`", PAGE))


def test_the_examples_of_settings_are_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert [queue.name for queue in Settings.model_validate(yaml.safe_load(example)).queues] == [
        "training",
        "experiments",
    ]


# ------------------------------------------------------------------------------------------------------------ manifests


def compose() -> dict[str, Any]:
    service: dict[str, Any] = yaml.safe_load((MANIFESTS / "compose.yaml").read_text())["services"]["traind"]
    return service


def unit() -> RawConfigParser:
    """The systemd unit; a line that ends with a backslash goes on in the next."""
    parser = RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((MANIFESTS / "vott-traind.service").read_text().replace("\\\n", " "))
    return parser


def docker_run() -> tuple[dict[str, str], list[str]]:
    """The options of `docker run` in the unit, and the arguments from the image on."""
    docker, run, *arguments = shlex.split(unit()["Service"]["ExecStart"])
    assert (docker, run) == ("/usr/bin/docker", "run")
    first = next(number for number, argument in enumerate(arguments) if not argument.startswith("-"))
    options = {name: value for name, _, value in (argument.partition("=") for argument in arguments[:first])}
    return options, arguments[first:]


def in_seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_both_run_the_same_command_and_the_daemon_accepts_it() -> None:
    _, *command = docker_run()[1]
    assert sorted(command) == sorted(compose()["command"])
    program, *options = command
    assert program == DAEMON
    context = command_line.main.make_context(program, options)
    assert context.params["http"] == ":8080"


def test_the_image_is_that_of_this_version() -> None:
    assert docker_run()[1][0] == compose()["image"] == f"vott-train/trainer:{VERSION}"


def test_the_volume_is_the_state_folder_which_the_image_has() -> None:
    options, _ = docker_run()
    assert (
        [options["--volume"].partition(":")[2]]
        == [volume.partition(":")[2] for volume in compose()["volumes"]]
        == [str(DEFAULT_STATE)]
    )
    assert re.search(rf"install -d -o 10001 .* {DEFAULT_STATE}$", DOCKERFILE, re.MULTILINE)


def test_there_is_time_to_save_and_to_give_the_messages_back_before_a_kill() -> None:
    after = CallbackSettings().timeout_seconds + daemon.SETTLE_SECONDS + daemon.LAST_CALLBACKS_SECONDS
    timeout = in_seconds(docker_run()[0]["--stop-timeout"])
    assert timeout == TrainerSettings().termination_grace_period_seconds + 30
    assert after + 5 < 30
    assert timeout == in_seconds(compose()["stop_grace_period"])
    assert timeout + 5 < in_seconds(unit()["Service"]["TimeoutStopSec"])
    assert "30 seconds more" in PAGE


@pytest.mark.parametrize("text", [PAGE, str(command_line.main.help)])
def test_every_example_gives_the_daemon_that_time(text: str) -> None:
    timeout = in_seconds(docker_run()[0]["--stop-timeout"])
    times = re.findall(r"--stop-timeout (\d+)|docker stop -t (\d+)", text)
    assert {float(start or stop) for start, stop in times} == {timeout}
    assert not re.search(r"docker run (--detach|-d)(?!.*--stop-timeout)", text)
    assert "docker stop NAME" not in text


def test_both_confine_the_container_alike_and_keep_it_running() -> None:
    options, _ = docker_run()
    service = compose()
    assert {"--read-only", "--init", "--rm"} <= options.keys()
    assert (service["read_only"], service["init"]) == (True, True)
    assert ([options["--cap-drop"]], [options["--security-opt"]]) == (service["cap_drop"], service["security_opt"])
    assert [options["--publish"]] == service["ports"] == ["127.0.0.1:8080:8080"]
    assert options["--shm-size"] == service["shm_size"]
    assert (service["restart"], unit()["Service"]["Restart"]) == ("unless-stopped", "always")


def test_credentials_come_from_files_that_the_page_names() -> None:
    assert f"`{compose()['env_file']}`" in PAGE
    assert f"`{docker_run()[0]['--env-file']}`" in PAGE
    for manifest in MANIFESTS.iterdir():
        for name in re.findall(r"\b(?:AZURE|VOTT_TRAIN)_\w+", manifest.read_text()):
            assert name in VARIABLES
