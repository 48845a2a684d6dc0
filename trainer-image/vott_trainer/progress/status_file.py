"""A file as the receiver of reports: the status of a training, for the program that started the trainer without Kubernetes."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vott_trainer.atomic_write import atomic_write
from vott_trainer.errors import TemporaryFailureError
from vott_trainer.process.gpu_usage import gpu_usage
from vott_trainer.progress.snapshot import Snapshot
from vott_trainer.progress.status_fields import status_fields


@dataclass
class StatusFile:
    """Replaces one file with the newest status, as JSON: the fields of a TrainingJob's `status`, and `message`."""

    path: Path
    name: str = "the status file"

    def send(self, snapshot: Snapshot) -> None:
        """Write one report.

        Raises:
            OSError: the file can't be written; the previous report is still there.
        """
        status = status_fields(snapshot, datetime.now(UTC), gpu_usage()) | {"message": snapshot.message}
        with atomic_write(self.path) as file:
            file.write(json.dumps(status).encode())

    def send_until_accepted(self, snapshot: Snapshot) -> None:
        """Write the last report.

        Raises:
            TemporaryFailureError: the file can't be written.
        """
        try:
            self.send(snapshot)
        except OSError as error:
            raise TemporaryFailureError(
                f"The model is uploaded, but the status file {self.path} can't be written: {error.strerror}. "
                "Correct its folder's permissions or free space, then send the message again."
            ) from error
