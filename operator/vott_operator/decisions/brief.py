"""Few words out of the long sentences of the scheduler, the kubelet and the container runtime. Pure."""

import re

MAX_LENGTH = 240
RPC_ERROR = re.compile(r"rpc error: code = \w+ desc = ")
CONTAINER_ID = re.compile(r'"?\b[0-9a-f]{64}\b"?:? ?')
SCHEDULER_REMARKS = re.compile(
    r"[,;]?\s*\b(no new claims to deallocate|still not schedulable|preemption:).*", re.DOTALL
)
MOUNT_FAILURE = re.compile(r'\w+\.\w+ failed for volume "(?P<volume>[^"]+)"\s*: (?P<cause>.+)', re.DOTALL)


def brief(text: str) -> str:
    """The text as one short line, without the layers that it passed through and the ids of containers."""
    line = " ".join(CONTAINER_ID.sub("", RPC_ERROR.sub("", text)).split())
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH - 1]}…"


def scheduling_cause(message: str) -> str:
    """The scheduler's sentence about the nodes, without its remarks on resource claims and preemption."""
    cause = brief(SCHEDULER_REMARKS.sub("", message))
    return cause if cause.endswith((".", "…")) else f"{cause}."


def mount_failure(message: str) -> str:
    """Which volume can't be mounted, and why."""
    found = MOUNT_FAILURE.match(message)
    if found is None:
        return brief(message).rstrip(". ")
    return f"volume {found['volume']}: {brief(found['cause'])}".rstrip(". ")
