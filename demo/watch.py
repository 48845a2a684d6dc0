"""Follow a message until its training ends."""

import time
from collections.abc import Callable

from demo.callbacks import CallbackReceiver
from demo.consumer import Consumer, Training
from demo.errors import DemoError, ObservationError, TimeLimitError
from demo.progress import COMPLETE, FAILED, IN_QUEUE, Step
from demo.screen import Screen

POLL_SECONDS = 0.5
OUTCOME_SECONDS = 30.0


def follow(
    consumer: Consumer, message_id: str, screen: Screen, receiver: CallbackReceiver | None, time_limit: float
) -> Training:
    """Show each step until the training has succeeded or failed, and return it. Failed observations are repeated.

    Raises:
        TimeLimitError: It takes longer than `time_limit` seconds.
        DemoError: The message was rejected.
    """
    deadline = time.monotonic() + time_limit
    training, step = None, IN_QUEUE
    while time.monotonic() < deadline:
        training, step = _observe(consumer, message_id, training, step)
        screen.show(step)
        if training is not None and step.phase in (COMPLETE, FAILED):
            return training
        if training is None and receiver and receiver.last_state == "failed":
            raise DemoError(f"The message was rejected: {receiver.posts[-1].get('message')}")
        time.sleep(POLL_SECONDS)
    screen.close()
    raise TimeLimitError(
        f"No result after {time_limit:.0f} s; last state: {step.phase}: {step.text}.\n"
        f"{consumer.advice()} Use --time-limit to wait longer."
    )


def wait_for_outcome(receiver: CallbackReceiver) -> None:
    """Wait for the outcome callback, but not forever: verification reports a missing one."""
    _wait(lambda: receiver.last_state not in (None, "running"), OUTCOME_SECONDS)


def _observe(
    consumer: Consumer, message_id: str, training: Training | None, step: Step
) -> tuple[Training | None, Step]:
    """The training and its step; the previous ones, with the error, if they can't be read."""
    try:
        current = consumer.training(message_id)
        return current, current.step if current else IN_QUEUE
    except ObservationError as error:
        return training, Step(step.phase, f"retrying: {' '.join(str(error).split())}")


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 5)
