"""The TrainingJob of a message, with the administrator's defaults."""

from collections.abc import Mapping
from typing import Any

from vott_guard.redaction import webhook_origin
from vott_messaging.messages.message import TrainMessage
from vott_messaging.messages.parameters import INITIAL_WEIGHTS, weights_url
from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.urls import url_in_spec
from vott_operator.objects.metadata import Manifest
from vott_operator.objects.url_secret import needs_url_secret, spec_urls
from vott_operator.settings.training_job import TrainingJobSettings

NO_DEFAULTS = TrainingJobSettings()


def trainingjob_manifest(
    message: TrainMessage,
    *,
    name: str,
    namespace: str,
    plugin: str,
    annotations: dict[str, str],
    ttl_seconds: int | None = None,
    defaults: TrainingJobSettings = NO_DEFAULTS,
) -> Manifest:
    """The TrainingJob, with URLs without their credentials, and of the callback only its host; the full URLs are in the Secret (`url_secret`)."""
    spec: Manifest = {**defaults.to_spec(), "plugin": plugin, "parameters": _without_credentials(message.parameters)}
    spec |= {field: {"url": _shown(field, url)} for field, url in spec_urls(message).items()}
    if needs_url_secret(message):
        spec["urlSecretRef"] = {"name": names.url_secret(name)}
    if ttl_seconds is not None:
        spec["ttlSecondsAfterFinished"] = ttl_seconds
    metadata: Manifest = {
        "name": name,
        "namespace": namespace,
        "labels": {**defaults.labels, c.LABEL_MANAGED_BY: c.MANAGED_BY},
        "annotations": annotations,
    }
    if message.status:
        metadata["finalizers"] = [c.FINALIZER]
    return {"apiVersion": c.API_VERSION, "kind": c.KIND, "metadata": metadata, "spec": spec}


def _shown(field: str, url: str) -> str:
    return webhook_origin(url) if field == "callback" else url_in_spec(url)


def _without_credentials(parameters: Mapping[str, Any]) -> Manifest:
    """The parameters; initialWeights, if it is a URL, without its credential."""
    weights = weights_url(parameters)
    return {**parameters, **({INITIAL_WEIGHTS: url_in_spec(weights)} if weights else {})}
