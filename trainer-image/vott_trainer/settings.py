"""What one training is asked to do: arguments and environment, read once and checked (docs/trainer-contract.md)."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from vott_guard.redaction import redact_url, register_secrets, register_url_credentials
from vott_guard.urls import is_url
from vott_trainer.errors import InvalidParametersError, UsageError
from vott_trainer.http import outgoing
from vott_trainer.http.urls import read_argument
from vott_trainer.plugin_api.evaluation import LOWEST_SCORE_SHOWN
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import is_destination, is_path

DEFAULT_PLUGIN = "detection"
DEFAULT_CHECKPOINT_SECONDS = 600.0
SECRET_FIELDS = {"AccountKey", "SharedAccessSignature"}  # of a connection string
SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class TrainSettings:
    """One training. URLs are full, credentials included: never print them."""

    plugin: str
    annotations: str
    model: str
    status: str | None
    parameters: dict[str, Any]
    trainingjob: str | None
    trainingjob_uid: str
    work_dir: Path | None
    storage: StorageAccess
    checkpoints: str = field(default="", repr=False)
    checkpoint_seconds: float = DEFAULT_CHECKPOINT_SECONDS


@dataclass(frozen=True)
class PredictSettings:
    """One prediction: a model (archive or folder), an image, where the drawn image goes, if anywhere, and the lowest score shown."""

    model: Path
    image: Path
    out: Path | None = None
    score: float | None = None


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and the contract's exit code, instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        raise InvalidParametersError(f"{message}. Run {self.prog} --help for all arguments.")


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> TrainSettings | PredictSettings:
    """Parse the command line.

    Raises:
        UsageError: an argument is missing, unknown, or not what it should be.
        AddressRefusedError: a URL leads to where the administrator's rules do not allow.
    """
    if argv[:1] == ["predict"]:
        return PredictSettings(**vars(_predict_parser().parse_args(argv[1:])))
    return _train_settings(_train_parser().parse_args(argv), environment)


def callback_of(argv: Sequence[str]) -> str | None:
    """Return the callback of a command line that `parse` refused.

    None where it can't be read either, and with a TrainingJob: there the operator tells it.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--status")
    parser.add_argument("--trainingjob")
    try:
        known, _ = parser.parse_known_args(argv)
        return read_argument("status", known.status) if known.status and not known.trainingjob else None
    except UsageError:
        return None


def _train_settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> TrainSettings:
    work_dir = environment.get("VOTT_WORK_DIR")
    settings = TrainSettings(
        plugin=arguments.plugin or environment.get("VOTT_TRAIN_PLUGIN") or DEFAULT_PLUGIN,
        annotations=read_argument("annotations", arguments.annotations),
        model=_model(arguments),
        status=read_argument("status", arguments.status) if arguments.status else None,
        parameters=_parameters(arguments),
        trainingjob=arguments.trainingjob,
        trainingjob_uid=environment.get("TRAININGJOB_UID", ""),
        work_dir=Path(work_dir) if work_dir else None,
        storage=StorageAccess.from_environment(environment),
        checkpoints=environment.get("VOTT_CHECKPOINTS", ""),
        checkpoint_seconds=_seconds(environment, "VOTT_CHECKPOINT_SECONDS", DEFAULT_CHECKPOINT_SECONDS),
    )
    _keep_credentials_secret(settings, environment)
    _check_addresses(settings, environment)
    return settings


def _model(arguments: argparse.Namespace) -> str:
    """In a cluster no message may name a folder of the pod's."""
    urls = "a URL that begins with https://, http:// or s3://"
    if arguments.trainingjob:
        return read_argument("model", arguments.model, is_destination, urls)
    expected = f"{urls}, or the absolute path of a folder"
    return read_argument("model", arguments.model, lambda text: is_path(text) or is_destination(text), expected)


