"""An interrupted training resumes from its checkpoint."""

from collections.abc import Callable

import pytest

from demo.kubectl import Manifest
from tests.e2e.conftest import CHECKPOINTS
from tests.e2e.model_archives import archive_of, metrics_file
from tests.support.cluster_harness import ClusterHarness, Submission

EPOCHS = 60  # more than half a minute, so it can't complete before the interruption
TRAINING_SHARE = 0.9  # of the progress; the rest is download and upload


def sigterm(submission: Submission) -> None:
    """Delete its pod like a drain, with time to save a checkpoint."""
    (pod,) = submission.pods()
    submission.harness.kubectl("delete", "pod", pod["metadata"]["name"])


def sigkill(submission: Submission) -> None:
    """Delete its pod with a grace period of one second, too little to save a checkpoint."""
    (pod,) = submission.pods()
    submission.harness.kubectl("delete", "pod", pod["metadata"]["name"], "--now")


def suspension(submission: Submission) -> None:
    """Suspend it, and resume it once its pod has ended."""
    kubectl, name = submission.harness.kubectl, submission.wait_accepted()["metadata"]["name"]
    kubectl("patch", "tj", name, "--type=merge", "--patch", '{"spec": {"suspend": true}}')
    submission.harness.wait("the end of the suspended pod", lambda: not submission.pods())
    kubectl("patch", "tj", name, "--type=merge", "--patch", '{"spec": {"suspend": false}}')


def checkpoint(submission: Submission) -> Manifest:
    """Wait until status.checkpoint is of epoch 2 or later; return it."""

    def probe() -> Manifest | None:
        current: Manifest = (submission.job() or {}).get("status", {}).get("checkpoint", {})
        return current if current.get("epoch", 0) >= 2 else None

    return submission.harness.wait("a checkpoint", probe)


@pytest.mark.parametrize("interruption", [sigterm, sigkill, suspension], ids=lambda kind: kind.__name__)
def test_interrupted_training_resumes_from_its_checkpoint(
    harness: ClusterHarness, interruption: Callable[[Submission], None]
) -> None:
    submission = harness.send(parameters={"architecture": "fcos_tiny", "epochs": EPOCHS})
    before = checkpoint(submission)
    first = submission.pods()[0]["metadata"]["uid"]
    posts_before = len(submission.receiver.posts)
    interruption(submission)

    job = submission.wait_completed()
    assert first not in [pod["metadata"]["uid"] for pod in submission.pods() if pod["status"]["phase"] == "Succeeded"]
    (note,) = [text for text in metrics_file(archive_of(submission))["notes"] if "resumed from epoch" in text]
    assert int(note.partition("epoch ")[2].partition(",")[0]) >= before["epoch"]
    reported = [post["progress"] for post in submission.receiver.posts[posts_before:]]
    assert min(reported) >= TRAINING_SHARE * (before["epoch"] - 1) / EPOCHS, (
        "progress fell below that of the checkpoint"
    )
    checkpoints = harness.folder / CHECKPOINTS / job["metadata"]["uid"]
    assert [path.name for path in checkpoints.glob("*")] == [], "checkpoints of a finished training must be deleted"
