"""Troubles that chance brings too seldom: writes whose answer is lost, kills between two writes, and watches that are late.

Each life ends as those of the state machine do, with everything at rest and its last word said.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.operator.simulator import Fault
from tests.unit.operator.simulator_operator import KEY
from tests.unit.operator.test_plan_states import Lives
from vott_operator.api import constants as c

CALLBACK = {"callback": {"url": "https://host/status"}}
PATIENT = {"pendingDeadlineSeconds": 300}
TWO = {"trainer": {"nodes": 2}, "backoffLimit": 5}


@pytest.fixture
def life() -> Iterator[Lives]:
    life = Lives()
    life.calm = False
    yield life
    life.teardown()


def begin(life: Lives, **spec: Any) -> None:
    life.create(spec)
    life.all_comes_to_rest()


def status(life: Lives) -> dict[str, Any]:
    assert life.body is not None
    return dict(life.body["status"])


def work_with(life: Lives, *faults: Fault | None) -> None:
    """One pass of the operator, with these for its writes."""
    life.operator.hear()
    life.operator.cluster.faults = list(faults)
    life.operator.work()
    life.operator.cluster.faults = []


def test_an_end_that_the_operator_does_not_know_it_wrote_stands(life: Lives) -> None:
    life.full = True
    begin(life, **PATIENT)
    life.wait(400)
    life.operator.late = {"trainingjobs"}
    work_with(life, None, "answer lost")  # the Event, and then the status
    assert status(life)["reason"] == c.PENDING_DEADLINE_EXCEEDED
    life.full = False
    life.nodes_work()  # the pod runs after all
    life.wait(1)
    work_with(life)
    work_with(life)
    assert status(life)["reason"] == c.PENDING_DEADLINE_EXCEEDED


def test_a_job_whose_making_was_not_answered_is_made_once(life: Lives) -> None:
    life.create({})
    work_with(life, "answer lost")
    life.nodes_work()
    (job,) = life.api.all("jobs")
    life.wait(1)
    life.all_comes_to_rest()
    assert [item["metadata"]["uid"] for item in life.api.all("jobs")] == [job["metadata"]["uid"]]


@pytest.mark.parametrize("late", [{"pods"}, {"pods", "jobs"}])
def test_an_operator_that_starts_anew_knows_of_pods_that_still_end(life: Lives, late: set[str]) -> None:
    begin(life)
    life.slow = True
    life.api.delete("jobs", KEY.name)
    life.controllers.work()
    life.operator.restart()
    life.operator.late = late
    work_with(life)
    assert life.api.all("jobs") == []


@pytest.mark.parametrize("kill", [["killed before"], ["killed after"], [None, "killed before"], [None, "killed after"]])
def test_a_failure_of_several_nodes_is_counted_once_wherever_the_operator_dies(
    life: Lives, kill: list[Fault | None]
) -> None:
    begin(life, **TWO)
    life.kubelet.end(life.running()[0], 1)
    for _ in range(3):
        life.controllers.work()
        life.nodes_work()
    life.wait(20)
    work_with(life, None, *kill)  # the Event; then the status and the Job's deletion, each before or after the kill
    life.all_comes_to_rest()
    assert (status(life)["failures"], status(life)["restarts"]) == (1, 1)


def test_a_last_word_whose_record_was_lost_is_said_again_under_the_same_id(life: Lives) -> None:
    begin(life, **CALLBACK)
    life.the_trainer_succeeds(really=True, reported=True, container_only=False)
    life.nodes_work()
    life.nodes_work()
    work_with(life, None, "killed before")  # the end is written, the delivery is not
    life.all_comes_to_rest()
    assert len(life.operator.receiver.heard) == 2
    assert len(set(life.operator.receiver.heard)) == 1


def test_suspending_and_resuming_is_no_restart_and_a_fault_is_one(life: Lives) -> None:
    begin(life)
    for held in (True, False):
        life.suspend_or_resume(held)
        life.all_comes_to_rest()
    assert status(life)["restarts"] == 0
    life.kubelet.end(life.running()[0], 1)
    life.all_comes_to_rest()
    assert status(life)["restarts"] == 1
