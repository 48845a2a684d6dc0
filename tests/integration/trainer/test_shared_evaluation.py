"""Two processes evaluate together, and measure what one does."""

import json
from pathlib import Path

import torch

from tests.support.averaged_weights import train_as_rank
from tests.support.shape_finder import CPU, ShapeFinder, evaluate_as_rank, measurements, shapes_data
from vott_trainer.plugins.detection import Detection

IMAGES = 7  # the shares are not equal


def test_two_processes_measure_what_one_does_and_stop_together(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(evaluate_as_rank, (2, IMAGES, tmp_path), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    together, interrupted = (tmp_path / "rank-0").read_text().split("\n")
    (tmp_path / "alone").mkdir()
    alone = measurements(Detection().evaluate(ShapeFinder(), shapes_data(tmp_path / "alone", IMAGES), CPU))
    assert together == alone
    assert 0.5 < json.loads(alone)[0]["mAP"] < 0.95
    assert interrupted == "interrupted"
    assert (tmp_path / "rank-1").read_text() == "\ninterrupted"


def test_all_processes_evaluate_the_moving_average(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_as_rank, (2, tmp_path), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    epochs = json.loads((tmp_path / "rank-0").read_text())
    assert [(epoch["difference"], epoch["items"]) for epoch in epochs] == [(0, 6)] * 3
