"""Messages to which the sender gave an id that an earlier message had: which train, under which name, and which are duplicates."""

import asyncio
import json
from datetime import timedelta
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW, condition, settings
from vott_guard.timestamps import timestamp
from vott_messaging.names import training
from vott_messaging.queues.base import Delivery
from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.store import Store
from vott_operator.errors import AlreadyExistsError
from vott_operator.intake.conversion import Converter
from vott_operator.settings.queue import OperatorQueueSettings

QUEUE = "servicebus://acme/training"
FIELDS = {"annotations": "https://host/a.csv", "model": "https://store/m?sig=S", "status": "https://web/7"}
OTHER = FIELDS | {"annotations": "https://host/b.csv"}
FIRST = training(QUEUE, "project-7")


class Server:
    """The requests that a Converter makes, without an API server."""

    def __init__(self) -> None:
        self.trainingjobs: dict[Key, TrainingJob] = {}
        self.secrets: list[str] = []
        self.events: list[dict[str, Any]] = []

    async def create_trainingjob(self, manifest: dict[str, Any]) -> TrainingJob:
        created = {"uid": f"uid-{len(self.trainingjobs)}", "creationTimestamp": timestamp(NOW)}
        trainingjob = TrainingJob.model_validate(manifest | {"metadata": manifest["metadata"] | created})
        if trainingjob.key in self.trainingjobs:
            raise AlreadyExistsError("it exists", 409)
        self.trainingjobs[trainingjob.key] = trainingjob
        return trainingjob

    async def read_trainingjob(self, key: Key) -> TrainingJob:
        return self.trainingjobs[key]

    async def create_secret(self, manifest: dict[str, Any]) -> None:
        self.secrets.append(manifest["metadata"]["name"])

    async def create_event(self, manifest: dict[str, Any]) -> None:
        self.events.append(manifest)


