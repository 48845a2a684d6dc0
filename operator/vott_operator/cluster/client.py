"""The only module that calls the Kubernetes API.

It sends plain manifests over `kubernetes.aio`'s connection (its authentication, TLS and pooling), and turns every failure
into one of `errors.py`.
"""

import base64
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from kubernetes.aio import client, config
from pydantic import ValidationError

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.names import Key
from vott_operator.api.times import parse_timestamp, timestamp
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.decisions.events import Event
from vott_operator.errors import AlreadyExistsError, ClusterError, ConflictError, InvalidObjectError, NotFoundError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5
REQUEST_SECONDS = 30
PAGE = 250
"""Objects that are listed at once: their whole text and all that is read from it are in memory together."""
TRAININGJOBS = f"apis/{c.API_VERSION}"
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
IN_A_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()


Body = dict[str, Any]


class Cluster:
    """A connection to one cluster. Make it with `await Cluster.connect()`, end it with `close()`."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> "Cluster":
        """Connect as the pod's service account, or as the user's kubeconfig says. Raises ClusterError when there is neither."""
        configuration = client.Configuration()
        # Else aiohttp looks into ~/.netrc before each request, in a thread.
        configuration.client_session_kwargs = {"trust_env": False}
        kubeconfig = os.environ.get("KUBECONFIG")
        try:
            if IN_A_POD and not kubeconfig:
                config.load_incluster_config(configuration)
            else:
                # Named here, because the library looks at the environment once, when it is imported.
                await config.load_kube_config(kubeconfig, client_configuration=configuration)
        except config.ConfigException as error:
            raise ClusterError(f"no cluster to talk to: {error}; set KUBECONFIG, or run in a pod") from None
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def create_trainingjob(self, manifest: Mapping[str, Any]) -> TrainingJob:
        """Create it and return it as the server sees it. Raises AlreadyExistsError when there is one of that name."""
        path = f"{TRAININGJOBS}/namespaces/{manifest['metadata']['namespace']}/{c.PLURAL}"
        return _read(await self._send("POST", path, manifest))

    async def list_trainingjobs(self, namespace: str) -> AsyncIterator[TrainingJob]:
        """All of a namespace. Those that can't be read are left out: a watch tells of them, too."""
        async for item in self._list(f"{TRAININGJOBS}/namespaces/{namespace}/{c.PLURAL}"):
            with suppress(ValidationError):
                yield TrainingJob.model_validate(item)

    async def read_trainingjob(self, key: Key) -> TrainingJob:
        """Read it. Raises NotFoundError."""
        return _read(await self._send("GET", _trainingjob(key)))

    async def patch_status(self, trainingjob: TrainingJob, status: Mapping[str, Any]) -> TrainingJob:
        """Set these fields of that very TrainingJob's status.

        Raises NotFoundError when it is gone, also when another of the same name is there, and ConflictError when it is in another
        phase than the caller believes: a terminal one is never left.
        """
        # While it trains the trainer writes, too, so the whole object can't be asked to be unchanged.
        tests = {"/status/phase": trainingjob.status.phase}
        if trainingjob.finished:
            tests["/metadata/resourceVersion"] = trainingjob.metadata.resource_version
        changes = {f"/status/{field}": value for field, value in status.items()}
        return await self._change(trainingjob, f"{_trainingjob(trainingjob.key)}/status", tests, changes)

    async def set_finalizers(self, trainingjob: TrainingJob, finalizers: Sequence[str]) -> TrainingJob:
        """Set the finalizers of that very TrainingJob, as it was read. Raises NotFoundError when it is gone.

        Raises ConflictError when it changed in between.
        """
        tests = {"/metadata/resourceVersion": trainingjob.metadata.resource_version}
        changes = {"/metadata/finalizers": list(finalizers)}
        return await self._change(trainingjob, _trainingjob(trainingjob.key), tests, changes)

    async def _change(
        self, trainingjob: TrainingJob, path: str, tests: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> TrainingJob:
        """Patch the TrainingJob with this uid if `tests` hold.

        A JSON patch (RFC 6902), because a merge patch of the status subresource ignores the uid.
        """
        uid = {"/metadata/uid": trainingjob.metadata.uid}
        body = [{"op": "test", "path": field, "value": value} for field, value in (uid | dict(tests)).items()]
        body += [{"op": "add", "path": field, "value": value} for field, value in changes.items()]
        try:
            return _read(await self._send("PATCH", path, body, JSON_PATCH))
        except InvalidObjectError as error:
            current = await self.read_trainingjob(trainingjob.key)
            if current.metadata.uid != trainingjob.metadata.uid:
                raise NotFoundError(f"{trainingjob.key} was replaced by another of its name", error.status) from None
            if current.metadata.resource_version != trainingjob.metadata.resource_version:
                raise ConflictError(f"{trainingjob.key} changed meanwhile", error.status, error.answer) from None
            raise

    async def delete_trainingjob(self, trainingjob: TrainingJob) -> None:
        """Delete that very TrainingJob, and by its ownership all that it made. One that is gone is as good."""
        await self._delete(_trainingjob(trainingjob.key), trainingjob.metadata.uid)

    async def create_job(self, manifest: Mapping[str, Any], *, strict: bool = False) -> Body:
        """Create a batch/v1 Job. Raises AlreadyExistsError; when `strict`, InvalidObjectError also for a field that there is not.

        That check costs a fifth of the rate of a backlog, so it is for manifests with somebody else's fields in them.
        """
        path = f"apis/batch/v1/namespaces/{manifest['metadata']['namespace']}/jobs"
        return await self._send("POST", path, manifest, query="&fieldValidation=Strict" if strict else "")

    async def delete_job(self, key: Key, uid: str) -> None:
        """Delete that very Job; its pods end with their grace period. One that is gone is as good."""
        path = f"apis/batch/v1/namespaces/{key.namespace}/jobs/{names.job(key.name)}"
        await self._delete(path, uid)

    async def create_service(self, manifest: Mapping[str, Any]) -> None:
        """Create a Service; one that its owner has already is as good.

        Raises AlreadyExistsError when it is somebody else's, and ClusterError when it is an earlier TrainingJob's.
        """
        await self._create_owned("services", manifest)

    async def read_job(self, key: Key) -> Body:
        """The Job of a TrainingJob's name, whoever owns it. Raises NotFoundError."""
        return await self._send("GET", f"apis/batch/v1/namespaces/{key.namespace}/jobs/{names.job(key.name)}")

    async def list_jobs(self, namespace: str) -> AsyncIterator[Body]:
        """All Jobs of TrainingJobs in a namespace."""
        async for job in self._list(
            f"apis/batch/v1/namespaces/{namespace}/jobs", f"labelSelector={quote(c.LABEL_TRAININGJOB)}"
        ):
            yield job

    async def list_all_pods(self, namespace: str) -> AsyncIterator[Body]:
        """All pods of TrainingJobs in a namespace."""
        async for pod in self._list(
            f"api/v1/namespaces/{namespace}/pods", f"labelSelector={quote(c.LABEL_TRAININGJOB)}"
        ):
            yield pod

    async def list_pods(self, key: Key) -> list[Body]:
        """All pods of one TrainingJob."""
        selector = quote(f"{c.LABEL_TRAININGJOB}={key.name}")
        return [pod async for pod in self._list(f"api/v1/namespaces/{key.namespace}/pods", f"labelSelector={selector}")]

    async def suspend_job(self, key: Key, suspend: bool) -> Body:
        """Set a Job's spec.suspend."""
        path = f"apis/batch/v1/namespaces/{key.namespace}/jobs/{names.job(key.name)}"
        return await self._send("PATCH", path, {"spec": {"suspend": suspend}}, MERGE_PATCH)

    async def create_secret(self, manifest: Mapping[str, Any]) -> None:
        """Create a Secret; one that its owner has already is as good.

        Raises AlreadyExistsError when it is somebody else's, and ClusterError when it is an earlier TrainingJob's.
        """
        await self._create_owned("secrets", manifest)

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:
        """The Secret's data, decoded. Raises NotFoundError."""
        secret = await self._send("GET", f"api/v1/namespaces/{namespace}/secrets/{name}")
        data = secret.get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace").strip() for key, value in data.items()}

    async def create_event(self, trainingjob: TrainingJob, note: Event, now: datetime) -> None:
        """Record an Event about the TrainingJob; the same one is recorded once."""
        try:
            await self._send(
                "POST", f"api/v1/namespaces/{trainingjob.metadata.namespace}/events", _event(trainingjob, note, now)
            )
        except AlreadyExistsError:
            return

    async def refusal_of_pods(self, namespace: str, job_uid: str, since: datetime) -> str:
        """The newest Event since then in which that Job says why it can't make a pod; empty where there is none."""
        selector = quote(f"involvedObject.uid={job_uid},reason=FailedCreate")
        path, query = f"api/v1/namespaces/{namespace}/events", f"fieldSelector={selector}"
        events = [event async for event in self._list(path, query)]
        newest = max(events, key=lambda event: str(event.get("lastTimestamp") or ""), default={})
        return str(newest.get("message") or "") if parse_timestamp(newest.get("lastTimestamp"), since) >= since else ""

    async def read_lease(self, key: Key) -> Body:
        """A coordination.k8s.io/v1 Lease. Raises NotFoundError."""
        return await self._send("GET", _lease(key))

    async def create_lease(self, lease: Body) -> None:
        """Create a Lease. Raises AlreadyExistsError."""
        await self._send("POST", _lease(Key(lease["metadata"]["namespace"], "")).rstrip("/"), lease)

    async def replace_lease(self, lease: Body) -> None:
        """Write a Lease that was read. Raises ClusterError (409) when it changed in between."""
        await self._send("PUT", _lease(Key(lease["metadata"]["namespace"], lease["metadata"]["name"])), lease)

    async def _create_owned(self, plural: str, manifest: Mapping[str, Any]) -> None:
        metadata = manifest["metadata"]
        path = f"api/v1/namespaces/{metadata['namespace']}/{plural}"
        try:
            await self._send("POST", path, manifest)
        except AlreadyExistsError:
            existing = await self._send("GET", f"{path}/{metadata['name']}")
            owners = {item["uid"]: item["kind"] for item in existing["metadata"].get("ownerReferences") or ()}
            if owners.keys() == {item["uid"] for item in metadata["ownerReferences"]}:
                return
            if c.KIND not in owners.values():
                raise
            # The garbage collector is about to remove it.
            raise ClusterError(f"{plural} {metadata['name']} of an earlier TrainingJob is still there") from None

    async def _delete(self, path: str, uid: str) -> None:
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._send("DELETE", path, body)
        except NotFoundError:
            return
        except ClusterError as error:
            if error.status != 409:  # another of the same name
                raise

    async def _list(self, path: str, query: str = "") -> AsyncIterator[Body]:
        token = ""  # nosec B105 # the first page
        while True:
            page = await self._send("GET", f"{path}?limit={PAGE}&{query}{f'&continue={quote(token)}' if token else ''}")
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | list[Body] | None = None,
        content_type: str = JSON,
        query: str = "",
    ) -> Body:
        query = "" if method == "GET" else f"?fieldManager={c.FIELD_MANAGER}{query}"
        headers = {"Accept": "application/json", "Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=CONNECT_SECONDS)
        try:
            await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            url = f"{self._api.configuration.host}/{path}{query}"
            response = await self._api.call_api(method, url, headers, body, _request_timeout=timeout)
            data = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError, config.ConfigException) as error:
            raise ClusterError(
                f"{method} {path}: the Kubernetes API did not answer ({error or type(error).__name__})"
            ) from error
        if not 200 <= response.status < 300:
            raise _error(f"{method} {path}", response.status, data)
        try:
            result: Body = json.loads(data)
        except ValueError:
            raise ClusterError(f"{method} {path}: the answer is not JSON; is that the Kubernetes API?") from None
        return result


