"""Tries to reach what the environment's TARGETS name (a JSON object: name to host and port), and prints what became of each."""

import errno
import json
import os
import socket
import time

SECONDS = 3
SETTLING_SECONDS = 20  # a pod's address is known to the cluster's network only once it runs


def attempt(host: str, port: int) -> str:
    """`connected`, or the error's name."""
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "connected"


targets: dict[str, tuple[str, int]] = json.loads(os.environ["TARGETS"])
blocked = os.environ.get("BLOCKED", "")  # the target that tells by its refusal that the policies are in force
end = time.monotonic() + SETTLING_SECONDS
while blocked and attempt(*targets[blocked]) == "connected" and time.monotonic() < end:
    time.sleep(0.2)
print(json.dumps({name: attempt(*target) for name, target in targets.items()}), flush=True)
