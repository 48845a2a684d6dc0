"""Where a TrainingJob's callback is: its whole URL, which the spec does not show where it carries a credential."""

from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.errors import CallbackError, ClusterError, NotFoundError


async def callback_url(cluster: Cluster, trainingjob: TrainingJob) -> str:
    """The URL, from the Secret where there is one. Raises CallbackError while it can't be known."""
    assert trainingjob.spec.callback is not None
    reference = trainingjob.spec.url_secret_ref
    if reference is None:
        return trainingjob.spec.callback.url
    try:
        secret = await cluster.read_secret(trainingjob.metadata.namespace, reference.name)
        return secret["callback"]
    except (NotFoundError, KeyError):
        # A message's Secret is made after its TrainingJob, by another operator where the first was killed in between.
        text = f"Secret {reference.name} has no key callback, which names the URL"
        raise CallbackError(text, permanent=False) from None
    except ClusterError as error:
        raise CallbackError(str(error), permanent=False) from None
