"""Create the Azure Service Bus client from the configured credentials.

Error texts name the queue and the variable, never a value.
"""

from typing import Any

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus import ServiceBusConnectionStringProperties, parse_connection_string
from azure.servicebus.aio import ServiceBusClient

from vott_messaging.errors import SettingsError
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.workload_identity import WorkloadIdentity
from vott_messaging.settings.queue import QueueSettings

CONNECTION_STRING = "AZURE_SERVICE_BUS_CONNECTION_STRING"
NAMESPACE = "AZURE_SERVICE_BUS_NAMESPACE"
KEY_NAME = "AZURE_SERVICE_BUS_ACCESS_KEY_NAME"
KEY = "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE"
SAS = "AZURE_SERVICE_BUS_SAS_TOKEN"


def service_bus_client(queue: QueueSettings, credentials: Credentials, **options: Any) -> ServiceBusClient:
    """A client for the namespace of `queue`; `options` are passed to ServiceBusClient.

    Raises SettingsError when the credentials are incomplete, malformed, or for another namespace or queue.
    """
    host = service_bus_host(queue, credentials)
    if text := credentials.get(CONNECTION_STRING):
        return ServiceBusClient.from_connection_string(text, **options)
    return ServiceBusClient(host, _credential(queue, credentials), **options)


def service_bus_host(queue: QueueSettings, credentials: Credentials) -> str:
    """Fully qualified domain name of the namespace, in lower case. Raises SettingsError like `service_bus_client`."""
    configured = _domain(queue.service_bus_namespace)
    if text := credentials.get(CONNECTION_STRING):
        parsed = _parse(text, queue, credentials)
        host = str(parsed.fully_qualified_namespace).lower()
        if configured and configured != host:
            raise SettingsError(
                f"{queue.place}: serviceBusNamespace is {configured}, but {CONNECTION_STRING} is for {host}"
            )
        return host
    namespace = configured or _domain(credentials.get(NAMESPACE) or "")
    if not namespace:
        raise SettingsError(
            f"{queue.place}: {credentials.where} has no credentials; set {CONNECTION_STRING},"
            f" or {NAMESPACE} with {KEY_NAME} and {KEY} (or {SAS}, or a workload identity)"
        )
    return namespace


def _domain(namespace: str) -> str:
    host = namespace.lower().removeprefix("sb://").rstrip("/")
    return host if "." in host or not host else f"{host}.servicebus.windows.net"


def _parse(text: str, queue: QueueSettings, credentials: Credentials) -> ServiceBusConnectionStringProperties:
    variable = f"{queue.place}: {CONNECTION_STRING}"
    try:
        parsed = parse_connection_string(text)
    except ValueError:
        raise SettingsError(
            f"{variable} is not a Service Bus namespace's connection string (check {credentials.where})"
        ) from None
    if parsed.entity_path and parsed.entity_path.lower() != queue.name.lower():
        raise SettingsError(
            f"{variable} is for queue {parsed.entity_path} only (EntityPath); use the namespace's or this queue's"
        )
    return parsed


def _credential(
    queue: QueueSettings, credentials: Credentials
) -> AsyncTokenCredential | AzureNamedKeyCredential | AzureSasCredential:
    name, key = credentials.get(KEY_NAME), credentials.get(KEY)
    if name and key:
        return AzureNamedKeyCredential(name, key)
    if name or key:
        missing = KEY if name else KEY_NAME
        raise SettingsError(
            f"{queue.place}: {credentials.where} has no {missing}; an access key has a name and a value"
        )
    if sas := credentials.get(SAS):
        return AzureSasCredential(sas)
    return WorkloadIdentity()
