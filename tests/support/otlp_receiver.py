"""A receiver of OpenTelemetry spans: OTLP over HTTP, as protobuf."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.http_server import HttpServer


class OtlpReceiver(HttpServer):
    """Receives spans at its `url` within the `with` block."""

    @property
    def spans(self) -> dict[str, Span]:
        """The last span of each name so far."""
        bodies = [request.body for request in self.requests if request.path == "/v1/traces"]
        requests = map(ExportTraceServiceRequest.FromString, bodies)
        resources = [resource for request in requests for resource in request.resource_spans]
        return {span.name: span for item in resources for scope in item.scope_spans for span in scope.spans}


def attributes(span: Span) -> dict[str, str]:
    """The attributes of a span."""
    return {item.key: item.value.string_value for item in span.attributes}
