"""The documentation says what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from vott_operator import constants, crd
from vott_operator.models import TrainingJobSpec
from vott_operator.settings import Settings

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
        if isinstance(inner, type) and issubclass(inner, BaseModel) and inner.__module__.endswith(".settings"):
            yield from settings_names(inner, f"{prefix}{field.alias}.")
        else:
            yield f"{prefix}{field.alias}"


@pytest.mark.parametrize("reason", reasons())
def test_every_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in (ROOT / "docs/trainingjob.md").read_text()


@pytest.mark.parametrize("value", sorted(leaves(VALUES)))
def test_every_chart_value_is_documented(value: str) -> None:
    name = "queues[0].name" if value == "queues" else value
    page = (ROOT / "docs/administration.md").read_text()
    assert f"`{name}`" in page or f"`{name}." in page


@pytest.mark.parametrize("name", sorted(settings_names(Settings)))
def test_every_setting_is_a_chart_value(name: str) -> None:
    derived = {"namespace", "trainer.serviceAccountName"}  # the chart knows these by itself
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
