"""Baseline of the operator's benchmarks: a plain HTTP client that creates and watches the same objects."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from tests.support.operator_harness import RELEASE, OperatorHarness
from vott_messaging.messages.message import parse_message
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects.job import job_manifest
from vott_operator.objects.trainingjob import trainingjob_manifest
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings

MESSAGE = json.dumps({"annotations": "https://host/a.csv", "model": "https://store/models"})
POLL_SECONDS = 0.1
TIME_LIMIT_SECONDS = 1200
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}
STARTED = "2026-01-01T00:00:00Z"


class BareClient:
    """Plain HTTP requests to the API server, with a harness's administrator credentials."""

    def __init__(self, harness: OperatorHarness, connections: int) -> None:
        self._harness = harness
        self._jobs = f"/apis/batch/v1/namespaces/{harness.name}/jobs"
        self._pods = f"/api/v1/namespaces/{harness.name}/pods"
        self._lease = f"/apis/coordination.k8s.io/v1/namespaces/{harness.name}/leases/{RELEASE}"
        self._trainingjobs = f"/apis/vott.dev/v1alpha1/namespaces/{harness.name}/trainingjobs"
        connector = aiohttp.TCPConnector(ssl=credentials(harness), limit=connections)
        self._session = aiohttp.ClientSession(harness.control_plane.server, connector=connector)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def create(self, name: str) -> None:
        """Create a TrainingJob and its Job like the operator does."""
        job = job_manifest(await self.create_trainingjob(name), PodSettings(TrainerSettings(image="trainer:1")))
        await self._send("POST", self._jobs, job)

    async def create_trainingjob(self, name: str, **spec: Any) -> TrainingJob:
        """Create a TrainingJob."""
        manifest = trainingjob_manifest(
            parse_message(MESSAGE.encode()), name=name, namespace=self._harness.name, plugin="detection", annotations={}
        )
        manifest["spec"] |= spec
        return TrainingJob.model_validate(await self._send("POST", self._trainingjobs, manifest))

    async def create_finished(self, name: str) -> None:
        """Create a TrainingJob that has succeeded, and its pod."""
        owner = await self.create_trainingjob(name)
        ended = {"lastTransitionTime": "2026-01-01T11:00:00Z", "observedGeneration": 1}
        model = {"url": f"https://store/models/{name}/model.tgz", "sha256": "ab" * 32, "sizeBytes": 123_456_789}
        conditions = [
            ended | {"type": "Running", "status": "False", "reason": "TrainerFinished", "message": "The training ended."},
            ended | {"type": "Complete", "status": "True", "reason": "TrainingSucceeded", "message": f"The model is at {model['url']}."},
            ended | {"type": "ModelUploaded", "status": "True", "reason": "UploadVerified", "message": "The upload was verified."},
            ended | {"type": "MessageSettled", "status": "True", "reason": "RemovedFromQueue", "message": "The message was removed."},
        ]  # fmt: skip
        progress = {
            "percent": 100,
            "epochCurrent": 30,
            "epochTotal": 30,
            "stepCurrent": 9,
            "stepTotal": 9,
            "classificationLoss": 0.1,
        }
        status = {
            "phase": "Complete", "reason": "TrainingSucceeded", "conditions": conditions, "observedGeneration": 1,
            "startTime": "2026-01-01T10:00:00Z", "completionTime": "2026-01-01T11:00:00Z", "jobName": name,
            "podName": f"{name}-0-abcde", "restarts": 0, "progress": progress, "model": model,
            "metrics": [{"name": "mAP50", "value": 0.9}, {"name": "mAP", "value": 0.6}],
        }  # fmt: skip
        await self._send("PATCH", f"{self._trainingjobs}/{name}/status", {"status": status}, MERGE)
        await self._create_finished_pod(owner)

    async def _create_finished_pod(self, owner: TrainingJob) -> None:
        manifest = job_manifest(owner, PodSettings(TrainerSettings(image="trainer:1")))["spec"]["template"]
        name = f"{owner.metadata.name}-0-abcde"
        pods = f"/api/v1/namespaces/{self._harness.name}/pods"
        # The Secret and the token's ConfigMap do not exist.
        spec = {key: value for key, value in manifest["spec"].items() if key != "volumes"}
        spec |= {"serviceAccountName": f"{RELEASE}-trainer", "automountServiceAccountToken": False}
        for container in spec["containers"]:
            container.pop("volumeMounts", None)
        await self._send(
            "POST",
            pods,
            {"apiVersion": "v1", "kind": "Pod", "metadata": manifest["metadata"] | {"name": name}, "spec": spec},
        )
        terminated = {
            "exitCode": 0,
            "reason": "Completed",
            "message": '{"reason": "TrainingSucceeded"}',
            "finishedAt": "2026-01-01T11:00:00Z",
        }
        container = {
            "name": "trainer",
            "image": "trainer:1",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": terminated},
        }
        status = {"status": {"phase": "Succeeded", "containerStatuses": [container]}}
        await self._send("PATCH", f"{pods}/{name}/status", status, MERGE)

    async def patch_status(self, name: str) -> None:
        """Patch the status of a TrainingJob."""
        status = {"status": {"phase": "Running", "jobName": name}}
        await self._send("PATCH", f"{self._trainingjobs}/{name}/status", status, MERGE)

    async def report(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        """Apply a report as the trainer does. Returns the TrainingJob's status."""
        body = {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "status": status}
        path = f"{self._trainingjobs}/{name}/status?fieldManager=vott-trainer&force=true"
        trainingjob = await self._send("PATCH", path, body, APPLY)
        return dict(trainingjob["status"])

    async def running_pods(self) -> dict[str, str]:
        """The running pod of each TrainingJob that runs."""
        async with self._session.get(self._trainingjobs) as response:
            items = (await response.json())["items"]
        running = (item for item in items if item["status"].get("phase") == "Running")
        return {item["metadata"]["name"]: item["status"]["podName"] for item in running}

    async def end_pod(self, pod: str) -> None:
        """Report the pod's container as ended with 0, as the kubelet does."""
        terminated = {"exitCode": 0, "reason": "Completed", "startedAt": STARTED, "finishedAt": STARTED}
        container = {"name": "trainer", "image": "trainer:1", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": "Succeeded", "containerStatuses": [container | {"state": {"terminated": terminated}}]}
        await self._send("PATCH", f"{self._pods}/{pod}/status", {"status": status}, MERGE)

    async def lease(self) -> dict[str, Any]:
        """The spec of the operator's Lease."""
        async with self._session.get(self._lease) as response:
            return dict((await response.json())["spec"])

    async def metrics(self) -> str:
        """The API server's metrics."""
        async with self._session.get("/metrics") as response:
            return await response.text()

    async def first_to_last(self, count: int) -> float:
        """Seconds from the first Job to the last of `count`. Raises TimeoutError."""
        first: float | None = None
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            while (jobs := await self.count_jobs()) < count:
                first = first or (time.monotonic() if jobs else None)
                await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - (first or time.monotonic())

    async def count_jobs(self) -> int:
        """Number of Jobs, counted by the server: one item and `remainingItemCount`."""
        async with self._session.get(self._jobs, params={"limit": "1"}) as response:
            page = await response.json()
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    async def read_all(self) -> None:
        """Read all TrainingJobs and Jobs."""
        for path in (self._trainingjobs, self._jobs):
            async with self._session.get(path) as response:
                await response.json()

    async def new_jobs(self) -> AsyncGenerator[str, None]:
        """Names of new Jobs from a watch. Yields "" once the watch is established."""
        async with self._session.get(self._jobs, params={"limit": "1"}) as page:
            version = (await page.json())["metadata"]["resourceVersion"]
        query = {"watch": "1", "resourceVersion": version}
        async with self._session.get(self._jobs, params=query, timeout=aiohttp.ClientTimeout(None)) as events:
            yield ""
            async for line in events.content:
                event = json.loads(line)
                if event["type"] == "ADDED":
                    yield event["object"]["metadata"]["name"]

    async def _send(self, method: str, path: str, body: Any, headers: dict[str, str] = JSON) -> Any:
        async with self._session.request(method, path, data=json.dumps(body), headers=headers) as response:
            response.raise_for_status()
            return await response.json()


def credentials(harness: OperatorHarness) -> ssl.SSLContext:
    """TLS context with the kubeconfig's client certificate."""
    context = ssl.create_default_context(cafile=str(harness.authority()))
    user = yaml.safe_load(harness.control_plane.kubeconfig.read_text())["users"][0]["user"]
    pair = Path(harness.log.with_suffix(".pem"))
    pair.write_bytes(harness.decoded(user["client-certificate-data"]) + harness.decoded(user["client-key-data"]))
    context.load_cert_chain(pair)
    return context
