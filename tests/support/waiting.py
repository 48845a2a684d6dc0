"""Waiting for a cluster, with a full picture of it where the wait is in vain."""

import time
from collections.abc import Callable
from typing import TypeVar

from demo.kubectl import Kubectl, KubectlError

POLL_SECONDS = 0.3

T = TypeVar("T")


def wait_until(
    what: str, probe: Callable[[], T | None], *, seconds: float = 120, dump: Callable[[], str] = lambda: "nothing known"
) -> T:
    """Return the first true value of `probe`. A question that kubectl can't answer is asked again.

    Raises:
        AssertionError: it stayed false for `seconds`; the text says what was waited for and what `dump` knows.
    """
    deadline, trouble = time.monotonic() + seconds, ""
    while time.monotonic() <= deadline:
        try:
            if value := probe():
                return value
            trouble = ""
        except KubectlError as error:
            trouble = f"{error}\n"
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:.0f} s.\n{trouble}{dump()}")


def wait_for_crd(ask: Callable[..., str]) -> None:
    """Wait until the API server serves TrainingJobs; `ask` is kubectl. (`kubectl wait` fails while there are no conditions at all.)"""
    established = "jsonpath={.status.conditions[?(@.type=='Established')].status}"
    wait_until("the CRD", lambda: ask("get", "crd/trainingjobs.vott.dev", f"--output={established}").strip() == "True")


def picture(kubectl: Kubectl) -> str:
    """The namespace as one looks at it after a failure: objects, events, logs."""
    questions = [
        ("get", "trainingjobs,jobs,pods", "--output=wide"),
        ("describe", "trainingjobs"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("logs", "--selector=app.kubernetes.io/name=vott-train", "--tail=60", "--ignore-errors"),
        ("logs", "--selector=vott.dev/trainingjob", "--tail=30", "--prefix", "--ignore-errors"),
    ]
    return "\n".join(_answer(kubectl, question) for question in questions)


def _answer(kubectl: Kubectl, question: tuple[str, ...]) -> str:
    try:
        return f"--- kubectl {' '.join(question)}\n{kubectl(*question)}"
    except KubectlError as error:
        return f"--- {error}"
