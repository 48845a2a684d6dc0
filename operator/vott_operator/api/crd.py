"""The CustomResourceDefinition, generated from `spec.py` and `status.py`.

Kubernetes requires a *structural* schema: no references, no `anyOf` with null, every node with a type
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema).
"""

from typing import Any

import yaml

from vott_operator.api import constants as c
from vott_operator.api.names import MAX_NAME_LENGTH
from vott_operator.api.spec import TrainingJobSpec
from vott_operator.api.status import TrainingJobStatus

MUTABLE_FIELDS = ("suspend", "ttlSecondsAfterFinished")

SERVICE_NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""DNS-1035."""


def _condition(type_: str, field: str) -> str:
    """JSONPath of a condition's field."""
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


COLUMNS = (
    ("Status", "string", ".status.phase", 0, "Pending, Running, Suspended, Complete or Failed"),
    ("Progress", "integer", ".status.progress.percent", 0, "Percent of the whole training"),
    ("Epoch", "integer", ".status.progress.epochCurrent", 0, "Current epoch"),
    ("Loss", "number", ".status.progress.classificationLoss", 0, "Classification loss of the current epoch"),
    ("Stalled", "string", _condition(c.STALLED, "status"), 0, "True: the trainer runs but does not report"),
    ("Callback", "string", _condition(c.CALLBACK_DELIVERED, "reason"), 0, "Delivered, Retrying, Refused or GivenUp"),
    ("Age", "date", ".metadata.creationTimestamp", 0, ""),
    ("Reason", "string", ".status.reason", 1, "Reason of the status"),
    ("Plugin", "string", ".spec.plugin", 1, "The trainer's plugin"),
    ("Job", "string", ".status.jobName", 1, "The batch/v1 Job that trains"),
    ("Model", "string", ".status.model.url", 1, "The uploaded model"),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition as JSON."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{c.PLURAL}.{c.GROUP}"},
        "spec": {
            "group": c.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": c.KIND,
                "listKind": f"{c.KIND}List",
                "plural": c.PLURAL,
                "singular": "trainingjob",
                "shortNames": ["tj"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": c.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
                    "schema": {"openAPIV3Schema": _root_schema()},
                }
            ],
        },
    }


def to_yaml() -> str:
    """The CustomResourceDefinition as YAML, as in manifests/ and in the chart."""
    header = "# Generated from operator/vott_operator/api by `make generate`. Do not edit.\n"
    return header + yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=140, allow_unicode=True)


def _column(name: str, type_: str, path: str, priority: int, description: str) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": type_, "jsonPath": path}
    if description:
        column["description"] = description
    if priority:
        column["priority"] = priority
    return column


def _root_schema() -> dict[str, Any]:
    spec = structural(TrainingJobSpec.model_json_schema(by_alias=True))
    spec["x-kubernetes-validations"] = _immutability(spec["properties"], spec["required"])
    status = structural(TrainingJobStatus.model_json_schema(by_alias=True))
    # The API server sets Pending on creation, which saves the operator a write. Both defaults are needed.
    status["default"] = {}
    status["properties"]["phase"]["default"] = c.PENDING
    return {
        "type": "object",
        "description": "One training of a model on annotated images.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {MAX_NAME_LENGTH}",
                "message": f"metadata.name must be at most {MAX_NAME_LENGTH} characters, because the names of the Job and its pods derive from it",
            },
            {
                # The API server refuses an Indexed Job with a dot in its name, because the name is part of a DNS label.
                "rule": "!self.metadata.name.contains('.')",
                "message": "metadata.name must have no dots, because the host names of the pods derive from it: rename it",
            },
            {
                "rule": f"self.spec.trainer.nodes == 1 || self.metadata.name.matches('{SERVICE_NAME_PATTERN}')",
                "message": "with several trainer.nodes, metadata.name must start with a letter and have only lower-case letters, digits and dashes,"
                " because a Service gets that name: rename it",
            },
        ],
    }


def _immutability(properties: dict[str, Any], required: list[str]) -> list[dict[str, str]]:
    return [_immutable(name, name in required) for name in properties if name not in MUTABLE_FIELDS]


def _immutable(name: str, required: bool) -> dict[str, str]:
    equal = f"self.{name} == oldSelf.{name}"
    rule = equal if required else f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {equal})"
    return {"rule": rule, "message": f"spec.{name} can't be changed: delete this TrainingJob and create a new one"}


def structural(schema: dict[str, Any]) -> dict[str, Any]:
    """Convert pydantic's JSON schema to a structural one: references inlined, null dropped from optional fields."""
    result = _inline(schema, schema.get("$defs", {}))
    assert isinstance(result, dict)
    return result


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _inline({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:
        return _inline(_without_null(node), definitions)
    return _tidy(
        {key: _inline_value(key, value, definitions) for key, value in node.items() if key not in ("$defs", "title")}
    )


def _inline_value(key: str, value: Any, definitions: dict[str, Any]) -> Any:
    if key == "properties":  # properties may be named "title" or "anyOf"
        return {name: _inline(schema, definitions) for name, schema in value.items()}
    return value if key == "default" else _inline(value, definitions)


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if node.get("x-kubernetes-int-or-string"):
        return rest
    choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
    if len(choices) != 1:
        raise ValueError(f"a structural schema has one type per node, not {choices}")
    return {**choices[0], **rest}


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    if node.get("default", ...) in (None, []):  # same as absent
        del node["default"]
    if node.get("x-kubernetes-preserve-unknown-fields"):
        node.pop("additionalProperties", None)
    return node
