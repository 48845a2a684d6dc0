"""Server-side apply of the TrainingJob's status: reports to the API server.

https://kubernetes.io/docs/reference/using-api/server-side-apply/ - apply replaces everything that the field manager owns, so each report
holds everything known so far.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from vott_guard.backoff import Backoff
from vott_guard.client import status_text
from vott_guard.retry_after import retry_after_seconds
from vott_trainer.errors import InvalidParametersError, TemporaryFailureError
from vott_trainer.http.retry import AttemptError, RetryPolicy, retry
from vott_trainer.process.gpu_usage import gpu_usage
from vott_trainer.progress.reporter import UnsubscribedError
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.status_fields import status_fields

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API_VERSION = "vott.dev/v1alpha1"
FIELD_MANAGER = "vott-trainer"
TIMEOUT = (5.0, 10.0)  # seconds to connect, to read
# 401 and 403 included: while a control plane restarts or is upgraded, it refuses valid tokens and permitted requests.
RETRIED_STATUS = frozenset({401, 403, 408, 409, 425, 429})
MAX_RETRY_AFTER_SECONDS = 60.0
# About ten minutes, little compared to a lost training; more jitter would shorten it.
LAST_REPORT = RetryPolicy(attempts=25, backoff=Backoff(first=1.0, longest=30.0, jitter=0.25))


class ReportRefusedError(AttemptError):
    """The API server did not accept a report."""


def _session() -> requests.Session:
    """Return a session that ignores proxies of the environment, which must not get the pod's token."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass
class TrainingJobStatus:
    """Applies snapshots to the status of one TrainingJob.

    `uid` is the object's: no report follows one that reached a newer object of the same name. A `metadata.uid` in the request has no
    effect: the API server ignores metadata in writes to a custom resource's status.
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
        """Connect to the API server of this pod's cluster, for the TrainingJob `NAMESPACE/NAME`.

        Raises:
            InvalidParametersError: `trainingjob` is not `NAMESPACE/NAME`, or this is not a pod.
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

    def send(self, snapshot: Snapshot) -> float | None:
        """Apply one report.

        Returns:
            The operator's `status.reportIntervalSeconds`, which the API server's response shows.

        Raises:
            ReportRefusedError: it did not arrive.
            UnsubscribedError: the TrainingJob was deleted, and another one has its name.
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
                f"the API server can't be reached ({type(error).__name__})", transient=True
            ) from error
        if not response.ok:
            raise _refusal(response)
        trainingjob = _json_object(response)
        if self.uid and trainingjob.get("metadata", {}).get("uid") != self.uid:
            raise UnsubscribedError(f"{self.namespace}/{self.job} was deleted, and another one has its name now")
        return _number(trainingjob.get("status", {}).get("reportIntervalSeconds"))

    def send_until_accepted(self, snapshot: Snapshot, policy: RetryPolicy | None = None) -> None:
        """Apply the last report, and repeat it until it has arrived.

        Raises:
            TemporaryFailureError: it did not, after all attempts.
        """
        try:
            retry(lambda: self.send(snapshot), policy or LAST_REPORT)
        except (ReportRefusedError, UnsubscribedError) as error:
            raise TemporaryFailureError(
                f"The model is uploaded, but {self.namespace}/{self.job} could not be updated: {error}. "
                "Check that the cluster's API server answers, then send the message again."
            ) from error

    def _token(self) -> str:
        return (self.credentials / "token").read_text(encoding="ascii").strip()  # not cached: the kubelet renews it

    def _apply_configuration(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": "TrainingJob",
            "metadata": {"namespace": self.namespace, "name": self.job},
            "status": status_fields(snapshot, datetime.now(UTC), gpu_usage()),
        }


def _refusal(response: requests.Response) -> ReportRefusedError:
    status = response.status_code
    return ReportRefusedError(
        f"HTTP {status_text(status)}: {_json_object(response).get('message', '')}",
        transient=status in RETRIED_STATUS or status >= 500,
        retry_after=retry_after_seconds(response.headers.get("Retry-After"), MAX_RETRY_AFTER_SECONDS) or 0.0,
    )


def _json_object(response: requests.Response) -> dict[str, Any]:
    """Return the response's JSON object, empty if it is none."""
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
