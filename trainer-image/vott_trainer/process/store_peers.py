"""The processes of one training, connected by torchrun's key-value store."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined] # not in __all__
from torch.distributed.rendezvous import rendezvous

from vott_trainer.errors import PeerLostError
from vott_trainer.process.peer_messages import decode, encode
from vott_trainer.process.ranks import Ranks

log = logging.getLogger(__name__)

T = TypeVar("T")

# Longer than torch's ten minutes: a collective may wait while rank 0 evaluates. A process that dies is noticed at once anyway.
COLLECTIVE_TIMEOUT = timedelta(hours=1)
POLL_SECONDS = 0.5
LEAVE_SECONDS = (
    2.0  # rank 0 ends this much later than the others: when its pod succeeds, the Job terminates the other pods
)
REMIND_SECONDS = 60.0


class StorePeers:
    """Peers that share the store of torchrun's agent on node 0.

    Waits by polling, not inside torch: signals are handled, and no timeout ends a slow training.
    """

    def __init__(self, ranks: Ranks, store: Store) -> None:
        self.ranks = ranks
        self._store = PrefixStore("vott", store)
        self._shared = 0
        if self._store.add(f"joined/{ranks.rank}", 1) > 1:
            # The other processes have progressed with the old one; a new one can't join them midway.
            raise PeerLostError(
                f"Another process was rank {ranks.rank} before this one. All processes have to restart."
            )

    @classmethod
    def join(cls, ranks: Ranks) -> "StorePeers":
        """Connect to the store at MASTER_ADDR and MASTER_PORT.

        Raises:
            PeerLostError: another process has joined with this rank.
        """
        store, _, _ = next(rendezvous("env://", ranks.rank, ranks.world_size, timeout=COLLECTIVE_TIMEOUT))
        return cls(ranks, store)

    def once_per_node(self, work: Callable[[], T], kind: type[T]) -> Sequence[T]:
        """Do `work` in one process of each node; return the results of all nodes, in order of their numbers."""
        self._shared += 1
        keys = [f"{self._shared}/{node}" for node in range(self.ranks.nodes)]
        if self.ranks.leads_node:
            self._store.set(keys[self.ranks.node], encode(work(), kind))
        for node, key in enumerate(keys):
            self._wait_for(key, f"node {node}, which is still downloading")
        return [decode(self._store.get(key).decode(), kind) for key in keys]

    def start_group(self) -> None:
        """Initialize the process group: NCCL between GPUs, Gloo between CPUs."""
        # NCCL's watchdog ends a process by SIGABRT when a collective fails or takes longer than the timeout; the launcher reports it.
        # TORCH_NCCL_BLOCKING_WAIT would raise an error instead, but block the CPU in each collective: the loop is to prepare the next
        # step while the GPU computes. Mostly an error is raised anyway, because the processes meet in Gloo before each step.
        os.environ.setdefault(
            "TORCH_NCCL_ASYNC_ERROR_HANDLING", "3"
        )  # end at once: closing NCCL's connections may hang
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        store = PrefixStore("group", self._store)
        distributed.init_process_group(
            backend,
            store=store,
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            timeout=COLLECTIVE_TIMEOUT,
        )

    def wait_for_end(self) -> None:
        """Wait until rank 0 has evaluated, packed and uploaded, however long it takes."""
        self._wait_for("end", "rank 0, which evaluates, packs and uploads")
        _destroy_group()

    def end(self) -> None:
        """Let the other processes end."""
        self._store.set("end", "")
        _destroy_group()
        time.sleep(LEAVE_SECONDS)

    def _wait_for(self, key: str, description: str) -> None:
        remind = time.monotonic() + REMIND_SECONDS
        while not self._store.check([key]):
            time.sleep(POLL_SECONDS)
            if time.monotonic() >= remind:
                log.info("waiting for %s", description)
                remind += REMIND_SECONDS


def _destroy_group() -> None:
    # The model is uploaded and reported by now: a peer that has already left does no harm.
    with contextlib.suppress(RuntimeError):
        if distributed.is_initialized():
            distributed.destroy_process_group()
