"""Wait for cluster state; a timeout fails with a diagnostic dump."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from demo.kubectl import Kubectl, KubectlError

CRD = Path(__file__).parents[2] / "manifests" / "crd.yaml"
POLL_SECONDS = 0.3

T = TypeVar("T")


def wait_until(
    what: str,
    probe: Callable[[], T | None],
    *,
    seconds: float = 120,
    dump: Callable[[], str] = lambda: "(no diagnostics)",
) -> T:
    """Poll `probe` until it returns a true value, and return that value. KubectlErrors are retried.

    Raises:
        AssertionError: `probe` stayed false for `seconds`; the message has `what` and the result of `dump`.
    """
    deadline, last_error = time.monotonic() + seconds, ""
    while time.monotonic() <= deadline:
        try:
            if value := probe():
                return value
            last_error = ""
        except KubectlError as error:
            last_error = f"{error}\n"
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:.0f} s.\n{last_error}{dump()}")


def install_crd(kubeconfig: Path) -> None:
    """Install the TrainingJob CRD and wait until the API server serves it. (`kubectl wait` fails while the CRD has no conditions.)"""
    kubectl = Kubectl(str(kubeconfig), "default")
    kubectl("apply", "--server-side", f"--filename={CRD}")
    established = "jsonpath={.status.conditions[?(@.type=='Established')].status}"
    wait_until(
        "the CRD", lambda: kubectl("get", "crd/trainingjobs.vott.dev", f"--output={established}").strip() == "True"
    )


def diagnostics(kubectl: Kubectl) -> str:
    """Objects, events and logs of the namespace."""
    commands = [
        ("get", "trainingjobs,jobs,pods", "--output=wide"),
        ("describe", "trainingjobs"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("logs", "--selector=app.kubernetes.io/name=vott-train", "--tail=60", "--ignore-errors"),
        ("logs", "--selector=vott.dev/trainingjob", "--tail=30", "--prefix", "--ignore-errors"),
    ]
    return "\n".join(_output(kubectl, command) for command in commands)


def _output(kubectl: Kubectl, command: tuple[str, ...]) -> str:
    try:
        return f"--- kubectl {' '.join(command)}\n{kubectl(*command)}"
    except KubectlError as error:
        return f"--- {error}"
