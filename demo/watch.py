"""Follow a message until its TrainingJob ends."""

import time
from collections.abc import Callable

from demo.callbacks import CallbackReceiver
from demo.errors import DemoError, TimeLimitError
from demo.kubectl import TRAININGJOB_LABEL, Kubectl, KubectlError, Manifest
from demo.progress import COMPLETE, FAILED, Step, describe, find_job
from demo.screen import Screen

POLL_SECONDS = 0.5
LAST_WORD_SECONDS = 30.0


def follow(
    kubectl: Kubectl, message_id: str, screen: Screen, receiver: CallbackReceiver | None, time_limit: float
) -> Manifest:
    """Show each step until the TrainingJob is Complete or Failed; return it. A question that kubectl can't answer is asked again.

    Raises:
        TimeLimitError: that takes longer than `time_limit` seconds.
        DemoError: the operator rejected the message.
    """
    deadline = time.monotonic() + time_limit
    job, step = None, describe(None, [])
    while time.monotonic() < deadline:
        job, step = _look(kubectl, message_id, job, step)
        screen.show(step)
        if job is not None and step.phase in (COMPLETE, FAILED):
            return job
        if job is None and receiver and receiver.last_state == "failed":
            raise DemoError(f"The operator rejected the message: {receiver.posts[-1].get('message')}")
        time.sleep(POLL_SECONDS)
    screen.close()
    raise TimeLimitError(_too_long(kubectl, step.phase, step.text, time_limit))


def await_last_word(receiver: CallbackReceiver) -> None:
    """Wait until the operator's last post is here. Where it does not come, the posts so far have to tell."""
    _wait(lambda: receiver.last_state not in (None, "running"), LAST_WORD_SECONDS)


def _look(kubectl: Kubectl, message_id: str, job: Manifest | None, step: Step) -> tuple[Manifest | None, Step]:
    """Return the TrainingJob and what it is doing; what was known before, and why, where kubectl fails."""
    try:
        found = find_job(kubectl.list("trainingjobs"), message_id)
        return found, describe(found, _pods(kubectl, found))
    except KubectlError as error:
        return job, Step(step.phase, f"asking the cluster again: {' '.join(str(error).split())}")


def _pods(kubectl: Kubectl, job: Manifest | None) -> list[Manifest]:
    return kubectl.list("pods", f"{TRAININGJOB_LABEL}={job['metadata']['name']}") if job else []


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 5)


def _too_long(kubectl: Kubectl, phase: str, text: str, time_limit: float) -> str:
    namespace = f"kubectl --namespace={kubectl.namespace}"
    return (
        f"No result within {time_limit:.0f} s. It was still {phase}: {text}.\n"
        f"Look at `{namespace} describe trainingjobs` and at `{namespace} logs deployment/vott-train`."
        " What was started goes on; --time-limit gives the next run longer."
    )
