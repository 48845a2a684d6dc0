"""Settings of a training or prediction: arguments and environment, checked (docs/trainer-contract.md)."""

import argparse
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vott_guard.redaction import (
    redact_url,
    register_connection_string,
    register_secrets,
    register_url_credentials,
    register_webhook,
)
from vott_guard.urls import is_url
from vott_trainer.errors import InvalidParametersError
from vott_trainer.http import address_rules
from vott_trainer.http.urls import read_argument
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import is_destination, is_path
from vott_trainer.stores.own_data import OwnData
from vott_trainer.stores.s3.url import as_http_url

DEFAULT_PLUGIN = "detection"
DEFAULT_CHECKPOINT_SECONDS = 600.0
JOB_WITHOUT_NAME = "local"
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class TrainSettings:
    """One training. Its URLs carry credentials: never print them.

    Attributes:
        plugin: its name.
        annotations: URL of the annotation file.
        model: URL or path of the destination.
        status: the callback URL.
        parameters: the plugin's, unchecked.
        trainingjob: `NAMESPACE/NAME`; None without Kubernetes.
        trainingjob_uid: its uid; may be empty.
        name: the training's name without Kubernetes.
        status_file: where its status is written without Kubernetes.
        work_dir: None for a temporary folder.
        storage: the administrator's identities.
        checkpoints: the administrator's location for checkpoints; empty: next to the model.
        checkpoint_seconds: interval between two checkpoints.
        budget_minutes: the administrator's default of the parameter budgetMinutes.
    """

    plugin: str
    annotations: str
    model: str
    status: str | None
    parameters: dict[str, Any]
    trainingjob: str | None
    trainingjob_uid: str
    name: str | None
    status_file: Path | None
    work_dir: Path | None
    storage: StorageAccess
    checkpoints: str = field(default="", repr=False)
    checkpoint_seconds: float = DEFAULT_CHECKPOINT_SECONDS
    budget_minutes: float | None = None

    @property
    def job(self) -> str:
        """The training's name in callbacks."""
        return self.trainingjob.rpartition("/")[2] if self.trainingjob else self.name or JOB_WITHOUT_NAME

    @property
    def checkpoint_key(self) -> str:
        """Unique name of this training's checkpoints: the TrainingJob's uid, else the training's name, else a digest of the arguments."""
        if key := self.trainingjob_uid or self.name:
            return key
        urls = [redact_url(url) for url in (self.annotations, self.model)]
        arguments = json.dumps([self.plugin, self.parameters, urls], sort_keys=True)
        return f"local-{hashlib.sha256(arguments.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class PredictSettings:
    """One prediction.

    Attributes:
        model: archive or folder.
        image: the image.
        out: where the image is written with the predictions drawn, if anywhere.
        score: the lowest score shown; None for the default.
        json: where the predictions are written as COCO's JSON, if anywhere.
    """

    model: Path
    image: Path
    out: Path | None = None
    score: float | None = None
    json: Path | None = None


def train_settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> TrainSettings:
    """Return the settings of a training; registers its credentials for redaction.

    Raises:
        UsageError: an argument or variable is invalid.
        AddressRefusedError: the administrator's rules forbid a URL.
    """
    work_dir = environment.get("VOTT_WORK_DIR")
    settings = TrainSettings(
        plugin=arguments.plugin or environment.get("VOTT_TRAIN_PLUGIN") or DEFAULT_PLUGIN,
        annotations=_annotations(arguments, environment),
        model=_model(arguments),
        status=read_argument("status", arguments.status) if arguments.status else None,
        parameters=_parameters(arguments),
        trainingjob=arguments.trainingjob,
        trainingjob_uid=environment.get("TRAININGJOB_UID", ""),
        name=_name(arguments),
        status_file=arguments.status_file,
        work_dir=Path(work_dir) if work_dir else None,
        storage=StorageAccess.from_environment(environment),
        checkpoints=environment.get("VOTT_CHECKPOINTS", ""),
        checkpoint_seconds=_number(environment, "VOTT_CHECKPOINT_SECONDS", "seconds", DEFAULT_CHECKPOINT_SECONDS),
        budget_minutes=_number(environment, "VOTT_BUDGET_MINUTES", "minutes", 0.0) or None,
    )
    _register_credentials(settings, environment)
    _check_addresses(settings, environment)
    return settings


def _annotations(arguments: argparse.Namespace, environment: Mapping[str, str]) -> str:
    """Read `--annotations`; an s3:// URL becomes one of the server, so that paths of images can be relative to it."""
    urls = "a URL that starts with https://, http:// or s3://"
    return as_http_url(read_argument("annotations", arguments.annotations, is_destination, urls), environment)


def _model(arguments: argparse.Namespace) -> str:
    """Read `--model`; with a TrainingJob, a message must not name a folder of the pod."""
    urls = "a URL that starts with https://, http:// or s3://"
    if arguments.trainingjob:
        return read_argument("model", arguments.model, is_destination, urls)
    expected = f"{urls}, or the absolute path of a folder"
    return read_argument("model", arguments.model, lambda text: is_path(text) or is_destination(text), expected)


def _name(arguments: argparse.Namespace) -> str | None:
    """Return `--name`, which becomes a part of paths."""
    name: str | None = arguments.name
    if arguments.trainingjob and (name or arguments.status_file):
        raise InvalidParametersError(
            "--trainingjob: a TrainingJob has its own name and status; leave out --name and --status-file."
        )
    if name is not None and not NAME.fullmatch(name):
        raise InvalidParametersError(
            f"--name: expected at most 253 lower-case letters, digits, '-' and '.', found {name[:60]!r}."
        )
    return name


def _register_credentials(settings: TrainSettings, environment: Mapping[str, str]) -> None:
    """Register all credentials, so that they are redacted whatever a plugin or library prints."""
    urls = (settings.annotations, settings.model, settings.checkpoints)
    for url in (*urls, settings.parameters.get("initialWeights")):
        if isinstance(url, str):
            register_url_credentials(url)
    if settings.status:
        register_webhook(settings.status)
    register_connection_string(settings.storage.connection_string)
    register_secrets(*(environment.get(name, "") for name in SECRET_VARIABLES))


def _check_addresses(settings: TrainSettings, environment: Mapping[str, str]) -> None:
    """Check the annotations and initial weights early, for any plugin. Only the administrator's own stores are exempt from the rules."""
    rules = address_rules.read_rules(environment)
    if not OwnData(settings.storage).opens(settings.annotations):
        address_rules.check_url(settings.annotations, _not_fetched("annotations", settings.annotations), rules)
    weights = settings.parameters.get("initialWeights")
    if isinstance(weights, str) and is_url(weights):
        address_rules.check_url(weights, _not_fetched("initial weights", weights), rules)


def _not_fetched(what: str, url: str) -> str:
    return f"The {what} at {redact_url(url)} can't be fetched"


def _parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    parameters = _json_object(arguments.parameters)
    if arguments.initial_weights:
        parameters["initialWeights"] = read_argument("initial-weights", arguments.initial_weights)
    return parameters


def _number(environment: Mapping[str, str], name: str, unit: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InvalidParametersError(f"{name}: expected a number of {unit}, found {text[:30]!r}.")
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
