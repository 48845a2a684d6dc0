"""The requests that the trainer sends to a message's URLs: one function each, of the URL and a folder for files."""

from collections.abc import Callable
from pathlib import Path

from vott_trainer.data.image_download import ImageLimits, download_images
from vott_trainer.http.retry import RetryPolicy
from vott_trainer.plugin_api import Links
from vott_trainer.progress.callback import Callback
from vott_trainer.progress.progress import Progress
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.stores.azure.store import container_by_sas
from vott_trainer.stores.presigned_put import PresignedPutStore
from vott_trainer.training_run import TrainingRun

SendRequest = Callable[[str, Path], object]
IMAGE_BYTES = 8 << 20
WITHOUT_DELAY = RetryPolicy(attempts=2, sleep=lambda _seconds: None)


def fetch_annotations(url: str, folder: Path) -> object:
    return TrainingRun(Links(url, "https://store.example/c", None), folder, Progress()).annotations()


def fetch_weights(url: str, folder: Path) -> object:
    return TrainingRun(Links(url, "https://store.example/c", None), folder, Progress()).fetch(url, "weights")


def fetch_image(url: str, folder: Path) -> object:
    limits = ImageLimits(image_bytes=IMAGE_BYTES)
    return download_images([url], folder / "images", limits=limits, policy=WITHOUT_DELAY)


def post_callback(url: str, folder: Path) -> None:  # noqa: ARG001
    Callback(url, "cats").send(Snapshot())


def put_to_presigned_url(url: str, folder: Path) -> object:
    (folder / "model.tgz").write_bytes(b"weights")
    return PresignedPutStore(f"{url}?token=SECRET", WITHOUT_DELAY).put(folder / "model.tgz", "model.tgz")


def upload_blob(url: str, folder: Path) -> object:
    (folder / "model.tgz").write_bytes(b"weights")
    return container_by_sas(f"{url}/models", "sp=rw&sig=SECRET").put(folder / "model.tgz", "model.tgz")


DOWNLOADS: list[SendRequest] = [fetch_annotations, fetch_weights, fetch_image]
POSTS_AND_UPLOADS: list[SendRequest] = [post_callback, put_to_presigned_url, upload_blob]
REQUESTS = DOWNLOADS + POSTS_AND_UPLOADS
