"""The commands. Their exit code is 0 when all was done, 1 when something was not, 2 for a wrong command line."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

import click

from vott_operator.errors import VottOperatorError
from vott_operator.queue_commands.rendering import QueueLine, letters_json, letters_table, queue_table
from vott_operator.queue_commands.targets import choose, label
from vott_operator.queues.base import DeadLetter, DeadLetters
from vott_operator.queues.factory import open_dead_letters
from vott_operator.queues.service_bus.dead_letters import MAX_COUNTED
from vott_operator.settings.loading import load
from vott_operator.settings.queue import QueueSettings

T = TypeVar("T")

EXIT_CODES = "Exit code: 0 all was done; 1 something was not, and is said; 2 the command line is wrong."
HALF_DONE = ". Nothing is lost; what was done until then stays done, so run the command again"
QUEUE_AND_IDS = click.argument("arguments", nargs=-1, metavar="[QUEUE] [ID]...")
ALL = click.option("--all", "everything", is_flag=True, help="All that are put aside now.")


@click.group("queue", epilog=EXIT_CODES)
def queue() -> None:
    """See and repair messages that were put aside.

    A message that can't become a TrainingJob is put aside: to <queue>-poison of a storage queue, to the dead-letter
    sub-queue of a Service Bus queue. QUEUE may be left out when only one is configured. Settings and credentials are
    the operator's, so these commands work in its pod:

    \b
        kubectl exec deploy/vott-train -- vott-train queue list
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what goes wrong is said in a sentence


@queue.command("list", epilog=EXIT_CODES)
def list_queues() -> None:
    """Show how many messages wait and how many were put aside.

    \b
        vott-train queue list
    """
    queues = _queues()
    lines = asyncio.run(_look_at_all(queues))
    click.echo(queue_table(lines))
    if any(line.problem for line in lines):
        raise click.exceptions.Exit(1)


@queue.command("peek", epilog=EXIT_CODES)
@click.argument("arguments", nargs=-1, metavar="[QUEUE]")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Show at most so many.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Form.")
@click.option("--show-secrets", is_flag=True, help="Show bodies exactly as they were sent, with SAS and keys.")
def peek(arguments: Sequence[str], limit: int, output: Literal["table", "json"], show_secrets: bool) -> None:
    """Show what was put aside, the oldest first, and why. Nothing is changed.

    \b
        vott-train queue peek training --limit 3
    """
    queues = _queues()
    chosen, rest = choose(arguments, queues)
    if rest:
        raise click.UsageError(f"{rest[0]!r} is not a queue that is configured: {label(chosen, queues)}")
    letters, count = _with_dead_letters(chosen, lambda letters: _peek(letters, limit))
    if output == "json":
        click.echo(letters_json(letters, show_secrets=show_secrets))
    elif not letters:
        click.echo(f"No messages are put aside from queue {label(chosen, queues)}.")
    else:
        click.echo(letters_table(letters, show_secrets=show_secrets))
        if len(letters) < (count or 0):
            click.echo(f"\n{len(letters)} of {_number(chosen, count)}; --limit shows more.", err=True)


@queue.command("requeue", epilog=EXIT_CODES)
@QUEUE_AND_IDS
@ALL
def requeue(arguments: Sequence[str], everything: bool) -> None:
    """Send messages that were put aside to their queue again.

    They are sent first and then removed here, so that nothing is lost whatever happens. Remove the cause before: a
    message that is still of no use is put aside again.

    \b
        vott-train queue requeue training 5f3b2a4e-5c1d-4a53-9a43-0d6f4f6a9a11
        vott-train queue requeue --all
    """
    queues = _queues()
    chosen, ids = _choose_messages(arguments, everything, queues)
    done = _with_dead_letters(chosen, lambda letters: letters.requeue(ids), hint=HALF_DONE)
    click.echo(f"{_messages(len(done))} sent to queue {label(chosen, queues)} again.")
    _name_missing(ids, done, label(chosen, queues))


