"""The JSON Schema of the chart's values, with which Helm checks them: the operator's settings, and the values of the chart alone.

Helm applies it before the templates. Its messages name path and limit; values that need a sentence are checked in `templates/_checks.tpl`.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from vott_messaging.settings.callbacks import CallbackSettings
from vott_messaging.settings.section import Section
from vott_operator.settings.leader_election import LeaderElectionSettings
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings
from vott_operator.settings.trainer import TrainerSettings

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that Helm 3 knows."""

Objects = list[dict[str, Any]]


class ImageValues(Section):
    """The operator's image."""

    repository: str = Field(description="Name of the image.", min_length=1)
    tag: str = Field(description="Default: the chart's appVersion.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(description="imagePullPolicy of the operator.")


class PullSecret(Section):
    """A Secret with the credentials of a registry."""

    name: str = Field(description="Name of the Secret.", min_length=1)


class IdentityValues(Section):
    """A managed identity."""

    client_id: str = Field(
        description="Client ID of the identity that the operator's ServiceAccount is federated with."
    )


class AzureValues(Section):
    """Credentials of the queues."""

    existing_secret: str = Field(description="Secret in the release's namespace.")
    connection_string: str = Field(description="Connection string of the storage account.")
    service_bus_connection_string: str = Field(description="Connection string of the Service Bus namespace.")
    workload_identity: IdentityValues = Field(description="The operator's identity.")


class NetworkPolicyValues(Section):
    """What the operator and the training pods may reach."""

    enabled: bool = Field(description="Create NetworkPolicies.")
    api_server: list[str] = Field(description="CIDRs of the API server. Default: looked up.")
    api_server_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(description="Ports of the API server.")
    trainer_ports: Objects = Field(description="Ports of training pods, as in a NetworkPolicy. Default: all.")
    operator_egress: Objects = Field(description="More rules, as in spec.egress of a NetworkPolicy.")
    trainer_egress: Objects = Field(description="More rules, as in spec.egress of a NetworkPolicy.")


class PodMonitorValues(Section):
    """A PodMonitor of the Prometheus Operator."""

    enabled: bool = Field(description="Create it.")
    labels: dict[str, str] = Field(description="Labels that the Prometheus selects.")
    interval: str = Field(description="How often to scrape.", pattern=r"^([0-9]+(ms|[smh]))+$")


class LabelledValues(Section):
    """An object that is found by its labels."""

    enabled: bool = Field(description="Create it.")
    labels: dict[str, str] = Field(description="Labels by which it is found.")


class MonitoringValues(Section):
    """For Prometheus and Grafana."""

    pod_monitor: PodMonitorValues = Field(description="PodMonitor for the metrics.")
    prometheus_rule: LabelledValues = Field(description="PrometheusRule with the alerts.")
    dashboard: LabelledValues = Field(description="ConfigMap with the dashboard.")
    scraper: Objects = Field(description="Who may read the metrics, as in spec.ingress[].from of a NetworkPolicy.")


class PodResources(Section):
    """CPU and memory."""

    requests: dict[str, int | float | str] = Field(description="Guaranteed resources.")
    limits: dict[str, int | float | str] = Field(description="Maximum resources.")


class ChartValues(Section):
    """The values of the chart alone: add new ones here, and to the list in `vott-train.settings` of `templates/_helpers.tpl`."""

    image: ImageValues = Field(description="The operator's image.")
    image_pull_secrets: list[PullSecret] = Field(description="Pull secrets of both images.")
    azure: AzureValues = Field(description="Credentials of the queues.")
    network_policy: NetworkPolicyValues = Field(description="NetworkPolicies.")
    monitoring: MonitoringValues = Field(description="Metrics, alerts and the dashboard.")
    replicas: int = Field(description="2: one active operator, one on standby.")
    resources: PodResources = Field(description="Resources of the operator's pod.")
    node_selector: dict[str, str] = Field(description="Labels that the operator's node must have.")
    tolerations: Objects = Field(description="Tolerations of the operator's pod.")
    affinity: dict[str, Any] = Field(description="Affinity of the operator's pod.")
    global_: dict[str, Any] = Field(description="Values that Helm passes on from a parent chart.", alias="global")


class QueueValues(Section):
    """What the chart adds to a queue."""

    secret_name: str = Field(description="Secret with the queue's credentials. Default: that of azure.")


class SigningValues(Section):
    """Keys that sign callbacks."""

    secret_name: str = Field(
        description="Secret with the keys `current` and `previous`. Default: callbacks are not signed."
    )


class CallbackValues(Section):
    """What the chart adds to callbacks."""

    signing: SigningValues = Field(description="Keys that sign callbacks.")


ADDED: dict[type[BaseModel], type[BaseModel]] = {
    Settings: ChartValues,
    OperatorQueueSettings: QueueValues,
    CallbackSettings: CallbackValues,
}
"""Values of the chart by the section of the settings that they stand in."""
SET_BY_THE_CHART: dict[type[BaseModel], tuple[str, ...]] = {
    Settings: ("namespace", "roleBinding"),
    OperatorQueueSettings: ("credentialsDir",),
    CallbackSettings: ("signingDir",),
    TrainerSettings: ("serviceAccountName",),
    LeaderElectionSettings: ("leaseName",),
}
"""Settings that are no values, because the templates set them."""


def to_json() -> str:
    """The schema as text, as in the chart."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


def values_schema() -> dict[str, Any]:
    """The schema. Nothing is required: Helm has merged the values with the defaults, and drops those that are null."""
    root = Settings.model_json_schema(by_alias=True)
    definitions = root.pop("$defs")
    sections = {Settings.__name__: root, **definitions}
    for model, names in SET_BY_THE_CHART.items():
        for name in names:
            del sections[model.__name__]["properties"][name]
    for model, added in ADDED.items():
        schema = added.model_json_schema(by_alias=True)
        definitions |= schema.get("$defs", {})
        sections[model.__name__]["properties"] |= schema["properties"]
    schema = _inline(root, definitions)
    return {"$schema": DIALECT, "title": "Values", **schema, "description": "Values of the chart vott-train."}


def _inline(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The node without references, and with one list of types where it has alternatives: Helm's messages then name the value's own path."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _inline({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:
        choices = [_inline(choice, definitions) for choice in node["anyOf"]]
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        merged = {key: value for choice in choices for key, value in choice.items()}
        return _inline({**merged, "type": [choice["type"] for choice in choices], **rest}, definitions)
    result = {key: value for key, value in node.items() if key in KEPT}
    if "properties" in node:
        result["properties"] = {name: _inline(value, definitions) for name, value in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            result[key] = _inline(node[key], definitions)
    return result


KEPT = frozenset(
    {
        *("type", "description", "properties", "additionalProperties", "items", "enum", "pattern"),
        *("minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
    }
)
