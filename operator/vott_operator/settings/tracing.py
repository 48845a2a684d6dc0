"""Settings of OpenTelemetry traces."""

from pydantic import Field

from vott_messaging.settings.section import Section


class TracingSettings(Section):
    """Where spans go."""

    endpoint: str = Field(
        "",
        description="Base URL of an OTLP/HTTP receiver, such as http://otel-collector.observability:4318. Default: no tracing.",
        pattern="^(https?://[^\\s?#@]+)?$",
    )
