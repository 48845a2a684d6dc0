"""Select the queue that a command line names."""

from collections.abc import Sequence

import click

from vott_messaging.settings.queue import QueueSettings


def label(queue: QueueSettings, queues: Sequence[QueueSettings]) -> str:
    """The shortest name that is unique among `queues`."""
    return next((name for name in _names(queue) if _matches(name, queues) == [queue]), _names(queue)[-1])


def select_queue(arguments: Sequence[str], queues: Sequence[QueueSettings]) -> tuple[QueueSettings, Sequence[str]]:
    """The queue that the first argument names, or the only queue, and the remaining arguments.

    Raises click.UsageError with the queues' names when the choice is ambiguous.
    """
    matches = _matches(arguments[0], queues) if arguments else []
    if len(matches) == 1:
        return matches[0], arguments[1:]
    if len(queues) == 1:
        return queues[0], arguments
    configured = ", ".join(label(queue, queues) for queue in queues)
    if not arguments:
        raise click.UsageError(f"several queues are configured; name one: {configured}")
    problem = "is the name of several queues" if matches else "is not a configured queue"
    raise click.UsageError(f"{arguments[0]!r} {problem}; name one of {configured}")


def _matches(name: str, queues: Sequence[QueueSettings]) -> list[QueueSettings]:
    return [queue for queue in queues if name in _names(queue)]


def _names(queue: QueueSettings) -> list[str]:
    """Names of the queue, shortest first."""
    place = (
        queue.account or queue.service_bus_namespace or (queue.credentials_dir.name if queue.credentials_dir else "")
    )
    return [queue.name, f"{queue.kind}/{queue.name}", f"{queue.kind}/{place}/{queue.name}"]
