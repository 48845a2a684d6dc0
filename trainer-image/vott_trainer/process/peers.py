"""The other processes of this training, reached through torchrun's key-value store."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined] # re-exported without saying so
from torch.distributed.rendezvous import rendezvous

from vott_trainer.errors import PeerLostError
from vott_trainer.process.peer_messages import decode, encode
from vott_trainer.process.ranks import Ranks

log = logging.getLogger(__name__)

T = TypeVar("T")

# A collective may have to wait while rank 0 evaluates, so not the usual ten minutes. A process that dies is noticed at once all the same.
COLLECTIVE_TIMEOUT = timedelta(hours=1)
LOOK_SECONDS = 0.5
LEAVE_SECONDS = 2.0  # head start of the others: with the success of its first pod a Job takes away those that still run
REMIND_SECONDS = 60.0


class StorePeers:
    """Peers that meet at the store which torchrun's agent on node 0 keeps.

    Nothing waits inside of torch, where signals are not heard and a time limit would end what is merely slow.
    """

    def __init__(self, ranks: Ranks, store: Store) -> None:
        self.ranks = ranks
        self._store = PrefixStore("vott", store)
        self._shared = 0
        if self._store.add(f"joined/{ranks.rank}", 1) > 1:
            # The one before is gone, and with it what the others know of this rank.
            raise PeerLostError(f"Another process was rank {ranks.rank} before this one. All have to begin anew.")

    @classmethod
    def join(cls, ranks: Ranks) -> "StorePeers":
        """Connect to the store that the environment (MASTER_ADDR, MASTER_PORT) names.

        Raises:
            PeerLostError: a process of this rank has been there before.
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
            self._wait_for(key, f"node {node}, which still fetches")
        return [decode(self._store.get(key).decode(), kind) for key in keys]

    def start_group(self) -> None:
        """Make the collectives usable: NCCL between GPUs, Gloo between CPUs."""
        # So that a lost peer raises an error here; else NCCL's watchdog would abort the process without a word of ours. The wait
        # costs nothing more: the training loop looks at each step's loss anyway.
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
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
        """Wait, however long rank 0 takes to evaluate, pack and upload."""
        self._wait_for("end", "rank 0, which has more to do")
        _end_group()

    def end(self) -> None:
        """Let the others end."""
        self._store.set("end", "")
        _end_group()
        time.sleep(LEAVE_SECONDS)

    def _wait_for(self, key: str, whom: str) -> None:
        remind = time.monotonic() + REMIND_SECONDS
        while not self._store.check([key]):
            time.sleep(LOOK_SECONDS)
            if time.monotonic() >= remind:
                log.info("waiting for %s", whom)
                remind += REMIND_SECONDS


def _end_group() -> None:
    # By now the model is uploaded and reported: whoever left a moment earlier takes nothing of that away.
    with contextlib.suppress(RuntimeError):
        if distributed.is_initialized():
            distributed.destroy_process_group()
