"""Run a step in the pod before, or instead of, the trainer.

Its source is passed as an environment variable, so it is one file that needs only Python. The pod and the test communicate by flags:
blobs in a container whose SAS URL is in FLAGS_URL.
"""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn

STOPPED_BY_SIGTERM = 143
NOT_FOUND = 404


def set_flag(name: str) -> None:
    """Set a flag; retried, because all pods start at once and the store is slow."""
    request = urllib.request.Request(_url(name), b"yes", {"x-ms-blob-type": "BlockBlob"}, method="PUT")
    while not _succeeds(request):
        time.sleep(0.5)


def has_flag(name: str) -> bool:
    """Whether the flag is set; retried until the store responds."""
    while True:
        try:
            urllib.request.urlopen(_url(name), timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return False
            print(error, flush=True)
        except OSError as error:  # no response
            print(error, flush=True)
        else:
            return True
        time.sleep(0.5)


def _succeeds(request: urllib.request.Request) -> bool:
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError as error:  # includes urllib's errors
        print(error, flush=True)
        return False
    return True


def _url(name: str) -> str:
    container_url, _, sas = os.environ["FLAGS_URL"].partition("?")
    return f"{container_url}/{name}?{sas}"


def hold_until_released() -> None:
    """Set flag `waiting`, then wait for flag `go`; on SIGTERM, set `stopped` and exit."""

    def stop(*_: object) -> NoReturn:
        set_flag("stopped")
        sys.exit(STOPPED_BY_SIGTERM)

    signal.signal(signal.SIGTERM, stop)  # PID 1 ignores signals without a handler
    set_flag("waiting")
    wait_for_flag("go")


def wait_for_flag(name: str) -> None:
    """Wait until the flag is set."""
    while not has_flag(name):
        time.sleep(0.5)


def fail_second_pod_once() -> None:
    """The second pod fails in the first attempt, once the first pod runs. In the second attempt, the first pod trains alone."""
    second_attempt = has_flag("failed")
    if os.environ["JOB_COMPLETION_INDEX"] == "0":
        if not second_attempt:
            hold_until_released()
        for name in [name for name in os.environ if name.startswith("PET_")]:
            del os.environ[name]
    elif second_attempt:
        sys.exit(0)
    else:
        wait_for_flag("waiting")
        set_flag("failed")
        sys.exit(1)


def check_template_fields() -> None:
    """Fail permanently unless the pod template's variable and mounted file are present."""
    if not Path("/etc/team/name").read_text() == os.environ["TEAM"] == "cats":
        sys.exit(65)


def train(arguments: list[str]) -> NoReturn:
    """Replace this process by the trainer."""
    os.execv(sys.executable, [sys.executable, "-m", "vott_trainer", *arguments])


STEPS = {"wait": hold_until_released, "fail-once": fail_second_pod_once, "check": check_template_fields}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
    train(sys.argv[2:])
