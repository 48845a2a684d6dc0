"""Number of nodes, processes per node, and the rendezvous address, from torchrun's PET_ variables.

https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vott_trainer.errors import InvalidParametersError
from vott_trainer.process.environment import whole_number

DEFAULT_PORT = 29500  # torchrun's


@dataclass(frozen=True)
class Layout:
    """The nodes and processes of a training.

    Attributes:
        nodes: number of nodes, one container each.
        processes: number of processes in each container.
        node: number of this container's node, from 0.
        master: host that node 0 listens at.
        port: its port.
    """

    nodes: int
    processes: int
    node: int
    master: str
    port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Layout | None":
        """Read the PET_ variables; None if one process is enough, or if torchrun has started this one.

        Raises:
            InvalidParametersError: a variable is not a number, or out of range.
        """
        nodes = whole_number(environment, "PET_NNODES", 1, minimum=1)
        processes = whole_number(environment, "PET_NPROC_PER_NODE", 1, minimum=1)
        if nodes * processes == 1 or "RANK" in environment:
            return None
        node = whole_number(environment, "PET_NODE_RANK", 0, minimum=0)
        if node >= nodes:
            raise InvalidParametersError(f"PET_NODE_RANK is {node}, but PET_NNODES is {nodes}: nodes count from 0.")
        port = whole_number(environment, "PET_MASTER_PORT", DEFAULT_PORT, minimum=1)
        return cls(nodes, processes, node, environment.get("PET_MASTER_ADDR") or "127.0.0.1", port)
