"""Where checkpoints go: the administrator's location, else next to the model, else none."""

import logging
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from vott_guard.redaction import redact_url
from vott_guard.urls import HTTP_OR_S3, is_url
from vott_trainer.errors import InvalidParametersError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.azure.own_identity import open_container
from vott_trainer.stores.azure.store import container_at
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.folder import FolderStore
from vott_trainer.stores.prefixed import PrefixedStore
from vott_trainer.stores.s3.own_identity import open_bucket
from vott_trainer.stores.s3.url import parse_s3_url
from vott_trainer.stores.store import Store

log = logging.getLogger(__name__)

FOLDER = ".checkpoints"
PROBE = "probe"
_STARTS_OVER = "An interrupted training starts over."


def checkpoint_store(
    location: str, model: Destination, access: StorageAccess, key: str, *, probe: bool = True
) -> tuple[Store | None, str]:
    """Return the store for the checkpoints of one training, or None; and a sentence for the log that explains it.

    Args:
        location: the administrator's, from VOTT_CHECKPOINTS: a container's URL (with or without SAS), `s3://bucket/prefix`,
            or a folder's absolute path; empty: next to the model.
        model: destination of the model.
        access: the administrator's identities.
        key: unique to the training: the TrainingJob's uid.
        probe: whether to write and read a small object first.

    Raises:
        InvalidParametersError: `location` is none of these.
        TemporaryFailureError: the store does not answer.
    """
    if not location and not model.readable:
        return None, f"The model's link does not permit checkpoints beside the model. {_STARTS_OVER}"
    try:
        beside_model = f"{FOLDER}/{key}"
        store = PrefixedStore(_open(location, access), key) if location else PrefixedStore(model.store, beside_model)
        if probe:  # in one process only: several would interfere
            _probe(store)
    except UploadRefusedError as error:
        return None, f"No checkpoints can be kept: {error} {_STARTS_OVER}"
    return store, f"Checkpoints go to {store.location}."


def _open(location: str, access: StorageAccess) -> Store:
    if location.startswith("/"):
        return FolderStore(Path(location))
    if not is_url(location, HTTP_OR_S3):
        raise InvalidParametersError(
            f"VOTT_CHECKPOINTS is {redact_url(location)!r}, which is neither a container's URL nor s3://bucket/prefix nor an absolute path. "
            "The administrator can correct it (`trainer.checkpoints` in the chart's values)."
        )
    parts = urlsplit(location)
    base = urlunsplit(parts._replace(query="", fragment="")).rstrip("/")
    if "sig" in parse_qs(parts.query):
        return container_at(base, parts.query)
    if bucket := parse_s3_url(base, access.environment):
        return open_bucket(bucket, access, must_be_listed=False)
    return open_container(base, access, must_be_listed=False)


def _probe(store: Store) -> None:
    """Write, read and delete a small object, so that a missing permission shows before the first checkpoint."""
    with tempfile.TemporaryDirectory(prefix="vott-probe-") as folder:
        probe, copy = Path(folder) / PROBE, Path(folder) / "copy"
        probe.write_bytes(b"VoTT Train tests whether checkpoints can be kept here.\n")
        store.put(probe, PROBE)
        if not store.get(PROBE, copy) or copy.read_bytes() != probe.read_bytes():
            raise UploadRefusedError(f"An object written to {store.location} can't be read back.")
    try:
        store.delete(PROBE)
    except UploadRefusedError as error:
        log.info("checkpoints will not be deleted: %s", error)
