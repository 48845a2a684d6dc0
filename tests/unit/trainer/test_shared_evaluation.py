"""Which plugins all processes evaluate, and what they exchange; the integration test has the processes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.shape_finder import CPU, MaskFinder, ShapeFinder, measurements, shapes_data
from tests.unit.trainer.toy_learner import ToyLearner
from vott_trainer.learning import distributed, shared_evaluation
from vott_trainer.plugin_api import Evaluation
from vott_trainer.plugins.classification import Classification
from vott_trainer.plugins.detection import Detection
from vott_trainer.plugins.segmentation import Segmentation
from vott_trainer.process.peer_messages import decode, encode
from vott_trainer.vision.detector_evaluation import Detected


class OwnEvaluation(Detection):
    """Replaces the evaluation."""

    def evaluate(self, *_: Any) -> Evaluation:
        return Evaluation({"own": 1.0})


class OwnOutputs(Detection):
    """Replaces a part of the evaluation."""

    def outputs(self, *_: Any) -> list[Detected]:
        return []


@pytest.mark.parametrize(
    ("plugin", "is_shared"),
    [(Detection, True), (Classification, True), (OwnOutputs, True), (OwnEvaluation, False), (ToyLearner, False)],
)
def test_plugin_with_an_evaluation_of_its_own_is_evaluated_on_rank_0(plugin: Any, is_shared: bool) -> None:
    assert bool(shared_evaluation.shared_evaluation(plugin())) is is_shared


@pytest.mark.parametrize("leads", [True, False])
def test_evaluation_that_is_not_shared_is_left_to_rank_0(leads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "leads", lambda: leads)
    data: Any = None
    evaluation = shared_evaluation.evaluate(OwnEvaluation(), torch.nn.Identity(), data, CPU)
    assert (evaluation.metrics if evaluation else None) == ({"own": 1.0} if leads else None)


@pytest.mark.parametrize(("count", "processes"), [(7, 2), (2, 3), (0, 2), (100, 8)])
def test_each_item_is_in_one_share(count: int, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    numbers: list[int] = []
    for rank in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        share = shared_evaluation._share(count)
        assert len(share) in (count // processes, count // processes + 1)
        numbers += share
    assert numbers == list(range(count))


@pytest.mark.parametrize(("plugin", "finder"), [(Detection(), ShapeFinder(1 / 3)), (Segmentation(), MaskFinder())])
def test_detections_of_another_process_are_the_same_to_the_last_bit(
    plugin: Detection, finder: ShapeFinder, tmp_path: Path
) -> None:
    data = shapes_data(tmp_path, 3)
    here = plugin.outputs(finder, data.held_out, CPU)
    received = decode(encode(here, list[Detected]), list[Detected])
    assert [(one.boxes, one.scores, one.scale) for one in received] == [
        (one.boxes, one.scores, one.scale) for one in here
    ]
    measured = plugin.evaluate(finder, data, CPU)
    assert measurements(plugin.measure(data, received)) == measurements(measured)
    assert measured.metrics["mAP50"] > 0.9
