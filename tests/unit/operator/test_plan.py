"""The table of decisions: what is observed, and what follows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.operator.builders import MODEL, NOW, condition, job, observed, pod, settings, trainingjob
from vott_operator import constants as c
from vott_operator.observed import Observed
from vott_operator.plan import Plan, plan

RUNNING = [condition("Running", reason=c.TRAINER_RUNNING, message="Pod cats-abcde is training.")]
COMPLETE = {"phase": "Complete", "completionTime": "2026-01-01T11:00:00Z", "conditions": [condition("Complete")]}
FAILED = COMPLETE | {"phase": "Failed", "conditions": [condition("Failed", message="Why.")]}
CALLBACK = {"callback": {"url": "https://host/status"}}
BAD_LINE = '{"reason": "BadAnnotations", "message": "a.csv line 7: expected 6 fields, found 4."}'


def decide(seen: Observed, **overrides: Any) -> Plan:
    return plan(seen, settings(**overrides), NOW)


def conditions(result: Plan) -> dict[str, tuple[str, str, str]]:
    assert result.status is not None
    return {item["type"]: (item["status"], item["reason"], item["message"]) for item in result.status["conditions"]}


def test_a_new_trainingjob_gets_a_job() -> None:
    result = decide(observed())
    assert result.create_job is not None
    assert result.create_job["metadata"]["name"] == "cats"
    assert result.status is None


def test_a_deleted_trainingjob_is_left_alone() -> None:
    assert decide(observed(trainingjob(metadata={"deletionTimestamp": "2026-01-01T11:00:00Z"}))) == Plan()


def test_a_pod_that_is_merely_starting_is_no_news() -> None:
    assert decide(observed(None, job(), pod(waiting_reason="ContainerCreating"))).status is None


def test_a_running_pod_makes_it_running() -> None:
    result = decide(observed(None, job(), pod(phase="Running", running=True)))
    assert result.status is not None
    assert (result.status["phase"], result.status["jobName"]) == ("Running", "cats")
    assert conditions(result)["Running"][:2] == ("True", c.TRAINER_RUNNING)
    assert result.events == ()


def test_what_was_said_is_not_written_again() -> None:
    status = {
        "phase": "Running", "reason": c.TRAINER_RUNNING, "conditions": RUNNING, "jobName": "cats", "restarts": 0,
        "startTime": "2026-01-01T11:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    assert decide(observed(trainingjob(status=status), job(), pod(phase="Running", running=True))) == Plan()


def test_a_newly_seen_generation_is_written() -> None:
    status = {
        "phase": "Running", "reason": c.TRAINER_RUNNING, "conditions": RUNNING, "jobName": "cats", "restarts": 0,
        "startTime": "2026-01-01T11:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    tj = trainingjob(status=status, metadata={"generation": 2})
    assert decide(observed(tj, job(), pod(phase="Running", running=True))).status == {"observedGeneration": 2}


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"unschedulable": "0/3 nodes: Insufficient nvidia.com/gpu."}, c.UNSCHEDULABLE, "Insufficient nvidia.com/gpu"),
        ({"waiting_reason": "ImagePullBackOff", "image": "x:1"}, c.IMAGE_PULL_FAILED, "x:1"),
        ({"waiting_reason": "InvalidImageName"}, c.IMAGE_PULL_FAILED, "InvalidImageName"),
        ({"waiting_reason": "CreateContainerConfigError"}, c.CONTAINER_CONFIG_ERROR, "kubectl describe pod cats-abcde"),
    ],
)
def test_waiting_is_explained(fields: dict[str, str], reason: str, said: str) -> None:
    tj = trainingjob(status={"phase": "Running", "reason": c.TRAINER_RUNNING, "conditions": RUNNING})
    result = decide(observed(tj, job(), pod(**fields)))
    assert result.status is not None
    assert result.status["phase"] == "Pending"
    status, told, message = conditions(result)["Running"]
    assert (status, told) == ("False", reason)
    assert said in message
    assert [(note.type, note.reason) for note in result.events] == [("Warning", reason)]


def test_the_same_waiting_is_told_by_one_event() -> None:
    tj = trainingjob(status={"reason": c.UNSCHEDULABLE, "conditions": [condition("Running", "False", c.UNSCHEDULABLE)]})
    assert decide(observed(tj, job(), pod(unschedulable="0/4 nodes"))).events == ()


def test_a_retry_tells_what_went_wrong_before() -> None:
    failed = pod(phase="Failed", exit_code=1)
    result = decide(observed(None, job(failed_pods=1), failed))
    assert result.status is not None
    assert result.status["restarts"] == 1
    assert "Attempt 2 of 4" in conditions(result)["Running"][2]
    assert "exit code 1" in conditions(result)["Running"][2]


def test_a_deleted_pod_is_a_retry_too() -> None:
    assert "deleted or lost" in conditions(decide(observed(None, job(failed_pods=1))))["Running"][2]


@pytest.mark.parametrize("phase", ["Running", "Succeeded", "Failed"])
def test_a_pod_that_has_just_ended_is_the_jobs_to_judge(phase: str) -> None:
    tj = trainingjob(status={"phase": "Running", "reason": c.TRAINER_RUNNING, "conditions": RUNNING})
    assert decide(observed(tj, job(), pod(phase=phase, exit_code=0))).status is None


def test_complete_needs_the_job_and_the_model() -> None:
    tj = trainingjob(status={"model": MODEL, "metrics": [{"name": "mAP50", "value": 0.912345}]})
    result = decide(observed(tj, job(complete=True, finished_at="2026-01-01T11:59:00Z")))
    assert result.status is not None
    assert (result.status["phase"], result.status["completionTime"]) == ("Complete", "2026-01-01T11:59:00Z")
    said = conditions(result)
    assert said["Complete"][0] == "True"
    assert "mAP50 0.9123" in said["Complete"][2]
    assert str(MODEL["sha256"]) in said["ModelUploaded"][2]
    assert said["Running"][0] == "False"
    assert [(note.type, note.reason) for note in result.events] == [("Normal", c.TRAINING_SUCCEEDED)]


def test_a_job_without_its_model_report_waits_a_little() -> None:
    result = decide(observed(None, job(complete=True, finished_at="2026-01-01T11:59:30Z")))
    assert result.status is None
    assert result.requeue_seconds


def test_a_job_that_never_reports_a_model_failed() -> None:
    result = decide(observed(None, job(complete=True, finished_at="2026-01-01T11:58:59Z")))
    assert conditions(result)["Failed"][1] == c.MODEL_NOT_REPORTED


@pytest.mark.parametrize(
    ("job_fields", "pod_fields", "reason", "said"),
    [
        ({"failed_reason": "PodFailurePolicy"}, {"termination_message": BAD_LINE}, "BadAnnotations", "a.csv line 7"),
        ({"failed_reason": "BackoffLimitExceeded"}, {"terminated_reason": "OOMKilled"}, "OOMKilled", "limits.memory"),
        (
            {"failed_reason": "BackoffLimitExceeded"},
            {"exit_code": 1},
            "TrainerFailed",
            "kubectl logs -n training cats-abcde",
        ),
        (
            {"failed_reason": "BackoffLimitExceeded", "failed_pods": 4},
            {"exit_code": 1},
            "TrainerFailed",
            "Tried 4 times",
        ),
        (
            {"failed_reason": "BackoffLimitExceeded"},
            {"reason": "Evicted", "message": "Disk full."},
            "Evicted",
            "Disk full.",
        ),
        ({"failed_reason": "DeadlineExceeded"}, {}, "DeadlineExceeded", "activeDeadlineSeconds"),
        (
            {"failed_reason": "PodFailurePolicy"},
            {"termination_message": "not JSON", "exit_code": 64},
            "TrainerFailed",
            "64",
        ),
        (
            {"failed_reason": "X"},
            {"termination_message": '{"reason": "no word", "message": "m"}'},
            "TrainerFailed",
            "logs",
        ),
        ({"failed_reason": "X"}, {"termination_message": '{"reason": "Word"}'}, "TrainerFailed", "logs"),
    ],
)
def test_failure_is_explained(job_fields: dict[str, Any], pod_fields: dict[str, Any], reason: str, said: str) -> None:
    result = decide(observed(None, job(failed_message="m", **job_fields), pod(phase="Failed", **pod_fields)))
    assert result.status is not None
    assert result.status["phase"] == "Failed"
    assert conditions(result)["Failed"][:2] == ("True", reason)
    assert said in conditions(result)["Failed"][2]
    assert [note.type for note in result.events] == ["Warning"]


def test_the_youngest_failed_pod_explains() -> None:
    old = pod("cats-old", phase="Failed", terminated_reason="OOMKilled")
    new = pod("cats-new", phase="Failed", created="2026-01-01T11:30:00Z", exit_code=3)
    result = decide(observed(None, job(failed_reason="BackoffLimitExceeded", failed_pods=2), new, old))
    assert conditions(result)["Failed"][1] == c.TRAINER_FAILED


def test_the_last_failed_pod_is_not_counted_as_restarted() -> None:
    result = decide(observed(None, job(failed_reason="BackoffLimitExceeded", failed_pods=4), pod(phase="Failed")))
    assert result.status is not None
    assert result.status["restarts"] == 3


def test_a_failed_job_without_pods_is_explained_by_the_job() -> None:
    result = decide(observed(None, job(failed_reason="BackoffLimitExceeded", failed_message="has reached the limit")))
    assert "has reached the limit" in conditions(result)["Failed"][2]


def test_suspend_is_passed_to_the_job() -> None:
    assert decide(observed(trainingjob({"suspend": True}), job())).suspend_job is True
    assert decide(observed(None, job(suspended=True))).suspend_job is False


def test_kueues_suspend_is_left_alone() -> None:
    tj = trainingjob(metadata={"labels": {c.KUEUE_QUEUE_LABEL: "team"}})
    result = decide(observed(tj, job(suspended=True)))
    assert result.suspend_job is None
    assert result.status is not None
    assert result.status["phase"] == "Suspended"


def test_resuming_is_said() -> None:
    tj = trainingjob(status={"phase": "Suspended", "conditions": [condition("Suspended")]})
    assert conditions(decide(observed(tj, job())))["Suspended"][0] == "False"


def test_a_job_of_an_earlier_trainingjob_is_waited_for_and_that_is_said() -> None:
    result = decide(observed(None, job(owner_uid="another")))
    assert result.create_job is None
    assert conditions(result)["Running"][1] == c.OLD_JOB_REMAINS
    assert result.requeue_seconds


def test_a_missing_secret_is_said() -> None:
    seen = replace(observed(None, job(), pod()), missing_secret="cats-urls")
    assert conditions(decide(seen))["Running"][1] == c.CONTAINER_CONFIG_ERROR
    assert "cats-urls" in conditions(decide(seen))["Running"][2]


def test_a_job_that_makes_no_pod_is_said_after_a_while() -> None:
    assert decide(observed(None, job(start_time="2026-01-01T11:59:50Z"))).status is None
    assert conditions(decide(observed(None, job(start_time="2026-01-01T11:59:40Z"))))["Running"][1] == c.POD_NOT_CREATED


def test_a_starting_pod_is_looked_at_again() -> None:
    assert decide(observed(None, job(), pod(waiting_reason="ContainerCreating"))).requeue_seconds
    assert decide(observed(None, job(), pod(phase="Running", running=True))).requeue_seconds is None


def test_a_disrupted_pod_runs_no_more() -> None:
    tj = trainingjob(status={"phase": "Running", "reason": c.TRAINER_RUNNING, "conditions": RUNNING})
    for pods in ((), (pod(waiting_reason="ContainerCreating"),)):
        result = decide(observed(tj, job(start_time="2026-01-01T11:59:50Z"), *pods))
        assert conditions(result)["Running"][:2] == ("False", c.RETRYING)


def test_somebody_elses_job_of_the_name_fails_it() -> None:
    assert conditions(decide(observed(None, job(owner_uid=""))))["Failed"][1] == c.JOB_NAME_TAKEN


@pytest.mark.parametrize("child", [None, job(), job(failed_reason="BackoffLimitExceeded"), job(complete=True)])
def test_a_finished_trainingjob_is_never_touched_again(child: Any) -> None:
    assert decide(observed(trainingjob(status=COMPLETE), child)) == Plan()


@pytest.mark.parametrize(("status", "state"), [(COMPLETE, "succeeded"), (FAILED, "failed")])
def test_the_last_word_is_due_after_the_end(status: dict[str, Any], state: str) -> None:
    result = decide(observed(trainingjob(CALLBACK, status), job()))
    assert result.callback is not None
    assert (result.callback.state, result.callback.give_up) == (state, False)


def test_there_is_no_last_word_before_the_end() -> None:
    assert decide(observed(trainingjob(CALLBACK), job(), pod(phase="Running", running=True))).callback is None


@pytest.mark.parametrize(
    ("told", "due"),
    [
        (condition("CallbackDelivered"), False),
        (condition("CallbackDelivered", "False", c.DELIVERY_REFUSED), False),
        (condition("CallbackDelivered", "False", c.DELIVERY_GIVEN_UP), False),
        (condition("CallbackDelivered", "False", c.DELIVERY_RETRYING), True),
    ],
)
def test_the_last_word_is_said_until_it_is_heard_or_given_up(told: dict[str, str], due: bool) -> None:
    status = FAILED | {"conditions": [*FAILED["conditions"], told]}
    assert (decide(observed(trainingjob(CALLBACK, status))).callback is not None) == due


def test_the_last_word_is_given_up_after_its_time() -> None:
    retrying = condition("CallbackDelivered", "False", c.DELIVERY_RETRYING)
    status = FAILED | {"conditions": [*FAILED["conditions"], retrying]}
    result = plan(observed(trainingjob(CALLBACK, status)), settings(), NOW + timedelta(days=2))
    assert result.callback is not None
    assert result.callback.give_up
