"""Connect to each of TARGETS (JSON: name to host and port) and print the outcomes as JSON.

BLOCKED optionally names a target; the program waits until NetworkPolicies block it.
"""

import errno
import json
import os
import socket
import time

SECONDS = 3
SETTLING_SECONDS = 20  # policies apply to a pod only after it has an address


def attempt(host: str, port: int) -> str:
    """Return `connected` or the name of the error."""
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "connected"


targets: dict[str, tuple[str, int]] = json.loads(os.environ["TARGETS"])
blocked = os.environ.get("BLOCKED", "")
end = time.monotonic() + SETTLING_SECONDS
while blocked and attempt(*targets[blocked]) == "connected" and time.monotonic() < end:
    time.sleep(0.2)
print(json.dumps({name: attempt(*target) for name, target in targets.items()}), flush=True)
