"""The callback URL of a TrainingJob. That of a message is kept in a Secret; the spec shows only its host."""

from vott_messaging.errors import CallbackError
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.errors import ClusterError, NotFoundError


async def callback_url(cluster: Cluster, trainingjob: TrainingJob) -> str:
    """Return the whole URL, from the Secret if there is one. Raises CallbackError while it can't be read."""
    assert trainingjob.spec.callback is not None
    reference = trainingjob.spec.url_secret_ref
    if reference is None:
        return trainingjob.spec.callback.url
    try:
        secret = await cluster.read_secret(trainingjob.metadata.namespace, reference.name)
        return secret["callback"]
    except (NotFoundError, KeyError):
        # Not permanent: the Secret is created after its TrainingJob, by the next operator if this one is killed in between.
        text = f"Secret {reference.name} has no key callback with the URL"
        raise CallbackError(text, permanent=False) from None
    except ClusterError as error:
        raise CallbackError(str(error), permanent=False) from None
