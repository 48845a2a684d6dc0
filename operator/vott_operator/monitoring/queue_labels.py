"""The label of a queue in the metrics."""

from collections.abc import Sequence

from vott_messaging.settings.queue import QueueSettings


def queue_label(queue: QueueSettings, identity: str, queues: Sequence[QueueSettings]) -> str:
    """Its name, or its address (see `QueueSource.identity`) where another of `queues` has the same name."""
    is_unique = sum(other.name == queue.name for other in queues) == 1
    return queue.name if is_unique else identity.partition("://")[2]
