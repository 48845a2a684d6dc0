"""Duration of each phase of a training on photographs: download, decode, read, augment, forward, backward, step, evaluate, upload."""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from azure.storage.blob import BlobServiceClient

from benchmarks.file_server import served
from benchmarks.training import COLD, IMAGES, Workbench, forward, images, preloaded, workbench
from localcluster.azurite import Azurite
from vott_trainer.data.image_download import download_images
from vott_trainer.data.scenes import find_scenes
from vott_trainer.learning.worker_threads import worker_threads
from vott_trainer.plugin_api import LabelledImage
from vott_trainer.plugins.detection import Batch
from vott_trainer.process.ranks import Ranks
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.destination_url import resolve

CONTAINER = "bench"


def measure() -> str:
    """Table with the duration and share of each phase, for one epoch of IMAGES photographs."""
    with tempfile.TemporaryDirectory() as folder:
        photographs = images(Path(folder), COLD, IMAGES)
        bench = workbench(Path(folder), COLD, photographs)
        seconds = {
            "download and check": _download(bench, photographs),
            "find scenes": _timed(lambda: find_scenes(photographs)),
        }
        seconds |= {"decode, first epoch": _read(bench), "read, later epochs": _read(bench)}
        seconds |= _steps(bench)
        seconds |= {"evaluate": _timed(lambda: _evaluate(bench)), "upload": _upload(bench)}
    total = sum(seconds.values())
    rows = [f"  {phase:<20}{value:>8.2f} s {value / total:>6.0%}" for phase, value in seconds.items()]
    counts = f"{len(bench.data.training)} training and {len(bench.data.held_out)} held-out photographs of 1920x1440"
    return "\n".join(
        [f"{bench.name} on {bench.device.type}, {counts}, each phase once and one after the other:", *rows]
    )


def _timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _download(bench: Workbench, photographs: Sequence[LabelledImage]) -> float:
    """Download from this machine, so that only the trainer's share is measured."""
    with served(bench.folder) as url:
        urls = [url + image.path.name for image in photographs]
        return _timed(lambda: download_images(urls, bench.folder / "fetched"))


def _read(bench: Workbench) -> float:
    """Get all samples in as many threads as a training has."""
    numbers = range(len(bench.data.training))
    with ThreadPoolExecutor(worker_threads(Ranks())) as pool:
        return _timed(lambda: list(pool.map(bench.data.training.__getitem__, numbers)))


def _steps(bench: Workbench) -> dict[str, float]:
    model = bench.model().train()
    optimizer = torch.optim.AdamW(model.parameters())
    seconds = dict.fromkeys(("forward", "backward", "step"), 0.0)
    batches: list[Batch] = []
    build = _timed(lambda: batches.extend(preloaded(bench, 1)))
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
    return {"read and augment": build, **seconds}


def _now(bench: Workbench) -> float:
    bench.synchronize()
    return time.monotonic()


def _evaluate(bench: Workbench) -> None:
    bench.plugin.evaluate(bench.model(), bench.data, bench.device)


def _upload(bench: Workbench) -> float:
    """Pack and upload a model to Azurite on this machine, with verification."""
    folder = bench.folder / "model"
    folder.mkdir()
    bench.plugin.export(bench.model(), bench.data, bench.parameters, folder)
    with Azurite() as azurite:
        service = BlobServiceClient.from_connection_string(azurite.connection_string)
        container = service.create_container(CONTAINER)
        destination = resolve(container.url, StorageAccess(azurite.connection_string, frozenset({CONTAINER})))
        return _timed(lambda: destination.deliver(folder, bench.folder))
