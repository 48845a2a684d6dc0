"""Faults that the state machine finds too seldom: lost answers to writes, kills between two writes, and late watches.

Each life ends with the checks of the state machine.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.operator.simulator import Fault
from tests.unit.operator.simulator_operator import KEY
from tests.unit.operator.test_plan_states import Lives
from vott_guard.timestamps import timestamp
from vott_operator.api import constants as c

CALLBACK = {"callback": {"url": "https://host/status"}}
PATIENT = {"pendingDeadlineSeconds": 300}
TWO = {"trainer": {"nodes": 2}, "backoffLimit": 5}


@pytest.fixture
def life() -> Iterator[Lives]:
    life = Lives()
    life.calm = False
    life.restored = set()
    yield life
    life.teardown()


def begin(life: Lives, **spec: Any) -> None:
    life.create(spec)
    life.everything_becomes_idle()


def status(life: Lives) -> dict[str, Any]:
    assert life.body is not None
    return dict(life.body["status"])


def work_with(life: Lives, *faults: Fault | None) -> None:
    """Run the operator once, with these faults for its writes."""
    life.operator.deliver_events()
    life.operator.cluster.faults = list(faults)
    life.operator.process_due()
    life.operator.cluster.faults = []


def test_an_ending_stands_although_its_answer_was_lost(life: Lives) -> None:
    life.full = True
    begin(life, **PATIENT)
    life.wait(400)
    life.operator.late_watches = {"trainingjobs"}
    work_with(life, None, "answer lost")  # the Event, and then the status
    assert status(life)["reason"] == c.PENDING_DEADLINE_EXCEEDED
    life.full = False
    life.sync_nodes()  # now the pod runs
    life.wait(1)
    work_with(life)
    work_with(life)
    assert status(life)["reason"] == c.PENDING_DEADLINE_EXCEEDED


def test_a_job_is_created_once_although_the_answer_was_lost(life: Lives) -> None:
    life.create({})
    work_with(life, "answer lost")
    life.sync_nodes()
    (job,) = life.api.all("jobs")
    life.wait(1)
    life.everything_becomes_idle()
    assert [item["metadata"]["uid"] for item in life.api.all("jobs")] == [job["metadata"]["uid"]]


@pytest.mark.parametrize("late", [{"pods"}, {"pods", "jobs"}])
def test_a_restarted_operator_finds_pods_that_still_end(life: Lives, late: set[str]) -> None:
    begin(life)
    life.slow = True
    life.api.delete("jobs", KEY.name)
    life.controllers.sync()
    life.operator.restart()
    life.operator.late_watches = late
    work_with(life)
    assert life.api.all("jobs") == []


@pytest.mark.parametrize("kill", [["killed before"], ["killed after"], [None, "killed before"], [None, "killed after"]])
def test_a_failure_of_several_nodes_is_counted_once_although_the_operator_is_killed(
    life: Lives, kill: list[Fault | None]
) -> None:
    begin(life, **TWO)
    life.kubelet.end(life.running()[0], 1)
    for _ in range(3):
        life.controllers.sync()
        life.sync_nodes()
    life.wait(20)
    work_with(life, None, *kill)  # the Event; then the status and the Job's deletion, each before or after the kill
    life.everything_becomes_idle()
    assert (status(life)["failures"], status(life)["restarts"]) == (1, 1)


def test_an_outcome_whose_record_was_lost_is_posted_again_with_the_same_id(life: Lives) -> None:
    begin(life, **CALLBACK)
    life.the_trainer_succeeds(really=True, reported=True, container_only=False)
    life.sync_nodes()
    life.sync_nodes()
    work_with(life, None, "killed before")  # the ending is written, the delivery is not
    life.everything_becomes_idle()
    assert len(life.operator.receiver.posts) == 2
    assert len(set(life.operator.receiver.posts)) == 1


def test_a_failure_counts_as_a_restart_and_a_suspension_does_not(life: Lives) -> None:
    begin(life)
    for suspend in (True, False):
        life.suspend_or_resume(suspend)
        life.everything_becomes_idle()
    assert status(life)["restarts"] == 0
    life.kubelet.end(life.running()[0], 1)
    life.everything_becomes_idle()
    assert status(life)["restarts"] == 1


def kubelet_event(life: Lives, name: str, reason: str, message: str, type_: str) -> None:
    (pod,) = life.pods()
    involved, now = {"uid": pod["metadata"]["uid"]}, timestamp(life.api.now)
    event = {"reason": reason, "message": message, "type": type_, "lastTimestamp": now, "involvedObject": involved}
    life.api.create("events", {"metadata": {"name": name}} | event)


def test_an_event_shows_why_a_pod_does_not_start_until_it_does(life: Lives) -> None:
    life.full = True
    begin(life)
    life.kubelet.bind(life.starting()[0])
    kubelet_event(life, "first", "FailedMount", 'MountVolume.SetUp failed for volume "x" : no "y"', "Warning")
    life.everything_becomes_idle()
    assert status(life).get("reason") is None
    life.wait(20)
    life.everything_becomes_idle()
    assert (status(life)["phase"], status(life)["reason"]) == ("Pending", c.FAILED_MOUNT)
    life.wait(20)
    kubelet_event(life, "second", "Pulling", "Pulling image", "Normal")
    life.wait(300)
    life.everything_becomes_idle()
    assert status(life)["reason"] == c.POD_STARTING
    life.full = False
    life.everything_becomes_idle()
    assert status(life)["phase"] == "Running"


def test_a_job_is_replaced_for_another_node_once_although_the_operator_is_killed(life: Lives) -> None:
    begin(life, backoffLimit=5)
    for _ in range(2):
        (pod,) = life.running()
        assert pod["spec"]["nodeName"] == "n1"
        life.kubelet.end(pod, 1)
        life.controllers.sync()
        work_with(life, None, None, "killed after")
        life.everything_becomes_idle()
    (pod,) = life.running()
    assert (pod["spec"]["nodeName"], status(life)["failures"], status(life)["restarts"]) == ("n2", 2, 2)
