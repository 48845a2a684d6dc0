"""Read the model archive, and verify it against what the trainer has reported and the callbacks."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

from demo.consumer import Training
from demo.errors import DemoError
from demo.progress import COMPLETE

SAMPLE = "sample.jpg"
METRICS = "metrics.json"
LABELS = "labels.txt"
REPORT = "report.html"


@dataclass(frozen=True)
class Model:
    """A downloaded `model.tgz` with its metrics, labels, sample image and HTML report."""

    archive: bytes
    metrics: dict[str, Any]
    labels: tuple[str, ...]
    sample: bytes | None
    report: bytes | None

    @property
    def sha256(self) -> str:
        """SHA-256 of the archive in hex."""
        return hashlib.sha256(self.archive).hexdigest()


def read_model(archive: bytes) -> Model:
    """Read a model archive. Raises DemoError if it is invalid."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
            contents = {name: _read(tar, files[name]) for name in (METRICS, LABELS, SAMPLE, REPORT) if name in files}
        metrics = json.loads(contents[METRICS])["metrics"]
    except (tarfile.TarError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise DemoError(f"The uploaded model is not an archive with {METRICS}: {error!r}") from error
    labels = tuple(label for label in contents.get(LABELS, b"").decode().split("\n") if label)
    return Model(archive, metrics, labels, contents.get(SAMPLE), contents.get(REPORT))


def problems(training: Training, model: Model, posts: list[dict[str, Any]] | None) -> list[str]:
    """Verify the result; returns one sentence for each problem.

    Args:
        training: The finished training.
        model: The downloaded archive.
        posts: The received callbacks, or None if the message named no callback URL.
    """
    sentences = []
    if training.step.phase != COMPLETE:
        sentences.append(f"The training is not complete, but {training.step.phase}.")
    reported = training.model.get("sha256")
    if model.sha256 != reported:
        sentences.append(f"The model's SHA-256 is {model.sha256}, but the trainer has reported {reported}.")
    if posts is not None:
        sentences += _callback_problems(training, posts)
    return sentences


def _callback_problems(training: Training, posts: list[dict[str, Any]]) -> list[str]:
    if not posts:
        return [f"No callback was received: {training.callback or 'unknown reason'}"]
    last = posts[-1]
    if (last.get("state"), last.get("progress")) != ("succeeded", 1.0):
        values = f"state {last.get('state')!r} and progress {last.get('progress')!r}"
        return [f"The last callback has {values} instead of 'succeeded' and 1.0."]
    return []


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""
