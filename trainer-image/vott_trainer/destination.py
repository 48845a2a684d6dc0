"""Where the model goes: one blob or a container, by whose permission. Decided before training, so that a wrong link costs no hours.

A SAS's fields: https://learn.microsoft.com/rest/api/storageservices/create-service-sas - `sr` what it covers (b a blob, c a container),
`sp` what it permits (w write, c create), `se` when it expires, `sig` the signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from azure.storage.blob import BlobClient, BlobServiceClient, ExponentialRetry

from vott_trainer.errors import InvalidParametersError, InvalidURLError, UploadRefusedError
from vott_trainer.urls import redact_url

ARCHIVE_NAME = "model.tgz"
ARCHIVE_ENDINGS = (".tgz", ".tar.gz")
NEW_LINK = "Make a new link with write permission and send the message again."


@dataclass(frozen=True)
class StorageAccess:
    """The administrator's own account: a connection string, and the containers that models may go to without a SAS (`*`: any)."""

    connection_string: str = ""
    containers: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "StorageAccess":
        """Read AZURE_STORAGE_CONNECTION_STRING and VOTT_MODEL_CONTAINERS (names separated by commas, or `*`)."""
        names = environment.get("VOTT_MODEL_CONTAINERS", "").split(",")
        containers = frozenset(name.strip() for name in names if name.strip())
        return cls(environment.get("AZURE_STORAGE_CONNECTION_STRING", ""), containers)

    def allows(self, container: str) -> bool:
        """Return whether models may go to this container without a SAS."""
        return "*" in self.containers or container in self.containers


def resolve(url: str, access: StorageAccess, now: datetime | None = None) -> BlobClient:
    """Return the client of the blob that takes the model.

    Raises:
        UploadRefusedError: the link has expired, may not write, or its account or container is not allowed.
        InvalidURLError: the URL names no container.
    """
    target = blob_url(url)
    sas = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    if "sig" in sas:
        _check_sas(sas, url, now or datetime.now(UTC))
        return _from_url(target)
    return _from_account(target, access)


def blob_url(url: str) -> str:
    """Return the URL of the blob: the given one if it names a blob, else `model.tgz` below the container and prefix."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    names_blob = parse_qs(parts.query).get("sr") == ["b"] or path.lower().endswith(ARCHIVE_ENDINGS)
    return urlunsplit(parts._replace(path=path if names_blob else f"{path}/{ARCHIVE_NAME}", fragment=""))


def _check_sas(sas: dict[str, str], url: str, now: datetime) -> None:
    permissions = sas.get("sp")  # absent where a stored access policy holds them
    if permissions is not None and not {"w", "c"} & set(permissions):
        raise UploadRefusedError(
            f"The upload to {redact_url(url)} would be refused (HTTP 403): the link does not permit writing (sp={permissions}). {NEW_LINK}"
        )
    if (expiry := _time(sas.get("se", ""))) and expiry <= now:
        raise UploadRefusedError(
            f"The upload to {redact_url(url)} would be refused (HTTP 403): the link expired at {expiry:%Y-%m-%d %H:%M} UTC. {NEW_LINK}"
        )


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None  # let the store judge it
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _from_url(target: str) -> BlobClient:
    try:
        return BlobClient.from_blob_url(target, retry_policy=_retries())
    except ValueError as error:
        raise InvalidURLError(
            f"--model: {redact_url(target)} names no container. Use https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS."
        ) from error


def _from_account(target: str, access: StorageAccess) -> BlobClient:
    shown = redact_url(target)
    if not access.connection_string:
        raise UploadRefusedError(f"The link to {shown} carries no SAS. {NEW_LINK}")
    account = _account(access.connection_string)
    container, blob = _place(target, account.url)
    if not container:
        raise UploadRefusedError(
            f"The link to {shown} carries no SAS and names no container of this installation's storage account. {NEW_LINK}"
        )
    if not access.allows(container):
        raise UploadRefusedError(
            f"Container {container!r} is not among those that models may go to without a SAS. "
            "Send a link with a SAS, or ask the administrator to list the container in VOTT_MODEL_CONTAINERS."
        )
    return account.get_blob_client(container, blob)


def _place(target: str, account_url: str) -> tuple[str, str]:
    """Return container and blob name of a URL within the account; empty names if it is not within.

    Names like `..` are refused: an HTTP client resolves them, and would leave the container that was checked.
    """
    account, wanted = urlsplit(account_url), urlsplit(target)
    base = account.path.rstrip("/") + "/"
    if (wanted.scheme, wanted.netloc.lower()) != (account.scheme, account.netloc.lower()) or not wanted.path.startswith(
        base
    ):
        return "", ""
    container, *blob = unquote(wanted.path.removeprefix(base)).split("/")
    if not blob or {"", ".", ".."} & {container, *blob}:
        return "", ""
    return container, "/".join(blob)


def _account(connection_string: str) -> BlobServiceClient:
    try:
        return BlobServiceClient.from_connection_string(connection_string, retry_policy=_retries())
    except ValueError as error:  # its text may hold parts of the key
        raise InvalidParametersError("AZURE_STORAGE_CONNECTION_STRING is not a storage connection string.") from error


def _retries() -> ExponentialRetry:
    return ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5)
