"""The TrainingJob as a receiver of reports: server-side apply to its status, and to nothing else.

https://kubernetes.io/docs/reference/using-api/server-side-apply/ - apply replaces all that this field manager owns, so each
report carries everything that is known by then.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from vott_guard.client import status_text
from vott_trainer.errors import InvalidParametersError, TemporaryFailureError
from vott_trainer.http.retry import AttemptError, Backoff, retry
from vott_trainer.process.gpu_usage import GPUUsage, gpu_usage
from vott_trainer.progress.reporter import ReceiverGoneError
from vott_trainer.progress.snapshot import Snapshot

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API_VERSION = "vott.dev/v1alpha1"
FIELD_MANAGER = "vott-trainer"
TIMEOUT = (5.0, 10.0)  # seconds to connect, to read
# A control plane that is restarted or upgraded refuses for a while even what it permits: rights and tokens pass, too.
PASSING_STATUS = frozenset({401, 403, 408, 409, 425, 429})
LAST_REPORT = Backoff(attempts=25, first=1.0, longest=30.0)  # ten minutes: short beside the training that would be lost


class ReportRefusedError(AttemptError):
    """The API server did not take a report."""


def _session() -> requests.Session:
    """Return one that takes no proxy from the environment: nobody shall stand between the pod and its API server."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass
class TrainingJobStatus:
    """Applies snapshots to the status of one TrainingJob.

    `uid` is the object's: after a report that reached a newer object of the same name no further one is sent. (A `metadata.uid` in the
    request would not help: the API server ignores metadata in writes to a custom resource's status.)
    """

    namespace: str
    job: str
    uid: str
    server: str
    credentials: Path = SERVICE_ACCOUNT
    session: requests.Session = field(default_factory=_session)
    name: str = "the TrainingJob"

    @classmethod
    def in_cluster(cls, trainingjob: str, uid: str) -> "TrainingJobStatus":
        """Make one for `NAMESPACE/NAME` from the environment that Kubernetes gives every pod.

        Raises:
            InvalidParametersError: not `NAMESPACE/NAME`, or not in a pod.
        """
        namespace, _, job = trainingjob.partition("/")
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not (namespace and job) or "/" in job:
            raise InvalidParametersError(f"--trainingjob: expected NAMESPACE/NAME, found {trainingjob!r}.")
        if not host:
            raise InvalidParametersError(
                "--trainingjob needs a pod in Kubernetes (KUBERNETES_SERVICE_HOST is not set). Leave it out to train without Kubernetes."
            )
        address = f"[{host}]" if ":" in host else host
        return cls(namespace, job, uid, f"https://{address}:{port}")

    def send(self, snapshot: Snapshot) -> None:
        """Apply one report.

        Raises:
            ReportRefusedError: it did not arrive.
            ReceiverGoneError: the TrainingJob was deleted, and another one has its name now.
        """
        try:
            response = self.session.patch(
                f"{self.server}/apis/{API_VERSION}/namespaces/{self.namespace}/trainingjobs/{self.job}/status",
                params={"fieldManager": FIELD_MANAGER, "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml", "Authorization": f"Bearer {self._token()}"},
                json=self._apply_configuration(snapshot),
                timeout=TIMEOUT,
                verify=str(self.credentials / "ca.crt"),
            )
        except (OSError, requests.RequestException) as error:
            raise ReportRefusedError(
                f"the API server can't be reached ({type(error).__name__})", passing=True
            ) from error
        if not response.ok:
            passing = response.status_code in PASSING_STATUS or response.status_code >= 500
            raise ReportRefusedError(
                f"HTTP {status_text(response.status_code)}: {_api_field(response, 'message')}", passing=passing
            )
        if self.uid and _api_field(response, "metadata", "uid") != self.uid:
            raise ReceiverGoneError(f"{self.namespace}/{self.job} was deleted, and another one has its name now")

    def send_surely(self, snapshot: Snapshot, backoff: Backoff | None = None) -> None:
        """Apply the last report and wait until it has arrived.

        Raises:
            TemporaryFailureError: it did not, after all attempts.
        """
        try:
            retry(lambda: self.send(snapshot), backoff or LAST_REPORT)
        except (ReportRefusedError, ReceiverGoneError) as error:
            raise TemporaryFailureError(
                f"The model is uploaded, but {self.namespace}/{self.job} could not be told: {error}. "
                "Check that the cluster's API server answers, then send the message again."
            ) from error

    def _token(self) -> str:
        return (self.credentials / "token").read_text(encoding="ascii").strip()  # the kubelet renews it: never keep it

    def _apply_configuration(self, snapshot: Snapshot) -> dict[str, Any]:
        metadata = {"namespace": self.namespace, "name": self.job}
        return {
            "apiVersion": API_VERSION,
            "kind": "TrainingJob",
            "metadata": metadata,
            "status": status(snapshot, datetime.now(UTC), gpu_usage()),
        }


def status(snapshot: Snapshot, now: datetime, usage: GPUUsage | None = None) -> dict[str, Any]:
    """Return the status fields that the trainer owns, as docs/trainer-contract.md names them."""
    progress = {
        "percent": int(snapshot.fraction * 100),
        "epochCurrent": snapshot.epoch_current,
        "epochTotal": snapshot.epoch_total,
        "stepCurrent": snapshot.step_current,
        "stepTotal": snapshot.step_total,
        "classificationLoss": _rounded(snapshot.classification_loss),
        "imagesPerSecond": _rounded(snapshot.images_per_second),
        "gpuMemoryMiB": usage.memory_mib if usage else None,
        "gpuUtilizationPercent": usage.utilization_percent if usage else None,
        "lastUpdatedTime": _rfc3339(now),
        "estimatedCompletionTime": _end(now, snapshot.seconds_left),
    }
    fields: dict[str, Any] = {"progress": {name: value for name, value in progress.items() if value is not None}}
    if snapshot.metrics:
        fields["metrics"] = [{"name": name, "value": round(value, 4)} for name, value in snapshot.metrics.items()]
    if model := snapshot.model:
        fields["model"] = {"url": model.url, "sha256": model.sha256, "sizeBytes": model.size_bytes}
    if last := snapshot.checkpoint:
        fields["checkpoint"] = {"url": last.url, "epoch": last.epoch, "step": last.step, "time": last.time}
    return fields


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _end(now: datetime, seconds_left: float | None) -> str | None:
    if seconds_left is None:
        return None
    try:
        return _rfc3339(now + timedelta(seconds=seconds_left))
    except OverflowError:  # beyond the year 9999
        return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _api_field(response: requests.Response, *path: str) -> str:
    """Return a field of the API server's JSON answer, empty if it has none."""
    try:
        value = response.json()
        for name in path:
            value = value[name]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(value)
