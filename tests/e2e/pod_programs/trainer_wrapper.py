"""What a pod does before it trains, or instead. Its source travels in the environment, so it is one file that needs only Python.

The pod and the test leave each other words: blobs in the container that the environment's FLAGS_URL names, a URL with its SAS.
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
    """Leave a name, however often that takes: all pods begin at once, and the store is small."""
    request = urllib.request.Request(_url(name), b"yes", {"x-ms-blob-type": "BlockBlob"}, method="PUT")
    while not _answers(request):
        time.sleep(0.5)


def has_flag(name: str) -> bool:
    """Whether somebody left that name; asked again until the store says yes or no."""
    while True:
        try:
            urllib.request.urlopen(_url(name), timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return False
            print(error, flush=True)
        except OSError as error:  # no answer
            print(error, flush=True)
        else:
            return True
        time.sleep(0.5)


def _answers(request: urllib.request.Request) -> bool:
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError as error:  # urllib's errors are among them
        print(error, flush=True)
        return False
    return True


def _url(name: str) -> str:
    container_url, _, sas = os.environ["FLAGS_URL"].partition("?")
    return f"{container_url}/{name}?{sas}"


def hold_until_released() -> None:
    """Wait for the name `go`; set_flag `waiting` at the start, and `stopped` at SIGTERM."""

    def stop(*_: object) -> NoReturn:
        set_flag("stopped")
        sys.exit(STOPPED_BY_SIGTERM)

    signal.signal(signal.SIGTERM, stop)  # without a handler, the first process of a container ignores it
    set_flag("waiting")
    wait_for_flag("go")


def wait_for_flag(name: str) -> None:
    """Return when somebody left that name."""
    while not has_flag(name):
        time.sleep(0.5)


def fail_second_pod_once() -> None:
    """In the second pod: fail in the first attempt, once the first pod works. In the first pod: train alone in the second attempt."""
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
    """Fail for good unless environment, volume and file of the pod template are there."""
    if not Path("/etc/team/name").read_text() == os.environ["TEAM"] == "cats":
        sys.exit(65)


def train(arguments: list[str]) -> NoReturn:
    """Become the trainer."""
    os.execv(sys.executable, [sys.executable, "-m", "vott_trainer", *arguments])


STEPS = {"wait": hold_until_released, "fail-once": fail_second_pod_once, "check": check_template_fields}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
    train(sys.argv[2:])
