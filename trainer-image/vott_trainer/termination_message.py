"""The termination message: why a container failed, as JSON for the kubelet.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

import fcntl
import json
import os
from pathlib import Path

from vott_trainer.errors import PeerLostError

PATH = Path(os.environ.get("VOTT_TERMINATION_LOG") or "/dev/termination-log")
MAX_BYTES = 4096  # the kubelet reads no more


def write_termination_message(reason: str, message: str, path: Path) -> None:
    """Write reason and message, cut to the kubelet's limit; do nothing if the file does not exist, as outside a container.

    Of several processes in a container the first one's message stays, unless it only lost a peer.
    """
    if not path.exists():
        return
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        current = file.read()
        if current and (reason == PeerLostError.reason or f'"{PeerLostError.reason}"' not in current):
            return
        file.seek(0)
        file.write(_encode(reason, message))
        file.truncate()


def _encode(reason: str, message: str) -> str:
    text = json.dumps({"reason": reason, "message": message}, ensure_ascii=False)
    while len(text.encode()) > MAX_BYTES:
        message = message[: len(message) * 9 // 10]
        text = json.dumps({"reason": reason, "message": f"{message}…"}, ensure_ascii=False)
    return text
