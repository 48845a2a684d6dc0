"""Recognize errors caused by the end of another process of the training."""

import re

from vott_trainer.errors import PeerLostError, first_line
from vott_trainer.process.ranks import Ranks

PEER_CLASSES = {"DistBackendError", "DistNetworkError", "DistStoreError"}
PEER_TEXTS = re.compile(
    r"gloo[/:]|Connection (closed|reset|refused)|Broken pipe|ncclRemoteError|Timed out waiting", re.IGNORECASE
)


def as_peer_lost(error: Exception, ranks: Ranks) -> PeerLostError | None:
    """Return the PeerLostError for a lost process; None for any other error."""
    text = str(error)
    if ranks.alone or not (type(error).__name__ in PEER_CLASSES or PEER_TEXTS.search(text)):
        return None
    where = (
        "another pod of this Job: see the pods' logs and states"
        if ranks.nodes > 1
        else "another process of this pod: see its log lines"
    )
    return PeerLostError(f"Rank {ranks.rank} lost the others ({first_line(error)}). The cause is in {where}.")
