"""Cooperation of the training's processes outside the training loop; `Alone` for a single process."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from vott_trainer.process.ranks import Ranks

T = TypeVar("T")


class Peers(Protocol):
    """The processes of one training."""

    ranks: Ranks

    def once_per_node(self, work: Callable[[], T], kind: type[T]) -> Sequence[T]:
        """Do `work` in one process of each node; return the results of all nodes, in order of their numbers.

        Every process must call this equally often, in the same order. A result is a `kind`, sent as JSON (peer_messages.py).
        """

    def start_group(self) -> None:
        """Initialize torch.distributed's default process group."""

    def wait_for_end(self) -> None:
        """Return when rank 0 has succeeded."""

    def end(self) -> None:
        """Let the other processes end; called by rank 0."""


class Alone:
    """A process without peers."""

    ranks = Ranks()

    def once_per_node(self, work: Callable[[], T], kind: type[T]) -> Sequence[T]:  # noqa: ARG002
        """Do `work`."""
        return [work()]

    def start_group(self) -> None:
        """Do nothing: collectives need several processes."""

    def wait_for_end(self) -> None:
        """Do nothing: this is rank 0."""

    def end(self) -> None:
        """Do nothing: no other process waits."""


def join(ranks: Ranks) -> Peers:
    """Join the other processes of the training.

    Raises:
        PeerLostError: this process replaces one that had joined.
    """
    if ranks.alone:
        return Alone()
    from vott_trainer.process.store_peers import StorePeers  # imports torch

    return StorePeers.join(ranks)
