"""The Secret with a TrainingJob's full URLs: its manifest, and the keys that the pod gets."""

from collections.abc import Mapping
from typing import Any

from vott_messaging.messages.message import TrainMessage
from vott_messaging.messages.parameters import INITIAL_WEIGHTS, weights_url
from vott_operator.api import names
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.api.urls import has_credentials
from vott_operator.objects.metadata import Manifest, child_metadata
from vott_operator.settings.pod import PodSettings

URL_FIELDS = ("annotations", "model", "callback")
"""Fields of the spec that are URLs; also their keys in the Secret."""


def url_secret_manifest(message: TrainMessage, owner: TrainingJob) -> Manifest | None:
    """The Secret with the message's full URLs, owned by the TrainingJob; None if no URL may carry a credential."""
    if not needs_url_secret(message):
        return None
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": child_metadata(owner, names.url_secret(owner.metadata.name)),
        "immutable": True,
        "stringData": _all_urls(message),
    }


def needs_url_secret(message: TrainMessage) -> bool:
    """Whether a URL of the message may carry a credential. A callback always may, in its path: webhooks have no other."""
    return message.status is not None or any(has_credentials(url) for url in _all_urls(message).values())


def spec_urls(message: TrainMessage) -> dict[str, str]:
    """The message's URLs by the fields of the spec that they go to."""
    urls = {"annotations": message.annotations, "model": message.model, "callback": message.status}
    return {field: url for field, url in urls.items() if url}


def _all_urls(message: TrainMessage) -> dict[str, str]:
    return spec_urls(message) | _weights(message.parameters)


def _weights(parameters: Mapping[str, Any]) -> dict[str, str]:
    url = weights_url(parameters)
    return {INITIAL_WEIGHTS: url} if url else {}


# -------------------------------------------------------------------------------------------------------- in the pod


def pod_url_fields(trainingjob: TrainingJob, settings: PodSettings) -> list[str]:
    """The URL fields that the pod gets: not the callback if it is signed, because then the operator sends it."""
    withheld = ("callback",) if settings.signed_callbacks else ()
    return [name for name in URL_FIELDS if getattr(trainingjob.spec, name) and name not in withheld]


def pod_url_keys(trainingjob: TrainingJob, settings: PodSettings) -> list[str]:
    """The keys of the Secret that the pod needs."""
    return [*pod_url_fields(trainingjob, settings), *_weights(trainingjob.spec.parameters)]


def secret_volume(trainingjob: TrainingJob, settings: PodSettings) -> Manifest:
    """The Secret as a volume source, without the keys that the pod must not get."""
    assert trainingjob.spec.url_secret_ref is not None
    secret: Manifest = {"secretName": trainingjob.spec.url_secret_ref.name, "defaultMode": 0o440}
    if settings.signed_callbacks and trainingjob.spec.callback:
        secret["items"] = [{"key": key, "path": key} for key in pod_url_keys(trainingjob, settings)]
    return secret
