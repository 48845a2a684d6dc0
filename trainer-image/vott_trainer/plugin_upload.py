"""Models that a plugin uploads itself: check beforehand that the upload can be verified, and find the model afterwards."""

import logging
from pathlib import Path

from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.destination import ARCHIVE_NAME, MANIFEST_NAME, Destination
from vott_trainer.stores.store import StoredObject

log = logging.getLogger(__name__)

SEE_LOG = (
    "See its output in the pod's log; a plugin that leaves the upload to the trainer has to define a class Plugin "
    "(docs/plugins.md#scripts)."
)


def version_before(destination: Destination) -> str | None:
    """Return the version of an earlier model at the destination, None if there is none.

    Raises:
        UploadRefusedError: the link does not permit reading, and so the upload could not be verified after the training.
    """
    log.info("this plugin uploads its model itself, to %s", destination.url)
    try:
        return destination.version()
    except UploadRefusedError as error:
        raise UploadRefusedError(
            f"This plugin uploads its model itself, and the link to {destination.url} does not permit reading it back. "
            "Make a new link with read and write permission and send the message again."
        ) from error


def find_uploaded(destination: Destination, work_dir: Path, previous: str | None) -> StoredObject:
    """Return the model that the plugin uploaded.

    Args:
        destination: where it has to be.
        work_dir: for a download.
        previous: result of `version_before`.

    Raises:
        UploadRefusedError: there is no model, or still the previous one.
    """
    if previous and previous == destination.version():
        raise UploadRefusedError(f"The plugin succeeded, but did not replace the model at {destination.url}. {SEE_LOG}")
    if model := destination.find(work_dir):
        return model
    raise UploadRefusedError(
        f"The plugin succeeded, but left no model at {destination.url}. A container or bucket has to hold {ARCHIVE_NAME}, a URL that ends "
        f"in a slash {MANIFEST_NAME}, any other URL the model itself. {SEE_LOG}"
    )
