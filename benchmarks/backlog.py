"""A backlog of messages becomes Jobs: the operator against a bare client that makes the same objects."""

import asyncio
import json
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from azure.storage.queue.aio import QueueClient

from demo.kubectl import Kubectl
from localcluster.azurite import Azurite
from localcluster.control_plane import ControlPlane
from tests.support.corner import ROOT, Corner
from vott_operator import desired
from vott_operator.message import parse_message
from vott_operator.models import TrainingJob
from vott_operator.pods import PodSettings
from vott_operator.settings import TrainerSettings

CONCURRENCY = 32
POLL_SECONDS = 0.1
TIME_LIMIT_SECONDS = 300
MESSAGE = json.dumps({"annotations": "https://host/a.csv", "model": "https://store/models"})
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


def measure(messages: int) -> str:
    """Sentence with both rates and their ratio."""
    with ControlPlane() as control_plane, Azurite() as azurite:
        crd = ["apply", "--server-side", "-f", str(ROOT / "manifests" / "crd.yaml")]
        Kubectl(str(control_plane.kubeconfig), "default")(*crd)
        settings = {"maxUnfinishedJobs": messages + 1}
        with Corner(control_plane, azurite, "bare", settings) as corner:
            bare = messages / asyncio.run(_bare(corner, messages))
        with Corner(control_plane, azurite, "operated", settings) as corner:
            ours = messages / _operated(corner, messages)
    return (
        f"backlog of {messages} messages: {ours:.0f} Jobs/s; a bare client that writes one TrainingJob, one Job and one "
        f"status patch each: {bare:.0f}/s; ratio {ours / bare:.2f}"
    )


async def _bare(corner: Corner, count: int) -> float:
    """Seconds that plain requests take for the same objects."""
    async with _session(corner) as session:
        gate = asyncio.Semaphore(CONCURRENCY)
        start = time.monotonic()
        await asyncio.gather(*(_one_set(session, corner, gate, number) for number in range(count)))
        return time.monotonic() - start


async def _one_set(session: aiohttp.ClientSession, corner: Corner, gate: asyncio.Semaphore, number: int) -> None:
    base, group = corner.control_plane.server, f"apis/vott.dev/v1alpha1/namespaces/{corner.name}/trainingjobs"
    manifest = desired.trainingjob_manifest(
        parse_message(MESSAGE.encode()),
        name=f"bare-{number}",
        namespace=corner.name,
        plugin="detection",
        annotations={},
    )
    async with gate:
        made = await _send(session, "POST", f"{base}/{group}", manifest, JSON)
        job = desired.job(TrainingJob.model_validate(made), PodSettings(TrainerSettings(image="trainer:1")))
        await _send(session, "POST", f"{base}/apis/batch/v1/namespaces/{corner.name}/jobs", job, JSON)
        status = {"status": {"phase": "Running", "jobName": f"bare-{number}"}}
        await _send(session, "PATCH", f"{base}/{group}/bare-{number}/status", status, MERGE)


async def _send(session: aiohttp.ClientSession, method: str, url: str, body: Any, headers: dict[str, str]) -> Any:
    async with session.request(method, url, data=json.dumps(body), headers=headers) as response:
        response.raise_for_status()
        return await response.json()


def _session(corner: Corner) -> aiohttp.ClientSession:
    """Authenticated as the administrator, by the kubeconfig's client certificate."""
    context = ssl.create_default_context(cafile=str(corner.authority()))
    user = yaml.safe_load(corner.control_plane.kubeconfig.read_text())["users"][0]["user"]
    pair = Path(corner.log.with_suffix(".pem"))
    pair.write_bytes(corner.decoded(user["client-certificate-data"]) + corner.decoded(user["client-key-data"]))
    context.load_cert_chain(pair)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=CONCURRENCY))


def _operated(corner: Corner, count: int) -> float:
    """Seconds from the first Job of the backlog to the last. The operator's start is not counted."""
    asyncio.run(_fill(corner, count))
    corner.operator()
    first: float | None = None
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while time.monotonic() < deadline:
        jobs = _count_jobs(corner)
        first = first or (time.monotonic() if jobs else None)
        if first and jobs >= count:
            return time.monotonic() - first
        time.sleep(POLL_SECONDS)
    raise SystemExit(
        f"only {_count_jobs(corner)} of {count} Jobs within {TIME_LIMIT_SECONDS} s:\n{corner.log.read_text()[-2000:]}"
    )


async def _fill(corner: Corner, count: int) -> None:
    corner.queue()
    gate = asyncio.Semaphore(CONCURRENCY)
    async with QueueClient.from_connection_string(corner.azurite.connection_string, corner.name) as queue:

        async def send() -> None:
            async with gate:
                await queue.send_message(MESSAGE)

        await asyncio.gather(*(send() for _ in range(count)))


def _count_jobs(corner: Corner) -> int:
    """Counted by the server: the one item that is asked for, and the number of the others."""
    path = f"/apis/batch/v1/namespaces/{corner.name}/jobs?limit=1"
    page = json.loads(corner.kubectl("get", "--raw", path))
    return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))
