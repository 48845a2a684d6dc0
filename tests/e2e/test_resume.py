"""An interrupted training goes on where it was."""

from collections.abc import Callable

import pytest

from demo.kubectl import Manifest
from tests.e2e.conftest import CHECKPOINTS
from tests.e2e.model_archives import archive_of, metrics_file
from tests.support.cluster_harness import ClusterHarness, Submission

EPOCHS = 60  # half a minute and more: it can't end before it is interrupted
TRAINING_SHARE = 0.9  # of the progress; the rest is fetching and uploading


def sigterm(submission: Submission) -> None:
    """Delete its pod as a drain does it: with time to save."""
    (pod,) = submission.pods()
    submission.harness.kubectl("delete", "pod", pod["metadata"]["name"])


def sigkill(submission: Submission) -> None:
    """Delete its pod with one second's notice, which is too little to save anything."""
    (pod,) = submission.pods()
    submission.harness.kubectl("delete", "pod", pod["metadata"]["name"], "--now")


def suspension(submission: Submission) -> None:
    """Suspend it, and resume it once its node is free."""
    kubectl, name = submission.harness.kubectl, submission.wait_accepted()["metadata"]["name"]
    kubectl("patch", "tj", name, "--type=merge", "--patch", '{"spec": {"suspend": true}}')
    submission.harness.wait("the end of the suspended pod", lambda: not submission.pods())
    kubectl("patch", "tj", name, "--type=merge", "--patch", '{"spec": {"suspend": false}}')


def checkpoint(submission: Submission) -> Manifest:
    """What status.checkpoint says, as soon as it is of the second epoch at least."""

    def probe() -> Manifest | None:
        found: Manifest = (submission.job() or {}).get("status", {}).get("checkpoint", {})
        return found if found.get("epoch", 0) >= 2 else None

    return submission.harness.wait("a checkpoint", probe)


@pytest.mark.parametrize("interruption", [sigterm, sigkill, suspension], ids=lambda kind: kind.__name__)
def test_interrupted_training_goes_on_from_its_checkpoint(
    harness: ClusterHarness, interruption: Callable[[Submission], None]
) -> None:
    submission = harness.send(parameters={"epochs": EPOCHS})
    before = checkpoint(submission)
    first = submission.pods()[0]["metadata"]["uid"]
    posts_before = len(submission.receiver.posts)
    interruption(submission)

    job = submission.wait_completed()
    assert first not in [pod["metadata"]["uid"] for pod in submission.pods() if pod["status"]["phase"] == "Succeeded"]
    (note,) = [text for text in metrics_file(archive_of(submission))["notes"] if "resumed from epoch" in text]
    assert int(note.partition("epoch ")[2].partition(",")[0]) >= before["epoch"]
    told = [post["progress"] for post in submission.receiver.posts[posts_before:]]
    assert min(told) >= TRAINING_SHARE * (before["epoch"] - 1) / EPOCHS, "the progress fell back behind the checkpoint"
    left = harness.folder / CHECKPOINTS / job["metadata"]["uid"]
    assert [path.name for path in left.glob("*")] == [], "an ended training needs no checkpoints"
