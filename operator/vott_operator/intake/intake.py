"""From a delivery to a TrainingJob, and only then to a settled message.

The order is what makes it safe: create, then settle. A kill in between brings the message back, and creating the
TrainingJob of the same name again changes nothing.

While something is away for a time (the API server, a callback), the message stays in hand and its lock is kept alive.
Giving it back instead would count as a failed delivery, and a queue puts aside what failed too often.
"""

import asyncio
import itertools
import logging
from contextlib import suppress
from typing import Protocol

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.names import Key
from vott_operator.callbacks.sender import CallbackSender, payload
from vott_operator.cluster.client import Cluster
from vott_operator.errors import (
    CallbackError,
    ClusterError,
    LostMessageError,
    MessageRejectedError,
    SourceUnavailableError,
    VottOperatorError,
)
from vott_operator.intake.conversion import Converter, Registry
from vott_operator.queues.base import Delivery, QueueSource
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import QueueSettings

logger = logging.getLogger(__name__)

BATCH = 32
MAX_IN_HAND = 64
"""Messages of one queue that are held at the same time: a few that have to wait must not hold up the others."""
WAIT_SECONDS = 2.0
FULL_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 15.0
MAX_ATTEMPTS = 2
"""To tell a callback of a rejected message, which is then let be."""
TELL_SECONDS = 20.0
"""For both of them: meanwhile the message is in hand, and takes another's place."""
FAULT_SECONDS = 600.0
"""After which a message that makes the operator itself stumble is put aside: time for an administrator to mend what hits all of them."""
RELEASE_SECONDS = 3.0


class Owner(Registry, Protocol):
    """What intake needs to know of the operator that it works for."""

    settings: Settings

    @property
    def share(self) -> int:
        """How many messages one queue may have in hand, so that none takes the others' room. At least 1."""

    def room(self) -> int:
        """How many new TrainingJobs one queue may make now."""

    def claim_room(self, count: int) -> None:
        """So many messages came and will need room."""

    def give_room_back(self, count: int) -> None:
        """What was claimed is not needed any more: the TrainingJob counts now, or there is none."""

    def settled(self, key: Key) -> None:
        """The message of that TrainingJob is removed from its queue."""


