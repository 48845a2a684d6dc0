"""URLs that the administrator's rules refuse before any connection: the training fails without a Job. Pure.

The addresses of a host name are known only when connecting: the trainer applies the same rules then.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from vott_guard.rules import ANY_ADDRESS, RefusedError, Rules
from vott_messaging.messages.parameters import IMAGES_URL, INITIAL_WEIGHTS, weights_url
from vott_operator.api import constants as c
from vott_operator.api.conditions import Explanation
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.api.urls import has_credentials
from vott_operator.settings.operator import Settings


def explain_refused_url(trainingjob: TrainingJob, settings: Settings) -> Explanation | None:
    """The first URL of the spec that is not allowed, except the callback; None if all are allowed."""
    for name, url, rules in _urls(trainingjob, settings):
        try:
            rules.check_url(url)
        except RefusedError as error:
            return Explanation(c.ADDRESS_REFUSED, f"The URL of {name} is not allowed. {error}")
    return None


def _urls(trainingjob: TrainingJob, settings: Settings) -> Iterator[tuple[str, str, Rules]]:
    """Each http(s) URL with its rules. The trainer checks the others: a bucket, or a malformed URL."""
    spec, rules = trainingjob.spec, settings.outgoing.rules
    written, read = settings.trainer.model_store.containers, settings.trainer.readable_containers
    urls: list[tuple[str, object, list[str]]] = [
        ("annotations", spec.annotations.url, read),
        ("model", spec.model.url, written),
        (f"parameters.{INITIAL_WEIGHTS}", weights_url(spec.parameters), []),
        (f"parameters.{IMAGES_URL}", spec.parameters.get(IMAGES_URL), read),
    ]
    for name, url, own in urls:
        if isinstance(url, str) and url.lower().startswith(("http:", "https:")):
            yield name, url, ANY_ADDRESS if _may_be_own_container(url, own) else rules


def _may_be_own_container(url: str, containers: Iterable[str]) -> bool:
    """Whether the URL may be in a container that the administrator has listed, to which no rule applies.

    A URL with a query brings its own credential, so it never is. For containers listed by name, only the trainer knows the
    account: here the name alone decides.
    """
    if has_credentials(url):
        return False
    segments = urlsplit(url).path.strip("/").split("/")
    for container in containers:
        if "://" in container:
            if f"{url}/".startswith(f"{container.rstrip('/')}/"):
                return True
        # The first segment is the account if the host does not name it, as with Azurite.
        elif container == "*" or container in segments[:2]:
            return True
    return False
