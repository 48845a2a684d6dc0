"""The operator's Kubernetes client against a real API server."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.kubectl import KubectlError
from tests.support.operator_harness import OperatorHarness
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import record_event
from vott_operator.cluster.store import Kind
from vott_operator.decisions.transition_events import Event
from vott_operator.errors import AlreadyExistsError, InvalidObjectError, NotFoundError

SPEC = {"annotations": {"url": "https://h/a"}, "model": {"url": "https://h/m"}}


def manifest(harness: OperatorHarness, name: str = "cats", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": harness.name}
    return {"apiVersion": "vott.dev/v1alpha1", "kind": "TrainingJob", "metadata": metadata, "spec": SPEC | spec}


async def test_each_api_error_has_its_exception(harness: OperatorHarness, cluster: Cluster) -> None:
    await cluster.create_trainingjob(manifest(harness))
    with pytest.raises(AlreadyExistsError):
        await cluster.create_trainingjob(manifest(harness))
    with pytest.raises(InvalidObjectError, match="must be an http"):
        await cluster.create_trainingjob(manifest(harness, "dogs", model={"url": "ftp://h/m"}))
    with pytest.raises(NotFoundError):
        await cluster.read_trainingjob(Key(harness.name, "nothing"))
    with pytest.raises(NotFoundError):
        await cluster.read_secret(harness.name, "nothing")


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/prefix/id.tgz", "https://h/p?x=y"])
async def test_model_and_annotations_may_be_in_a_bucket(harness: OperatorHarness, cluster: Cluster, url: str) -> None:
    created = await cluster.create_trainingjob(manifest(harness, model={"url": url}, annotations={"url": url}))
    assert created.spec.model.url == created.spec.annotations.url == url


@pytest.mark.parametrize(
    "spec",
    [
        {"model": {"url": "s3://user@bucket/p"}},
        {"model": {"url": "s3://bucket/p?q"}},
        {"model": {"url": "s3:///p"}},
        {"annotations": {"url": "gs://bucket/a.csv"}},
        {"callback": {"url": "s3://bucket/c"}},
    ],
    ids=["user", "query", "no bucket", "annotations", "callback"],
)
async def test_an_unusable_url_is_refused(harness: OperatorHarness, cluster: Cluster, spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidObjectError, match="must be an http"):
        await cluster.create_trainingjob(manifest(harness, **spec))


@pytest.mark.parametrize(
    "change",
    [
        {"plugin": "x"},
        {"parameters": {"epochs": 4}},
        {"backoffLimit": 1},
        {"model": {"url": "https://h/n"}},
        {"callback": {"url": "https://h/c"}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_spec_is_immutable(harness: OperatorHarness, cluster: Cluster, change: dict[str, Any]) -> None:
    await cluster.create_trainingjob(manifest(harness, parameters={"epochs": 3}))
    with pytest.raises(KubectlError, match=r"spec\.\w+ can't be changed"):
        harness.kubectl("patch", "trainingjob", "cats", "--type=merge", "--patch", json.dumps({"spec": change}))


async def test_a_status_is_not_written_to_a_recreated_trainingjob(harness: OperatorHarness, cluster: Cluster) -> None:
    old = await cluster.create_trainingjob(manifest(harness))
    harness.kubectl("delete", "trainingjob", "cats")
    await cluster.create_trainingjob(manifest(harness))
    with pytest.raises(NotFoundError, match="replaced by another"):
        await cluster.patch_status(old, {"phase": "Failed"})
    assert (await cluster.read_trainingjob(old.key)).status.phase == "Pending"


async def test_a_status_patch_keeps_the_trainers_fields(harness: OperatorHarness, cluster: Cluster) -> None:
    created = await cluster.create_trainingjob(manifest(harness))
    await cluster.patch_status(created, {"progress": {"percent": 7}})
    assert (await cluster.patch_status(created, {"phase": "Running"})).status.progress is not None


async def test_an_event_is_recorded_once(harness: OperatorHarness, cluster: Cluster) -> None:
    created = await cluster.create_trainingjob(manifest(harness))
    for _ in range(2):
        await record_event(cluster, created, Event("Warning", "Unschedulable", "No node."), datetime.now(UTC))
    events = harness.kubectl.list("events")
    assert [item["message"] for item in events if item["involvedObject"]["name"] == "cats"] == ["No node."]


async def test_listing_reads_all_pages(
    harness: OperatorHarness, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vott_operator.cluster.rest.METADATA_PAGE_SIZE", 2)
    for number in range(5):
        await cluster.create_trainingjob(manifest(harness, f"tj-{number}"))
    assert len([item async for item in cluster.list_metadata(Kind.TRAININGJOB, harness.name)]) == 5
