"""Whole trainings of tiny RF-DETRs and D-FINEs: the loss falls, resuming is exact, and the delivered model predicts."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.support.annotated_images import serve_annotated
from tests.support.http_server import HttpServer
from tests.support.tiny_detrs import NAMES, tiny_detrs
from vott_trainer.errors import InterruptedTrainingError
from vott_trainer.learning import learn
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import Links, SummedLosses, Trained
from vott_trainer.plugins.detection import Batch, Detection, DetectionParameters
from vott_trainer.process.sigterm import Interruption
from vott_trainer.progress.progress import Progress
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.folder import FolderStore
from vott_trainer.training_run import TrainingRun

PARAMETERS = {"epochs": 2, "imageSize": 288, "batchSize": 4, "learningRate": 2e-3, "initialWeights": "none"}
PARAMETERS |= {"earlyStopping": 0, "emaDecay": 0}


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_detrs(num_queries=120):
        yield


def new_run(annotations: str, folder: Path) -> TrainingRun:
    """A run with its own folder, whose checkpoints are beside those of the others."""
    store = FolderStore(folder.parent / "store")
    return TrainingRun(
        Links(annotations, "http://host/model", None),
        folder,
        Progress(),
        checkpoints=lambda: Checkpoints(store, folder / "checkpoints", 3600.0),
        interruption=Interruption(leave=lambda _code: None),
    )


def train(run: TrainingRun, name: str, **changes: object) -> Trained:
    parameters = validate(DetectionParameters, {**PARAMETERS, "architecture": name, **changes})
    return learn(Detection(), run, parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss_and_its_model_predicts(name: str, server: HttpServer, tmp_path: Path) -> None:
    run = new_run(serve_annotated(server, 14), tmp_path / "run")
    trained = train(run, name, epochs=16)
    losses = [row["loss"] for row in trained.history]
    assert mean(losses[-3:]) < 0.95 * mean(losses[:6])
    (run.model_dir / "config.json").write_text(json.dumps(trained.config), encoding="utf-8")
    Image.new("RGB", (640, 360)).save(photo := tmp_path / "photo.png")
    found = Detection().predict(run.model_dir, photo)
    assert len(found) == 120
    assert all(
        one.box and one.box.x + one.box.width <= 640.01 and one.box.y + one.box.height <= 360.01 for one in found
    )


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_training_ends_with_the_same_weights(
    name: str, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotations = serve_annotated(server, 14)
    whole = new_run(annotations, tmp_path / "whole" / "run")
    train(whole, name)
    first, calls, loss = new_run(annotations, tmp_path / "parts" / "first"), list[int](), Detection.loss

    def interrupting(plugin: Detection, model: nn.Module, batch: Batch) -> SummedLosses:
        calls.append(1)
        if len(calls) == 4:  # in the second epoch
            first.interruption.request()
        summed: SummedLosses = loss(plugin, model, batch)  # type: ignore[assignment]
        return summed

    with monkeypatch.context() as patch:
        patch.setattr(Detection, "loss", interrupting)
        with pytest.raises(InterruptedTrainingError):
            train(first, name)
    second = new_run(annotations, tmp_path / "parts" / "second")
    train(second, name)
    assert any("resumed from epoch" in note for note in second.notes)
    assert equal(load_file(whole.model_dir / "model.safetensors"), load_file(second.model_dir / "model.safetensors"))


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether all weights are equal, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
