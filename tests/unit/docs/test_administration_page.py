"""docs/administration.md documents every setting, chart value and credential."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from vott_messaging.queues.service_bus import authentication as service_bus_client
from vott_messaging.queues.storage import authentication as storage_client
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import OperatorQueueSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/administration.md").read_text()
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "charts/vott-train/values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((ROOT / "charts/vott-train/values.schema.json").read_text())
SET_BY_THE_CHART = {
    "namespace",
    "trainer.serviceAccountName",
    "leaderElection.leaseName",
    "callbacks.signingDir",
    "roleBinding",
}
CREDENTIALS = sorted(
    value
    for module in (storage_client, service_bus_client)
    for value in vars(module).values()
    if isinstance(value, str) and value.startswith("AZURE_")
)


def chart_values(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of all values; `resources` counts as one."""
    for name, value in values.items():
        if isinstance(value, dict) and value and name != "resources":
            yield from chart_values(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings of the file; `resources` counts as one."""
    for field in model.model_fields.values():
        if field.validation_alias != field.alias:  # from the environment only
            continue
        inner = field.annotation
        if field.alias == "resources":
            yield f"{prefix}resources"
        elif (
            isinstance(inner, type)
            and issubclass(inner, BaseModel)
            and inner.__module__.startswith(("vott_operator.settings", "vott_messaging.settings"))
        ):
            yield from setting_names(inner, f"{prefix}{field.alias}.")
        else:
            yield f"{prefix}{field.alias}"


@pytest.mark.parametrize("value", sorted(chart_values(VALUES)))
def test_every_chart_value_is_documented(value: str) -> None:
    assert f"`{value}`" in PAGE or f"`{value}." in PAGE


@pytest.mark.parametrize("name", sorted(str(field.alias) for field in OperatorQueueSettings.model_fields.values()))
def test_every_setting_of_a_queue_is_a_chart_value_and_documented(name: str) -> None:
    value = {"credentialsDir": "secretName"}.get(name, name)  # the chart sets the folder that it mounts the Secret into
    assert value in SCHEMA["properties"]["queues"]["items"]["properties"]
    assert f"`queues[].{value}`" in PAGE


@pytest.mark.parametrize("name", CREDENTIALS)
def test_every_variable_with_credentials_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", sorted({*SET_BY_THE_CHART, "queues[].credentialsDir"}))
def test_settings_that_are_no_chart_values_are_documented(name: str) -> None:
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("name", sorted(setting_names(Settings)))
def test_every_setting_is_a_chart_value(name: str) -> None:
    assert name in SET_BY_THE_CHART or name in set(chart_values(VALUES)) | set(VALUES["trainer"]), name
