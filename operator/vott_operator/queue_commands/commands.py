"""The commands `list`, `peek`, `requeue` and `purge`. EXIT_CODES is part of their interface."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

import click

from vott_messaging.errors import VottError
from vott_messaging.queues.base import DeadLetter, DeadLetters
from vott_messaging.queues.factory import open_dead_letters
from vott_messaging.queues.service_bus.dead_letters import MAX_COUNTED
from vott_messaging.settings.queue import QueueSettings
from vott_operator.queue_commands.rendering import QueueLine, letters_json, letters_table, queue_table
from vott_operator.queue_commands.selection import label, select_queue
from vott_operator.settings.loading import load

T = TypeVar("T")

EXIT_CODES = "Exit codes: 0 success; 1 something failed, with an error message; 2 wrong usage."
INTERRUPTED = ". No message was lost; run the command again for the rest"
QUEUE_AND_IDS = click.argument("arguments", nargs=-1, metavar="[QUEUE] [ID]...")
ALL = click.option("--all", "everything", is_flag=True, help="All messages that are dead-lettered now.")


@click.group("queue", epilog=EXIT_CODES)
def queue() -> None:
    """List, requeue and purge dead-lettered messages.

    A message that can't become a TrainingJob is dead-lettered: to the poison queue <queue>-poison of a storage queue,
    or to the dead-letter sub-queue of a Service Bus queue. Omit QUEUE if only one is configured. Run these commands in
    the operator's pod, which has the settings and credentials:

    \b
        kubectl exec deploy/vott-train -- vott-train queue list
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # the commands report errors themselves


@queue.command("list", epilog=EXIT_CODES)
def list_queues() -> None:
    """Count waiting and dead-lettered messages.

    \b
        vott-train queue list
    """
    queues = _queues()
    lines = asyncio.run(_all_lines(queues))
    click.echo(queue_table(lines))
    if any(line.error for line in lines):
        raise click.exceptions.Exit(1)


@queue.command("peek", epilog=EXIT_CODES)
@click.argument("arguments", nargs=-1, metavar="[QUEUE]")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Maximum number of messages.")
@click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Output format."
)
@click.option("--show-secrets", is_flag=True, help="Show bodies unchanged, including SAS and keys.")
def peek(arguments: Sequence[str], limit: int, output: Literal["table", "json"], show_secrets: bool) -> None:
    """Show dead-lettered messages, oldest first.

    Changes nothing.

    \b
        vott-train queue peek training --limit 3
    """
    queues = _queues()
    chosen, rest = select_queue(arguments, queues)
    if rest:
        raise click.UsageError(f"{rest[0]!r} is not a configured queue; the queue is {label(chosen, queues)}")
    letters, count = _with_dead_letters(chosen, lambda letters: _peek(letters, limit))
    if output == "json":
        click.echo(letters_json(letters, show_secrets=show_secrets))
    elif not letters:
        click.echo(f"Queue {label(chosen, queues)} has no dead-lettered messages.")
    else:
        click.echo(letters_table(letters, show_secrets=show_secrets))
        if len(letters) < (count or 0):
            click.echo(f"\n{len(letters)} of {_number(chosen, count)} messages; use --limit to see more.", err=True)


@queue.command("requeue", epilog=EXIT_CODES)
@QUEUE_AND_IDS
@ALL
def requeue(arguments: Sequence[str], everything: bool) -> None:
    """Send dead-lettered messages to their queue again.

    Fix the cause first: a message that is still invalid is dead-lettered again. Each message is sent before it is
    deleted, so none is lost if the command is interrupted.

    \b
        vott-train queue requeue training 5f3b2a4e-5c1d-4a53-9a43-0d6f4f6a9a11
        vott-train queue requeue --all
    """
    queues = _queues()
    chosen, ids = _select_messages(arguments, everything, queues)
    done = _with_dead_letters(chosen, lambda letters: letters.requeue(ids), hint=INTERRUPTED)
    click.echo(f"{_messages(len(done))} requeued to {label(chosen, queues)}.")
    _fail_if_missing(ids, done, label(chosen, queues))


