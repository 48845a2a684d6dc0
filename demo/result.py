"""What came of a training: the model archive, read and compared with what was reported about it."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

from demo.errors import DemoError
from demo.kubectl import Manifest
from demo.progress import condition, is_true

SAMPLE = "sample.jpg"
METRICS = "metrics.json"
LABELS = "labels.txt"
REPORT = "report.html"


@dataclass(frozen=True)
class Model:
    """A downloaded `model.tgz`; `metrics` is what the evaluation on held-out images found, `report` the page that tells it."""

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
    """Read a model archive; `DemoError` where it is none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {member.name.removeprefix("./"): member for member in tar if member.isfile()}
            contents = {name: _read(tar, files[name]) for name in (METRICS, LABELS, SAMPLE, REPORT) if name in files}
        metrics = json.loads(contents[METRICS])["metrics"]
    except (tarfile.TarError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise DemoError(f"The uploaded model is not an archive with {METRICS} in it: {error!r}") from error
    labels = tuple(label for label in contents.get(LABELS, b"").decode().split("\n") if label)
    return Model(archive, metrics, labels, contents.get(SAMPLE), contents.get(REPORT))


def faults(job: Manifest, model: Model, posts: list[dict[str, Any]] | None) -> list[str]:
    """What is not as promised, one sentence each; empty where all is well.

    Args:
        job: the finished TrainingJob.
        model: the archive as downloaded.
        posts: what the callback URL received, None where the message named none.
    """
    found = []
    if not is_true(job, "Complete"):
        found.append("The TrainingJob is not Complete.")
    reported = job.get("status", {}).get("model", {}).get("sha256")
    if model.sha256 != reported:
        found.append(f"The model's SHA-256 is {model.sha256}, but status.model.sha256 says {reported}.")
    if posts is not None:
        found += _callback_faults(job, posts)
    return found


def _callback_faults(job: Manifest, posts: list[dict[str, Any]]) -> list[str]:
    if not posts:
        delivery = condition(job, "CallbackDelivered").get("message", "no reason is known")
        return [f"The callback URL received nothing: {delivery}"]
    last = posts[-1]
    if (last.get("state"), last.get("progress")) != ("succeeded", 1.0):
        said = f"state {last.get('state')!r} and progress {last.get('progress')!r}"
        return [f"The last callback says {said}, not 'succeeded' and 1.0."]
    return []


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""
