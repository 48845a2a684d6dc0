"""The plan after the API server refused a Service or a Job."""

import pytest

from tests.support.observed_state import NOW, trainingjob
from vott_operator.decisions.plan import Plan
from vott_operator.decisions.refused_creation import FORBIDDEN_RETRY_SECONDS, plan_after_refusal
from vott_operator.errors import AlreadyExistsError, ClusterError, ConflictError, InvalidObjectError, NotFoundError


def plan_after(error: ClusterError) -> Plan:
    plan = plan_after_refusal(trainingjob(), error, NOW)
    assert plan is not None
    assert plan.status is not None
    return plan


def test_a_service_of_another_owner_fails_the_training() -> None:
    plan = plan_after(AlreadyExistsError("POST services: 409 exists", 409, "exists"))
    assert plan.status is not None
    assert (plan.status["phase"], plan.status["reason"]) == ("Failed", "ServiceNameTaken")
    assert plan.requeue_seconds is None


def test_an_invalid_job_fails_the_training_with_the_api_servers_message() -> None:
    plan = plan_after(InvalidObjectError("POST jobs: 422 spec.x: unknown", 422, "spec.x: unknown"))
    assert plan.status is not None
    assert (plan.status["phase"], plan.status["reason"]) == ("Failed", "InvalidSpec")
    assert [event.reason for event in plan.events] == ["InvalidSpec"]
    assert "spec.x: unknown" in plan.events[0].message


def test_a_forbidden_job_is_retried_later() -> None:
    plan = plan_after(ClusterError("POST jobs: 403 no", 403, "jobs.batch is forbidden: no"))
    assert plan.status is not None
    assert "phase" not in plan.status  # it stays Pending
    assert plan.status["reason"] == "JobNotCreated"
    assert plan.requeue_seconds == FORBIDDEN_RETRY_SECONDS


@pytest.mark.parametrize(
    "error",
    [ClusterError("no answer"), ClusterError("busy", 429), NotFoundError("gone", 404), ConflictError("changed", 409)],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_left_to_the_work_queue(error: ClusterError) -> None:
    assert plan_after_refusal(trainingjob(), error, NOW) is None
