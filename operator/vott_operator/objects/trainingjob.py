"""From a message to its TrainingJob and the Secret with its URLs. Pure."""

from collections.abc import Mapping
from typing import Any

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.api.urls import has_credentials, weights_url, without_credentials
from vott_operator.messages.message import TrainMessage
from vott_operator.objects.metadata import Manifest, child_metadata
from vott_operator.settings.trainer import TrainingJobSettings

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
    """The TrainingJob for a message. URLs go in without their credentials; `url_secret` holds the full ones."""
    spec: Manifest = {**defaults.to_spec(), "plugin": plugin, "parameters": _shown(message.parameters)}
    spec |= {field: {"url": without_credentials(url)} for field, url in _locations(message).items()}
    if _needs_secret(message):
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


def url_secret(message: TrainMessage, owner: TrainingJob) -> Manifest | None:
    """The Secret with the message's full URLs, owned by the TrainingJob; None when no URL carries a credential."""
    if not _needs_secret(message):
        return None
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": child_metadata(owner, names.url_secret(owner.metadata.name)),
        "immutable": True,
        "stringData": _urls(message),
    }


def _locations(message: TrainMessage) -> dict[str, str]:
    """The URLs that are fields of the spec."""
    urls = {"annotations": message.annotations, "model": message.model, "callback": message.status}
    return {field: url for field, url in urls.items() if url}


def _urls(message: TrainMessage) -> dict[str, str]:
    """All URLs, by their keys in the Secret."""
    weights = weights_url(message.parameters)
    return _locations(message) | ({c.INITIAL_WEIGHTS: weights} if weights else {})


def _shown(parameters: Mapping[str, Any]) -> Manifest:
    """The parameters without a credential."""
    weights = weights_url(parameters)
    return {**parameters, **({c.INITIAL_WEIGHTS: without_credentials(weights)} if weights else {})}


def _needs_secret(message: TrainMessage) -> bool:
    return any(has_credentials(url) for url in _urls(message).values())
