"""OpenTelemetry spans, exported with OTLP over HTTP. Without an endpoint nothing is exported, and the libraries are not imported.

The trace context of a message stays with its TrainingJob, in an annotation: its spans become parts of the sender's trace, whichever operator
ends them.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from vott_guard.redaction import redact
from vott_operator.decisions.spans import SpanRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

EXPORT_SECONDS = 5.0
CLOSE_SECONDS = 3.0
_HEADER = "traceparent"


class Tracing:
    """Creates spans. `parent` is a traceparent; a span without one begins a trace. Close it at the end."""

    def __init__(self, endpoint: str = "") -> None:
        """`endpoint` is the base URL of an OTLP receiver, such as http://collector:4318; empty: no tracing."""
        self._provider = _provider(endpoint) if endpoint else None
        self._tracer: Tracer | None = self._provider.get_tracer("vott_operator") if self._provider else None

    async def close(self) -> None:
        """Export what is left, for a few seconds at most."""
        if self._provider is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await asyncio.to_thread(self._provider.shutdown)

    def record(self, span: SpanRecord, parent: str) -> None:
        """Export a span that has ended, if it is part of a trace."""
        if self._tracer is None or not parent:
            return
        started = self._tracer.start_span(
            span.name, _context(parent), attributes=span.attributes, start_time=_nanoseconds(span.start)
        )
        if span.error:
            _set_error(started, span.error)
        started.end(_nanoseconds(span.end))

    @contextmanager
    def span(
        self, name: str, parent: str, kind: Literal["consumer", "client"], attributes: Mapping[str, str]
    ) -> Iterator[str]:
        """A span that lasts as long as the block; an exception is its error. Gives its traceparent; `parent` where nothing is exported."""
        if self._tracer is None:
            yield parent
            return
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span(name, _context(parent), kind=SpanKind[kind.upper()], attributes=attributes)
        try:
            yield _traceparent(span)
        except Exception as error:
            _set_error(span, str(error) or type(error).__name__)
            raise
        finally:
            span.end()


NO_TRACING = Tracing()


def _provider(endpoint: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "vott-train"})
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _context(parent: str) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({_HEADER: parent}, Context())


def _traceparent(span: "Span") -> str:
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
    return carrier.get(_HEADER, "")


def _set_error(span: "Span", text: str) -> None:
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR, redact(text))


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000_000)
