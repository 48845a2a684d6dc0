"""Options of Azure's clients: retries, redirects, parallel requests.

Blobs above 64 MiB are sent in blocks of 4 MiB, the client's defaults.
"""

from typing import Any

from azure.storage.blob import ExponentialRetry

CONCURRENCY = 4  # parallel requests for one blob


def client_options() -> dict[str, Any]:
    """Return the options of every client: retries for half a minute in all; no redirects, which would also be authorized."""
    retries = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5)
    return {"retry_policy": retries, "permit_redirects": False}
