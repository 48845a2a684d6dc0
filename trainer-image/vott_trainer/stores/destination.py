"""Destination of the model: deliver it as one archive, or as single files with a manifest."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from vott_trainer.errors import TrainerError
from vott_trainer.http import address_rules
from vott_trainer.stores import model_archive
from vott_trainer.stores.checksums import sha256_of
from vott_trainer.stores.store import Store, StoredObject
from vott_trainer.stores.store_errors import UPLOAD

log = logging.getLogger(__name__)

ARCHIVE_NAME = "model.tgz"
MANIFEST_NAME = "manifest.json"
REPORT_NAME = "report.html"


@dataclass(frozen=True)
class Destination:
    """A destination of a model; destination_url.py derives it from `--model`.

    Attributes:
        store: where the model goes.
        name: of the archive; empty for single files.
        is_prefix: whether the URL names a container, bucket, folder or prefix, not a single object.
        readable: whether objects there may be read and replaced.
        by_link: whether the message's own link opens it, so that the administrator's rules for addresses apply.
    """

    store: Store
    name: str
    is_prefix: bool = False
    readable: bool = False
    by_link: bool = False

    @property
    def url(self) -> str:
        """URL, without query, of the archive or the manifest: if it exists, the model is complete."""
        return self.store.url_of(self.name or MANIFEST_NAME)

    def deliver(self, folder: Path, work_dir: Path) -> StoredObject:
        """Upload and verify the model.

        Args:
            folder: the model's files.
            work_dir: for the archive or the manifest.

        Returns:
            The archive, or the manifest of the single files.

        Raises:
            UploadRefusedError: the store refused it.
            TemporaryFailureError: the store can't be reached, or does not hold what was sent.
        """
        if not self.name:
            return self._deliver_files(folder, work_dir / MANIFEST_NAME)
        model_archive.pack(folder, archive := work_dir / ARCHIVE_NAME)
        if self.is_prefix and (report := folder / REPORT_NAME).is_file():
            self._deliver_report(report)
        return self.store.put(archive, self.name)

    def version(self) -> str | None:
        """Return a version that changes with each upload: empty if the store does not report one, None without a model.

        Raises:
            UploadRefusedError: the link does not permit reading.
            TemporaryFailureError: the store can't be reached.
        """
        return self.store.version(self.name or MANIFEST_NAME)

    def find(self, work_dir: Path) -> StoredObject | None:
        """Return the archive or manifest that exists, downloaded for its digest; None without a model.

        Raises:
            UploadRefusedError: the link does not permit reading.
            TemporaryFailureError: the store can't be reached.
        """
        name = self.name or MANIFEST_NAME
        if not self.store.get(name, found := work_dir / "found-model"):
            return None
        try:
            return StoredObject(self.url, sha256_of(found), found.stat().st_size)
        finally:
            found.unlink()

    def check_address(self) -> None:
        """Check the address that the host of a message's link resolves to, before hours of training.

        Raises:
            AddressRefusedError: the administrator's rules forbid it.
        """
        if self.by_link:
            address_rules.check_resolved(self.url, f"{UPLOAD} {self.url} is not allowed")

    def _deliver_report(self, report: Path) -> None:
        """Put the report beside the archive, to be opened without unpacking. A failure must not lose the model."""
        try:
            self.store.put(report, REPORT_NAME)
        except TrainerError as error:
            log.warning("the report could not be put beside the model, which also holds it: %s", error)

    def _deliver_files(self, folder: Path, manifest: Path) -> StoredObject:
        """Upload every file, and last the manifest: once it exists, all files that it names exist."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        stored = {name: self.store.put(path, name) for path in files if (name := path.relative_to(folder).as_posix())}
        entries = [{"name": name, "sha256": one.sha256, "sizeBytes": one.size_bytes} for name, one in stored.items()]
        manifest.write_text(json.dumps({"files": entries}, indent=2) + "\n", encoding="utf-8")
        return self.store.put(manifest, MANIFEST_NAME)
