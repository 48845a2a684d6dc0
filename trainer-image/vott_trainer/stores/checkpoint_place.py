"""Where a training that is interrupted leaves its checkpoints."""

import logging
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from vott_trainer.errors import InvalidParametersError, UploadRefusedError
from vott_trainer.stores.access import StorageAccess
from vott_trainer.stores.azure import below_url
from vott_trainer.stores.base import Store
from vott_trainer.stores.destination import Destination
from vott_trainer.stores.folder import FolderStore
from vott_trainer.stores.own_account import open_container
from vott_trainer.stores.prefixed import Below
from vott_trainer.stores.s3 import open_bucket
from vott_trainer.stores.s3_place import place_of

log = logging.getLogger(__name__)

FOLDER = ".checkpoints"
PROBE = "probe"
_ANEW = "A training that is interrupted begins anew."


def checkpoint_store(
    place: str, model: Destination, access: StorageAccess, key: str, *, try_out: bool = True
) -> tuple[Store | None, str]:
    """Return the store for the checkpoints of the training `key`, tried out, and a sentence on where they go; or None, and why.

    Args:
        place: the administrator's, from VOTT_CHECKPOINTS: URL of a container (with a SAS or without), `s3://bucket/prefix`, a folder's
            absolute path; empty for beside the model.
        key: what tells trainings apart: the TrainingJob's uid.
        try_out: whether to write and read a small object.

    Raises:
        InvalidParametersError: `place` is none of these.
        TemporaryFailureError: the store does not answer.
    """
    if not place and not model.readable:
        return None, f"The model's link does not permit to keep checkpoints beside the model. {_ANEW}"
    try:
        store = Below(_open(place, access), key) if place else Below(model.store, f"{FOLDER}/{key}")
        if try_out:  # not by several processes at once, which would hinder each other
            _try_out(store)
    except UploadRefusedError as error:
        return None, f"No checkpoints can be kept: {error} {_ANEW}"
    return store, f"Checkpoints go to {store.shown}."


def _open(place: str, access: StorageAccess) -> Store:
    parts = urlsplit(place)
    if place.startswith("/"):
        return FolderStore(Path(place))
    base = urlunsplit(parts._replace(query="", fragment="")).rstrip("/")
    if parts.scheme not in ("s3", "https", "http") or not parts.netloc:
        raise InvalidParametersError(
            f"VOTT_CHECKPOINTS is {base!r}, which is no container's URL, no s3://bucket/prefix and no absolute path. "
            "Correct it in the chart's values."
        )
    if "sig" in parse_qs(parts.query):
        return below_url(base, parts.query)
    bucket = place_of(base, access.environment)
    return open_bucket(bucket, access, listed=False) if bucket else open_container(base, access, listed=False)


def _try_out(store: Store) -> None:
    """Write, replace, read and clear a small object: better refused now than when the first checkpoint counts."""
    with tempfile.TemporaryDirectory(prefix="vott-probe-") as folder:
        probe, copy = Path(folder) / PROBE, Path(folder) / "copy"
        probe.write_bytes(b"VoTT Train tries out whether checkpoints can be kept here.\n")
        store.put(probe, PROBE)
        if not store.get(PROBE, copy) or copy.read_bytes() != probe.read_bytes():
            raise UploadRefusedError(f"What is written to {store.shown} can't be read back.")
    try:
        store.delete(PROBE)
    except UploadRefusedError as error:
        log.info("checkpoints will not be cleared: %s", error)
