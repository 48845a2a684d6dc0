"""`make bench-quality` with the real trainer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.annotated_images import image_with_shapes
from tests.support.trainer_process import CHECKOUT


def write_vott_export(folder: Path, images: int) -> None:
    """Images and VoTT's JSON export beside them, which names them as they were on the annotator's computer."""
    assets = {}
    for number in range(images):
        content, shapes = image_with_shapes(number)
        (folder / f"{number}.png").write_bytes(content)
        boxes = [{"left": s.x, "top": s.y, "width": s.side, "height": s.side} for s in shapes]
        regions = [
            {"id": str(index), "type": "RECTANGLE", "tags": [shape.label], "boundingBox": box}
            for index, (shape, box) in enumerate(zip(shapes, boxes, strict=True))
        ]
        asset = {
            "id": str(number),
            "name": f"{number}.png",
            "path": f"file:C:/cats/{number}.png",
            "state": 2,
            "type": 1,
        }
        assets[str(number)] = {"asset": asset, "regions": regions}
    (folder / "cats-export.json").write_text(json.dumps({"name": "cats", "assets": assets}))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.quality", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


def test_a_folder_is_measured_once_and_its_reports_are_kept(tmp_path: Path) -> None:
    data, out = tmp_path / "cats", tmp_path / "out"
    data.mkdir()
    write_vott_export(data, 8)
    variants = 'default={}; refused={"epochs": 0}'
    arguments = [str(data), "--parameters", '{"epochs": 1}', "--variants", variants, "--seeds", "1", "--out", str(out)]

    first = bench(*arguments)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "cats, refused, seed 0: failed" in first.stderr
    assert "epochs" in first.stderr.partition("failed")[2]  # the trainer's own words
    folder = out / "cats" / "default" / "seed-0"
    assert {file.name for file in folder.iterdir()} == {"report.html", "metrics.json", "run.json", "trainer.log"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["counts"]["trainingImages"] + metrics["counts"]["heldOutImages"] == 8
    assert 10 < json.loads((folder / "run.json").read_text())["cost"]["peak_mib"] < 100_000
    assert f"{metrics['metrics']['mAP50']:.3f}" in (out / "results.md").read_text()
    assert (out / "results.png").exists()

    finished = (folder / "report.html").stat().st_mtime_ns
    second = bench(*arguments)
    assert "1 of 2 runs were finished earlier" in second.stdout
    assert (folder / "report.html").stat().st_mtime_ns == finished


def test_trainings_look_for_weights_in_the_folder_that_vott_weights_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, weights = tmp_path / "cats", tmp_path / "weights"
    data.mkdir()
    weights.mkdir()
    write_vott_export(data, 8)
    (weights / "another.safetensors").touch()
    monkeypatch.setenv("VOTT_WEIGHTS", str(weights))
    parameters = '{"architecture": "fcos_tiny", "initialWeights": "baked"}'
    outcome = bench(str(data), "--parameters", parameters, "--seeds", "1", "--out", str(tmp_path / "out"))
    assert "no weights for fcos_tiny (available: another)" in outcome.stderr
