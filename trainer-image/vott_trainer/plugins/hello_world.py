"""The plugin `hello-world`: a two-second test of queue, annotations, progress and upload that trains nothing."""

import json
import time
from collections import Counter
from pathlib import Path

from pydantic import Field

from vott_trainer.errors import UsageError
from vott_trainer.plugin_api import DataParameters, Prediction, Run, Trained


class HelloWorldParameters(DataParameters):
    """Duration of the pretended training."""

    epochs: int = Field(default=3, ge=1, le=1000, description="Number of pretended epochs.")
    steps: int = Field(default=4, ge=1, le=1000, description="Steps per epoch.")
    step_seconds: float = Field(default=0.1, ge=0, le=60, description="Seconds per step.")


class HelloWorld:
    """A training that reads the annotations, fetches no image and writes a model of a few hundred bytes."""

    parameters = HelloWorldParameters

    def train(self, run: Run, parameters: HelloWorldParameters) -> Trained:
        """Count the labels, step by step."""
        annotations = run.annotations()
        run.progress.begin(parameters.epochs, parameters.steps)
        for epoch in range(1, parameters.epochs + 1):
            for step in range(1, parameters.steps + 1):
                time.sleep(parameters.step_seconds)
                loss = 1 / ((epoch - 1) * parameters.steps + step)
                run.progress.step(epoch, step, classification_loss=loss, images_per_second=None)
            run.progress.epoch_end()
        counts = Counter(box.label for image in annotations.images for box in image.boxes)
        counts.update(image.label for image in annotations.images if image.label is not None)
        (run.model_dir / "hello.json").write_text(
            json.dumps({"hello": "world", "annotations": counts}, indent=2), encoding="utf-8"
        )
        (run.model_dir / "labels.txt").write_text(
            "".join(f"{label}\n" for label in annotations.labels), encoding="utf-8"
        )
        return Trained({"annotations": float(counts.total())}, {"images": len(annotations.images)})

    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:  # noqa: ARG002 - the Plugin protocol
        """Refuse: the model predicts nothing."""
        raise UsageError("A hello-world model has learned nothing and predicts nothing.")
