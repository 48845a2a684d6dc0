"""Translate errors of torch and other libraries: a failed GPU, a lost peer, a full disk."""

import contextlib
from collections.abc import Iterator

from vott_trainer.errors import TrainerError
from vott_trainer.process.disk_full import as_disk_full
from vott_trainer.process.gpu_errors import as_gpu_error, is_memory_or_assertion
from vott_trainer.process.lost_peers import as_peer_lost
from vott_trainer.process.ranks import Ranks


@contextlib.contextmanager
def translated(ranks: Ranks) -> Iterator[None]:
    """Raise GPUError, PeerLostError and DiskFullError instead of libraries' errors; let any other error pass."""
    try:
        yield
    except TrainerError:
        raise
    except Exception as error:
        translation = translate(error, ranks)
        if translation is None:
            raise
        raise translation from error


def translate(error: Exception, ranks: Ranks) -> TrainerError | None:
    """Return the TrainerError that a library's error means; None for any other error."""
    if disk_full := as_disk_full(error):
        return disk_full
    if not isinstance(error, RuntimeError) or is_memory_or_assertion(error):
        return None
    return as_gpu_error(error, ranks.local_rank) or as_peer_lost(error, ranks)
