"""A real Prometheus scrapes the operator: every alert fires on its fault and not before, and every query of the dashboard has data."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.kubectl import Kubectl
from tests.support.examples import REPORTED_MODEL, message
from tests.support.http_server import Answer, HttpServer
from tests.support.operator_harness import RELEASE, OperatorHarness
from tests.support.operator_process import OperatorProcess
from tests.support.prometheus import NOT_HASTY, Prometheus, alerts, dashboard_queries, running
from tests.support.queue_proxy import QueueProxy
from tests.support.waiting import wait_until

QUEUE, TEAM = "monitoring", "monitoring-team"
VALUES: dict[str, Any] = {
    "queues": [
        {"name": QUEUE, "duplicateWindowSeconds": 600, "maxUnfinishedJobs": 5},
        {"name": TEAM, "targetNamespace": TEAM},
    ],
    "leaderElection": {"leaseDurationSeconds": 5},
    "trainer": {"image": "trainer:1", "stalledAfterSeconds": 20},
}
REFUSED = {"annotations": {"url": "https://169.254.169.254/a.csv"}}
"""A spec with which a TrainingJob fails at once."""
SECRET = "sig=TOPSECRET"


class ReceiveProxy(QueueProxy):
    """Loses the requests to receive while `refuses` is true."""

    refuses = False

    def admits(self, method: str, path: str) -> bool:
        is_receive = method == "GET" and "/messages" in path and "peekonly" not in path
        return not (self.refuses and is_receive) and super().admits(method, path)


class Faults:
    """Breaks one thing after the other, and checks which alerts fire."""

    def __init__(self, harness: OperatorHarness, prometheus: Prometheus, proxy: ReceiveProxy) -> None:
        self.harness = harness
        self.prometheus = prometheus
        self.proxy = proxy
        self.fired: set[str] = set()
        self._expected: set[str] = set()
        self._operator: OperatorProcess | None = None

    # -------------------------------------------------------------------------------------------------------- checks

    def expect(self, *names: str) -> None:
        """From now on these alerts may fire."""
        self.check()
        self._expected |= set(names)

    def check(self) -> None:
        """Only expected alerts fire."""
        firing = self.prometheus.firing()
        assert firing <= self._expected, firing - self._expected
        self.fired |= firing

    def wait(self, *names: str) -> None:
        """Wait until these alerts have fired."""

        def probe() -> bool:
            self.check()
            return self.fired >= set(names)

        wait_until(f"alerts {names}", probe, seconds=90, dump=lambda: f"{self.fired}\n{self.harness.diagnostics()}")

    # ---------------------------------------------------------------------------------------------------- the operator

    def start(self) -> OperatorProcess:
        """Start the operator, or another after it was stopped, and have it scraped."""
        self.stop()
        storage = self.harness.azurite.connection_string.replace(self.harness.azurite.queue_service, self.proxy.url)
        self._operator = self.harness.operator(AZURE_STORAGE_CONNECTION_STRING=storage)
        self.prometheus.scrape(self._operator.metrics)
        self.wait_value("vott_train_build_info", lambda value: value == 1)
        return self._operator

    def stop(self) -> None:
        """Stop the operator, unless it has ended."""
        if self._operator is not None and self._operator.poll() is None:
            self._operator.stop()

    def wait_value(self, query: str, accepts: Callable[[float], bool]) -> None:
        """Wait until the last value of a query is accepted."""

        def probe() -> bool:
            series = self.prometheus.query_range(query, 1)
            return bool(series) and bool(series[0][1]) and accepts(series[0][1][-1])

        wait_until(query, probe, seconds=60, dump=self.harness.diagnostics)

    # ------------------------------------------------------------------------------------------------------- trainings

    def run_pod(self, trainingjob: str) -> str:
        """Wait for the pod of a TrainingJob and let it run; its name."""

        def probe() -> str | None:
            pods = self.harness.kubectl.list("pods", f"vott.dev/trainingjob={trainingjob}")
            return str(pods[0]["metadata"]["name"]) if pods else None

        pod = wait_until(f"a pod of {trainingjob}", probe, seconds=60, dump=self.harness.diagnostics)
        self.harness.run_pod(pod)
        self.harness.wait_phase("Running", trainingjob)
        return pod

    def wait_trainingjob(self) -> str:
        """Wait for the only TrainingJob; its name."""
        items = wait_until("a TrainingJob", self.harness.trainingjobs, seconds=60, dump=self.harness.diagnostics)
        return str(items[0]["metadata"]["name"])


@pytest.fixture
def faults(harness: OperatorHarness, tmp_path: Path) -> Any:
    for name in (QUEUE, TEAM):
        harness.queue(name=name)
    with ReceiveProxy("127.0.0.1", harness.azurite.queue_service) as proxy, running(tmp_path) as prometheus:
        yield Faults(harness, prometheus, proxy)


@pytest.mark.parametrize("harness", [VALUES], indirect=True, ids=[""])
def test_every_alert_fires_on_its_fault_and_every_query_of_the_dashboard_has_data(faults: Faults) -> None:
    started = time.monotonic()
    operator = faults.start()
    faults.wait_value("vott_train_leader", lambda value: value == 1)
    with HttpServer() as receiver:
        receiver.always = {"/gone": Answer(410), "/busy": Answer(503)}
        train(faults, operator, receiver)
        stop_trainings(faults)
        fail_callbacks(faults, receiver)
        faults.wait("TrainingJobsPending", "TrainingJobsStalled")
    fill_the_capacity(faults)
    break_the_queue(faults)
    break_permissions(faults)
    take_the_lease(faults)
    close_a_namespace(faults)
    faults.stop()
    faults.wait("OperatorDown")
    names = {rule["alert"] for rule in alerts()} - {NOT_HASTY}
    assert {name.removeprefix("VottTrain") for name in names} == faults.fired
    seconds = int(time.monotonic() - started)
    for name, query in dashboard_queries().items():
        series = faults.prometheus.query_range(query, seconds)
        assert any(values for _, values in series), f"{name} has no data: {query}"


def train(faults: Faults, operator: OperatorProcess, receiver: HttpServer) -> None:
    """A training that succeeds, from a message that came twice; nothing is wrong."""
    harness = faults.harness
    body = message(status=f"{receiver.url}/ok?{SECRET}", model=f"https://store/models?{SECRET}")
    sent = [harness.send(body, queue=QUEUE) for _ in range(2)]
    name = faults.wait_trainingjob()
    pod = faults.run_pod(name)
    answer = harness.report(pod, name, {"progress": {"percent": 50}, "model": REPORTED_MODEL})
    assert answer.ok, answer.text
    harness.end_pod(pod, 0)
    harness.wait_phase("Complete", name)
    for result in ("created", "duplicate"):
        settled = f'vott_train_messages_settled_total{{queue="{QUEUE}",result="{result}"}}'
        faults.wait_value(settled, lambda value: value == 1)
    faults.wait_value('vott_train_callbacks_total{reason="Delivered"}', lambda value: value == 1)
    faults.check()
    page = requests.get(f"http://{operator.metrics}/metrics", timeout=10).text
    for private in (*sent, name, pod, receiver.url, "TOPSECRET", "store/models"):
        assert private not in page


def stop_trainings(faults: Faults) -> None:
    """One training no longer reports; another is interrupted, and its next pod finds no node."""
    harness = faults.harness
    harness.create_trainingjob("stalled", "interrupted")
    pods = [faults.run_pod(name) for name in ("stalled", "interrupted")]
    faults.expect("TrainingJobsStalled", "GPUTimeWasted", "TrainingJobsPending")
    harness.end_pod(pods[1], 143)
    faults.wait("GPUTimeWasted")


def fail_callbacks(faults: Faults, receiver: HttpServer) -> None:
    """A message that can't be used; outcomes that a receiver refuses or is too busy for; many trainings that fail."""
    harness = faults.harness
    faults.expect("MessagesRejected")
    harness.send("no JSON", queue=QUEUE)
    faults.wait("MessagesRejected")
    faults.expect("CallbacksUndelivered", "CallbacksBehind")
    harness.create_trainingjob("refused", callback={"url": f"{receiver.url}/gone"}, **REFUSED)
    faults.wait("CallbacksUndelivered")
    harness.create_trainingjob("busy", callback={"url": f"{receiver.url}/busy"}, **REFUSED)
    faults.wait("CallbacksBehind")
    faults.expect("TrainingsFailing")
    harness.create_trainingjob(*(f"failing-{number}" for number in range(6)), **REFUSED)
    faults.wait("TrainingsFailing")