@queue.command("purge", epilog=EXIT_CODES)
@QUEUE_AND_IDS
@ALL
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(arguments: Sequence[str], everything: bool, yes: bool) -> None:
    """Remove messages that were put aside for good.

    \b
        vott-train queue purge training 5f3b2a4e-5c1d-4a53-9a43-0d6f4f6a9a11
        vott-train queue purge --all --yes
    """
    queues = _queues()
    chosen, ids = _choose_messages(arguments, everything, queues)
    name = label(chosen, queues)
    if not yes:
        _confirm(chosen, name, ids)
    done = _with_dead_letters(chosen, lambda letters: letters.purge(ids), hint=HALF_DONE)
    click.echo(f"{_messages(len(done))} removed that had been put aside from queue {name}.")
    _name_missing(ids, done, name)


# ------------------------------------------------------------------------------------------------------------- queues


def _queues() -> Sequence[QueueSettings]:
    try:
        return load().queues
    except VottOperatorError as error:
        raise click.ClickException(str(error)) from None


async def _look_at_all(queues: Sequence[QueueSettings]) -> Sequence[QueueLine]:
    return await asyncio.gather(*(_look_at(queue, label(queue, queues)) for queue in queues))


async def _look_at(queue: QueueSettings, name: str) -> QueueLine:
    async def look(letters: DeadLetters) -> QueueLine:
        waiting, count = await letters.waiting(), await letters.count()
        return QueueLine(name, queue.kind, _number(queue, waiting), _number(queue, count))

    try:
        return await _opened(queue, look)
    except VottOperatorError as error:
        return QueueLine(name, queue.kind, problem=str(error))


async def _peek(letters: DeadLetters, limit: int) -> tuple[Sequence[DeadLetter], int | None]:
    return await letters.peek(limit), await letters.count()


async def _opened(queue: QueueSettings, use: Callable[[DeadLetters], Awaitable[T]]) -> T:
    letters = open_dead_letters(queue)
    try:
        return await use(letters)
    finally:
        await letters.close()


def _with_dead_letters(queue: QueueSettings, use: Callable[[DeadLetters], Awaitable[T]], hint: str = "") -> T:
    try:
        return asyncio.run(_opened(queue, use))
    except VottOperatorError as error:
        raise click.ClickException(f"{error}{hint}") from None


# ----------------------------------------------------------------------------------------------------------- messages


def _choose_messages(
    arguments: Sequence[str], everything: bool, queues: Sequence[QueueSettings]
) -> tuple[QueueSettings, frozenset[str] | None]:
    """The queue, and the ids that were named; None for all."""
    chosen, ids = choose(arguments, queues)
    if everything and ids:
        raise click.UsageError(f"name ids or --all, not both: {ids[0]!r} is not a queue that is configured")
    if not everything and not ids:
        raise click.UsageError("name the ids of messages, which `vott-train queue peek` shows, or --all")
    return chosen, None if everything else frozenset(ids)


def _confirm(queue: QueueSettings, name: str, ids: frozenset[str] | None) -> None:
    count = len(ids) if ids is not None else _with_dead_letters(queue, lambda letters: letters.count())
    what = f"{_number(queue, count)} message{'' if count == 1 else 's'}"
    try:
        click.confirm(f"Remove {what} put aside from queue {name} for good?", abort=True, err=True)
    except click.Abort:
        raise click.ClickException("nothing was removed; where nobody can answer, add --yes") from None


def _name_missing(ids: frozenset[str] | None, done: Sequence[str], name: str) -> None:
    if missing := sorted((ids or frozenset()) - set(done)):
        raise click.ClickException(f"not among those put aside from queue {name}: {', '.join(missing)}")


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _number(queue: QueueSettings, count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count}+" if queue.kind == "serviceBus" and count >= MAX_COUNTED else str(count)
