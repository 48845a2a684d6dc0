"""The order in which a plan is applied, and what the Store holds afterwards, with a fake cluster."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.support.observed_state import JUST_NOW, NOW, complete_status, job, observed, trainingjob
from vott_operator.api import constants as c
from vott_operator.api.names import Key
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.cluster.applier import PlanApplier
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.role_binding import RoleBindingFinalizers
from vott_operator.cluster.store import Kind, Store
from vott_operator.decisions.plan import Plan
from vott_operator.decisions.transition_events import Event
from vott_operator.errors import AlreadyExistsError, ClusterError

MANIFEST: dict[str, Any] = {"metadata": {"name": "cats", "namespace": "training"}, "spec": {}}
ANOTHER_FINALIZER = "other.dev/x"


class FakeCluster:
    """Records the requests, and answers as the API server does."""

    def __init__(self, **errors: ClusterError) -> None:
        self.requests: list[str] = []
        self._errors = errors

    def _record(self, request: str) -> None:
        self.requests.append(request)
        if error := self._errors.get(request):
            raise error

    async def create_service(self, _: Mapping[str, Any]) -> None:
        self._record("create_service")

    async def create_job(self, manifest: Mapping[str, Any], *, strict: bool = False) -> Mapping[str, Any]:  # noqa: ARG002
        self._record("create_job")
        return manifest

    async def read_job(self, _: Key) -> Mapping[str, Any]:
        self._record("read_job")
        return MANIFEST

    async def create_event(self, _: Mapping[str, Any]) -> None:
        self._record("create_event")

    async def patch_status(self, tj: TrainingJob, status: Mapping[str, Any]) -> TrainingJob:
        self._record("patch_status")
        return tj.model_copy(update={"status": tj.status.model_validate({**tj.status.to_api(), **status})})

    async def delete_job(self, *_: Any) -> None:
        self._record("delete_job")

    async def delete_trainingjob(self, _: TrainingJob) -> None:
        self._record("delete_trainingjob")

    async def patch_metadata(self, tj: TrainingJob, **changes: Any) -> TrainingJob:
        self._record("patch_metadata")
        set_fields = {name: value for name, value in changes.items() if value is not None}
        return tj.model_copy(update={"metadata": tj.metadata.model_validate(tj.metadata.to_api() | set_fields)})


class Harness:
    """An applier, its cluster, and the TrainingJobs that it reports as finished."""

    def __init__(self, tj: TrainingJob, **errors: ClusterError) -> None:
        self.cluster = FakeCluster(**errors)
        self.store = Store(NOW)
        self.store.put_trainingjob(tj)
        self.finished: list[Key] = []
        cluster = cast("Cluster", self.cluster)
        bindings = RoleBindingFinalizers(cluster, self.store, "", tj.metadata.namespace)
        self._applier = PlanApplier(cluster, self.store, bindings, lambda: NOW, self.finished.append)
        self._trainingjob = tj

    async def apply(self, plan: Plan) -> float | None:
        return await self._applier.apply(observed(self._trainingjob, job()), plan)


async def test_events_come_before_the_status_and_the_job_is_deleted_last() -> None:
    harness = Harness(trainingjob())
    event = Event("Warning", "NodeLost", "Message.")
    plan = Plan(events=(event,), status={"reason": "NodeLost"}, delete_job=True, requeue_seconds=5.0)
    assert await harness.apply(plan) == 5.0
    assert harness.cluster.requests == ["create_event", "patch_status", "delete_job"]
    stored = harness.store.trainingjob(trainingjob().key)
    assert stored is not None
    assert stored.status.reason == "NodeLost"


async def test_an_event_that_cannot_be_recorded_does_not_hold_the_status() -> None:
    harness = Harness(trainingjob(), create_event=ClusterError("forbidden", 403))
    await harness.apply(Plan(events=(Event("Normal", "R", "M."),), status={"reason": "R"}))
    assert harness.cluster.requests == ["create_event", "patch_status"]


async def test_an_event_in_a_namespace_that_is_being_deleted_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    answer = "unable to create new content in namespace training because it is being terminated"
    plan = Plan(events=(Event("Normal", "R", "M."),))
    for text in (answer, "forbidden"):
        await Harness(trainingjob(), create_event=ClusterError(text, 403, text)).apply(plan)
    assert caplog.messages == ["Event not recorded: forbidden"]


async def test_the_service_is_created_before_the_job() -> None:
    harness = Harness(trainingjob())
    assert await harness.apply(Plan(create_service=MANIFEST, create_job=MANIFEST)) == 0.0
    assert harness.cluster.requests == ["create_service", "create_job"]
    assert harness.store.stored(Kind.JOB, trainingjob().key.namespace) == {(trainingjob().key, "")}


async def test_a_job_that_exists_is_read_whoever_owns_it() -> None:
    harness = Harness(trainingjob(), create_job=AlreadyExistsError("exists", 409))
    assert await harness.apply(Plan(create_job=MANIFEST)) == 0.0
    assert harness.cluster.requests == ["create_job", "read_job"]
    assert harness.store.stored(Kind.JOB, trainingjob().key.namespace) == {(trainingjob().key, "")}


async def test_a_service_of_another_owner_fails_the_training_and_its_outcome_is_due() -> None:
    harness = Harness(trainingjob(), create_service=AlreadyExistsError("exists", 409))
    assert await harness.apply(Plan(create_service=MANIFEST, create_job=MANIFEST)) is None
    assert harness.cluster.requests == ["create_service", "create_event", "patch_status"]
    assert harness.finished == [trainingjob().key]


async def test_an_unexpected_error_is_left_to_the_work_queue() -> None:
    harness = Harness(trainingjob(), create_job=ClusterError("busy", 429))
    with pytest.raises(ClusterError, match="busy"):
        await harness.apply(Plan(create_job=MANIFEST))
    assert harness.cluster.requests == ["create_job"]


async def test_the_outcome_of_a_finished_training_is_due_unless_it_is_deleted() -> None:
    harness = Harness(trainingjob(status=complete_status()))
    await harness.apply(Plan())
    assert harness.finished == [trainingjob().key]
    await harness.apply(Plan(delete=True))
    assert (harness.cluster.requests, len(harness.finished)) == (["delete_trainingjob"], 1)


@pytest.mark.parametrize(
    ("deletion", "others", "is_stored"),
    [(JUST_NOW, [], False), (JUST_NOW, [ANOTHER_FINALIZER], True), (None, [], True)],
    ids=["deleted", "held by another finalizer", "not deleted"],
)
async def test_a_trainingjob_is_dropped_with_its_last_finalizer(
    deletion: str | None, others: list[str], is_stored: bool
) -> None:
    metadata = {"deletionTimestamp": deletion, "finalizers": [c.FINALIZER, *others]}
    harness = Harness(trainingjob(status=complete_status(), metadata=metadata))
    await harness.apply(Plan(remove_finalizer=True))
    stored = harness.store.trainingjob(trainingjob().key)
    assert (stored is not None) == is_stored
    assert stored is None or stored.metadata.finalizers == tuple(others)