def fill_the_capacity(faults: Faults) -> None:
    """As many messages as one queue has room for, whose trainings do not start."""
    before = {item["metadata"]["name"] for item in faults.harness.trainingjobs()}
    faults.expect("CapacityReached")
    for number in range(VALUES["queues"][0]["maxUnfinishedJobs"]):
        faults.harness.send(message(annotations=f"https://host/{number}.csv"), queue=QUEUE)
    faults.wait("CapacityReached")
    names = {item["metadata"]["name"] for item in faults.harness.trainingjobs()} - before
    faults.harness.kubectl("delete", "trainingjobs", *names)
    faults.wait_value(f'vott_train_intake_paused{{queue="{QUEUE}"}}', lambda value: value == 0)


def break_the_queue(faults: Faults) -> None:
    faults.expect("QueueUnreachable", "OldMessages")
    faults.proxy.refuses = True
    faults.harness.send(message(annotations="https://host/b.csv"), queue=QUEUE)
    faults.wait("QueueUnreachable", "OldMessages")
    faults.proxy.refuses = False
    faults.wait_value(f'vott_train_queue_up{{queue="{QUEUE}"}}', lambda value: value == 1)


def break_permissions(faults: Faults) -> None:
    """The operator may no longer create TrainingJobs."""
    kubectl = faults.harness.kubectl
    name = f"{RELEASE}.{faults.harness.name}.vott.dev"
    role = kubectl.get("clusterrole", name)
    rules = [
        rule | {"verbs": [verb for verb in rule["verbs"] if verb != "create" or rule["resources"] != ["trainingjobs"]]}
        for rule in role["rules"]
    ]
    faults.expect("MessagesFailing", "APIErrors")
    kubectl("patch", "clusterrole", name, "--type=merge", "--patch", json.dumps({"rules": rules}))
    for letter in "cde":
        faults.harness.send(message(annotations=f"https://host/{letter}.csv"), queue=QUEUE)
    faults.wait("MessagesFailing", "APIErrors")
    kubectl("patch", "clusterrole", name, "--type=merge", "--patch", json.dumps({"rules": role["rules"]}))


def take_the_lease(faults: Faults) -> None:
    """Something else holds the Lease, and changes it again and again. The operator ends, and its successor stands by."""
    kubectl = faults.harness.kubectl

    def change(**spec: Any) -> None:
        kubectl("patch", "lease", RELEASE, "--type=merge", "--patch", json.dumps({"spec": spec}))

    faults.expect("OperatorDown", "NoLeader", "LeaderFlapping")
    change(holderIdentity="another", leaseDurationSeconds=3600)
    faults.start()
    faults.wait("NoLeader")
    for number in range(20):
        change(leaseTransitions=100 + number)
        time.sleep(1.5)
        faults.check()
        if "LeaderFlapping" in faults.fired:
            break
    faults.wait("LeaderFlapping")
    change(holderIdentity="", leaseDurationSeconds=1)
    faults.wait_value("vott_train_leader", lambda value: value == 1)


def close_a_namespace(faults: Faults) -> None:
    faults.expect("NamespaceUnavailable")
    Kubectl(faults.harness.kubectl.kubeconfig, TEAM)("delete", "rolebinding", f"{RELEASE}-operator")
    faults.start()
    faults.wait("NamespaceUnavailable")
