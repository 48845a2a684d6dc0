"""docs/operations.md has every metric and every alert; rules and dashboard use no other metrics."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from tests.support.observed_state import NOW
from vott_operator import metrics
from vott_operator.cluster.store import Store
from vott_operator.monitoring.state import StateCollector

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/operations.md").read_text()
MONITORING = ROOT / "charts/vott-train/monitoring"
(GROUP,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for rule in GROUP["rules"]}
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
SUFFIXES = {"counter": "_total", "info": "_info"}
MATRIX = PAGE.partition("\n## What fails\n")[2].partition("\n## ")[0]


def rows() -> Iterator[tuple[str, str, str]]:
    """Name, labels and text of each of the operator's metrics."""
    labels = {
        metric._name: metric._labelnames for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
    }
    labels["vott_train_build"] = ("version", "python")
    for family in metrics.REGISTRY.collect():
        if family.name in labels:
            text = family.documentation + (" Histogram." if family.type == "histogram" else "")
            yield family.name + SUFFIXES.get(family.type, ""), _code(labels[family.name]), text
    for gauge in StateCollector(Store(NOW), {}, {}, lambda: True, lambda: NOW).describe():
        yield gauge.name, _code(getattr(gauge, "_labelnames", ())), gauge.documentation


def _code(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def test_the_table_of_metrics_is_that_of_the_registry() -> None:
    table = PAGE.partition("\n## Metrics\n")[2]
    documented = re.findall(r"^\| `(vott_train_\w+)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    assert len(documented) > 30
    assert documented == list(rows())


def test_rules_dashboard_and_page_name_only_metrics_that_exist() -> None:
    names = {name for name, _, _ in rows()}
    text = json.dumps([rule["expr"] for rule in ALERTS.values()]) + json.dumps(DASHBOARD) + PAGE
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bvott_train_\w+", text)}
    assert len(used) > 30
    assert used <= names


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_what_to_do_and_has_a_section(alert: str) -> None:
    annotations = ALERTS[alert]["annotations"]
    assert annotations["summary"].endswith(".")
    assert len(annotations["description"]) > 100
    assert annotations["runbook_url"] == f"docs/operations.md#{alert.lower()}"
    assert ALERTS[alert]["labels"]["severity"] in ("critical", "warning")
    section = PAGE.partition(f"\n### {alert}\n")[2].partition("\n#")[0]
    for part in ("Causes", "Meanwhile", "Do"):
        assert f"- **{part}:** " in section
    assert f"[{alert}](#{alert.lower()})" in MATRIX or alert == "VottTrainOldMessages"


def test_the_page_has_no_other_alerts() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == list(ALERTS)


def test_every_panel_of_the_dashboard_has_a_description() -> None:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len(panels) > 20
    assert all(panel["description"].endswith(".") for panel in panels)
