"""OpenTelemetry spans: what is exported, and that nothing is by default."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from pydantic import ValidationError

from tests.support import observed_state as b
from tests.support.otlp_receiver import OtlpReceiver, attributes
from vott_messaging.errors import MessageRejectedError
from vott_messaging.queues.base import Delivery
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.store import Store
from vott_operator.decisions.spans import SpanRecord, ended_span
from vott_operator.intake.conversion import Converter
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.tracing import NO_TRACING, Tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
MESSAGE = {"annotations": "https://host/a.csv", "model": "https://store/models"}
SPAN = SpanRecord("train", b.NOW, b.NOW + timedelta(hours=1), {"vott.plugin": "detection"}, "OOMKilled")
QUEUE = "storage://acme/training"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


class FakeCluster:
    """Creates TrainingJobs in memory."""

    created: dict[str, Any]

    async def create_trainingjob(self, manifest: dict[str, Any]) -> TrainingJob:
        self.created = manifest
        metadata = manifest["metadata"] | {"uid": "u", "creationTimestamp": "2026-01-01T12:00:00Z"}
        return TrainingJob.model_validate(manifest | {"metadata": metadata})


async def convert(message: dict[str, Any] | str, traceparent: str = "", tracing: Tracing = NO_TRACING) -> str | None:
    """The TrainingJob's trace context, if it has one."""
    cluster, store = FakeCluster(), Store(b.NOW)
    body = message if isinstance(message, str) else json.dumps(message)
    converter = Converter(
        QUEUE,
        OperatorQueueSettings(name="training"),
        b.settings(),
        cast("Cluster", cluster),
        store,
        RoleBindingFinalizers(cast("Cluster", cluster), store, "", ""),
        lambda: b.NOW,
        lambda _: None,
        tracing,
    )
    await converter.convert(Delivery("1", body.encode(), 1, 30.0, None, traceparent=traceparent))
    found = cluster.created["metadata"]["annotations"].get("vott.dev/traceparent")
    return None if found is None else str(found)


async def test_spans_are_exported_in_the_sender_s_trace(receiver: OtlpReceiver) -> None:
    tracing = Tracing(receiver.url)
    context = await convert(MESSAGE, PARENT, tracing)
    tracing.record(SPAN, context or "")
    await tracing.close()
    process, train = receiver.spans["process message"], receiver.spans["train"]
    assert process.parent_span_id.hex() == "00f067aa0ba902b7"
    assert attributes(process) == {"messaging.destination.name": QUEUE, "messaging.message.id": "1"}
    assert train.parent_span_id == process.span_id
    assert {process.trace_id.hex(), train.trace_id.hex()} == {TRACE}
    assert context == f"00-{TRACE}-{process.span_id.hex()}-01"
    assert train.end_time_unix_nano - train.start_time_unix_nano == 3600 * 10**9
    assert (train.status.code, train.status.message) == (Status.STATUS_CODE_ERROR, "OOMKilled")


async def test_a_message_without_a_trace_begins_one(receiver: OtlpReceiver) -> None:
    tracing = Tracing(receiver.url)
    context = await convert(MESSAGE, tracing=tracing)
    await tracing.close()
    span = receiver.spans["process message"]
    assert span.parent_span_id == b""
    assert (context or "")[:-3] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}"


async def test_a_rejected_message_is_an_error_in_the_trace(receiver: OtlpReceiver) -> None:
    tracing = Tracing(receiver.url)
    with pytest.raises(MessageRejectedError):
        await convert("{}", PARENT, tracing)
    await tracing.close()
    assert receiver.spans["process message"].status.message == "InvalidMessage"


async def test_an_error_shows_no_credential(receiver: OtlpReceiver) -> None:
    tracing = Tracing(receiver.url)
    with pytest.raises(ValueError, match="sig"), tracing.span("post callback", PARENT, "client", {}):
        raise ValueError("no answer from https://acme/status?sig=TOPSECRET")
    await tracing.close()
    assert "acme/status" in receiver.spans["post callback"].status.message
    assert "TOPSECRET" not in receiver.spans["post callback"].status.message


@pytest.mark.parametrize(
    ("message", "context"),
    [
        (MESSAGE, None),
        (MESSAGE | {"traceparent": PARENT}, PARENT),
        (MESSAGE | {"traceparent": "00-xyz"}, None),
        (MESSAGE | {"traceparent": 7}, None),
    ],
)
async def test_a_trace_is_passed_on_without_tracing(message: dict[str, Any], context: str | None) -> None:
    assert await convert(message) == context


def test_the_libraries_are_not_imported_without_an_endpoint() -> None:
    code = (
        "import sys, vott_operator.cli, vott_operator.tracing as t; t.Tracing();"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://user:password@collector", "x"])
def test_an_endpoint_that_is_no_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="endpoint"):
        b.settings(tracing={"endpoint": endpoint})


RUNNING = b.running_status(podName="cats-0-abcde")
WAITING = b.pending_status("Unschedulable")
INTERRUPTED = b.pending_status("Interrupted")
FAILED, COMPLETE = b.failed_status(reason="OOMKilled"), {"phase": "Complete", "conditions": [b.condition("Complete")]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, WAITING, None),
        (WAITING, RUNNING, ("wait", "Unschedulable", "")),
        (RUNNING, RUNNING, None),
        (RUNNING, INTERRUPTED, ("train", "Interrupted", "Interrupted")),
        (RUNNING, FAILED, ("train", "OOMKilled", "OOMKilled")),
        (RUNNING, COMPLETE, ("train", "", "")),
        ({}, COMPLETE, ("train", "", "")),
        (WAITING, FAILED, ("wait", "OOMKilled", "OOMKilled")),
        (FAILED, FAILED, None),
        (RUNNING, b.suspended_status(), ("train", "Suspended", "")),
    ],
)
def test_the_span_that_a_change_ends(
    before: dict[str, Any], after: dict[str, Any], expected: tuple[str, str, str] | None
) -> None:
    span = ended_span(b.trainingjob(status=before), b.trainingjob(status=after), b.NOW)
    found = span and (span.name, span.attributes.get("vott.reason", ""), span.error)
    assert found == expected
