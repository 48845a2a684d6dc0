"""Which URLs of a TrainingJob the administrator's rules refuse by themselves, before anything is made for it. Pure.

What a name leads to shows only on connecting: the trainer keeps to the same rules, and asks them then.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from vott_guard.rules import RefusedError, Rules
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.api.urls import has_credentials, weights_url
from vott_operator.decisions.explanations import Explanation
from vott_operator.settings.operator import Settings

ANYWHERE = Rules(allow_http=True, networks=tuple(map(ip_network, ("0.0.0.0/0", "::/0"))))
"""For the administrator's own stores: all but what is never allowed."""


def explain_refused(trainingjob: TrainingJob, settings: Settings) -> Explanation | None:
    """Why no Job is made: the first URL that is not allowed, the callback's aside; None where all are."""
    for name, url, rules in _urls(trainingjob, settings):
        try:
            rules.check_url(url)
        except RefusedError as error:
            return Explanation(c.ADDRESS_REFUSED, f"The URL of {name} may not be used. {error}")
    return None


def _urls(trainingjob: TrainingJob, settings: Settings) -> Iterator[tuple[str, str, Rules]]:
    """Each http(s) URL with the rules for it. What is none is the trainer's to judge: a bucket, or a mistake that it explains."""
    spec, rules = trainingjob.spec, settings.outgoing.rules
    own = _may_be_own(spec.model.url, settings.trainer.model_store.containers)
    urls: list[tuple[str, object, Rules]] = [
        ("annotations", spec.annotations.url, rules),
        ("model", spec.model.url, ANYWHERE if own else rules),
        (f"parameters.{c.INITIAL_WEIGHTS}", weights_url(spec.parameters), rules),
        (f"parameters.{c.IMAGES_URL}", spec.parameters.get(c.IMAGES_URL), rules),
    ]
    for name, url, ruled_by in urls:
        if isinstance(url, str) and url.lower().startswith(("http:", "https:")):
            yield name, url, ruled_by


def _may_be_own(url: str, containers: Iterable[str]) -> bool:
    """Whether it may be a place of the administrator's own, which he named and which no rule is about.

    A URL with a query has a permission of its own. Only the trainer knows the account of the containers that are listed by name,
    so here their name alone decides.
    """
    if has_credentials(url):
        return False
    segments = urlsplit(url).path.strip("/").split("/")
    for container in containers:
        if "://" in container:
            if f"{url}/".startswith(f"{container.rstrip('/')}/"):
                return True
        elif container == "*" or container in segments[:2]:  # the account stands before it where the host names none
            return True
    return False
