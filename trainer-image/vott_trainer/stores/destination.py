"""Where the model goes, and by whose permission. Decided before training, so that a wrong link costs no hours.

docs/destinations.md shows every kind; stores/permission.py says what the fields of links mean.
"""

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from vott_guard.redaction import redact_url
from vott_trainer.errors import InvalidURLError, TrainerError
from vott_trainer.http import outgoing
from vott_trainer.http.urls import file_name, is_http
from vott_trainer.stores import archive
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.azure import by_link
from vott_trainer.stores.base import Store, StoredObject, plain_names
from vott_trainer.stores.folder import FolderStore
from vott_trainer.stores.link import LinkStore
from vott_trainer.stores.messages import UPLOAD
from vott_trainer.stores.own_account import open_container
from vott_trainer.stores.permission import check_presigned, check_sas
from vott_trainer.stores.s3 import open_bucket
from vott_trainer.stores.s3_place import place_of

log = logging.getLogger(__name__)

ARCHIVE_NAME = "model.tgz"
ARCHIVE_ENDINGS = (".tgz", ".tar.gz")
MANIFEST_NAME = "manifest.json"
REPORT_NAME = "report.html"
SAS_FIELDS = {"sv", "sp", "si", "sr"}  # version, permissions, policy, resource


@dataclass(frozen=True)
class Destination:
    """A place for a model: in `store` under `name`, as one archive; without a name as single files.

    `several` says whether the URL is for more than that one object, `readable` whether what lies there may be read and replaced,
    `foreign` that the message named it: the administrator's rules hold for its address, not for his own places.
    """

    store: Store
    name: str
    several: bool = False
    readable: bool = False
    foreign: bool = False

    @property
    def url(self) -> str:
        """Where the one object lies that says that the model is there, fit to be printed."""
        return self.store.url_of(self.name or MANIFEST_NAME)

    def deliver(self, folder: Path, packed_into: Path) -> StoredObject:
        """Upload the model's files, verified; what it returns names the archive, or the manifest of the single files.

        Args:
            folder: the model's files.
            packed_into: a folder on the same machine for the archive or manifest.

        Raises:
            UploadRefusedError: the store refused it.
            TemporaryFailureError: the store can't be reached, or what it holds is not what was sent.
        """
        if not self.name:
            return self._deliver_files(folder, packed_into / MANIFEST_NAME)
        archive.pack(folder, packed := packed_into / ARCHIVE_NAME)
        if self.several and (report := folder / REPORT_NAME).is_file():
            self._deliver_report(report)
        return self.store.put(packed, self.name)

    def version(self) -> str | None:
        """Return what changes whenever the model is replaced: empty where that can't be told, None where there is no model.

        Raises:
            UploadRefusedError: the link does not permit reading.
            TemporaryFailureError: the store can't be reached.
        """
        return self.store.version(self.name or MANIFEST_NAME)

    def look(self, into: Path) -> StoredObject | None:
        """Return what lies there (the archive or the manifest); None where nothing does. The folder `into` holds it for a while.

        Raises:
            UploadRefusedError: the link does not permit reading.
            TemporaryFailureError: the store can't be reached.
        """
        name = self.name or MANIFEST_NAME
        if not self.store.get(name, found := into / "found-model"):
            return None
        try:
            sha256, _ = archive.digests(found)
            return StoredObject(self.url, sha256, found.stat().st_size)
        finally:
            found.unlink()

    def check_address(self) -> None:
        """Check what the name of a message's own link leads to now, before hours of training.

        Raises:
            AddressRefusedError: the administrator's rules do not allow it.
        """
        if self.foreign:
            outgoing.look_up(self.url, _not_allowed(self.url))

    def _deliver_report(self, report: Path) -> None:
        """Put the report beside the archive, to be opened without unpacking. A model is not lost for want of that."""
        try:
            self.store.put(report, REPORT_NAME)
        except TrainerError as error:
            log.warning("the report could not be put beside the model, which holds it too: %s", error)

    def _deliver_files(self, folder: Path, manifest: Path) -> StoredObject:
        """Upload every file, then the manifest: where that lies, all that it names does."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        stored = {name: self.store.put(path, name) for path in files if (name := path.relative_to(folder).as_posix())}
        entries = [{"name": name, "sha256": one.sha256, "sizeBytes": one.size_bytes} for name, one in stored.items()]
        manifest.write_text(json.dumps({"files": entries}, indent=2) + "\n", encoding="utf-8")
        return self.store.put(manifest, MANIFEST_NAME)


def is_destination(url: str) -> bool:
    """Return whether `url` can name a place for a model: http(s), or `s3://BUCKET`."""
    return is_http(url) or (url.startswith("s3://") and bool(urlsplit(url).netloc))


def is_path(text: str) -> bool:
    """Return whether `text` is an absolute path, which only who runs the trainer by hand may name."""
    return text.startswith("/")


def resolve(url: str, access: StorageAccess, now: datetime | None = None) -> Destination:
    """Return where a URL, or the absolute path of a folder or archive, says that the model goes.

    Raises:
        AddressRefusedError: the administrator's rules do not allow the link.
        UploadRefusedError: the link has expired, may not write, or its account, container or bucket is not allowed.
        InvalidURLError: the URL names no container or bucket, or leads out of it.
    """
    if is_path(url):
        return _by_path(url)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    now = now or datetime.now(UTC)
    if "sig" in query and SAS_FIELDS & query.keys():  # an upload server may call its signature `sig`, too
        return _by_sas(url, query, now)
    if query and is_http(url) and ".blob.core." not in urlsplit(url).netloc:
        return _by_link(url, query, now)
    base, name = _split(url)
    place = place_of(base, access.environment)
    store = open_bucket(place, access) if place else open_container(base, access)
    return Destination(store, name, several=_takes_several(url), readable=True)


def _by_path(path: str) -> Destination:
    if path.lower().endswith(ARCHIVE_ENDINGS):
        return Destination(FolderStore(Path(path).parent), Path(path).name, readable=True)
    name = "" if path.endswith("/") else ARCHIVE_NAME
    return Destination(FolderStore(Path(path)), name, several=True, readable=True)


def _by_link(url: str, query: dict[str, str], now: datetime) -> Destination:
    outgoing.check(url, _not_allowed(url))
    check_presigned(query, url, now)
    return Destination(LinkStore(url), file_name(url), foreign=True)


def _by_sas(url: str, sas: dict[str, str], now: datetime) -> Destination:
    outgoing.check(url, _not_allowed(url))
    check_sas(sas, url, now)
    one_blob = sas.get("sr") == "b"
    base, name = _split(url, one_blob=one_blob)
    if {".", ".."} & set(re.split(r"[/\\]", unquote(urlsplit(base).path))):  # empty parts may be a blob's own name
        raise _leads_out(url)
    if one_blob and not name:
        raise InvalidURLError(
            f"--model: {redact_url(url)} ends in a slash, which asks for single files, but its link is for one blob (sr=b). "
            "Leave out the slash, or make a link for the container."
        )
    store = by_link(base, urlsplit(url).query)
    try:
        store.blob(name or MANIFEST_NAME)  # says now whether the URL is one of a blob
    except InvalidURLError as error:
        raise InvalidURLError(
            f"--model: {redact_url(url)} names no container. Use https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS."
        ) from error
    permitted = set(sas.get("sp", "rw"))  # absent where a stored access policy holds them
    return Destination(
        store,
        name,
        several=not one_blob and _takes_several(url),
        readable=not one_blob and {"r", "w"} <= permitted,
        foreign=True,
    )


def _not_allowed(url: str) -> str:
    return f"{UPLOAD} {redact_url(url)} is not allowed"


def _takes_several(url: str) -> bool:
    """Return whether the URL names a container or prefix; what names one archive gets just that."""
    return not urlsplit(url).path.lower().endswith(ARCHIVE_ENDINGS)


def _split(url: str, *, one_blob: bool = False) -> tuple[str, str]:
    """Return the URL (without query) of the container and prefix, and the archive's name below it.

    No name where the URL ends with a slash: it asks for single files.

    Raises:
        InvalidURLError: the archive's name leads to elsewhere once it is decoded, past what is checked of the container.
    """
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(query="", fragment=""))
    if one_blob or not _takes_several(url):
        base, _, last = bare.rpartition("/")
        if last and not plain_names(unquote(last)):
            raise _leads_out(url)
        return base, unquote(last)
    return bare.rstrip("/"), "" if parts.path.endswith("/") else ARCHIVE_NAME


def _leads_out(url: str) -> InvalidURLError:
    return InvalidURLError(
        f"--model: {redact_url(url)} has empty parts, dots or control characters in its path, percent-encoded or not. "
        "Name the place itself and send the message again."
    )