@queue.command("purge", epilog=EXIT_CODES)
@QUEUE_AND_IDS
@ALL
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
def purge(arguments: Sequence[str], everything: bool, yes: bool) -> None:
    """Delete dead-lettered messages for good.

    \b
        vott-train queue purge training 5f3b2a4e-5c1d-4a53-9a43-0d6f4f6a9a11
        vott-train queue purge --all --yes
    """
    queues = _queues()
    chosen, ids = _select_messages(arguments, everything, queues)
    name = label(chosen, queues)
    if not yes:
        _confirm(chosen, name, ids)
    done = _with_dead_letters(chosen, lambda letters: letters.purge(ids), hint=INTERRUPTED)
    click.echo(f"{_messages(len(done))} purged from {name}.")
    _fail_if_missing(ids, done, name)


# ------------------------------------------------------------------------------------------------------------- queues


def _queues() -> Sequence[QueueSettings]:
    try:
        return load().queues
    except VottError as error:
        raise click.ClickException(str(error)) from None


async def _all_lines(queues: Sequence[QueueSettings]) -> Sequence[QueueLine]:
    return await asyncio.gather(*(_line(queue, label(queue, queues)) for queue in queues))


async def _line(queue: QueueSettings, name: str) -> QueueLine:
    async def count(letters: DeadLetters) -> QueueLine:
        waiting, dead_lettered = await letters.waiting(), await letters.count()
        return QueueLine(name, queue.kind, _number(queue, waiting), _number(queue, dead_lettered))

    try:
        return await _with_open(queue, count)
    except VottError as error:
        return QueueLine(name, queue.kind, error=str(error))


async def _peek(letters: DeadLetters, limit: int) -> tuple[Sequence[DeadLetter], int | None]:
    return await letters.peek(limit), await letters.count()


async def _with_open(queue: QueueSettings, use: Callable[[DeadLetters], Awaitable[T]]) -> T:
    letters = open_dead_letters(queue)
    try:
        return await use(letters)
    finally:
        await letters.close()


def _with_dead_letters(queue: QueueSettings, use: Callable[[DeadLetters], Awaitable[T]], hint: str = "") -> T:
    try:
        return asyncio.run(_with_open(queue, use))
    except VottError as error:
        raise click.ClickException(f"{error}{hint}") from None


# ----------------------------------------------------------------------------------------------------------- messages


def _select_messages(
    arguments: Sequence[str], everything: bool, queues: Sequence[QueueSettings]
) -> tuple[QueueSettings, frozenset[str] | None]:
    """The queue and the message ids from the command line; None for --all."""
    chosen, ids = select_queue(arguments, queues)
    if everything and ids:
        raise click.UsageError(f"use either ids or --all, not both ({ids[0]!r} is not a configured queue)")
    if not everything and not ids:
        raise click.UsageError("give the ids of messages, as shown by `vott-train queue peek`, or --all")
    return chosen, None if everything else frozenset(ids)


def _confirm(queue: QueueSettings, name: str, ids: frozenset[str] | None) -> None:
    count = len(ids) if ids is not None else _with_dead_letters(queue, lambda letters: letters.count())
    messages = f"{_number(queue, count)} dead-lettered message{'' if count == 1 else 's'}"
    try:
        click.confirm(f"Delete {messages} of queue {name} for good?", abort=True, err=True)
    except click.Abort:
        raise click.ClickException("no message was deleted; use --yes to skip the question") from None


def _fail_if_missing(ids: frozenset[str] | None, done: Sequence[str], name: str) -> None:
    if missing := sorted((ids or frozenset()) - set(done)):
        raise click.ClickException(f"queue {name} has no dead-lettered messages with these ids: {', '.join(missing)}")


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _number(queue: QueueSettings, count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count}+" if queue.kind == "serviceBus" and count >= MAX_COUNTED else str(count)
