"""Which of the training's processes this one is, in torchrun's words, and which of them a container starts.

The environment's names are those that torchrun reads and sets: https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from vott_trainer.errors import InvalidParametersError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One process among all that train together, counted from 0 through all nodes; every node has equally many."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Ranks":
        """Read what torchrun sets for each process it starts; a process that nobody started so is alone.

        Raises:
            InvalidParametersError: a variable is not a number.
        """
        return cls(
            _number(environment, "RANK", 0, least=0),
            _number(environment, "WORLD_SIZE", 1, least=1),
            _number(environment, "LOCAL_RANK", 0, least=0),
            _number(environment, "LOCAL_WORLD_SIZE", 1, least=1),
        )

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.world_size == 1

    @property
    def leads(self) -> bool:
        """Whether this process evaluates, saves, uploads and reports; the others only learn."""
        return self.rank == 0

    @property
    def leads_node(self) -> bool:
        """Whether this process fetches what its node needs."""
        return self.local_rank == 0

    @property
    def node(self) -> int:
        """Number of this process' node, from 0."""
        return self.rank // self.local_world_size

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.world_size // self.local_world_size


@dataclass(frozen=True)
class Layout:
    """The processes that this container starts: `processes` on each of `nodes`; this is node number `node`."""

    nodes: int
    processes: int
    node: int
    master: str
    port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Layout | None":
        """Read torchrun's PET_ variables; None when one process is enough, or when torchrun has started this one.

        Raises:
            InvalidParametersError: a variable is not a number, or out of range.
        """
        nodes = _number(environment, "PET_NNODES", 1, least=1)
        processes = _number(environment, "PET_NPROC_PER_NODE", 1, least=1)
        if nodes * processes == 1 or "RANK" in environment:
            return None
        node = _number(environment, "PET_NODE_RANK", 0, least=0)
        if node >= nodes:
            raise InvalidParametersError(f"PET_NODE_RANK is {node}, but PET_NNODES is {nodes}: nodes count from 0.")
        port = _number(environment, "PET_MASTER_PORT", 29500, least=1)
        return cls(nodes, processes, node, environment.get("PET_MASTER_ADDR") or "127.0.0.1", port)


class Peers(Protocol):
    """The processes of one training, as far as they must speak with each other outside of the training loop."""

    ranks: Ranks

    def once_per_node(self, work: Callable[[], T], kind: type[T]) -> Sequence[T]:
        """Do `work` in one process of each node; return the results of all nodes, in order of their numbers.

        Every process must call this equally often, in the same order. A result is a `kind`, sent as JSON (peer_messages.py).
        """

    def start_group(self) -> None:
        """Make torch.distributed's collectives usable."""

    def wait_for_end(self) -> None:
        """Return when rank 0 has ended well."""

    def end(self) -> None:
        """Tell the others, as rank 0, that all is done."""


class Alone:
    """The only process."""

    ranks = Ranks()

    def once_per_node(self, work: Callable[[], T], kind: type[T]) -> Sequence[T]:  # noqa: ARG002
        """Do it."""
        return [work()]

    def start_group(self) -> None:
        """No others, no collectives."""

    def wait_for_end(self) -> None:
        """Nobody to wait for."""

    def end(self) -> None:
        """Nobody to tell."""


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise InvalidParametersError(f"{name}: expected a whole number from {least} on, found {text[:30]!r}.")
    return int(text)
