"""Arbitrary message bodies: each becomes a TrainingJob or is dead-lettered with a reason that its sender can act on."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.callbacks import CallbackReceiver
from localcluster.ports import free_ports
from tests.support.message_bodies import SECRET, anything, rare_bodies
from tests.support.operator_harness import LOCAL, OperatorHarness
from vott_guard.backoff import Backoff
from vott_messaging import names
from vott_messaging.callbacks.sender import CallbackSender
from vott_messaging.delivery import rejection, retries
from vott_messaging.queues.base import Delivery
from vott_messaging.queues.memory import MemoryQueue
from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.outgoing import OutgoingSettings
from vott_operator.app import App
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.store import Kind
from vott_operator.intake.intake import Intake
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings

EXAMPLES, BODIES = 220, 50
ROUNDS = 5
WEB_DEFAULTS = {"model": f"https://store/{{projectId}}/{{requestId}}.tgz?sig={SECRET}", "parameters": {"epochs": 1}}

KINDS = {
    "NotText": r"NotText: The message is (not UTF-\d+ text: byte|an object in .NET|compressed)",
    "too large": r"MessageTooLarge: The message has \d+ bytes; 262144",
    "empty": "NotJSON: The message is empty",
    "not JSON": r"NotJSON: The message is not valid JSON: .* at line \d+, column \d+",
    "base64 of no JSON": "NotJSON: .*, even after base64 decoding",
    "XML of no JSON": "NotJSON: .*, even after (.* and )?undoing XML's escapes",
    "a list": "NotAnObject: .* a list and not an object",
    "a string": "NotAnObject: .* a string and not an object",
    "a number": "NotAnObject: .* a number and not an object",
    "a boolean": "NotAnObject: .* a boolean and not an object",
    "null": "NotAnObject: .* null and not an object",
    "too deep to read": "InvalidMessage: The message is nested too deeply",
    "too deep": 'InvalidMessage: Field "[^"]+" is nested more than 32 levels deep',
    "twice": 'InvalidMessage: Field "[^"]+" appears twice; send it once',
    "two spellings": 'InvalidMessage: Field "[^"]+" appears twice with different values, as "',
    "within another object": 'InvalidMessage: The message is in the field "[^"]+" of another object',
    "escaped URL": 'InvalidMessage: Field "[^"]+" contains "&amp;"',
    "no finite number": 'InvalidMessage: Field "[^"]+" is not a finite number',
    "NUL": 'InvalidMessage: Field "[^"]+" contains a NUL',
    "NUL in a name": 'InvalidMessage: Field "[^"]+" has a name that contains a NUL',
    "half a surrogate pair": 'InvalidMessage: Field "[^"]+" contains half of a surrogate pair',
    "half a surrogate pair in a name": 'InvalidMessage: Field "[^"]+" has a name that contains half of a surrogate pair',
    "missing": 'InvalidMessage: Field "[^"]+" is missing',
    "no id": 'InvalidMessage: Field "(project|request)Id" is not a usable id',
    "no plugin's name": 'InvalidMessage: Field "plugin(_name)?" is not a plugin name',
    "parameters too long": 'InvalidMessage: Field "parameters" is longer than',
    "URL too long": 'InvalidMessage: Field "[^"]+" is longer than',
    "URL with spaces": 'InvalidMessage: Field "[^"]+" contains spaces',
    "no http(s) URL": 'InvalidMessage: Field "[^"]+" is not an http',
    "no URL": 'InvalidMessage: Field "[^"]+" is not a URL',
    "no host": 'InvalidMessage: Field "[^"]+" names no host',
    "fragment": 'InvalidMessage: Field "[^"]+" has a "#"',
    "user name": 'InvalidMessage: Field "[^"]+" carries a user name',
    "another type": 'InvalidMessage: Field "[^"]+" is (an object|a list|a string|a boolean|a number|null); send',
    "plugin not allowed": 'PluginNotAllowed: Field "plugin"',
}


class RecordingQueue(MemoryQueue):
    """Records the outcome of each message."""

    def __init__(self, identity: str) -> None:
        super().__init__(lambda: 0.0, identity)
        self.accepted: set[str] = set()
        self.outcomes: Counter[str] = Counter()

    async def complete(self, delivery: Delivery) -> bool:
        self.accepted.add(delivery.id)
        return await super().complete(delivery)

    async def dead_letter(self, delivery: Delivery, reason: str, message: str) -> None:
        text = f"{reason}: {message}"
        kind = next((kind for kind, pattern in KINDS.items() if re.match(pattern, text)), None)
        assert kind, f"an unknown reason: {text!r}, of {delivery.body[:300]!r}"
        assert SECRET not in text, text
        self.outcomes[kind] += 1
        await super().complete(delivery)


class Bench:
    """Intakes of two queues: one for VoTT-web's messages, with a default `model`, and one without defaults."""

    def __init__(self, harness: OperatorHarness, callback: str) -> None:
        self.app = App(Settings(namespace=harness.name, max_unfinished_jobs=10**9))
        self.stack = AsyncExitStack()
        self.settings = [
            OperatorQueueSettings(**WEB_DEFAULTS, callback=f"{callback}?{{requestId}}"),
            OperatorQueueSettings(),
        ]
        self.queues = [RecordingQueue("memory://web"), RecordingQueue("memory://plain")]
        self.intakes: list[Intake] = []

    async def open(self) -> None:
        self.cluster = await Cluster.connect()
        self.stack.push_async_callback(self.cluster.close)
        callbacks = await self.stack.enter_async_context(
            CallbackSender(CallbackSettings(), OutgoingSettings(**LOCAL).rules, workers=8)
        )
        pairs = zip(self.queues, self.settings, strict=True)
        bindings = RoleBindingFinalizers(self.cluster, self.app.store, "", "")
        self.intakes = [self.app.build_intake(queue, item, self.cluster, callbacks, bindings) for queue, item in pairs]

    async def process(self, bodies: list[bytes]) -> None:
        """Send bodies and process all of them."""
        for number, body in enumerate(bodies):
            self.queues[number % 2].send(body)
        for queue, intake in zip(self.queues, self.intakes, strict=True):
            for _ in range(ROUNDS):
                await intake.receive_batch()
                await intake.wait_until_idle()
            assert not len(queue), f"left unsettled: {[item.body[:300] for item in queue._messages.values()]}"

    async def trainingjobs(self, harness: OperatorHarness) -> set[str]:
        return {item["name"] async for item in self.cluster.list_metadata(Kind.TRAININGJOB, harness.name)}

    def expected(self) -> set[str]:
        return {names.training(queue.identity, id_) for queue in self.queues for id_ in queue.accepted}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_every_body_becomes_a_trainingjob_or_is_dead_lettered_with_a_reason(
    harness: OperatorHarness, runner: asyncio.Runner, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(harness.control_plane.kubeconfig))
    monkeypatch.setattr(retries, "BACKOFF", Backoff(first=0.01, longest=0.01))
    monkeypatch.setattr(rejection, "WAIT_SECONDS", 0.05)  # for the circuit of a host that does not answer
    unreachable = f"http://127.0.0.1:{free_ports(1)[0]}/away?sig=SECRET"
    statuses = [
        receiver.url,
        unreachable,
        "https://169.254.169.254/?sig=SECRET",
        "https://127.0.0.1:1/",
        "ftp://127.0.0.1/",
    ]
    bench = Bench(harness, receiver.url)
    runner.run(bench.open())

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(anything(statuses), min_size=BODIES, max_size=BODIES))
    def take(bodies: list[bytes]) -> None:
        runner.run(bench.process(bodies))

    runner.run(bench.process(rare_bodies()))  # one of each goes to each queue
    take()
    outcomes = bench.queues[0].outcomes + bench.queues[1].outcomes
    outcomes["accepted"] = len(bench.expected())
    print(f"\n{outcomes.total()} bodies:", *(f"{count:6} {kind}" for kind, count in outcomes.most_common()), sep="\n")
    assert runner.run(bench.trainingjobs(harness)) == bench.expected()
    runner.run(bench.stack.aclose())
    assert outcomes.total() >= 10_000
    assert set(outcomes) == {*KINDS, "accepted"}, "some kinds did not occur, so this test no longer covers them"
    assert {post["state"] for post in receiver.posts} == {"failed"}
