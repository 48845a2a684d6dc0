"""Which URLs of a TrainingJob the administrator's rules refuse by themselves, before anything is made for it. Pure.

What a name leads to shows only on connecting: the trainer keeps to the same rules, and asks them then.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from vott_guard.rules import RefusedError

from . import constants as c
from .failures import Explanation
from .models import TrainingJob
from .settings import Settings
from .urls import weights_url


def explain_refused(trainingjob: TrainingJob, settings: Settings) -> Explanation | None:
    """Why no Job is made: the first URL that is not allowed, the callback's aside; None where all are."""
    rules = settings.outgoing.rules
    for name, url in _urls(trainingjob, settings.trainer.model_store.containers):
        try:
            rules.check_url(url)
        except RefusedError as error:
            return Explanation(c.ADDRESS_REFUSED, f"The URL of {name} may not be used. {error}")
    return None


def _urls(trainingjob: TrainingJob, own_containers: Iterable[str]) -> Iterator[tuple[str, str]]:
    spec = trainingjob.spec
    yield "annotations", spec.annotations.url
    if not _may_be_own(spec.model.url, own_containers):
        yield from _http("model", spec.model.url)
    yield from _http(f"parameters.{c.INITIAL_WEIGHTS}", weights_url(spec.parameters))
    yield from _http(f"parameters.{c.IMAGES_URL}", spec.parameters.get(c.IMAGES_URL))


def _http(name: str, url: object) -> Iterator[tuple[str, str]]:
    """What is no http(s) URL is the trainer's to judge: a bucket, or a mistake that it explains."""
    if isinstance(url, str) and url.lower().startswith(("http:", "https:")):
        yield name, url


def _may_be_own(url: str, containers: Iterable[str]) -> bool:
    """Whether it may be a place of the administrator's own, which he named and which no rule is about.

    Only the trainer knows the account of the containers that are listed by name, so here their name alone decides.
    """
    segments = urlsplit(url).path.strip("/").split("/")
    for container in containers:
        if "://" in container:
            if f"{url}/".startswith(f"{container.rstrip('/')}/"):
                return True
        elif container == "*" or container in segments[:2]:  # the account stands before it where the host names none
            return True
    return False
