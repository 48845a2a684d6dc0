"""Duration of each phase of a training: download, decode, forward, backward, step, evaluate, upload."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from azure.storage.blob import BlobServiceClient

from benchmarks.file_server import served
from benchmarks.training import IMAGES, LABELS, Workbench, forward, preloaded, workbench
from localcluster.azurite import Azurite
from vott_trainer.data.image_download import download_images
from vott_trainer.plugin_api import Dataset
from vott_trainer.plugins.detection import Detection, DetectionParameters
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve
from vott_trainer.vision.architecture_parameters import InitialData
from vott_trainer.vision.detector_samples import load_sample
from vott_trainer.vision.detectors import DETECTORS

CONTAINER = "bench"


def measure() -> str:
    """Table with the duration and share of each phase, for one epoch of IMAGES images."""
    with tempfile.TemporaryDirectory() as folder:
        bench = workbench(Path(folder))
        seconds = {"download": _download(bench), "decode": _timed(lambda: _decode(bench))}
        seconds |= _steps(bench)
        seconds |= {"evaluate": _timed(lambda: _evaluate(bench)), "upload": _upload(bench)}
    total = sum(seconds.values())
    rows = [f"  {phase:<10}{value:>8.2f} s {value / total:>6.0%}" for phase, value in seconds.items()]
    return "\n".join([f"{bench.name} on {bench.device.type}, {IMAGES} images, each phase once:", *rows])


def _timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _download(bench: Workbench) -> float:
    """Download from this machine, so that only the trainer's share is measured."""
    with served(bench.folder) as url:
        urls = [url + image.path.name for image in bench.samples.images]
        return _timed(lambda: download_images(urls, bench.folder / "fetched"))


def _decode(bench: Workbench) -> None:
    detector = DETECTORS[bench.name]
    for image in bench.samples.images:
        load_sample(image, LABELS, detector.image_size, square=detector.square)


def _steps(bench: Workbench) -> dict[str, float]:
    model = bench.model().train()
    optimizer = torch.optim.AdamW(model.parameters())
    seconds = dict.fromkeys(("forward", "backward", "step"), 0.0)
    batches = preloaded(bench, 1)
    forward(model, batches[0], bench.device).backward()  # type: ignore[no-untyped-call] # a GPU's first step takes longer
    bench.synchronize()

    for batch in batches:
        marks = [time.monotonic()]
        loss = forward(model, batch, bench.device)
        marks.append(_now(bench))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        marks.append(_now(bench))
        optimizer.step()
        marks.append(_now(bench))
        for phase, begin, end in zip(seconds, marks, marks[1:], strict=False):
            seconds[phase] += end - begin
    return seconds


def _now(bench: Workbench) -> float:
    bench.synchronize()
    return time.monotonic()


def _evaluate(bench: Workbench) -> None:
    data = InitialData(bench.samples, bench.samples, LABELS)
    Detection().evaluate(bench.model(), data, bench.device)


def _upload(bench: Workbench) -> float:
    """Pack and upload a model to Azurite on this machine, with verification."""
    folder = bench.folder / "model"
    folder.mkdir()
    parameters = DetectionParameters().resolved(Dataset(list(bench.samples.images), LABELS), bench.device)
    Detection().export(bench.model(), InitialData(bench.samples, bench.samples, LABELS), parameters, folder)
    with Azurite() as azurite:
        service = BlobServiceClient.from_connection_string(azurite.connection_string)
        container = service.create_container(CONTAINER)
        destination = resolve(container.url, StorageAccess(azurite.connection_string, frozenset({CONTAINER})))
        return _timed(lambda: destination.deliver(folder, bench.folder))
