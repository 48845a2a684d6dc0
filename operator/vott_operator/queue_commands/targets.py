"""Which queue a command line means."""

from collections.abc import Sequence

import click

from vott_operator.settings.queue import QueueSettings


def label(queue: QueueSettings, queues: Sequence[QueueSettings]) -> str:
    """The shortest name that means this queue and no other."""
    return next((name for name in _names(queue) if _means(name, queues) == [queue]), _names(queue)[-1])


def choose(arguments: Sequence[str], queues: Sequence[QueueSettings]) -> tuple[QueueSettings, Sequence[str]]:
    """The queue that the first argument names, or the only one there is; and the other arguments.

    Raises click.UsageError, which names the queues, when that leaves open which one is meant.
    """
    named = _means(arguments[0], queues) if arguments else []
    if len(named) == 1:
        return named[0], arguments[1:]
    if len(queues) == 1:
        return queues[0], arguments
    configured = ", ".join(label(queue, queues) for queue in queues)
    if not arguments:
        raise click.UsageError(f"several queues are configured; say which one: {configured}")
    problem = "means several queues" if named else "is not a queue that is configured"
    raise click.UsageError(f"{arguments[0]!r} {problem}; say which one first: {configured}")


def _means(name: str, queues: Sequence[QueueSettings]) -> list[QueueSettings]:
    return [queue for queue in queues if name in _names(queue)]


def _names(queue: QueueSettings) -> list[str]:
    """From the shortest to the longest."""
    place = (
        queue.account or queue.service_bus_namespace or (queue.credentials_dir.name if queue.credentials_dir else "")
    )
    return [queue.name, f"{queue.kind}/{queue.name}", f"{queue.kind}/{place}/{queue.name}"]
