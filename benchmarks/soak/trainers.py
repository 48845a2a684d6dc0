"""The kubelet and the trainers of all pods, simulated: each pod runs, reports a model, and succeeds."""

import asyncio
import json
import ssl
from collections import Counter
from types import TracebackType
from typing import Any, Self

import aiohttp

from benchmarks.bare_client import MERGE

Object = dict[str, Any]
RETRY_SECONDS = 0.5
MODEL = {"url": "https://store/models/model.tgz", "sha256": "ab" * 32, "sizeBytes": 1}
START = "2026-01-01T00:00:00Z"


class SimulatedTrainers:
    """Ends each pod of a namespace successfully, `seconds` after it was created. Counts TrainingJobs by message.

    Use it as an async context manager.
    """

    def __init__(self, server: str, credentials: ssl.SSLContext, namespace: str, seconds: float) -> None:
        self.created: Counter[str] = Counter()
        """TrainingJobs by the id of their message."""
        self._session = aiohttp.ClientSession(server, connector=aiohttp.TCPConnector(ssl=credentials))
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._trainingjobs = f"/apis/vott.dev/v1alpha1/namespaces/{namespace}/trainingjobs"
        self._seconds = seconds
        self._uids: dict[str, set[str]] = {self._pods: set(), self._trainingjobs: set()}
        self._trainings: set[asyncio.Task[None]] = set()
        self._watches: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._watches = [asyncio.create_task(self._follow(path)) for path in self._uids]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._watches, *self._trainings]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    async def _follow(self, path: str) -> None:
        """List and watch, again after each error: the API server is killed now and then."""
        while True:
            try:
                await self._list_and_watch(path)
            except (aiohttp.ClientError, OSError, ValueError, KeyError):
                await asyncio.sleep(RETRY_SECONDS)

    async def _list_and_watch(self, path: str) -> None:
        async with self._session.get(path) as response:
            page = await response.json()
        for item in page["items"]:
            self._see(path, item)
        query = {"watch": "1", "resourceVersion": page["metadata"]["resourceVersion"]}
        async with self._session.get(path, params=query, timeout=aiohttp.ClientTimeout(sock_connect=5)) as events:
            async for line in events.content:
                event = json.loads(line)
                if event["type"] == "ADDED":
                    self._see(path, event["object"])
                elif event["type"] == "DELETED":
                    self._uids[path].discard(event["object"]["metadata"]["uid"])
                elif event["type"] == "ERROR":
                    return

    def _see(self, path: str, item: Object) -> None:
        metadata = item["metadata"]
        if metadata["uid"] in self._uids[path]:
            return
        self._uids[path].add(metadata["uid"])
        if path == self._trainingjobs:
            self.created[metadata["annotations"]["vott.dev/message-id"]] += 1
            return
        task = asyncio.create_task(self._train(metadata["name"], metadata["labels"]["vott.dev/trainingjob"]))
        self._trainings.add(task)
        task.add_done_callback(self._trainings.discard)

    async def _train(self, pod: str, trainingjob: str) -> None:
        await self._patch_pod(pod, "Running", {"running": {"startedAt": START}})
        await asyncio.sleep(self._seconds)
        status = {"progress": {"percent": 100, "epochCurrent": 1, "epochTotal": 1}, "model": MODEL}
        await self._patch(f"{self._trainingjobs}/{trainingjob}/status", {"status": status})
        await self._patch_pod(pod, "Succeeded", {"terminated": {"exitCode": 0, "reason": "Completed"}})

    async def _patch_pod(self, name: str, phase: str, state: Object) -> None:
        container = {"name": "trainer", "image": "trainer:1", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": phase, "startTime": START, "containerStatuses": [container | {"state": state}]}
        await self._patch(f"{self._pods}/{name}/status", {"status": status})

    async def _patch(self, path: str, body: Object) -> None:
        """Patch until the API server answers; an object that is gone needs no patch."""
        while True:
            try:
                async with self._session.patch(path, data=json.dumps(body), headers=MERGE) as response:
                    if response.status < 500 and response.status != 429:
                        return
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(RETRY_SECONDS)
