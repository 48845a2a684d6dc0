"""The pod's workload identity of Microsoft Entra.

https://azure.github.io/azure-workload-identity/docs/ - its webhook sets the AZURE_ variables.
"""

import re
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError

from vott_trainer.errors import UploadRefusedError
from vott_trainer.stores.store_errors import store_error

SCOPE = "https://storage.azure.com/.default"
_VARIABLES = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


def has_workload_identity(environment: Mapping[str, str]) -> bool:
    """Whether the pod has a workload identity."""
    return all(environment.get(name) for name in _VARIABLES)


def credential_of(environment: Mapping[str, str]) -> Any:
    """Return the pod's credential."""
    from azure.identity import WorkloadIdentityCredential  # takes half a second to import

    client, tenant, file = (environment[name] for name in _VARIABLES)
    authority = environment.get("AZURE_AUTHORITY_HOST")
    options = {"authority": authority, "disable_instance_discovery": True} if authority else {}
    return WorkloadIdentityCredential(tenant_id=tenant, client_id=client, token_file_path=file, **options)


def refusal(error: ClientAuthenticationError) -> str:
    """Return why Entra refuses a token, as a sentence."""
    entra_error = re.search(r"AADSTS\d+: [^'\"\n]*", str(error))
    return entra_error[0].strip() if entra_error else "Microsoft Entra gives it no token."


def workload_identity(environment: Mapping[str, str], url: str) -> Any:
    """Return the pod's credential, after a first token: an identity that Entra refuses must not cost a training.

    Args:
        environment: the AZURE_ variables.
        url: what it is for, without query; errors name it.

    Raises:
        UploadRefusedError: Entra refuses a token.
        TemporaryFailureError: Entra does not answer.
    """
    credential = credential_of(environment)
    try:
        credential.get_token(SCOPE)
    except ClientAuthenticationError as error:
        raise UploadRefusedError(
            f"The trainer's own identity can't write to {url}: {refusal(error)} Ask the administrator to check trainer.workloadIdentity."
        ) from error
    except AzureError as error:
        raise store_error("Signing in for", url, None) from error
    return credential
