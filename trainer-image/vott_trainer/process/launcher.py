"""Start this container's processes with torchrun's agent, and end with the exit code of the one that failed first.

torchrun itself would end with 1 whatever its processes ended with, and while it waits for other nodes it hears no SIGTERM.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from torch.distributed.elastic.agent.server.api import WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous

from vott_trainer.errors import EXIT_SIGTERM, PeerLostError, TemporaryFailureError, TrainerError
from vott_trainer.process.interruption import grace_seconds
from vott_trainer.process.ranks import Layout

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 3600  # a pod of another node may wait for its node, its image and its GPU
LOOK_SECONDS = 1.0
REMIND_SECONDS = 30.0
CAUSE_FIRST_SECONDS = 10.0  # how much later than the pod at fault one that only misses it ends
SPARE_SECONDS = 2.0  # between our SIGKILL and the kubelet's; the processes themselves spare more


class WorkerKilledError(TrainerError):
    """A process was ended by a signal that nobody here sent; the exit code is what a shell would say."""

    def __init__(self, failure: ProcessFailure) -> None:
        super().__init__(
            f"Process {failure.local_rank} of this pod was ended by {failure.signal_name()}. SIGKILL mostly means that "
            "memory ran out: raise spec.trainer.resources.limits.memory, or lower batchSize. Else see the log above."
        )
        self.exit_code = 128 - failure.exitcode


def launch(argv: Sequence[str], layout: Layout) -> int:
    """Run `python -m vott_trainer ARGV` in every process of this node; return the exit code of all.

    Raises:
        TemporaryFailureError: the other nodes did not come.
        WorkerKilledError: a process was ended by a signal.
    """
    with _work_dir(), contextlib.suppress(SignalException):
        result = _agent(argv, layout, _meet(layout)).run()
        code = verdict(result.failures.values())
        if result.is_failed() and not code:
            code = TrainerError.exit_code
        if code == PeerLostError.exit_code and layout.nodes > 1:
            _let_the_cause_be_seen_first()
        return code
    return EXIT_SIGTERM


def _let_the_cause_be_seen_first() -> None:
    """A Job of several nodes fails with the first of its pods, and that should be the one that can tell why."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_SIGTERM))
    time.sleep(CAUSE_FIRST_SECONDS)


def verdict(failures: Iterable[ProcessFailure]) -> int:
    """Return the exit code that tells the cause: not that of a process which only lost the others or was stopped then.

    Raises:
        WorkerKilledError: the cause is a signal.
    """
    ended = sorted(failures, key=lambda failure: (_weight(failure.exitcode), failure.timestamp))
    if not ended:
        return 0
    code = ended[0].exitcode
    if code == -signal.SIGTERM:
        return EXIT_SIGTERM
    if code < 0:
        raise WorkerKilledError(ended[0])
    return code


def _weight(code: int) -> int:
    """Return 0 for a cause, 1 for what may be its consequence, 2 for what surely is."""
    if code in (-signal.SIGTERM, EXIT_SIGTERM):
        return 2
    return 1 if code == PeerLostError.exit_code else 0


def _agent(argv: Sequence[str], layout: Layout, meeting: StaticTCPRendezvous) -> LocalElasticAgent:
    # All nodes are alike, so that ranks follow from the layout and nobody has to wait for anybody.
    os.environ["TORCH_ELASTIC_WORKER_IDENTICAL"] = "1"
    spec = WorkerSpec(
        role="trainer",
        local_world_size=layout.processes,
        rdzv_handler=meeting,
        entrypoint=sys.executable,
        args=(
            "-m",
            "vott_trainer",
            *(argument.replace("$", "$$") for argument in argv),
        ),  # the agent fills in templates
        max_restarts=0,
        master_addr=layout.master,
        master_port=layout.port,
    )
    return LocalElasticAgent(spec, DefaultLogsSpecs(), shutdown_timeout=max(1, int(grace_seconds() - SPARE_SECONDS)))


def _meet(layout: Layout) -> StaticTCPRendezvous:
    """Return when every node's agent has come to the store on node 0."""
    meeting = StaticTCPRendezvous(
        layout.master,
        layout.port,
        layout.node,
        layout.nodes,
        run_id=os.environ.get("TRAININGJOB_UID") or "vott",
        timeout=PATIENCE_SECONDS,
    )
    _wait_for_master(layout)
    try:
        with _hearing(f"waiting for the pods of the other nodes ({layout.nodes} in all)" if layout.nodes > 1 else ""):
            meeting.next_rendezvous()
    except RuntimeError as error:
        raise TemporaryFailureError(
            f"Not all of the {layout.nodes} nodes came within {PATIENCE_SECONDS // 60} minutes ({_first_line(error)}). "
            "See why the other pods of this Job do not run."
        ) from error
    return meeting


def _wait_for_master(layout: Layout) -> None:
    """Wait here and not in torch: a headless Service may not know the name yet, or its pod be still on its way."""
    remind = begun = time.monotonic()
    while what := _missing(layout):
        now = time.monotonic()
        if now > begun + PATIENCE_SECONDS:
            raise TemporaryFailureError(
                f"{what} after {PATIENCE_SECONDS // 60} minutes. See why the pod of index 0 does not run."
            )
        if now >= remind:
            log.info("waiting for node 0: %s", what)
            remind = now + REMIND_SECONDS
        time.sleep(LOOK_SECONDS)


def _missing(layout: Layout) -> str:
    """Return what still keeps this node from node 0, empty when nothing does."""
    try:
        if layout.node == 0:
            socket.getaddrinfo(layout.master, layout.port)
        else:
            socket.create_connection((layout.master, layout.port), timeout=LOOK_SECONDS * 5).close()
    except OSError as error:
        return f"{layout.master}:{layout.port} can't be reached ({error.strerror or error})"
    return ""


@contextlib.contextmanager
def _hearing(what: str) -> Iterator[None]:
    """Log `what` now and again, and end at a signal: inside of torch's C++ no signal handler of Python's runs."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno())
    thread = threading.Thread(target=_watch, args=(reader, what), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join()
        reader.close()


def _watch(reader: socket.socket, what: str) -> None:
    reader.settimeout(REMIND_SECONDS)
    while True:
        if what:
            log.info("%s", what)
        with contextlib.suppress(TimeoutError):
            number = reader.recv(1)
            if not number:
                return
            log.info("ended by %s", signal.Signals(number[0]).name)
            os._exit(128 + number[0])


@contextlib.contextmanager
def _work_dir() -> Iterator[None]:
    """Give the processes of this node one folder to share, where the environment names none."""
    if os.environ.get("VOTT_WORK_DIR"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="vott-trainer-") as folder:
        os.environ["VOTT_WORK_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["VOTT_WORK_DIR"]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
