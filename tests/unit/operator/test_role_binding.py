"""The finalizer on the operator's RoleBinding: when it is set and removed, and how often that costs a request."""

import asyncio
from typing import Any, cast

import pytest

from tests.support.observed_state import NOW, trainingjob
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.role_binding import RETRY_SECONDS, VERIFY_SECONDS, RoleBindingFinalizers
from vott_operator.cluster.store import Store
from vott_operator.errors import ClusterError, NotFoundError

pytestmark = pytest.mark.looptime

TEAM = "training"
ANOTHER = "other.dev/x"
HELD = {"finalizers": [c.FINALIZER]}


class FakeCluster:
    """One RoleBinding."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] | None = {"resourceVersion": "1", "finalizers": [ANOTHER]}
        self.error: ClusterError | None = None
        self.reads = self.writes = 0

    async def read_role_binding(self, key: Key) -> dict[str, Any]:
        assert key == Key(TEAM, "vott-operator")
        self.reads += 1
        if self.error is not None:
            raise self.error
        return {"metadata": self.metadata}

    async def set_role_binding_finalizers(self, _: Key, version: str, finalizers: list[str]) -> None:
        await asyncio.sleep(1)
        self.writes += 1
        assert self.metadata is not None
        assert version == self.metadata["resourceVersion"]
        self.metadata = self.metadata | {"resourceVersion": str(int(version) + 1), "finalizers": finalizers}

    @property
    def is_held(self) -> bool:
        assert self.metadata is not None
        assert ANOTHER in self.metadata["finalizers"]
        return c.BINDING_FINALIZER in self.metadata["finalizers"]


class Harness:
    """RoleBindingFinalizers of one namespace."""

    def __init__(self, name: str = "vott-operator", own_namespace: str = "vott-train") -> None:
        self.cluster, self.store = FakeCluster(), Store(NOW)
        self.bindings = RoleBindingFinalizers(cast("Cluster", self.cluster), self.store, name, own_namespace)

    async def create(self) -> None:
        """Create a TrainingJob with the finalizer, as intake does."""
        async with self.bindings.hold(TEAM):
            assert self.cluster.is_held
            self.store.put_trainingjob(trainingjob(metadata=HELD))

    async def end(self) -> None:
        """The TrainingJob ends."""
        self.store.drop_trainingjob(trainingjob().key)
        await self.bindings.reconcile(TEAM)


async def test_it_is_set_before_the_first_trainingjob_gets_its_own_and_removed_after_the_last() -> None:
    harness = Harness()
    harness.bindings.listed(TEAM)
    await harness.create()
    await harness.bindings.reconcile(TEAM)
    assert harness.cluster.is_held
    await harness.end()
    assert not harness.cluster.is_held
    assert (harness.cluster.reads, harness.cluster.writes) == (2, 2)


async def test_a_trainingjob_that_is_created_while_it_is_removed_has_it_again() -> None:
    harness = Harness()
    harness.bindings.listed(TEAM)
    await harness.create()
    await asyncio.gather(harness.end(), harness.create())
    assert harness.cluster.is_held


async def test_further_trainingjobs_cost_no_request() -> None:
    harness = Harness()
    for _ in range(10):
        await harness.create()
    assert (harness.cluster.reads, harness.cluster.writes) == (1, 1)


async def test_it_is_not_removed_before_all_trainingjobs_are_known() -> None:
    harness = Harness()
    harness.cluster.metadata = {"resourceVersion": "1", "finalizers": [ANOTHER, c.BINDING_FINALIZER]}
    await harness.bindings.reconcile(TEAM)
    assert harness.cluster.is_held
    harness.bindings.listed(TEAM)
    await harness.bindings.reconcile(TEAM)
    assert not harness.cluster.is_held


async def test_one_that_another_program_replaced_gets_it_again() -> None:
    harness = Harness()
    await harness.create()
    harness.cluster.metadata = {"resourceVersion": "7", "finalizers": [ANOTHER]}
    assert await harness.bindings.reconcile(TEAM) == VERIFY_SECONDS
    assert not harness.cluster.is_held
    await asyncio.sleep(VERIFY_SECONDS)
    await harness.bindings.reconcile(TEAM)
    assert harness.cluster.is_held


@pytest.mark.parametrize("error", [NotFoundError("none", 404), ClusterError("forbidden", 403)])
async def test_trainings_go_on_without_a_role_binding(error: ClusterError, caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()
    harness.cluster.error = error
    for _ in range(2):
        async with harness.bindings.hold(TEAM):
            pass
    assert caplog.text.count("can't be held") == 1
    assert harness.cluster.reads == 1
    harness.cluster.error = None
    await asyncio.sleep(RETRY_SECONDS)
    await harness.create()
    assert harness.cluster.is_held


async def test_one_that_is_missing_and_not_needed_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    harness = Harness()
    harness.cluster.error = NotFoundError("none", 404)
    harness.bindings.listed(TEAM)
    await harness.bindings.reconcile(TEAM)
    assert (harness.cluster.reads, caplog.text) == (1, "")


async def test_one_that_is_being_deleted_gets_no_finalizer_but_loses_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    harness = Harness()
    deleted = {"resourceVersion": "1", "deletionTimestamp": "2026-01-01T12:00:00Z"}
    harness.cluster.metadata = deleted | {"finalizers": [ANOTHER]}
    async with harness.bindings.hold(TEAM):
        assert not harness.cluster.is_held
    harness.cluster.metadata = deleted | {"finalizers": [ANOTHER, c.BINDING_FINALIZER]}
    harness.bindings.listed(TEAM)
    await harness.bindings.reconcile(TEAM)
    assert not harness.cluster.is_held
    assert "RoleBinding released" in caplog.text


async def test_an_api_server_that_fails_holds_back_the_trainingjob() -> None:
    harness = Harness()
    harness.cluster.error = ClusterError("busy", 500)
    with pytest.raises(ClusterError, match="busy"):
        await harness.create()
    assert harness.store.keys(TEAM) == []


@pytest.mark.parametrize(("name", "own"), [("", "vott-train"), ("vott-operator", TEAM)], ids=["no name", "its own"])
async def test_there_is_nothing_to_hold_without_a_name_and_in_the_operators_own_namespace(name: str, own: str) -> None:
    harness = Harness(name, own)
    async with harness.bindings.hold(TEAM):
        assert await harness.bindings.reconcile(TEAM) is None
    assert harness.cluster.reads == 0
