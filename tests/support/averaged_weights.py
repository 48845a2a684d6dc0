"""A learner that measures whether all processes evaluate with the same weights, and its training in several processes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.distributed import FileStore, destroy_process_group, init_process_group  # type: ignore[attr-defined]

from tests.unit.trainer.toy_learner import Point, ToyLearner, ToyParameters, toy_run
from vott_trainer.learning import learn
from vott_trainer.plugin_api import Data, Evaluation


@dataclass(frozen=True)
class Weight:
    """A weight of the network that an item was evaluated with."""

    value: float


class Weighed(ToyLearner):
    """Its metric is the difference between the weights that the items were evaluated with."""

    output = Weight

    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
        return self.measure(data, self.outputs(model, data.held_out, device))

    def outputs(self, model: nn.Module, items: Sequence[Point], device: torch.device) -> list[Weight]:  # noqa: ARG002
        weight = next(model.parameters()).flatten()[0].item()
        return [Weight(weight) for _ in items]

    def measure(self, data: Data, outputs: list[Weight]) -> Evaluation:  # noqa: ARG002
        values = [output.value for output in outputs]
        return Evaluation({"difference": max(values) - min(values), "items": len(values)})


def train_as_rank(rank: int, processes: int, folder: Path) -> None:
    """Train with a moving average together with the other ranks; write the metrics of each epoch to the file `rank-N`."""
    torch.set_num_threads(1)
    init_process_group("gloo", store=FileStore(str(folder / "store"), processes), rank=rank, world_size=processes)
    trained = learn(Weighed(), toy_run(folder / f"work-{rank}"), ToyParameters(epochs=3, emaDecay=0.9))
    (folder / f"rank-{rank}").write_text(json.dumps(trained.history))
    destroy_process_group()
