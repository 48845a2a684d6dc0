"""A learner that trains in milliseconds: points in a plane and two classes, with dropout so that random numbers matter."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vott_trainer.plugin_api import Data, Dataset, Evaluation, LearningParameters, Links, Prediction, Run
from vott_trainer.process.sigterm import Interruption
from vott_trainer.progress.progress import Progress
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun


class ToyParameters(LearningParameters):
    """The parameters of every learner."""


@dataclass(frozen=True)
class Point:
    """An item of the dataset."""

    name: str
    position: Tensor
    label: Tensor


class Net(nn.Module):
    """Two layers with the kinds of state that matter: dropout draws random numbers, batch normalization keeps statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))

    def forward(self, positions: Tensor) -> Tensor:
        scores: Tensor = self.layers(positions)
        return scores


class ToyLearner:
    """Classifies points as left or right of the origin."""

    parameters = ToyParameters
    points = 24

    def data(self, run: Run, parameters: ToyParameters) -> Data:  # noqa: ARG002 - the Learner protocol
        rng = random.Random(1)
        positions = [(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(self.points)]
        points = [
            Point(f"point {n}", torch.tensor(position), torch.tensor(int(position[0] > 0)))
            for n, position in enumerate(positions)
        ]
        return Data(points[6:], points[:6], ["left", "right"], {"points": self.points})

    def model(self, data: Data, parameters: ToyParameters) -> nn.Module:  # noqa: ARG002
        return Net()

    def batch(self, items: Sequence[Point], rngs: Sequence[random.Random]) -> dict[str, Tensor]:
        noise = torch.tensor([[rng.gauss(0, 0.01), rng.gauss(0, 0.01)] for rng in rngs])
        positions = torch.stack([item.position for item in items]) + noise
        return {"positions": positions, "labels": torch.stack([item.label for item in items])}

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        return {"classification": nn.functional.cross_entropy(model(batch["positions"]), batch["labels"])}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, data: Data, device: torch.device) -> Evaluation:
        model.eval()
        scores = model(torch.stack([point.position for point in data.held_out]).to(device))
        correct = (scores.argmax(1).cpu() == torch.stack([point.label for point in data.held_out])).float().mean()
        return Evaluation({"accuracy": float(correct)})

    def export(self, model: nn.Module, data: Data, parameters: Any, folder: Path) -> dict[str, Any]:  # noqa: ARG002
        torch.save(model.state_dict(), folder / "weights.pt")
        return {}

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:  # noqa: ARG002
        return []


def toy_run(
    folder: Path, *, store: Path | None = None, every_seconds: float = 3600.0, annotations: str | None = None
) -> TrainingRun:
    """A run without a dataset, since the learner has its own, or with annotations; checkpoints go to the folder `store`, if given."""

    def checkpoints() -> Checkpoints | None:
        return Checkpoints(FolderStore(store), folder / "checkpoints", every_seconds) if store else None

    run = TrainingRun(
        Links(annotations or "http://host/a", "http://host/m", None),
        folder,
        Progress(),
        checkpoints=checkpoints,
        interruption=Interruption(leave=lambda _code: None),
    )
    if not annotations:
        run._dataset = Dataset([], ["left", "right"])
    return run


def trained_weights(run: TrainingRun) -> dict[str, Tensor]:
    """The weights that the run's training exported."""
    exported: dict[str, Tensor] = torch.load(run.model_dir / "weights.pt", weights_only=True)
    return exported


def equal_weights(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether all weights are equal, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
