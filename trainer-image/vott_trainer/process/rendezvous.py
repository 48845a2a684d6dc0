"""Rendezvous of the nodes: wait until torchrun's agents of all nodes have connected to node 0."""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous

from vott_trainer.errors import TemporaryFailureError, first_line
from vott_trainer.process.layout import Layout

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3600  # a pod may wait for its node, its image and its GPU
POLL_SECONDS = 1.0
REMIND_SECONDS = 30.0


def meet(layout: Layout) -> StaticTCPRendezvous:
    """Return once the agent of every node has connected to the store on node 0.

    Raises:
        TemporaryFailureError: not within the time limit.
    """
    rendezvous = StaticTCPRendezvous(
        layout.master,
        layout.port,
        layout.node,
        layout.nodes,
        run_id=os.environ.get("TRAININGJOB_UID") or "vott",
        timeout=TIMEOUT_SECONDS,
    )
    _wait_for_master(layout)
    try:
        with _signals_handled(
            f"waiting for the pods of the other nodes ({layout.nodes} in all)" if layout.nodes > 1 else ""
        ):
            rendezvous.next_rendezvous()
    except RuntimeError as error:
        raise TemporaryFailureError(
            f"Not all of the {layout.nodes} nodes came within {TIMEOUT_SECONDS // 60} minutes ({first_line(error)}). "
            "See why the other pods of this Job do not run."
        ) from error
    return rendezvous


def _wait_for_master(layout: Layout) -> None:
    """Wait for node 0 here, not in torch: the headless Service may not resolve yet, or its pod not run."""
    remind = start = time.monotonic()
    while problem := _connection_problem(layout):
        now = time.monotonic()
        if now > start + TIMEOUT_SECONDS:
            raise TemporaryFailureError(
                f"{problem} after {TIMEOUT_SECONDS // 60} minutes. See why the pod of index 0 does not run."
            )
        if now >= remind:
            log.info("waiting for node 0: %s", problem)
            remind = now + REMIND_SECONDS
        time.sleep(POLL_SECONDS)


def _connection_problem(layout: Layout) -> str:
    """Return why node 0 can't be reached yet, empty if it can. Node 0 itself only resolves its own name."""
    try:
        if layout.node == 0:
            socket.getaddrinfo(layout.master, layout.port)
        else:
            socket.create_connection((layout.master, layout.port), timeout=POLL_SECONDS * 5).close()
    except OSError as error:
        return f"{layout.master}:{layout.port} can't be reached ({error.strerror or error})"
    return ""


@contextlib.contextmanager
def _signals_handled(message: str) -> Iterator[None]:
    """Log `message` repeatedly, and exit at a signal: Python runs no signal handlers inside torch's C++ code."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    previous = signal.set_wakeup_fd(writer.fileno())
    thread = threading.Thread(target=_watch, args=(reader, message), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        writer.close()
        thread.join()
        reader.close()


def _watch(reader: socket.socket, message: str) -> None:
    reader.settimeout(REMIND_SECONDS)
    while True:
        if message:
            log.info("%s", message)
        with contextlib.suppress(TimeoutError):
            number = reader.recv(1)
            if not number:
                return
            log.info("ended by %s", signal.Signals(number[0]).name)
            os._exit(128 + number[0])
