"""The `Run` that a plugin gets: data fetched once per node, checkpoints, progress, and the folder for the model."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from vott_guard.redaction import redact_url
from vott_trainer.annotations import Annotations
from vott_trainer.annotations.findings import Finding
from vott_trainer.data.dataset_fetch import DatasetFetch
from vott_trainer.errors import InvalidParametersError, TemporaryFailureError
from vott_trainer.file_download import MAX_FILE_BYTES, download_file
from vott_trainer.http.signing import Signer
from vott_trainer.plugin_api import DataParameters, Dataset, Links
from vott_trainer.process.peers import Alone, Peers
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.sigterm import PROCESS, Interruption
from vott_trainer.progress.progress import Progress
from vott_trainer.settings import TrainSettings
from vott_trainer.stores.checkpoint_index import StoredCheckpoint
from vott_trainer.stores.checkpoint_location import checkpoint_store
from vott_trainer.stores.checkpoints import Checkpoints
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.own_data import OwnData

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _NodeCheckpoint:
    """Checkpoint that one node fetched, and the file there; both None if it found none.

    `is_of_other_work`: whether there is one, but of other images or parameters.
    """

    checkpoint: StoredCheckpoint | None = None
    path: Path | None = None
    is_of_other_work: bool = False


class TrainingRun:
    """The `Run` that a plugin gets.

    Attributes:
        findings: of the annotations and images, for the report.
        notes: for the report.
    """

    def __init__(
        self,
        links: Links,
        work_dir: Path,
        progress: Progress,
        *,
        parameters: BaseModel | None = None,
        peers: Peers | None = None,
        checkpoints: Callable[[], Checkpoints | None] = lambda: None,
        interruption: Interruption | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.links, self.progress = links, progress
        self._open_checkpoints = checkpoints
        self.interruption = interruption or Interruption()
        self.work_dir, self._peers = work_dir, peers or Alone()
        of_data = parameters if isinstance(parameters, DataParameters) else DataParameters()
        self._fetch = DatasetFetch(links.annotations, work_dir, of_data, self._peers, progress, signer)
        self._annotations: Annotations | None = None
        self._dataset: Dataset | None = None
        self._fetched: set[tuple[str, str]] = set()
        self.ranks = self._peers.ranks
        self.model_dir = work_dir / ("model" if self.ranks.leads else f"not-the-model-{self.ranks.rank}")
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        shutil.rmtree(self.model_dir, ignore_errors=True)
        self.model_dir.mkdir(parents=True)

    @classmethod
    def from_settings(
        cls,
        settings: TrainSettings,
        parameters: BaseModel,
        destination: Destination,
        work_dir: Path,
        progress: Progress,
        peers: Peers | None,
    ) -> "TrainingRun":
        """Start the run of a training in this process; without `peers` the plugin sees only this process."""
        return cls(
            Links(settings.annotations, settings.model, settings.status),
            work_dir,
            progress,
            parameters=parameters,
            peers=peers,
            checkpoints=lambda: _open_checkpoints(settings, destination, work_dir),
            interruption=PROCESS,
            signer=OwnData(settings.storage),
        )

    @property
    def seconds(self) -> dict[str, float]:
        """Durations of fetching, for the report."""
        return self._fetch.seconds

    @cached_property
    def checkpoints(self) -> Checkpoints | None:
        """The checkpoints of this training, opened on first use; None if they can't be kept."""
        checkpoints = self._open_checkpoints()
        if checkpoints and (newest := checkpoints.read_index()):
            self.progress.resume(newest)
        return checkpoints

    def delete_checkpoints(self) -> None:
        """Delete the checkpoints: the training is complete."""
        if "checkpoints" in vars(self) and self.checkpoints:
            self.checkpoints.clear()

    def note(self, sentence: str) -> None:
        """Add a sentence to the report, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def annotations(self) -> Annotations:
        """Fetch and read the annotation file, once.

        Raises:
            AnnotationsUnreachableError: the store refused it.
            BadAnnotationsError: it does not parse.
            TemporaryFailureError: the store did not answer after all attempts.
        """
        if self._annotations is None:
            self._annotations = self._fetch.annotations()
            self.findings = self._annotations.findings
        return self._annotations

    def dataset(self) -> Dataset:
        """Fetch annotations and images, once; all nodes leave out images that one of them can't fetch."""
        if self._dataset is None:
            self._dataset = self._fetch.dataset(self.annotations())
            self.findings = self._dataset.findings
        return self._dataset

    def checkpoint(self, work: str) -> tuple[StoredCheckpoint, Path] | None:
        """Return the newest intact checkpoint for `work` and its file, fetched once per node; None if there is none.

        Raises:
            TemporaryFailureError: the store did not answer, or an interrupted training had images that can't be fetched at the moment.
        """
        nodes = self._peers.once_per_node(lambda: self._fetch_checkpoint(work), _NodeCheckpoint)
        here = nodes[self.ranks.node]
        digests = {node.checkpoint.sha256 if node.checkpoint else "" for node in nodes}
        if here.checkpoint and here.path and len(digests) == 1:
            return here.checkpoint, here.path
        if (missing := self._fetch.missing_for_now) and any(node.is_of_other_work for node in nodes):
            raise TemporaryFailureError(
                f"Not all images can be fetched at the moment ({missing} are missing). The interrupted training does not start over "
                "without them, but waits for their store: check that it answers."
            )
        self.progress.start_over()
        if self.ranks.leads and self.checkpoints and (self.checkpoints.newest or self.checkpoints.restart_reason):
            reason = self.checkpoints.restart_reason or "The nodes found different checkpoints."
            self.note(f"{reason} The training started over.")
        return None

    def fetch(self, url: str, name: str) -> Path:
        """Download another file, once per node and training, to `name` in the work folder.

        Raises:
            AddressRefusedError: the administrator's rules forbid the address.
            InvalidParametersError: the store refused it.
            TemporaryFailureError: the store did not answer after all attempts.
        """
        path = self.work_dir / name

        def fetch() -> None:
            download_file(url, path, redact_url(url), MAX_FILE_BYTES, InvalidParametersError)

        if (url, name) not in self._fetched:  # a link may expire before a later fold
            self._peers.once_per_node(fetch, type(None))
            self._fetched.add((url, name))
        return path

    def _fetch_checkpoint(self, work: str) -> _NodeCheckpoint:
        if not self.checkpoints:
            return _NodeCheckpoint()
        if found := self.checkpoints.fetch(work):
            return _NodeCheckpoint(*found)
        newest = self.checkpoints.newest
        return _NodeCheckpoint(is_of_other_work=newest is not None and newest.work != work)


def _open_checkpoints(settings: TrainSettings, destination: Destination, work_dir: Path) -> Checkpoints | None:
    """Open the store for checkpoints; only rank 0 tests whether it can be used."""
    probe = Ranks.from_environment().leads
    location, key = settings.checkpoints, settings.checkpoint_key
    store, explanation = checkpoint_store(location, destination, settings.storage, key, probe=probe)
    log.info("%s", explanation)
    return Checkpoints(store, work_dir / "checkpoints", settings.checkpoint_seconds) if store else None
