"""Progress reports to a real API server: the TrainingJob's status, field ownership, and reports that are refused."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.control_plane import ControlPlane
from localcluster.kubectl import kubectl
from tests.support.waiting import install_crd
from vott_trainer.errors import TemporaryFailureError
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.progress.reporter import UnsubscribedError
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.trainingjob_status import TrainingJobStatus
from vott_trainer.stores.store import StoredObject

ROLE = ("create", "role", "trainer", "--verb=patch", "--resource=trainingjobs.vott.dev/status")
MODEL = StoredObject("https://store/models/model.tgz", "ab" * 32, 123)
RUNNING = Snapshot(0.425, 3, 10, 7, 25, 0.25, 9.8, {"mAP50": 0.91})


@dataclass(frozen=True)
class Cluster:
    """An API server with the TrainingJob CRD, and a folder with a pod's credentials."""

    server: str
    kubeconfig: Path
    credentials: Path

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator."""
        return kubectl(self.kubeconfig, *arguments)

    def create_job(self, name: str) -> TrainingJobStatus:
        """Create a TrainingJob; return the trainer's receiver for its status."""
        manifest = self.credentials / f"{name}.yaml"
        spec = {"plugin": "detection", "annotations": {"url": "https://h/a.csv"}, "model": {"url": "https://h/m"}}
        job = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}
        manifest.write_text(json.dumps(job), encoding="utf-8")
        self.kubectl("create", "-f", str(manifest))
        return TrainingJobStatus("default", name, self.job(name)["metadata"]["uid"], self.server, self.credentials)

    def job(self, name: str) -> dict[str, Any]:
        """Get a TrainingJob."""
        job: dict[str, Any] = json.loads(
            self.kubectl("get", "trainingjob", name, "-o", "json", "--show-managed-fields")
        )
        return job


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ControlPlane() as control_plane:
        cluster = Cluster(control_plane.server, control_plane.kubeconfig, tmp_path_factory.mktemp("credentials"))
        install_crd(control_plane.kubeconfig)
        cluster.kubectl("create", "serviceaccount", "trainer")
        cluster.kubectl(*ROLE)
        cluster.kubectl("create", "rolebinding", "trainer", "--role=trainer", "--serviceaccount=default:trainer")
        (cluster.credentials / "token").write_text(cluster.kubectl("create", "token", "trainer"), encoding="ascii")
        (cluster.credentials / "ca.crt").write_bytes(_ca(control_plane.kubeconfig))
        yield cluster


def _ca(kubeconfig: Path) -> bytes:
    cluster = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"])
    return Path(cluster["certificate-authority"]).read_bytes()


def test_status_shows_reports_and_the_last_one_has_the_model(cluster: Cluster) -> None:
    job = cluster.create_job("cats")
    job.send(RUNNING)
    status = cluster.job("cats")["status"]
    assert status["progress"]["percent"] == 42
    assert status["progress"]["classificationLoss"] == 0.25
    assert "model" not in status
    job.send_until_accepted(Snapshot(1.0, 10, 10, 25, 25, 0.1, 9.8, {"mAP50": 0.95}, MODEL))
    status = cluster.job("cats")["status"]
    assert status["metrics"] == [{"name": "mAP50", "value": 0.95}]
    assert status["model"] == {"url": MODEL.url, "sha256": MODEL.sha256, "sizeBytes": 123}


def test_trainer_owns_only_its_fields(cluster: Cluster) -> None:
    job = cluster.create_job("owned")
    cluster.kubectl(
        "patch",
        "trainingjob",
        "owned",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status": {"phase": "Running"}}',
    )
    job.send(Snapshot(1.0, metrics={"mAP50": 0.95}, model=MODEL))
    owned_job = cluster.job("owned")
    assert owned_job["status"]["phase"] == "Running"
    (owned,) = (entry for entry in owned_job["metadata"]["managedFields"] if entry["manager"] == "vott-trainer")
    assert (owned["operation"], owned["subresource"]) == ("Apply", "status")
    assert set(owned["fieldsV1"]["f:status"]) == {"f:progress", "f:metrics", "f:model"}


def test_the_answer_to_a_report_has_the_interval_that_the_operator_asks_for(cluster: Cluster) -> None:
    job = cluster.create_job("many")
    assert job.send(RUNNING) is None
    patch = '{"status": {"reportIntervalSeconds": 10}}'
    cluster.kubectl("patch", "trainingjob", "many", "--subresource=status", "--type=merge", "-p", patch)
    assert [job.send(RUNNING), job.send(RUNNING)] == [10.0, 10.0]


def test_reports_end_when_another_trainingjob_has_the_name(cluster: Cluster) -> None:
    old = cluster.create_job("again")
    cluster.kubectl("delete", "trainingjob", "again")
    cluster.create_job("again")
    with pytest.raises(UnsubscribedError, match="another one has its name now"):
        old.send(RUNNING)
    with pytest.raises(TemporaryFailureError, match="another one has its name now"):
        old.send_until_accepted(RUNNING, RetryPolicy(attempts=1))


def test_report_does_not_recreate_a_deleted_trainingjob(cluster: Cluster) -> None:
    job = cluster.create_job("gone")
    cluster.kubectl("delete", "trainingjob", "gone")
    with pytest.raises(TemporaryFailureError, match="HTTP 404 Not Found"):
        job.send_until_accepted(RUNNING, RetryPolicy(attempts=1))
