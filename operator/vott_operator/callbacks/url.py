"""The callback URL of a TrainingJob. That of a message is kept in a Secret; the spec shows only its host."""

from collections.abc import Callable
from datetime import datetime, timedelta

from vott_messaging.errors import CallbackError
from vott_operator.api.names import Key
from vott_operator.api.times import parse_timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError, NotFoundError

RETRY_SECONDS = 30.0
"""Pause before a Secret is looked for again: it may be created after its TrainingJob."""
LOST_AFTER = timedelta(minutes=1)
"""How long a deleted TrainingJob waits for a Secret that does not exist."""


class LostURLError(CallbackError):
    """The Secret with the URL was deleted before the outcome was posted, and this operator has never read it."""

    def __init__(self, secret: str) -> None:
        super().__init__(f"Secret {secret}, which had the callback's URL, was deleted first", permanent=True)


class CallbackURLs:
    """Reads callback URLs, and remembers those of unfinished TrainingJobs.

    The deletion of a namespace deletes the Secrets at once, but the TrainingJobs only when their callbacks have the outcome.
    """

    def __init__(self, cluster: Cluster, store: Store, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._store = store
        self._clock = clock

    async def read(self, trainingjob: TrainingJob) -> str:
        """Return the whole URL, from the Secret if there is one. Raises CallbackError while it can't be read."""
        assert trainingjob.spec.callback is not None
        reference = trainingjob.spec.url_secret_ref
        if reference is None:
            return trainingjob.spec.callback.url
        try:
            url = (await self._cluster.read_secret(trainingjob.metadata.namespace, reference.name))["callback"]
        except (NotFoundError, KeyError):
            remembered = self._store.callback_url(trainingjob)
            if remembered is None:
                raise self._missing(trainingjob, reference.name) from None
            return remembered
        except ClusterError as error:
            raise CallbackError(str(error), permanent=False) from None
        self._store.put_callback_url(trainingjob, url)
        return url

    def is_unknown(self, trainingjob: TrainingJob) -> bool:
        """Whether the URL would be lost with its Secret."""
        spec = trainingjob.spec
        needs_secret = spec.callback is not None and spec.url_secret_ref is not None and not trainingjob.finished
        return needs_secret and self._store.callback_url(trainingjob) is None

    async def remember(self, key: Key) -> float | None:
        """Read the URL of an unfinished TrainingJob. Returns the seconds until the next attempt, if one is needed."""
        observed = self._store.observed(key)
        if observed is None or not self.is_unknown(observed.trainingjob):
            return None
        try:
            await self.read(observed.trainingjob)
        except CallbackError:
            return None if observed.trainingjob.deleting else RETRY_SECONDS
        return None

    def _missing(self, trainingjob: TrainingJob, secret: str) -> CallbackError:
        now = self._clock()
        deleted = parse_timestamp(trainingjob.metadata.deletion_timestamp, now)
        if trainingjob.deleting and now - deleted >= LOST_AFTER:
            return LostURLError(secret)
        # Not permanent: the Secret is created after its TrainingJob, by the next operator if this one is killed in between.
        return CallbackError(f"Secret {secret} has no key callback with the URL", permanent=False)
