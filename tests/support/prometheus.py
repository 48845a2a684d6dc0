"""Prometheus and promtool, from Debian's package."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
import yaml

from localcluster.ports import free_ports
from tests.support.debian_files import unpacked
from tests.support.operator_process import ROOT
from tests.support.waiting import wait_until

MONITORING = ROOT / "charts" / "vott-train" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
Object = dict[str, Any]
Series = tuple[dict[str, str], list[float]]
"""The labels and values of one time series."""


def program(name: str) -> str:
    """Path of `prometheus` or `promtool`."""
    return str(unpacked("prometheus") / "usr" / "bin" / name)


def promtool(*arguments: str, cwd: Path) -> str:
    """Run promtool; its output. Fails with it."""
    result = subprocess.run([program("promtool"), *arguments], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def alerts() -> list[Object]:
    """The chart's alerting rules."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    rules: list[Object] = group["rules"]
    return rules


NOT_HASTY = "VottTrainWatchBehind"
"""Its threshold is above the interval at which the operator lists everything, which a test can't shorten."""


def hasty_rules() -> Object:
    """The chart's rules for a test of seconds: thresholds of time are 1/120, windows 20 s, and nothing has to last."""
    rules = [
        rule if rule["alert"] == NOT_HASTY else rule | {"for": "0s", "expr": _hasty(rule["expr"])} for rule in alerts()
    ]
    return {"groups": [{"name": "hasty", "interval": "1s", "rules": rules}]}


def _hasty(expression: str) -> str:
    short_windows = re.sub(r"\[\d+[mh]\]", "[20s]", expression)
    return re.sub(r"\b(\d+) \* 60\b", lambda minutes: str(int(minutes[1]) * 60 / 120), short_windows)


def dashboard_queries() -> dict[str, str]:
    """Each query of the dashboard by panel and legend, with its variables filled in as Grafana does."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    targets = [(panel["title"], item) for panel in dashboard["panels"] for item in panel.get("targets", ())]
    return {
        f"{title}: {item['legendFormat']}": item["expr"].replace("$job", ".*").replace("$__rate_interval", "20s")
        for title, item in targets
    }


class Prometheus:
    """A running Prometheus that scrapes and evaluates rules each second."""

    def __init__(self, url: str, targets: Path) -> None:
        self._url = url
        self._targets = targets

    def scrape(self, *addresses: str) -> None:
        """Scrape these addresses from now on, and no others."""
        temporary = self._targets.with_suffix(".new")
        temporary.write_text(json.dumps([{"targets": addresses}]))
        temporary.replace(self._targets)

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        found = self._get("alerts")["alerts"]
        return {item["labels"]["alertname"].removeprefix("VottTrain") for item in found if item["state"] == "firing"}

    def query_range(self, query: str, seconds: int) -> list[Series]:
        """The last `seconds` of a query, each second, without values that are not numbers."""
        now = self._get("query", query="time()")["result"][1]
        start = float(now) - seconds
        result = self._get("query_range", query=query, start=str(start), end=str(now), step="1")["result"]
        series = [(item["metric"], [float(value) for _, value in item["values"]]) for item in result]
        return [(labels, [value for value in values if value == value]) for labels, values in series]

    def is_ready(self) -> bool:
        """Whether it answers."""
        with suppress(requests.RequestException):
            return requests.get(f"{self._url}/-/ready", timeout=5).ok
        return False

    def _get(self, endpoint: str, **parameters: str) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{endpoint}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def running(folder: Path) -> Iterator[Prometheus]:
    """Prometheus with the chart's rules, made hasty, until the block ends."""
    (port,) = free_ports(1)
    rules, config, targets, log = (folder / name for name in ("rules.yml", "prometheus.yml", "targets.json", "log"))
    rules.write_text(yaml.safe_dump(hasty_rules()))
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(rules)],
                "scrape_configs": [
                    {
                        "job_name": "vott-train",
                        "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
                    }
                ],
            }
        )
    )
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    address = f"127.0.0.1:{port}"
    with log.open("wb") as file:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=file, stderr=file)
    try:
        prometheus = Prometheus(f"http://{address}", targets)
        prometheus.scrape()
        wait_until("Prometheus", prometheus.is_ready, seconds=60, dump=log.read_text)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