class Intake:
    """Takes messages from one queue while there is room for more TrainingJobs."""

    def __init__(
        self, source: QueueSource, queue: QueueSettings, cluster: Cluster, callbacks: CallbackSender, owner: Owner
    ) -> None:
        self._source = source
        self._callbacks = callbacks
        self._owner = owner
        self._converter = Converter(source.identity, queue, owner.settings, cluster, owner)
        self._in_hand: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take messages until cancelled. A queue that can't be reached is tried again, ever slower."""
        failures = 0
        while True:
            try:
                await self.take_batch(WAIT_SECONDS)
                failures = 0
            except Exception as error:  # one queue's trouble must not end the others
                pause = min(MAX_BACKOFF_SECONDS, 2.0**failures)
                failures = min(failures + 1, 10)
                expected = isinstance(error, VottOperatorError)
                text = str(error) if expected else f"{self._source.identity}: a fault in the operator"
                logger.warning("%s; trying again in %.0f s", text, pause, exc_info=None if expected else error)
                await asyncio.sleep(pause)

    async def take_batch(self, wait_seconds: float = 0.0) -> None:
        """Receive what there is room for, and begin with each. Waits so long for the first message, or for room."""
        free = min(BATCH, min(MAX_IN_HAND, self._owner.share) - len(self._in_hand), self._owner.room())
        if free <= 0:
            await self._wait_for_room()
            return
        for delivery in await self._source.receive(free, wait_seconds):
            self._begin(delivery)

    async def _wait_for_room(self) -> None:
        await self._source.pause()
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=FULL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(FULL_SECONDS)

    async def idle(self) -> None:
        """Wait until nothing is in hand."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)

    async def stop(self, grace_seconds: float) -> None:
        """Finish what is in hand, as far as the time allows, and let go of the rest. `run` must have been cancelled."""
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=grace_seconds)
        for task in self._in_hand:
            task.cancel()
        await self.idle()

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._handle(delivery), name=f"message {delivery.id}")
        self._in_hand.add(task)
        self._owner.claim_room(1)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        self._owner.give_room_back(1)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: %s", task.get_name(), error, exc_info=error)

    async def _handle(self, delivery: Delivery) -> None:
        """Work on one message while another task keeps its lock. Whichever ends first ends the other."""
        work = asyncio.create_task(self._work(delivery))
        keeper = asyncio.create_task(self._keep(delivery))
        try:
            await asyncio.wait({work, keeper}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._let_go(delivery, work, keeper)
            raise
        for task in (work, keeper):
            task.cancel()
        for result in await asyncio.gather(work, keeper, return_exceptions=True):
            if isinstance(result, LostMessageError):
                logger.warning("message %r: %s; it comes back by itself", delivery.id, result)
            elif isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _let_go(self, delivery: Delivery, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(VottOperatorError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._source.release(delivery)

    async def _keep(self, delivery: Delivery) -> None:
        while True:
            ends = _now() + delivery.lock_seconds
            await asyncio.sleep(delivery.lock_seconds / 3)
            while True:
                try:
                    await self._source.extend(delivery)
                    break
                except SourceUnavailableError as error:
                    if _now() >= ends:
                        raise LostMessageError(str(error)) from None
                    await asyncio.sleep(delivery.lock_seconds / 10)

    async def _work(self, delivery: Delivery) -> None:
        began = _now()
        for attempt in itertools.count(1):
            try:
                return await self._train(delivery)
            except MessageRejectedError as error:
                return await self._reject(delivery, error)
            except (ClusterError, SourceUnavailableError) as error:
                trouble = str(error)
            except Exception as error:  # a fault of ours must neither lose the message nor stop the others
                logger.exception("message %r", delivery.id)
                trouble = "a fault in the operator"
                if _now() - began >= FAULT_SECONDS:
                    text = f"The operator failed at this message {attempt} times ({type(error).__name__}); its log has more."
                    return await self._reject(delivery, MessageRejectedError(c.INTERNAL_ERROR, text))
            await self._back_off(delivery, attempt, trouble)
        return None

    async def _train(self, delivery: Delivery) -> None:
        trainingjob = await self._converter.convert(delivery)
        # A duplicate's TrainingJob is another message's, and a message that is no longer ours may come back.
        if await self._source.complete(delivery) and trainingjob.is_from(delivery.id):
            self._owner.settled(trainingjob.key)

    async def _back_off(self, delivery: Delivery, attempt: int, trouble: str) -> None:
        delay = _backoff(attempt)
        logger.warning("message %r: %s; trying again in %.1f s", delivery.id, trouble, delay)
        await asyncio.sleep(delay)

    async def _reject(self, delivery: Delivery, error: MessageRejectedError) -> None:
        logger.warning("message %r of %s rejected: %s: %s", delivery.id, self._source.identity, error.reason, error)
        # Before settling, so that a kill in between says it twice rather than never.
        await self._tell_callback(delivery, error)
        for attempt in itertools.count(1):
            try:
                return await self._source.reject(delivery, error.reason, str(error))
            except SourceUnavailableError as trouble:
                await self._back_off(delivery, attempt, str(trouble))
        return None

    async def _tell_callback(self, delivery: Delivery, error: MessageRejectedError) -> None:
        if error.status_url is None:
            return
        name = names.trainingjob(self._source.identity, delivery.id)
        try:
            async with asyncio.timeout(TELL_SECONDS):
                await self._try_to_tell(delivery, error.status_url, name, str(error))
        except TimeoutError:
            logger.warning("message %r: callback not delivered within %.0f s", delivery.id, TELL_SECONDS)

    async def _try_to_tell(self, delivery: Delivery, url: str, name: str, text: str) -> None:
        body = payload(name, "failed", text, None)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                await self._callbacks.send(url, names.webhook_id(name, "failed"), body)
                break
            except CallbackError as undelivered:
                logger.warning("message %r: callback not delivered: %s", delivery.id, undelivered)
                if undelivered.permanent or attempt == MAX_ATTEMPTS:
                    break
                await asyncio.sleep(min(undelivered.retry_after or _backoff(attempt), MAX_BACKOFF_SECONDS))


def _backoff(attempt: int) -> float:
    return min(MAX_BACKOFF_SECONDS, 0.5 * 2.0 ** min(attempt - 1, 10))


def _now() -> float:
    return asyncio.get_running_loop().time()
