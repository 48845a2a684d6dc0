"""The documentation says what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from vott_operator import constants, crd
from vott_operator.queues import clients
from vott_operator.settings import QueueSettings, Settings
from vott_operator.spec import TrainingJobSpec

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "charts/vott-train/values.yaml").read_text())
NOT_REASONS = (
    "CALLBACK_DELIVERED",
    "MODEL_UPLOADED",
    "GROUP",
    "VERSION",
    "API_",
    "KIND",
    "PLURAL",
    "FIELD_",
    "LABEL_",
    "MANAGED_",
    "ANNOTATION_",
    "KUEUE_",
    "URLS_",
    "EXIT_",
)


def reasons() -> list[str]:
    named = {name: value for name, value in vars(constants).items() if name.isupper() and isinstance(value, str)}
    return sorted({value for name, value in named.items() if not name.startswith(NOT_REASONS) and value[0].isupper()})


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and name != "resources":
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def settings_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        if field.validation_alias != field.alias:  # from the environment only
            continue
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and inner.__module__.endswith("settings"):
            yield from settings_names(inner, f"{prefix}{field.alias}.")
        else:
            yield f"{prefix}{field.alias}"


@pytest.mark.parametrize("reason", reasons())
def test_every_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in (ROOT / "docs/trainingjob.md").read_text()


@pytest.mark.parametrize("value", sorted(leaves(VALUES)))
def test_every_chart_value_is_documented(value: str) -> None:
    page = (ROOT / "docs/administration.md").read_text()
    assert f"`{value}`" in page or f"`{value}." in page


@pytest.mark.parametrize("name", sorted(str(field.alias) for field in QueueSettings.model_fields.values()))
def test_every_setting_of_a_queue_is_a_chart_value_and_documented(name: str) -> None:
    value = {"credentialsDir": "secretName"}.get(name, name)  # the chart mounts the Secret and knows where
    assert f'"{value}"' in (ROOT / "charts/vott-train/templates/_checks.tpl").read_text()
    assert f"`queues[].{value}`" in (ROOT / "docs/administration.md").read_text()


@pytest.mark.parametrize(
    "name",
    sorted(
        value for key, value in vars(clients).items() if key.startswith(("STORAGE_", "BUS_")) and isinstance(value, str)
    ),
)
def test_every_variable_with_credentials_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/administration.md").read_text()


@pytest.mark.parametrize("name", sorted(settings_names(Settings)))
def test_every_setting_is_a_chart_value(name: str) -> None:
    derived = {
        "namespace",
        "trainer.serviceAccountName",
        "leaderElection.leaseName",
        "callbacks.signingDir",
    }  # the chart knows these by itself
    assert name in derived or name in set(leaves(VALUES)) | set(VALUES["trainer"]), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("sample", sorted(ROOT.glob("manifests/samples/*.yaml")), ids=lambda path: path.name)
def test_samples_are_valid(sample: Path) -> None:
    for manifest in yaml.safe_load_all(sample.read_text()):
        if manifest["kind"] == "TrainingJob":
            TrainingJobSpec.model_validate(manifest["spec"])
            known = crd.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
                "spec"
            ]
            assert manifest["spec"].keys() <= known["properties"].keys()


def test_there_are_samples() -> None:
    assert list(ROOT.glob("manifests/samples/*.yaml"))
