"""Start this container's processes with torchrun's agent, and end with the exit code of the one that failed first.

torchrun's own command ends with 1 whatever the exit codes of its processes, and ignores SIGTERM while it waits for other nodes.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence

from torch.distributed.elastic.agent.server.api import WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous

from vott_guard import exit_codes
from vott_trainer.errors import PeerLostError, TrainerError
from vott_trainer.process.layout import Layout
from vott_trainer.process.rendezvous import meet
from vott_trainer.process.sigterm import grace_seconds
from vott_trainer.process.work_dir import shared_work_dir

log = logging.getLogger(__name__)

CAUSE_FIRST_SECONDS = 10.0  # a pod that only lost its peers waits this long before it ends
SPARE_SECONDS = 2.0  # between the agent's SIGKILL and the kubelet's; the processes themselves leave more


class WorkerKilledError(TrainerError):
    """A process was ended by a signal that the agent did not send; the exit code is a shell's, 128 + n."""

    def __init__(self, failure: ProcessFailure) -> None:
        super().__init__(
            f"Process {failure.local_rank} of this pod was ended by {failure.signal_name()}. SIGKILL mostly means that "
            "memory ran out: raise spec.trainer.resources.limits.memory, or lower batchSize. Otherwise see the log above."
        )
        self.exit_code = 128 - failure.exitcode


def launch(argv: Sequence[str], layout: Layout) -> int:
    """Run `python -m vott_trainer ARGV` in every process of this node; return the container's exit code.

    Raises:
        TemporaryFailureError: not all nodes came to the rendezvous.
        PeerLostError: NCCL ended a process, which waited for others.
        WorkerKilledError: a process was ended by another signal.
    """
    with shared_work_dir(), contextlib.suppress(SignalException):
        result = _agent(argv, layout, meet(layout)).run()
        try:
            code = exit_code_of(result.failures.values())
        except PeerLostError:
            _let_the_cause_end_first(layout)
            raise
        if result.is_failed() and not code:
            code = TrainerError.exit_code
        if code == PeerLostError.exit_code:
            _let_the_cause_end_first(layout)
        return code
    return exit_codes.SIGTERM


def _let_the_cause_end_first(layout: Layout) -> None:
    """Wait, so that the pod that reports the cause fails first: the Job of several nodes fails with that pod."""
    if layout.nodes == 1:
        return
    signal.signal(signal.SIGTERM, lambda *_: os._exit(exit_codes.SIGTERM))
    time.sleep(CAUSE_FIRST_SECONDS)


def exit_code_of(failures: Iterable[ProcessFailure]) -> int:
    """Return the exit code of the process that failed first, unless it only lost its peers or was stopped because of them.

    Raises:
        PeerLostError: that process was ended by SIGABRT.
        WorkerKilledError: that process was ended by another signal.
    """
    by_cause = sorted(failures, key=lambda failure: (_cause_order(failure.exitcode), failure.timestamp))
    if not by_cause:
        return 0
    code = by_cause[0].exitcode
    if code == -signal.SIGTERM:
        return exit_codes.SIGTERM
    if code == -signal.SIGABRT:
        raise PeerLostError(
            f"Process {by_cause[0].local_rank} of this pod was ended by SIGABRT, as NCCL does if it loses the others or one of them does not "
            "answer for an hour. See the log above, and the logs and states of the other pods of this Job."
        )
    if code < 0:
        raise WorkerKilledError(by_cause[0])
    return code


def _cause_order(code: int) -> int:
    """Return 0 for a cause, 1 for a possible consequence, 2 for a certain one."""
    if code in (-signal.SIGTERM, exit_codes.SIGTERM):
        return 2
    return 1 if code in (-signal.SIGABRT, PeerLostError.exit_code) else 0


def _agent(argv: Sequence[str], layout: Layout, rendezvous: StaticTCPRendezvous) -> LocalElasticAgent:
    # All nodes are alike: ranks follow from the layout, without waiting for the other agents.
    os.environ["TORCH_ELASTIC_WORKER_IDENTICAL"] = "1"
    arguments = (argument.replace("$", "$$") for argument in argv)  # the agent expands $ templates
    spec = WorkerSpec(
        role="trainer",
        local_world_size=layout.processes,
        rdzv_handler=rendezvous,
        entrypoint=sys.executable,
        args=("-m", "vott_trainer", *arguments),
        max_restarts=0,
        master_addr=layout.master,
        master_port=layout.port,
    )
    return LocalElasticAgent(spec, DefaultLogsSpecs(), shutdown_timeout=max(1, int(grace_seconds() - SPARE_SECONDS)))