async def try_to_record(cluster: Cluster, trainingjob: TrainingJob, note: Event, now: datetime) -> None:
    """Record an Event about the TrainingJob; one that can't be recorded is logged, for nothing depends on it."""
    try:
        await cluster.create_event(trainingjob, note, now)
    except ClusterError as error:
        logger.warning("%s: Event %s not recorded: %s", trainingjob.key, note.reason, error)


def _trainingjob(key: Key) -> str:
    return f"{TRAININGJOBS}/namespaces/{key.namespace}/{c.PLURAL}/{key.name}"


def _read(answer: Body) -> TrainingJob:
    try:
        return TrainingJob.model_validate(answer)
    except ValidationError as error:  # the CustomResourceDefinition is older or newer than this operator
        fields = ", ".join(
            ".".join(map(str, item["loc"])) for item in error.errors(include_input=False, include_url=False)
        )
        raise ClusterError(
            f"a TrainingJob can't be read ({fields}): is the CustomResourceDefinition this version's?"
        ) from None


def _lease(key: Key) -> str:
    return f"apis/coordination.k8s.io/v1/namespaces/{key.namespace}/leases/{key.name}"


def _error(request: str, status: int, data: bytes) -> ClusterError:
    try:
        answer = json.loads(data)
        text, reason = str(answer.get("message", "")), str(answer.get("reason", ""))
    except (ValueError, AttributeError):
        text, reason = data[:200].decode(errors="replace"), ""
    message = f"{request}: {status} {text}"
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExistsError(message, status, text)
    classes = {400: InvalidObjectError, 404: NotFoundError, 422: InvalidObjectError}
    return classes.get(status, ClusterError)(message, status, text)


def _event(trainingjob: TrainingJob, note: Event, now: datetime) -> dict[str, Any]:
    metadata = trainingjob.metadata
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": names.event(metadata.uid, note.reason, note.message), "namespace": metadata.namespace},
        "involvedObject": {
            "apiVersion": c.API_VERSION,
            "kind": c.KIND,
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
        },
        "type": note.type,
        "reason": note.reason,
        "message": note.message[:1024],
        "source": {"component": c.FIELD_MANAGER},
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
    }
