"""The operator's Kubernetes API calls, one method for each: TrainingJobs, Jobs, pods, Secrets, Events, Leases."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from vott_operator.api import constants as c
from vott_operator.api import names
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.rest import JSON_PATCH, MERGE_PATCH, Body, RestClient
from vott_operator.cluster.store import Kind
from vott_operator.errors import AlreadyExistsError, ClusterError, ConflictError, InvalidObjectError, NotFoundError

CONFLICT = 409


class Cluster:
    """A connection to one cluster. Open with `connect`, end with `close`. Every method may raise ClusterError."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    @classmethod
    async def connect(cls) -> "Cluster":
        """Connect as the pod's service account or by the kubeconfig. Raises ClusterError when there is neither."""
        return cls(await RestClient.connect())

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    # ------------------------------------------------------------------------------------------------------ namespaces

    async def serves_trainingjobs(self) -> bool:
        """Whether the CustomResourceDefinition is installed and served."""
        return any(group["name"] == c.GROUP for group in (await self._rest.send("GET", "apis"))["groups"])

    async def namespace_phase(self, name: str) -> str:
        """Active or Terminating. Raises NotFoundError."""
        namespace = await self._rest.send("GET", f"api/v1/namespaces/{name}")
        return str(namespace.get("status", {}).get("phase", ""))

    async def list_metadata(self, kind: Kind, namespace: str) -> AsyncIterator[Body]:
        """The metadata of all TrainingJobs of a namespace, or of their Jobs or pods."""
        path, query = _trainingjobs(namespace), ""
        if kind != Kind.TRAININGJOB:
            path = _jobs(namespace) if kind == Kind.JOB else _pods(namespace)
            query = f"labelSelector={quote(c.LABEL_TRAININGJOB)}"
        async for item in self._rest.list_pages(path, query, metadata_only=True):
            yield item["metadata"]

    # ---------------------------------------------------------------------------------------------------- TrainingJobs

    async def create_trainingjob(self, manifest: Mapping[str, Any]) -> TrainingJob:
        """Create and return it. Raises AlreadyExistsError."""
        return _parse(await self._rest.send("POST", _trainingjobs(manifest["metadata"]["namespace"]), manifest))

    async def read_trainingjob(self, key: Key) -> TrainingJob:
        """Read one. Raises NotFoundError."""
        return _parse(await self._rest.send("GET", _trainingjob(key)))

    async def patch_status(self, trainingjob: TrainingJob, status: Mapping[str, Any]) -> TrainingJob:
        """Set these fields of the status.

        Raises:
            NotFoundError: it was deleted, perhaps replaced by another of its name.
            ConflictError: its phase is no longer that of `trainingjob`, or it changed after its end: an end is final.
        """
        # While it runs the trainer patches the status too, so only an ended TrainingJob can be required to be unchanged.
        tests = {"/status/phase": trainingjob.status.phase}
        if trainingjob.finished:
            tests["/metadata/resourceVersion"] = trainingjob.metadata.resource_version
        changes = {f"/status/{field}": value for field, value in status.items()}
        return await self._patch(trainingjob, f"{_trainingjob(trainingjob.key)}/status", tests, changes)

    async def patch_metadata(
        self,
        trainingjob: TrainingJob,
        *,
        finalizers: Sequence[str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> TrainingJob:
        """Replace the finalizers and set annotations. Raises NotFoundError, and ConflictError when it changed meanwhile."""
        metadata: Body = {"resourceVersion": trainingjob.metadata.resource_version}
        if finalizers is not None:
            metadata["finalizers"] = list(finalizers)
        if annotations:
            metadata["annotations"] = dict(annotations)
        path = _trainingjob(trainingjob.key)
        try:
            return _parse(await self._rest.send("PATCH", path, {"metadata": metadata}, MERGE_PATCH))
        except ClusterError as error:
            if error.status != CONFLICT:
                raise
            raise ConflictError(f"{trainingjob.key} changed meanwhile", error.status, error.answer) from None

    async def _patch(
        self, trainingjob: TrainingJob, path: str, tests: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> TrainingJob:
        """Patch the TrainingJob with this uid if `tests` hold.

        A JSON patch (RFC 6902), because a merge patch of the status subresource ignores the uid.
        """
        uid = {"/metadata/uid": trainingjob.metadata.uid}
        body = [{"op": "test", "path": field, "value": value} for field, value in (uid | dict(tests)).items()]
        body += [{"op": "add", "path": field, "value": value} for field, value in changes.items()]
        try:
            return _parse(await self._rest.send("PATCH", path, body, JSON_PATCH))
        except InvalidObjectError as error:
            current = await self.read_trainingjob(trainingjob.key)
            if current.metadata.uid != trainingjob.metadata.uid:
                raise NotFoundError(f"{trainingjob.key} was replaced by another of its name", error.status) from None
            if current.metadata.resource_version != trainingjob.metadata.resource_version:
                raise ConflictError(f"{trainingjob.key} changed meanwhile", error.status, error.answer) from None
            raise

    async def delete_trainingjob(self, trainingjob: TrainingJob) -> None:
        """Delete by uid, and with it everything it owns; not found is success."""
        await self._delete(_trainingjob(trainingjob.key), trainingjob.metadata.uid)

    # ---------------------------------------------------------------------------------------------------- Jobs and pods

    async def create_job(self, manifest: Mapping[str, Any], *, strict: bool = False) -> Body:
        """Create a batch/v1 Job.

        Args:
            manifest: the Job.
            strict: refuse unknown fields. Costs a fifth of the throughput, so only for manifests with a user's podTemplate.

        Raises:
            AlreadyExistsError: a Job of this name exists.
            InvalidObjectError: the API server will never accept the manifest.
        """
        path = _jobs(manifest["metadata"]["namespace"])
        return await self._rest.send("POST", path, manifest, query="&fieldValidation=Strict" if strict else "")

    async def read_job(self, key: Key) -> Body:
        """Read the Job of a TrainingJob's name, by any owner. Raises NotFoundError."""
        return await self._rest.send("GET", _job(key))

    async def suspend_job(self, key: Key, suspend: bool) -> Body:
        """Set spec.suspend of a Job."""
        return await self._rest.send("PATCH", _job(key), {"spec": {"suspend": suspend}}, MERGE_PATCH)

    async def delete_job(self, key: Key, uid: str) -> None:
        """Delete by uid; not found is success. The pods get their grace period."""
        await self._delete(_job(key), uid)

    async def list_pods(self, key: Key) -> list[Body]:
        """The pods of one TrainingJob."""
        query = f"labelSelector={quote(f'{c.LABEL_TRAININGJOB}={key.name}')}"
        return [pod async for pod in self._rest.list_pages(_pods(key.namespace), query)]

    # --------------------------------------------------------------------------------------------- Services and Secrets

    async def create_service(self, manifest: Mapping[str, Any]) -> None:
        """Create a Service, see `create_secret`."""
        await self._create_owned("services", manifest)

    async def create_secret(self, manifest: Mapping[str, Any]) -> None:
        """Create a Secret; one with the same owner is success.

        Raises:
            AlreadyExistsError: one of this name belongs to no TrainingJob.
            ClusterError: an earlier TrainingJob owns it, and garbage collection will delete it; try again.
        """
        await self._create_owned("secrets", manifest)

    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:
        """Read the Secret's data, decoded. Raises NotFoundError."""
        secret = await self._rest.send("GET", f"api/v1/namespaces/{namespace}/secrets/{name}")
        data = secret.get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace").strip() for key, value in data.items()}

    # ------------------------------------------------------------------------------------------------ Events and Leases

    async def create_event(self, manifest: Mapping[str, Any]) -> None:
        """Create a core/v1 Event; one of this name is success."""
        with suppress(AlreadyExistsError):
            await self._rest.send("POST", _events(manifest["metadata"]["namespace"]), manifest)

    async def list_events(self, namespace: str, field_selector: str) -> AsyncIterator[Body]:
        """The core/v1 Events that match a field selector."""
        async for event in self._rest.list_pages(_events(namespace), f"fieldSelector={quote(field_selector)}"):
            yield event

    async def read_lease(self, key: Key) -> Body:
        """Read a coordination.k8s.io/v1 Lease. Raises NotFoundError."""
        return await self._rest.send("GET", f"{_leases(key.namespace)}/{key.name}")

    async def create_lease(self, lease: Body) -> None:
        """Create a Lease. Raises AlreadyExistsError."""
        await self._rest.send("POST", _leases(lease["metadata"]["namespace"]), lease)

    async def replace_lease(self, lease: Body) -> Body:
        """Replace a Lease, and return it. Raises ClusterError (409) when it changed since it was read."""
        return await self._rest.send(
            "PUT", f"{_leases(lease['metadata']['namespace'])}/{lease['metadata']['name']}", lease
        )

    # ----------------------------------------------------------------------------------------------------- RoleBindings

    async def read_role_binding(self, key: Key) -> Body:
        """Read a rbac.authorization.k8s.io/v1 RoleBinding. Raises NotFoundError."""
        return await self._rest.send("GET", _role_binding(key))

    async def set_role_binding_finalizers(self, key: Key, resource_version: str, finalizers: Sequence[str]) -> None:
        """Replace its finalizers. Raises ClusterError (409) when it changed since it was read."""
        metadata = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        await self._rest.send("PATCH", _role_binding(key), {"metadata": metadata}, MERGE_PATCH)

    # --------------------------------------------------------------------------------------------------------- shared

    async def _create_owned(self, plural: str, manifest: Mapping[str, Any]) -> None:
        metadata = manifest["metadata"]
        path = f"api/v1/namespaces/{metadata['namespace']}/{plural}"
        try:
            await self._rest.send("POST", path, manifest)
        except AlreadyExistsError:
            existing = await self._rest.send("GET", f"{path}/{metadata['name']}")
            owners = {item["uid"]: item["kind"] for item in existing["metadata"].get("ownerReferences") or ()}
            if owners.keys() == {item["uid"] for item in metadata["ownerReferences"]}:
                return
            if c.KIND not in owners.values():
                raise
            # The garbage collector is about to delete it.
            raise ClusterError(f"{plural} {metadata['name']} of an earlier TrainingJob still exists") from None

    async def _delete(self, path: str, uid: str) -> None:
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._rest.send("DELETE", path, body)
        except NotFoundError:
            return
        except ClusterError as error:
            if error.status != CONFLICT:  # another uid
                raise


def _trainingjobs(namespace: str) -> str:
    return f"apis/{c.API_VERSION}/namespaces/{namespace}/{c.PLURAL}"


def _trainingjob(key: Key) -> str:
    return f"{_trainingjobs(key.namespace)}/{key.name}"


def _jobs(namespace: str) -> str:
    return f"apis/batch/v1/namespaces/{namespace}/jobs"


def _job(key: Key) -> str:
    return f"{_jobs(key.namespace)}/{names.job(key.name)}"


def _pods(namespace: str) -> str:
    return f"api/v1/namespaces/{namespace}/pods"


def _events(namespace: str) -> str:
    return f"api/v1/namespaces/{namespace}/events"


def _leases(namespace: str) -> str:
    return f"apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _role_binding(key: Key) -> str:
    return f"apis/rbac.authorization.k8s.io/v1/namespaces/{key.namespace}/rolebindings/{key.name}"


def _parse(body: Body) -> TrainingJob:
    try:
        return TrainingJob.model_validate(body)
    except ValidationError as error:
        fields = ", ".join(
            ".".join(map(str, item["loc"])) for item in error.errors(include_input=False, include_url=False)
        )
        raise ClusterError(
            f"a TrainingJob does not match the schema ({fields}); is the CustomResourceDefinition of this version?"
        ) from None
