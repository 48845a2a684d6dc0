"""TrainingJobs that are created again as backup tools do: with their metadata and spec, under a new uid, without their status."""

import json

from demo.callbacks import CallbackReceiver
from tests.support.examples import REPORTED_MODEL
from tests.support.operator_harness import Object, OperatorHarness, condition
from tests.support.waiting import wait_until

SET_BY_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def backup(harness: OperatorHarness, name: str) -> Object:
    """The TrainingJob as a restore creates it. The API server ignores a status."""
    saved = harness.kubectl.get("trainingjob", name)
    for field in SET_BY_THE_SERVER:
        saved["metadata"].pop(field, None)
    return saved


def lose(harness: OperatorHarness, name: str) -> None:
    """Delete the TrainingJob, its Job and its pods, without the operator."""
    harness.kubectl(
        "patch", "trainingjob", name, "--type=merge", "--patch", json.dumps({"metadata": {"finalizers": None}})
    )
    harness.kubectl("delete", "trainingjob", name)
    wait_until("nothing remains", lambda: not [*harness.kubectl.list("jobs"), *harness.pods()], seconds=60)


def test_a_trainingjob_that_had_ended_is_not_trained_again(
    harness: OperatorHarness, receiver: CallbackReceiver
) -> None:
    operator = harness.operator()
    harness.create_trainingjob("cats", callback={"url": receiver.url}, ttlSecondsAfterFinished=86400)
    pod = harness.wait_pod()
    assert harness.kubectl.get("job", "cats")["metadata"]["labels"]["velero.io/exclude-from-backup"] == "true"
    harness.run_pod(pod)
    assert harness.report(pod, "cats", {"model": REPORTED_MODEL}).ok
    harness.end_pod(pod, 0)
    ended = harness.wait_phase("Complete")["status"]

    def recorded() -> bool:
        metadata = harness.kubectl.get("trainingjob", "cats")["metadata"]
        return "vott.dev/ended" in metadata.get("annotations", {}) and "finalizers" not in metadata

    wait_until("the record of the end", recorded, dump=harness.diagnostics)
    saved = backup(harness, "cats")
    operator.stop()
    lose(harness, "cats")
    harness.kubectl.apply(saved)
    assert harness.kubectl.get("trainingjob", "cats")["status"] == {"phase": "Pending"}
    harness.operator()
    restored = harness.wait_phase("Complete")
    complete = condition(restored, "Complete")
    assert complete is not None
    assert complete["reason"] == "Restored"
    assert "(Complete, TrainingSucceeded)" in complete["message"]
    assert restored["status"]["completionTime"] == ended["completionTime"]
    harness.create_trainingjob("other")  # the operator has nothing left to do for the first one once this has its pod
    harness.wait_pod()
    assert [job["metadata"]["name"] for job in harness.kubectl.list("jobs")] == ["other"]
    assert [post["state"] for post in receiver.posts] == ["succeeded"]


def test_a_trainingjob_that_had_not_ended_trains_again_once_a_restored_job_of_its_old_uid_is_gone(
    harness: OperatorHarness,
) -> None:
    operator = harness.operator()
    harness.create_trainingjob("cats")
    harness.run_pod(harness.wait_pod())
    harness.wait_phase("Running")
    saved, job = backup(harness, "cats"), harness.kubectl.get("job", "cats")
    operator.stop()
    lose(harness, "cats")
    for field in SET_BY_THE_SERVER:
        job["metadata"].pop(field, None)
    del job["spec"]["selector"], job["spec"]["template"]["metadata"]["labels"]
    harness.kubectl.apply(job)
    harness.kubectl.apply(saved)
    harness.operator()

    def own_job() -> bool:
        uid = harness.kubectl.get("trainingjob", "cats")["metadata"]["uid"]
        owners = [owner["uid"] for job in harness.kubectl.list("jobs") for owner in job["metadata"]["ownerReferences"]]
        return owners == [uid]

    wait_until("a Job of the restored TrainingJob", own_job, seconds=60, dump=harness.diagnostics)
    harness.run_pod(harness.wait_pod())
    harness.wait_phase("Running")
