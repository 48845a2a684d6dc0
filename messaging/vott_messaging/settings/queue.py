"""Settings of one queue: where it is, and what its messages get."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from vott_messaging.messages.parameters import Parameters
from vott_messaging.messages.queue_defaults import MessageDefaults
from vott_messaging.messages.url_template import check_template
from vott_messaging.settings.plugins import PluginSettings
from vott_messaging.settings.section import Section
from vott_messaging.urls import check_http_url, check_store_url

# https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata; seven characters fewer, for "-poison".
STORAGE_QUEUE = re.compile(r"(?=.{3,56}\Z)[a-z0-9]+(-[a-z0-9]+)*")
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftservicebus
SERVICE_BUS_QUEUE = re.compile(r"(?=.{1,260}\Z)[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")
SERVICE_BUS_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9](\.[A-Za-z0-9.-]+)?")
STORAGE_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")


class QueueSettings(Section):
    """One queue that messages come from."""

    kind: Literal["storage", "serviceBus"] = Field(
        "storage", description="storage (Azure Storage Queue) or serviceBus (Azure Service Bus)."
    )
    name: str = Field("training", description="Name of the queue.")
    account: str = Field(
        "",
        description="Storage account: its name, or the URL of its queue service. Default: the account of the credentials.",
    )
    service_bus_namespace: str = Field(
        "", description="Service Bus namespace, with or without its domain. Default: the namespace of the credentials."
    )
    credentials_dir: Path | None = Field(
        None,
        description="Folder with a file for each credential variable: a mounted Secret, read again when it changes."
        " Default: the environment.",
    )
    plugins: PluginSettings | None = Field(
        None, description="Which plugins the queue's messages may choose. Default: plugins."
    )
    parameters: Parameters = Field(
        default_factory=dict, description="Parameters of the default plugin; a message's own take precedence."
    )
    model: str = Field(
        "", description="Model URL of messages that name none: a template with {projectId} and {requestId}."
    )
    callback: str = Field(
        "", description="Callback URL of messages that name none: a template with {projectId} and {requestId}."
    )

    @field_validator("name")
    @classmethod
    def _name_is_valid_in_azure(cls, name: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if kind == "storage" and not STORAGE_QUEUE.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a valid storage queue name: use 3 to 56 lower-case letters, digits and single dashes,"
                " with a letter or digit at both ends"
            )
        if kind == "serviceBus" and not SERVICE_BUS_QUEUE.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a valid Service Bus queue name: use up to 260 letters, digits and . - _ /,"
                " with a letter or digit at both ends"
            )
        return name

    @field_validator("account")
    @classmethod
    def _account_is_a_name_or_a_url(cls, account: str, info: ValidationInfo) -> str:
        if account and info.data.get("kind") == "serviceBus":
            raise ValueError("is only for storage queues; use serviceBusNamespace")
        if not account or STORAGE_ACCOUNT.fullmatch(account):
            return account
        if "://" not in account:
            raise ValueError(
                f"{account!r} is neither a storage account name (3 to 24 lower-case letters and digits)"
                " nor the URL of a queue service (https://NAME.queue.core.windows.net)"
            )
        if "?" in check_http_url(account):
            raise ValueError("has a query; put the SAS into the Secret, as AZURE_STORAGE_SAS_TOKEN")
        return account.rstrip("/")

    @field_validator("service_bus_namespace")
    @classmethod
    def _namespace_is_a_host(cls, namespace: str, info: ValidationInfo) -> str:
        if namespace and info.data.get("kind") == "storage":
            raise ValueError("is only for Service Bus queues; use account")
        if namespace and not SERVICE_BUS_NAMESPACE.fullmatch(namespace):
            raise ValueError(
                f"{namespace!r} is not a Service Bus namespace: use NAME or NAME.servicebus.windows.net, without sb:// and port"
            )
        return namespace.lower()

    @field_validator("model", "callback")
    @classmethod
    def _template_can_be_filled_in(cls, template: str, info: ValidationInfo) -> str:
        check_url = check_store_url if info.field_name == "model" else check_http_url
        return check_template(template, check_url) if template else template

    @property
    def place(self) -> str:
        """The queue as error texts name it."""
        return f"{'Service Bus' if self.kind == 'serviceBus' else 'storage'} queue {self.name}"

    def message_defaults(self, plugins: PluginSettings) -> MessageDefaults:
        """What the queue's messages get unless they set it; `plugins` are those that they may choose."""
        return MessageDefaults(self.model, self.callback, plugins.default, self.parameters)
