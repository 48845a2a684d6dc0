"""The CustomResourceDefinition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from vott_operator.api import crd

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = crd.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


@pytest.mark.parametrize("file", ["manifests/crd.yaml", "charts/vott-train/crds/trainingjobs.yaml"])
def test_the_files_are_generated_from_the_models(file: str) -> None:
    assert (ROOT / file).read_text() == crd.to_yaml(), "run `make generate`"


def test_every_node_is_structural() -> None:
    for path, node in nodes(SCHEMA):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not node.keys() & {"$ref", "$defs", "anyOf", "allOf", "title"}, path


def test_every_field_is_described() -> None:
    for part in ("spec", "status"):
        for path, node in nodes(SCHEMA["properties"][part], part):
            assert node.get("description") or path.endswith("[]"), path


def test_all_fields_of_the_spec_but_two_are_immutable() -> None:
    rules = " ".join(rule["message"] for rule in SCHEMA["properties"]["spec"]["x-kubernetes-validations"])
    immutable = {name for name in SCHEMA["properties"]["spec"]["properties"] if f"spec.{name} " in rules}
    assert set(SCHEMA["properties"]["spec"]["properties"]) - immutable == {"suspend", "ttlSecondsAfterFinished"}


def test_a_name_with_dots_is_refused() -> None:
    (rule,) = [rule for rule in SCHEMA["x-kubernetes-validations"] if "no dots" in rule["message"]]
    assert rule["rule"] == "!self.metadata.name.contains('.')"  # for any number of nodes


def test_the_default_columns() -> None:
    columns = crd.custom_resource_definition()["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [item["name"] for item in columns if "priority" not in item] == [
        "Status",
        "Progress",
        "Epoch",
        "Loss",
        "Stalled",
        "Callback",
        "Age",
    ]


def test_a_union_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="one type"):
        crd.structural({"anyOf": [{"type": "string"}, {"type": "integer"}]})


def test_the_yaml_is_the_definition() -> None:
    assert yaml.safe_load(crd.to_yaml()) == crd.custom_resource_definition()


TRAINERS_FIELDS = {"progress", "metrics", "model", "checkpoint"}


@pytest.mark.parametrize("field", sorted(SCHEMA["properties"]["status"]["properties"].keys() - TRAINERS_FIELDS))
def test_the_admission_policy_lets_no_trainer_change_the_operators_fields(field: str) -> None:
    policy = (ROOT / "charts/vott-train/templates/admission.yaml").read_text()
    assert f"object.?status.?{field} == oldObject.?status.?{field}" in policy