class Bench:
    """One queue's converter, with the store that its TrainingJobs get into."""

    def __init__(self, **queue: Any) -> None:
        self.server, self.store = Server(), Store(NOW)
        self._queue = queue
        self.restart()

    def restart(self, *, keep_store: bool = True) -> None:
        """Another operator takes over; without the store, it has not seen a TrainingJob yet."""
        self.store = self.store if keep_store else Store(NOW)
        queue = OperatorQueueSettings(kind="serviceBus", name="training", **self._queue)
        cluster = cast("Cluster", self.server)
        bindings = RoleBindingFinalizers(cluster, self.store, "", "training")
        self.converter = Converter(
            QUEUE, queue, settings(), cluster, self.store, bindings, lambda: NOW, self._store_trainingjob
        )

    def _store_trainingjob(self, trainingjob: TrainingJob) -> None:
        self.store.put_trainingjob(trainingjob)

    async def deliver(
        self, sequence: str, fields: dict[str, Any] = FIELDS, message_id: str = "project-7", minute: int = 0
    ) -> TrainingJob:
        """The TrainingJob of a message that was sent in that minute."""
        sent = NOW + timedelta(minutes=minute)
        delivery = Delivery(message_id, json.dumps(fields).encode(), 1, 30.0, None, sequence, sent)
        return await self.converter.convert(delivery)

    def end(self, trainingjob: TrainingJob, type_: str = c.COMPLETE, minute: int = 5) -> None:
        """End a training in that minute."""
        ended = condition(type_) | {"lastTransitionTime": timestamp(NOW + timedelta(minutes=minute))}
        self._change(trainingjob, "status", {"phase": type_, "conditions": [ended]})

    def delete(self, trainingjob: TrainingJob) -> None:
        """Delete a TrainingJob that its finalizer holds."""
        fields = trainingjob.model_dump(by_alias=True)["metadata"] | {"deletionTimestamp": timestamp(NOW)}
        self._change(trainingjob, "metadata", fields)

    def remove(self, trainingjob: TrainingJob) -> None:
        """Remove a TrainingJob, as its ttl does."""
        del self.server.trainingjobs[trainingjob.key]
        self.store.drop_trainingjob(trainingjob.key)

    def _change(self, trainingjob: TrainingJob, name: str, fields: dict[str, Any]) -> None:
        changed = TrainingJob.model_validate(trainingjob.model_dump(by_alias=True) | {name: fields})
        self.server.trainingjobs[trainingjob.key] = changed
        self.store.put_trainingjob(changed)

    @property
    def trained(self) -> list[str]:
        """The annotation file of each training."""
        return [item.spec.annotations.url for item in self.server.trainingjobs.values()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_redelivered_message_finds_its_trainingjob(bench: Bench) -> None:
    first = await bench.deliver("1")
    bench.end(first)
    again = await bench.deliver("1")
    assert (first.metadata.name, again.metadata.name) == (FIRST, FIRST)
    assert bench.server.secrets == [names.url_secret(FIRST)] * 2  # it may be missing after a kill
    assert bench.server.events == []


async def test_other_content_under_a_known_id_trains_under_a_name_of_its_own(bench: Bench) -> None:
    first = await bench.deliver("1")
    second = await bench.deliver("2", OTHER)
    third = await bench.deliver("3", OTHER | {"model": "https://store/other"})
    assert len({first.key, second.key, third.key}) == len(bench.server.trainingjobs) == 3
    assert second.is_from("project-7", "2")
    assert bench.server.secrets == [names.url_secret(item.metadata.name) for item in (first, second, third)]
    assert (await bench.deliver("2", OTHER)).key == second.key
    assert (await bench.deliver("1")).key == first.key
    assert bench.server.events == []


async def test_the_same_content_sent_after_the_training_trains_again(bench: Bench) -> None:
    first = await bench.deliver("1")
    bench.end(first, minute=5)
    second = await bench.deliver("2", minute=6)
    assert second.key != first.key
    assert (await bench.deliver("2", minute=6)).key == second.key
    bench.end(second, minute=10)
    assert (await bench.deliver("3", minute=11)).key not in (first.key, second.key)
    assert (bench.trained, bench.server.events) == (["https://host/a.csv"] * 3, [])


@pytest.mark.parametrize("has_ended", [False, True])
async def test_the_same_content_sent_during_the_training_is_a_duplicate_with_an_event(
    bench: Bench, has_ended: bool
) -> None:
    first = await bench.deliver("1")
    if has_ended:  # before the second message is received
        bench.end(first, minute=5)
    second = await bench.deliver("2", minute=4)
    assert second.key == first.key
    assert not second.is_from("project-7", "2")  # so that its end does not count as the first one's
    (event,) = bench.server.events
    assert (event["reason"], event["involvedObject"]["name"]) == ("DuplicateMessage", FIRST)
    assert "same content and the same id, and was sent before this training ended" in event["message"]


async def test_a_client_that_sends_again_trains_once_although_the_id_was_used_before(bench: Bench) -> None:
    await bench.deliver("1")
    second = await bench.deliver("2", OTHER)
    assert (await bench.deliver("3", OTHER)).key == second.key
    assert (len(bench.trained), len(bench.server.events)) == (2, 1)


async def test_the_same_content_retries_a_failed_training(bench: Bench) -> None:
    first = await bench.deliver("1")
    bench.end(first, c.FAILED)
    assert (await bench.deliver("2", minute=4)).key != first.key


async def test_the_same_content_retries_a_training_that_is_being_deleted(bench: Bench) -> None:
    first = await bench.deliver("1")
    bench.delete(first)
    assert (await bench.deliver("2", minute=4)).key != first.key


async def test_a_redelivered_message_keeps_its_own_name_when_the_first_trainingjob_is_gone(bench: Bench) -> None:
    first = await bench.deliver("1")
    bench.end(first)
    second = await bench.deliver("2", minute=6)
    bench.remove(first)
    assert (await bench.deliver("2", minute=6)).key == second.key
    assert len(bench.trained) == 1


@pytest.mark.parametrize("keep_store", [True, False])
async def test_a_redelivered_message_keeps_its_own_name_after_a_restart(bench: Bench, keep_store: bool) -> None:
    first = await bench.deliver("1")
    second = await bench.deliver("2", OTHER)
    bench.restart(keep_store=keep_store)
    assert [(await bench.deliver("2", OTHER)).key, (await bench.deliver("1")).key] == [second.key, first.key]
    assert bench.server.events == []


async def test_a_duplicate_is_known_although_the_store_has_not_seen_the_first(bench: Bench) -> None:
    first = await bench.deliver("1")
    bench.restart(keep_store=False)
    assert (await bench.deliver("2", minute=1)).key == first.key
    assert len(bench.server.events) == 1


async def test_another_id_is_another_message(bench: Bench) -> None:
    await bench.deliver("1")
    await bench.deliver("2", message_id="project-8")
    assert (len(bench.trained), bench.server.events) == (2, [])


async def test_an_id_of_the_service_is_unique_so_the_content_tells_messages_apart(bench: Bench) -> None:
    first = await bench.deliver("")
    assert (await bench.deliver("")).key == first.key
    second = await bench.deliver("", OTHER)
    assert (await bench.deliver("", OTHER)).key == second.key != first.key
    assert bench.server.events == []


async def test_a_duplicate_window_holds_for_messages_of_one_id_too() -> None:
    bench = Bench(duplicate_window_seconds=3600)
    first = await bench.deliver("1")
    bench.end(first, minute=5)
    assert (await bench.deliver("1")).key == first.key
    assert bench.server.events == []
    assert (await bench.deliver("2", minute=6)).key == first.key
    (event,) = bench.server.events
    assert "within queues[].duplicateWindowSeconds" in event["message"]


async def test_an_id_may_be_the_digest_of_the_content() -> None:
    bench = Bench(duplicate_window_seconds=60)
    first = await bench.deliver("1", message_id="any")
    bench.end(first, c.FAILED)  # so that the third message is no duplicate
    digest = first.metadata.annotations[c.ANNOTATION_DIGEST]
    await bench.deliver("2", OTHER, message_id=digest)
    async with asyncio.timeout(5):
        await bench.deliver("3", message_id=digest)
    assert len(bench.trained) == 3


async def test_the_callback_url_of_a_message_is_known_without_reading_its_secret() -> None:
    bench = Bench()
    trainingjob = await bench.deliver("1")
    assert bench.server.secrets == [f"{trainingjob.metadata.name}-urls"]
    assert bench.store.callback_url(trainingjob) == FIELDS["status"]
