"""This process among all processes of the training: rank and world size, as torchrun sets them.

https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vott_trainer.process.environment import whole_number


@dataclass(frozen=True)
class Ranks:
    """Rank and world size, globally and within this node; every node runs equally many processes."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Ranks":
        """Read what torchrun sets; without these variables the process is alone.

        Raises:
            InvalidParametersError: a variable is not a number.
        """
        return cls(
            whole_number(environment, "RANK", 0, minimum=0),
            whole_number(environment, "WORLD_SIZE", 1, minimum=1),
            whole_number(environment, "LOCAL_RANK", 0, minimum=0),
            whole_number(environment, "LOCAL_WORLD_SIZE", 1, minimum=1),
        )

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.world_size == 1

    @property
    def leads(self) -> bool:
        """Whether this process measures, saves, uploads and reports."""
        return self.rank == 0

    @property
    def leads_node(self) -> bool:
        """Whether this process fetches what its node needs."""
        return self.local_rank == 0

    @property
    def node(self) -> int:
        """Number of this process's node, from 0."""
        return self.rank // self.local_world_size

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.world_size // self.local_world_size
