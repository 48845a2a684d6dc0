"""The documentation says what the code does."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from vott_operator.api import constants as c
from vott_operator.api import crd
from vott_operator.api.spec import TrainingJobSpec
from vott_operator.queues.service_bus import client as service_bus_client
from vott_operator.queues.storage import client as storage_client
from vott_operator.settings.operator import Settings
from vott_operator.settings.queue import QueueSettings
from vott_trainer import errors

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "charts/vott-train/values.yaml").read_text())
CONSTANTS = Path(c.__file__).read_text()
REASONS = (ROOT / "docs/trainingjob.md").read_text().partition("\n## Conditions and their reasons\n")[2]
SECTIONS = {
    "Running": "Running",
    "Stalled": "Stalled",
    "Suspended": "Suspended",
    "Complete and ModelUploaded": "Complete and ModelUploaded",
    "Failed": "Failed that the operator itself gives",
    "CallbackDelivered": "CallbackDelivered",
    "MessageSettled": "MessageSettled",
    "Events": "Events that are no condition's",
    "Rejected messages": "a rejected message",
}
"""Sections of docs/trainingjob.md, and what follows "Reasons of" in constants.py."""
ALSO = {
    "Running": {c.NODE_LOST, c.JOB_SUSPENDED, c.WAITING_FOR_QUOTA, c.RESUMED},
    "Stalled": {c.TRAINER_FINISHED},
    "Suspended": {c.TRAINER_FINISHED},
}
"""Reasons that stand in constants.py with another condition. A stalled training that is interrupted takes over the reason of that."""
TRAINERS = {error.reason for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "reason")}
FINDING = re.compile(r'ConditionUpdate\(\s*c\.([A-Z_]+),\s*"\w+",\s*c\.([A-Z_]+),')
FOUND = sorted(
    {found for path in Path(c.__file__).parents[1].rglob("*.py") for found in FINDING.findall(path.read_text())}
)


def section(title: str) -> str:
    """The text of one section, without those below it."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", REASONS, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def in_table(title: str) -> set[str]:
    """The reasons in the first column of a section's table."""
    rows = [row.split("|")[1] for row in section(title).splitlines() if row.startswith("| `")]
    return set(re.findall(r"`(\w+)`", " ".join(rows)))


def in_code(group: str) -> set[str]:
    """The constants below that comment."""
    found = re.search(
        rf"^# Reasons of {re.escape(group)}\b[^\n]*\n((?:[A-Z_]+: Final = .*\n)+)", CONSTANTS, re.MULTILINE
    )
    assert found, group
    return set(re.findall(r'"(\w+)"', found[1]))


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
        if field.alias == "resources":  # Kubernetes' maps, of which the chart has some entries: as in `leaves`
            yield f"{prefix}resources"
        elif (
            isinstance(inner, type)
            and issubclass(inner, BaseModel)
            and inner.__module__.startswith("vott_operator.settings")
        ):
            yield from settings_names(inner, f"{prefix}{field.alias}.")
        else:
            yield f"{prefix}{field.alias}"


@pytest.mark.parametrize(("title", "group"), SECTIONS.items())
def test_the_table_of_each_condition_has_its_reasons_and_no_others(title: str, group: str) -> None:
    moved = {c.NODE_LOST} if title == "Failed" else set()
    assert in_table(title) == (in_code(group) - moved) | ALSO.get(title, set())


def test_every_group_of_reasons_has_its_table() -> None:
    assert len(re.findall(r"^# Reasons of ", CONSTANTS, re.MULTILINE)) == len(SECTIONS)


@pytest.mark.parametrize(("condition", "reason"), FOUND)
def test_a_reason_stands_in_the_table_of_the_condition_that_it_is_given_to(condition: str, reason: str) -> None:
    (title,) = (title for title in SECTIONS if getattr(c, condition) in title.split(" and "))
    assert getattr(c, reason) in in_table(title)


def test_reasons_that_are_given_are_found() -> None:
    assert {("SUSPENDED", "RESUMED"), ("RUNNING", "TRAINER_RUNNING")} < set(FOUND)


def test_the_trainers_reasons_of_failed_are_all_named_and_no_others() -> None:
    named = set(re.findall(r"`([A-Z]\w+)`", section("Failed").partition("Given by the trainer")[2]))
    in_the_table_above, of_no_failure = {c.ADDRESS_REFUSED}, {c.INTERRUPTED}
    assert named == TRAINERS - in_the_table_above - of_no_failure


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
        value
        for module in (storage_client, service_bus_client)
        for value in vars(module).values()
        if isinstance(value, str) and value.startswith("AZURE_")
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
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?[^)]*\)", page.read_text()):
        if target.startswith("http"):
            continue
        there = page.parent / target if target else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names by which GitHub lets link to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{name}-{names[name]}" if names[name] else name)
        names[name] += 1
    return found


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## Where requests may go", "where-requests-may-go"),
        ("### The pod: GPUs, nodes", "the-pod-gpus-nodes"),
        ("# `make up` and [more](x.md)", "make-up-and-more"),
    ],
)
def test_anchors_are_as_github_makes_them(heading: str, anchor: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{heading}\n\n```sh\n# a comment\n```\n\n{heading}\n")
    assert anchors(page) == {anchor, f"{anchor}-1"}


def test_clean_removes_what_git_is_told_to_overlook() -> None:
    folders = re.findall(r"^/(.+)/$", (ROOT / ".gitignore").read_text(), re.MULTILINE)
    recipe = (ROOT / "Makefile").read_text().partition("\nclean:")[2].partition("\n\n")[0].replace("$(VENV)", ".venv")
    assert "dist" in folders
    assert set(folders) <= set(recipe.split())


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