def _keep_credentials_secret(settings: TrainSettings, environment: Mapping[str, str]) -> None:
    """Whatever a plugin or library prints: its credentials are known from here on."""
    urls = (settings.annotations, settings.model, settings.status, settings.checkpoints)
    for url in (*urls, settings.parameters.get("initialWeights")):
        if isinstance(url, str):
            register_url_credentials(url)
    fields = settings.storage.connection_string.split(";")
    register_secrets(*(value for name, _, value in (field.partition("=") for field in fields) if name in SECRET_FIELDS))
    register_secrets(*(environment.get(name, "") for name in SECRET_VARIABLES))


def _check_addresses(settings: TrainSettings, environment: Mapping[str, str]) -> None:
    """Refuse at once what no request could reach, whichever plugin would ask for it; the model's URL may be an own place."""
    rules = outgoing.rules(environment)
    outgoing.check(settings.annotations, _not_fetched("annotations", settings.annotations), rules)
    weights = settings.parameters.get("initialWeights")
    if isinstance(weights, str) and is_url(weights):
        outgoing.check(weights, _not_fetched("initial weights", weights), rules)


def _not_fetched(what: str, url: str) -> str:
    return f"The {what} at {redact_url(url)} can't be fetched"


def _parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    parameters = _json_object(arguments.parameters)
    if arguments.initial_weights:
        parameters["initialWeights"] = read_argument("initial-weights", arguments.initial_weights)
    return parameters


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InvalidParametersError(f"{name}: expected a number of seconds, found {text[:30]!r}.")
    return value


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidParametersError(f"--parameters: expected a JSON object, found {text[:60]!r} ({error}).") from error
    if not isinstance(value, dict):
        raise InvalidParametersError(
            f'--parameters: expected a JSON object such as {{"epochs": 20}}, found {text[:60]!r}.'
        )
    return value


def _train_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vott_trainer",
        description="Train a model on annotated images and put it into a storage container.",
        epilog="A URL may be given as @/path/to/file that holds it. "
        "`vott_trainer predict --help` shows how to try a trained model on an image.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--plugin", metavar="NAME", help=f"what to train (default: $VOTT_TRAIN_PLUGIN, else {DEFAULT_PLUGIN})"
    )
    parser.add_argument(
        "--annotations",
        metavar="URL",
        required=True,
        help="the annotation file: lines of url,x,y,width,height,class, or another format (docs/annotations.md)",
    )
    parser.add_argument(
        "--model",
        metavar="URL",
        required=True,
        help="where the model goes: an Azure container or S3 bucket (with a prefix, if you like), one blob, or a presigned link; "
        "without --trainingjob also the absolute path of a folder",
    )
    parser.add_argument("--status", metavar="URL", help="where to POST the progress")
    parser.add_argument(
        "--parameters", metavar="JSON", default="{}", help="the plugin's parameters, such as '{\"epochs\": 20}'"
    )
    parser.add_argument(
        "--initial-weights",
        metavar="URL",
        help="the earlier model to begin with; instead of the parameter initialWeights",
    )
    parser.add_argument("--trainingjob", metavar="NAMESPACE/NAME", help="the TrainingJob to report to (in Kubernetes)")
    return parser


def _predict_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vott_trainer predict",
        description="Print, and draw, what a trained model sees on an image.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=Path,
        required=True,
        help="what a training left: the archive model.tgz, or the folder of the unpacked files",
    )
    parser.add_argument("--image", metavar="IMAGE", type=Path, required=True, help="the image to look at")
    parser.add_argument(
        "--out", metavar="OUT.jpg", type=Path, help="where to write the image with boxes and labels (default: nowhere)"
    )
    parser.add_argument(
        "--score",
        metavar="SCORE",
        type=_share,
        help=f"show what has this score or more, 0 to 1 (default: {LOWEST_SCORE_SHOWN} for objects, all classes of a whole image)",
    )
    return parser


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {text[:30]!r}")
    return value
