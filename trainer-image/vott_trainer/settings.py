"""What one training is asked to do: arguments and environment, read once and checked (docs/trainer-contract.md)."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from vott_trainer.destination import is_destination
from vott_trainer.errors import InvalidParametersError, UsageError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.urls import read_argument

DEFAULT_PLUGIN = "detection"
DEFAULT_CHECKPOINT_SECONDS = 600.0


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
    """One prediction: a model archive, an image, and where the drawn image goes."""

    model: Path
    image: Path
    out: Path


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and the contract's exit code, instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        raise InvalidParametersError(f"{message}. Run {self.prog} --help for all arguments.")


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> TrainSettings | PredictSettings:
    """Parse the command line.

    Raises:
        UsageError: an argument is missing, unknown, or not what it should be.
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
    return TrainSettings(
        plugin=arguments.plugin or environment.get("VOTT_TRAIN_PLUGIN") or DEFAULT_PLUGIN,
        annotations=read_argument("annotations", arguments.annotations),
        model=read_argument(
            "model", arguments.model, is_destination, "a URL that begins with https://, http:// or s3://"
        ),
        status=read_argument("status", arguments.status) if arguments.status else None,
        parameters=_parameters(arguments),
        trainingjob=arguments.trainingjob,
        trainingjob_uid=environment.get("TRAININGJOB_UID", ""),
        work_dir=Path(work_dir) if work_dir else None,
        storage=StorageAccess.from_environment(environment),
        checkpoints=environment.get("VOTT_CHECKPOINTS", ""),
        checkpoint_seconds=_seconds(environment, "VOTT_CHECKPOINT_SECONDS", DEFAULT_CHECKPOINT_SECONDS),
    )


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
        help="where the model goes: an Azure container or S3 bucket (with a prefix, if you like), one blob, or a presigned link",
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
        prog="vott_trainer predict", description="Draw what a trained model sees on an image.", allow_abbrev=False
    )
    parser.add_argument(
        "--model", metavar="MODEL.tgz", type=Path, required=True, help="the archive that a training left"
    )
    parser.add_argument("--image", metavar="IMAGE", type=Path, required=True, help="the image to look at")
    parser.add_argument(
        "--out", metavar="OUT.jpg", type=Path, required=True, help="where to write the image with boxes and labels"
    )
    return parser
