"""Wires the daemon's parts, and runs them until it is stopped."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.callbacks.signing_key_files import read_signing_keys
from vott_messaging.delivery.rejection import Rejection
from vott_messaging.delivery.settlement import Settlement
from vott_messaging.errors import SettingsError
from vott_messaging.queues.factory import open_source
from vott_messaging.settings.program import CONFIG_ENV
from vott_messaging.settings.queue import QueueSettings
from vott_traind.devices import Slot
from vott_traind.folder_lock import locked
from vott_traind.folders import StateFolder, WorkFolder, private_folder
from vott_traind.http import DaemonServer
from vott_traind.leftovers import clear_leftovers
from vott_traind.metered_source import MeteredSource
from vott_traind.metrics import Metrics
from vott_traind.outcomes import Outcomes
from vott_traind.output import Output
from vott_traind.parts import Limits, Parts
from vott_traind.prctl import adopt_orphans, hide_from_other_processes
from vott_traind.progress_callbacks import ProgressCallbacks
from vott_traind.receiving import Receiver
from vott_traind.records import Records
from vott_traind.settings import Settings
from vott_traind.slots import Slots
from vott_traind.trainer import TrainerOptions
from vott_traind.trainings import Trainings

logger = logging.getLogger(__name__)

CALLBACK_WORKERS = 64
"""Callbacks of one kind that are posted at a time: as many only while many receivers hang."""
LAST_CALLBACKS_SECONDS = 3.0
"""How long a stopping daemon waits for outcome callbacks; the next one posts those that are left."""
SETTLE_SECONDS = 5.0
"""How long a stopping daemon tries to settle a message after its training has ended."""
EXPIRY_SECONDS = 3600.0
PRIVATE_FILES = (
    *(CONFIG_ENV, "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "AWS_CONFIG_FILE"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
)
"""Variables that name a file with settings or credentials."""
FAILURES_UNTIL_UNHEALTHY = 5
"""Failed attempts to receive from a queue in a row, with backoff about half a minute."""


@dataclass(frozen=True, slots=True)
class Options:
    """The daemon's command line."""

    state: StateFolder
    work: Path
    slots: list[Slot]
    http: str | None = None


