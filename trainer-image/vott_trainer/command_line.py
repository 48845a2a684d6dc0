"""The command line: options, help, and settings from it."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from vott_trainer.errors import InvalidParametersError, UsageError
from vott_trainer.http.urls import read_argument
from vott_trainer.plugin_api.thresholds import MIN_SCORE_SHOWN
from vott_trainer.progress.callback import Callback
from vott_trainer.settings import DEFAULT_PLUGIN, JOB_WITHOUT_NAME, PredictSettings, TrainSettings, train_settings


class _Parser(argparse.ArgumentParser):
    """Raises an error of one sentence with the contract's exit code, instead of argparse's 2."""

    def error(self, message: str) -> NoReturn:
        raise InvalidParametersError(f"{message}. Run {self.prog} --help for all arguments.")


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> TrainSettings | PredictSettings:
    """Parse the command line.

    Raises:
        UsageError: an argument is missing, unknown or invalid.
        AddressRefusedError: the administrator's rules forbid a URL.
    """
    if argv[:1] == ["predict"]:
        return PredictSettings(**vars(_predict_parser().parse_args(argv[1:])))
    return train_settings(_train_parser().parse_args(argv), environment)


def callback(argv: Sequence[str]) -> Callback | None:
    """Return the callback of a command line that `parse` refused.

    None if it can't be read either, and with a TrainingJob or status file: then its reader posts the outcome.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in ("--status", "--trainingjob", "--status-file", "--name"):
        parser.add_argument(name)
    try:
        arguments, _ = parser.parse_known_args(argv)
        if arguments.trainingjob or arguments.status_file or not arguments.status:
            return None
        return Callback(read_argument("status", arguments.status), arguments.name or JOB_WITHOUT_NAME)
    except UsageError:
        return None


def _train_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vott_trainer",
        description="Train a model on annotated images and put it into a storage container.",
        epilog="A URL may be given as @/path/to/file that holds it. "
        "`vott_trainer predict --help` shows how to run a trained model on an image.",
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
        help="where the model goes: an Azure container or S3 bucket, with or without a prefix, one blob, or a presigned link; "
        "without --trainingjob also the absolute path of a folder",
    )
    parser.add_argument("--status", metavar="URL", help="where to POST the progress")
    parser.add_argument(
        "--parameters", metavar="JSON", default="{}", help="the plugin's parameters, such as '{\"epochs\": 20}'"
    )
    parser.add_argument(
        "--initial-weights",
        metavar="URL",
        help="the earlier model to start from; instead of the parameter initialWeights",
    )
    parser.add_argument("--trainingjob", metavar="NAMESPACE/NAME", help="the TrainingJob to report to (in Kubernetes)")
    parser.add_argument(
        "--name", metavar="NAME", help="the training's name in callbacks and checkpoints (without Kubernetes)"
    )
    parser.add_argument(
        "--status-file",
        metavar="FILE",
        type=Path,
        help="a file to write the progress to, as JSON (without Kubernetes); its reader sends the outcome to --status",
    )
    return parser


def _predict_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vott_trainer predict",
        description="Print, and draw, the predictions of a trained model for an image.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        type=Path,
        required=True,
        help="the trained model: the archive model.tgz, or a folder with its files",
    )
    parser.add_argument("--image", metavar="IMAGE", type=Path, required=True, help="the image")
    parser.add_argument(
        "--out", metavar="OUT.jpg", type=Path, help="where to write the image with boxes and labels (default: nowhere)"
    )
    parser.add_argument(
        "--json", metavar="OUT.json", type=Path, help="where to write the predictions as COCO's JSON (default: nowhere)"
    )
    parser.add_argument(
        "--score",
        metavar="SCORE",
        type=_score,
        help="the lowest score shown, 0 to 1 (default: for objects the threshold of their class in the model's config.json, "
        f"or {MIN_SCORE_SHOWN} if it has none; all classes of a whole image)",
    )
    return parser


def _score(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {text[:30]!r}")
    return value
