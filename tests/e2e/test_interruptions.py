"""Pods that die at the worst moment: nothing is lost, and nothing is done twice."""

from demo.kubectl import Manifest
from tests.support.lab import Lab, Submission

HELLO = "hello-world"


def kill(lab: Lab, pods: list[Manifest]) -> None:
    """Remove pods and return when their processes are gone, one second later at most.

    With `--grace-period=0 --force` only the objects would be gone, while the kubelet still ends the processes.
    """
    lab.kubectl("delete", "pod", *(pod["metadata"]["name"] for pod in pods), "--now")


def uids(lab: Lab, kind: str, names: set[str]) -> dict[str, str]:
    """The uid of each object of that kind and one of these names."""
    found = (item["metadata"] for item in lab.kubectl.list(kind))
    return {meta["name"]: meta["uid"] for meta in found if meta["name"] in names}


def jobs_of(lab: Lab, submissions: list[Submission]) -> list[Manifest]:
    ids = {submission.message_id for submission in submissions}
    jobs = lab.kubectl.list("trainingjobs")
    return [job for job in jobs if job["metadata"].get("annotations", {}).get("vott.dev/message-id") in ids]


def test_operator_killed_between_receive_and_settle_makes_one_trainingjob_and_one_job_a_message(lab: Lab) -> None:
    with lab.proxy.holding_deletes():
        submissions = [lab.send(plugin=HELLO) for _ in range(3)]
        ids = {submission.message_id for submission in submissions}
        lab.wait("a message received and not yet settled", lambda: lab.proxy.held & ids)
        held = lab.proxy.held & ids
        before = {job["metadata"]["name"]: job["metadata"]["uid"] for job in jobs_of(lab, submissions)}
        kill(lab, lab.operator_pods())

    assert before, "the TrainingJob has to exist before its message is settled"
    lab.wait("an empty queue", lambda: not lab.queue.get_queue_properties().approximate_message_count)
    assert [message for message in held if len(lab.proxy.receipts(message)) < 2] == [], "it was not received again"
    for submission in submissions:
        submission.completed()
    names = {job["metadata"]["name"] for job in jobs_of(lab, submissions)}
    assert len(jobs_of(lab, submissions)) == len(names) == len(submissions)
    assert before.items() <= uids(lab, "trainingjobs", names).items(), "a TrainingJob was made anew"
    assert set(uids(lab, "jobs", names)) == names


def test_trainer_pod_deleted_in_mid_training_is_replaced_and_the_training_completes(lab: Lab) -> None:
    submission = lab.send(parameters={"epochs": 100})  # half a minute and more: it can't end before the kill
    lab.wait("the second epoch", lambda: submission.epoch() >= 2)
    (victim,) = submission.pods()
    kill(lab, [victim])

    submission.completed()
    (successor,) = (pod for pod in submission.pods() if pod["status"]["phase"] == "Succeeded")
    assert successor["metadata"]["uid"] != victim["metadata"]["uid"]
