"""The operator of a cluster as the demo's consumer, observed with kubectl."""

from demo.consumer import Training
from demo.kubectl import TRAININGJOB_LABEL, Kubectl, Manifest
from demo.progress import condition, describe, find_job, is_true, reason_text


class ClusterConsumer:
    """See Consumer. A training is a TrainingJob. Every method may raise KubectlError."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def training(self, message_id: str) -> Training | None:
        """The TrainingJob created from a message."""
        job = self._find(message_id)
        if job is None:
            return None
        name = job["metadata"]["name"]
        pods = self._kubectl.list("pods", f"{TRAININGJOB_LABEL}={name}")
        return Training(
            name,
            describe(job, pods),
            failure=reason_text(condition(job, "Failed")) if is_true(job, "Failed") else "",
            model=job.get("status", {}).get("model", {}),
            callback=condition(job, "CallbackDelivered").get("message", ""),
        )

    def cancel(self, message_id: str) -> None:
        """Delete the TrainingJob."""
        if job := self._find(message_id):
            self._kubectl("delete", "trainingjob", job["metadata"]["name"], "--wait=false")

    def summary(self) -> str:
        """The output of `kubectl get trainingjobs`."""
        return self._kubectl("get", "trainingjobs").rstrip()

    def logs(self, name: str) -> str:
        """The last log lines of the TrainingJob's pods."""
        return self._kubectl.logs(name)

    def advice(self) -> str:
        """See Consumer."""
        command = f"kubectl --namespace={self._kubectl.namespace}"
        return (
            f"See `{command} describe trainingjobs` and `{command} logs deployment/vott-train`. The training continues."
        )

    def _find(self, message_id: str) -> Manifest | None:
        return find_job(self._kubectl.list("trainingjobs"), message_id)
