"""Download and read the model archives that trainings upload."""

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.support.cluster_harness import Submission


def archive_of(submission: Submission) -> bytes:
    """Wait until the training completes; download its model archive."""
    return submission.harness.storage.download(
        *container_and_blob(submission.wait_completed()["status"]["model"]["url"])
    )


def container_and_blob(url: str) -> tuple[str, str]:
    """Container and blob of an Azurite URL, whose path begins with the account."""
    _, _, container, blob = urlsplit(url).path.split("/", 3)
    return container, blob


def files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if file := tar.extractfile(member):
                yield member.name.removeprefix("./"), file.read()


def metrics_file(archive: bytes) -> dict[str, Any]:
    """The parsed metrics.json of an archive."""
    content: dict[str, Any] = json.loads(dict(files(archive))["metrics.json"])
    return content
