"""Every way on which a message's URL makes the trainer ask a server, as one function of the URL and a folder to write to; and names."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vott_trainer.data.image_download import ImageLimits, download_images
from vott_trainer.http.retry import Backoff
from vott_trainer.plugin_api import Links
from vott_trainer.progress.callback import Callback
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.azure.store import container_by_sas
from vott_trainer.stores.presigned_put import PresignedPutStore
from vott_trainer.training_run import TrainingRun

Way = Callable[[str, Path], object]
IMAGE_BYTES = 8 << 20
AT_ONCE = Backoff(attempts=2, sleep=lambda _seconds: None)


def annotations(url: str, folder: Path) -> object:
    return TrainingRun(Links(url, "https://store.example/c", None), folder, Progress()).annotations()


def weights(url: str, folder: Path) -> object:
    return TrainingRun(Links(url, "https://store.example/c", None), folder, Progress()).fetch(url, "weights")


def image(url: str, folder: Path) -> object:
    limits = ImageLimits(image_bytes=IMAGE_BYTES)
    return download_images([url], folder / "images", limits=limits, backoff=AT_ONCE)


def callback(url: str, folder: Path) -> None:  # noqa: ARG001
    Callback(url, "cats").post(Snapshot(), "running", "")


def link(url: str, folder: Path) -> object:
    (folder / "model.tgz").write_bytes(b"weights")
    return PresignedPutStore(f"{url}?token=SECRET", AT_ONCE).put(folder / "model.tgz", "model.tgz")


def container(url: str, folder: Path) -> object:
    (folder / "model.tgz").write_bytes(b"weights")
    return container_by_sas(f"{url}/models", "sp=rw&sig=SECRET").put(folder / "model.tgz", "model.tgz")


WAYS: list[Way] = [annotations, weights, image, callback, link, container]
READING = WAYS[:3]


class Names:
    """A resolver whose answers the sender of a message chooses: one list of addresses a look-up, the last one for good."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int | None, *args: Any, **options: Any) -> list[object]:
        answers = self.answers.get(host.rstrip("."))
        if answers is None:
            return list(self._real(host, port, *args, **options))
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for address in addresses for found in self._real(address, port, type=socket.SOCK_STREAM)]