class Daemon:
    """The daemon. Raises SettingsError if it can't start."""

    def __init__(self, settings: Settings, options: Options, output: Output) -> None:
        self._settings = settings
        self._options = options
        self._output = output
        self._stopping = asyncio.Event()
        self._metrics = Metrics()
        self._records = Records(options.state)
        self._slots = Slots(options.slots)
        self._sources: list[MeteredSource] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Train until SIGTERM or SIGINT; a second one ends the process at once."""
        hide_from_other_processes()
        adopt_orphans()
        async with AsyncExitStack() as stack:
            stack.enter_context(locked(self._options.state.path, "--state"))
            stack.enter_context(locked(self._options.work, "--work"))
            self._listen_to_signals()
            grace = self._settings.trainer.termination_grace_period_seconds
            await clear_leftovers(self._options.state, self._records, self._options.work, grace)
            self._records.remove_expired()
            parts = await self._open_parts(stack)
            receivers = [await self._open_receiver(queue, parts, stack) for queue in self._settings.queues]
            if self._options.http:
                await stack.enter_async_context(DaemonServer(self._options.http, self._metrics, self._problem))
            parts.outcomes.resume()
            await self._receive(receivers)
            await parts.outcomes.close(LAST_CALLBACKS_SECONDS)

    # -------------------------------------------------------------------------------------------------------- start-up

    async def _open_parts(self, stack: AsyncExitStack) -> Parts:
        settings, callbacks = self._settings, self._settings.callbacks
        _check_keys(settings)
        outcomes = Outcomes(
            self._records, await self._open_sender(stack), self._metrics, callbacks.give_up_after_seconds
        )
        progress = ProgressCallbacks(await self._open_sender(stack)) if callbacks.signed else None
        self._metrics.slots.set(len(self._options.slots))
        return Parts(
            records=self._records,
            outcomes=outcomes,
            progress=progress,
            metrics=self._metrics,
            output=self._output,
            limits=Limits(
                settings.training_job.backoff_limit, silence_seconds=settings.trainer.restart_stalled_after_seconds
            ),
            options=self._trainer_options(),
            work={slot: self._work(slot) for slot in self._options.slots},
            stopping=self._stopping,
        )

    def _work(self, slot: Slot) -> WorkFolder:
        return WorkFolder(private_folder(self._options.work / f"slot-{slot.number}"))

    def _trainer_options(self) -> TrainerOptions:
        trainer = self._settings.trainer
        return TrainerOptions(
            self._settings.rules.to_environment(),
            trainer.termination_grace_period_seconds,
            trainer.budget_minutes,
            self._settings.callbacks.signed,
            tuple(private_paths(self._settings, self._options)),
        )

    async def _open_sender(self, stack: AsyncExitStack) -> CallbackSender:
        sender = CallbackSender(self._settings.callbacks, self._settings.rules, workers=CALLBACK_WORKERS)
        return await stack.enter_async_context(sender)

    async def _open_receiver(self, queue: QueueSettings, parts: Parts, stack: AsyncExitStack) -> Receiver:
        source = MeteredSource(open_source(queue), self._metrics)
        stack.push_async_callback(source.close)
        if any(source.identity == other.identity for other in self._sources):
            raise SettingsError(f"two of the queues are the same queue, {source.identity}; remove one of them")
        plugins = self._settings.plugins_of(queue)
        trainings = Trainings(source.identity, plugins, queue.message_defaults(plugins), parts)
        settlement = Settlement(source, Rejection(source, await self._open_sender(stack)), "daemon")
        self._sources.append(source)
        logger.info("messages come from %s", source.identity)
        return Receiver(source, settlement, trainings, self._slots)

    # --------------------------------------------------------------------------------------------------------- running

    async def _receive(self, receivers: list[Receiver]) -> None:
        """Receive until the daemon is stopped; then let all trainings end, and settle their messages or give them back."""
        self._tasks = [
            *(asyncio.create_task(receiver.run(), name="receiving") for receiver in receivers),
            asyncio.create_task(self._remove_expired(), name="removing expired records"),
        ]
        await self._stopping.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        seconds = self._settings.trainer.termination_grace_period_seconds + SETTLE_SECONDS
        await asyncio.gather(*(receiver.finish(seconds) for receiver in receivers))

    async def _remove_expired(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            try:
                self._records.remove_expired()
            except OSError as error:
                logger.warning("expired records can't be removed: %s", error)

    def _problem(self) -> str | None:
        """Say what is wrong, for /healthz; None if nothing is."""
        for task in self._tasks:
            if task.done():
                return f"{task.get_name()} has ended"
        for source in self._sources:
            if source.failures >= FAILURES_UNTIL_UNHEALTHY:
                return f"{source.identity} is unreachable"
        return None

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, number)

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + number)  # the trainers get SIGTERM from the kernel; the locks on their messages expire
        self._stopping.set()
        grace = self._settings.trainer.termination_grace_period_seconds
        logger.info(
            "stopping: trainings save a checkpoint within %d s, and their messages go back; once more ends at once",
            grace,
        )


def private_paths(settings: Settings, options: Options, own: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Yield what a plugin's script must not read, as absolute paths: state, other trainings' work, settings, credentials and keys.

    `own` is the daemon's environment.
    """
    yield options.state.path
    yield options.work
    folders = (*(queue.credentials_dir for queue in settings.queues), settings.callbacks.signing_dir)
    files = (own.get(name) for name in PRIVATE_FILES)
    # Absolute, because a script resolves them in its work folder.
    yield from (Path(path).resolve() for path in (*folders, *files) if path)


def _check_keys(settings: Settings) -> None:
    """Report unusable signing keys now rather than at the end of a training. Everything but callbacks works without them."""
    try:
        read_signing_keys(settings.callbacks.signing_dir)
    except SettingsError as error:
        logger.error("no callback is sent until this is fixed: %s", error)
