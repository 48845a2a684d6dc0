"""Follow a message until its TrainingJob finishes."""

import time
from collections.abc import Callable

from demo.callbacks import CallbackReceiver
from demo.errors import DemoError, TimeLimitError
from demo.kubectl import TRAININGJOB_LABEL, Kubectl, KubectlError, Manifest
from demo.progress import COMPLETE, FAILED, Step, describe, find_job
from demo.screen import Screen

POLL_SECONDS = 0.5
OUTCOME_SECONDS = 30.0


def follow(
    kubectl: Kubectl, message_id: str, screen: Screen, receiver: CallbackReceiver | None, time_limit: float
) -> Manifest:
    """Show each step until the TrainingJob is Complete or Failed, and return it. Failed kubectl calls are retried.

    Raises:
        TimeLimitError: It takes longer than `time_limit` seconds.
        DemoError: The operator rejected the message.
    """
    deadline = time.monotonic() + time_limit
    job, step = None, describe(None, [])
    while time.monotonic() < deadline:
        job, step = _observe(kubectl, message_id, job, step)
        screen.show(step)
        if job is not None and step.phase in (COMPLETE, FAILED):
            return job
        if job is None and receiver and receiver.last_state == "failed":
            raise DemoError(f"The operator rejected the message: {receiver.posts[-1].get('message')}")
        time.sleep(POLL_SECONDS)
    screen.close()
    raise TimeLimitError(_time_limit_text(kubectl, step.phase, step.text, time_limit))


def wait_for_outcome(receiver: CallbackReceiver) -> None:
    """Wait for the outcome callback, but not forever: verification reports a missing one."""
    _wait(lambda: receiver.last_state not in (None, "running"), OUTCOME_SECONDS)


def _observe(kubectl: Kubectl, message_id: str, job: Manifest | None, step: Step) -> tuple[Manifest | None, Step]:
    """The TrainingJob and its step; the previous ones, with the error, if kubectl fails."""
    try:
        current = find_job(kubectl.list("trainingjobs"), message_id)
        return current, describe(current, _pods(kubectl, current))
    except KubectlError as error:
        return job, Step(step.phase, f"retrying: {' '.join(str(error).split())}")


def _pods(kubectl: Kubectl, job: Manifest | None) -> list[Manifest]:
    return kubectl.list("pods", f"{TRAININGJOB_LABEL}={job['metadata']['name']}") if job else []


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 5)


def _time_limit_text(kubectl: Kubectl, phase: str, text: str, time_limit: float) -> str:
    namespace = f"kubectl --namespace={kubectl.namespace}"
    return (
        f"No result after {time_limit:.0f} s; last state: {phase}: {text}.\n"
        f"See `{namespace} describe trainingjobs` and `{namespace} logs deployment/vott-train`."
        " The training continues. Use --time-limit to wait longer."
    )
