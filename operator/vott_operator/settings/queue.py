"""One queue's settings, and what is refused in them."""

import re
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from vott_operator.api.urls import check_http_url, check_model_url
from vott_operator.messages.parameters import Parameters
from vott_operator.settings.section import Section
from vott_operator.settings.trainer import TrainingJobSettings

PLACEHOLDERS = ("projectId", "requestId")

# https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata; seven characters fewer, for "-poison".
STORAGE_QUEUE = re.compile(r"(?=.{3,56}\Z)[a-z0-9]+(-[a-z0-9]+)*")
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftservicebus
SERVICE_BUS_QUEUE = re.compile(r"(?=.{1,260}\Z)[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")
SERVICE_BUS_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9](\.[A-Za-z0-9.-]+)?")
STORAGE_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
KUBERNETES_NAMESPACE = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class PluginSettings(Section):
    """Which plugins a message may choose."""

    default: str = Field(
        "detection", description="Plugin of a message that names none. Environment: VOTT_TRAIN_PLUGIN."
    )
    allowed: list[str] = Field(
        default_factory=lambda: ["detection", "classification", "hello-world"],
        description="Plugins that a message may name.",
    )

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if self.default not in self.allowed:
            raise ValueError(f".default is {self.default!r}, which is not in .allowed {self.allowed}; add it there")
        return self


class QueueSettings(Section):
    """One queue that messages come from."""

    kind: Literal["storage", "serviceBus"] = Field(
        "storage", description="storage (Azure Storage Queue) or serviceBus (Azure Service Bus)."
    )
    name: str = Field("training", description="Name of the queue.")
    account: str = Field(
        "",
        description="Storage account: its name, or the URL of its queue service. Default: as the credentials say.",
    )
    service_bus_namespace: str = Field(
        "", description="Service Bus namespace, with or without its domain. Default: as the credentials say."
    )
    credentials_dir: Path | None = Field(
        None,
        description="Folder with one file for each variable: a mounted Secret, read anew when it changes. Default: the environment.",
    )
    target_namespace: str = Field(
        "", description="Kubernetes namespace of the queue's TrainingJobs. Default: namespace."
    )
    plugins: PluginSettings | None = Field(
        None, description="Which plugins the queue's messages may choose. Default: plugins."
    )
    training_job: TrainingJobSettings | None = Field(
        None, description="What the TrainingJobs of the queue's messages get. Default: trainingJob."
    )
    parameters: Parameters = Field(
        default_factory=dict, description="Parameters of the default plugin, which a message's own are laid over."
    )
    model: str = Field(
        "",
        description="Where the model goes when a message names no place: a URL with {projectId} and {requestId}.",
    )
    callback: str = Field(
        "", description="Callback of a message that names none: a URL with {projectId} and {requestId}."
    )
    duplicate_window_seconds: int = Field(
        0,
        description="A message whose body came within this time before is a duplicate too; 0: only the same id.",
        ge=0,
    )

    @field_validator("name")
    @classmethod
    def _name_is_one_that_azure_takes(cls, name: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if kind == "storage" and not STORAGE_QUEUE.fullmatch(name):
            raise ValueError(
                f"{name!r} can't be a storage queue's name: use 3 to 56 lower-case letters, digits and single dashes,"
                " with a letter or digit at both ends"
            )
        if kind == "serviceBus" and not SERVICE_BUS_QUEUE.fullmatch(name):
            raise ValueError(
                f"{name!r} can't be a Service Bus queue's name: use up to 260 letters, digits and . - _ /,"
                " with a letter or digit at both ends"
            )
        return name

    @field_validator("account")
    @classmethod
    def _account_is_a_name_or_a_url(cls, account: str, info: ValidationInfo) -> str:
        if account and info.data.get("kind") == "serviceBus":
            raise ValueError("is for storage queues; a Service Bus queue has serviceBusNamespace")
        if not account or STORAGE_ACCOUNT.fullmatch(account):
            return account
        if "://" not in account:
            raise ValueError(
                f"{account!r} is no storage account's name (3 to 24 lower-case letters and digits)"
                " and no URL of a queue service (https://NAME.queue.core.windows.net)"
            )
        if "?" in check_http_url(account):
            raise ValueError("has a query; a SAS belongs into the Secret, as AZURE_STORAGE_SAS_TOKEN")
        return account.rstrip("/")

    @field_validator("service_bus_namespace")
    @classmethod
    def _namespace_is_a_host(cls, namespace: str, info: ValidationInfo) -> str:
        if namespace and info.data.get("kind") == "storage":
            raise ValueError("is for Service Bus queues; a storage queue has account")
        if namespace and not SERVICE_BUS_NAMESPACE.fullmatch(namespace):
            raise ValueError(
                f"{namespace!r} is no Service Bus namespace: write NAME or NAME.servicebus.windows.net, without sb:// and port"
            )
        return namespace.lower()

    @field_validator("target_namespace")
    @classmethod
    def _target_is_a_namespace(cls, namespace: str) -> str:
        if namespace and not KUBERNETES_NAMESPACE.fullmatch(namespace):
            raise ValueError(f"{namespace!r} can't be a namespace: use up to 63 lower-case letters, digits and dashes")
        return namespace

    @field_validator("model", "callback")
    @classmethod
    def _template_can_be_filled(cls, template: str, info: ValidationInfo) -> str:
        check = check_model_url if info.field_name == "model" else check_http_url
        return check_template(template, check) if template else template

    @property
    def place(self) -> str:
        """The queue as error texts name it."""
        return f"{'Service Bus' if self.kind == 'serviceBus' else 'storage'} queue {self.name}"


def check_template(template: str, check: Callable[[str], str]) -> str:
    """Return a URL template that ids can be filled into; raise ValueError with a sentence when they can't."""
    _check_placeholders(template)
    host = urlsplit(check(template)).netloc
    if "{" in host:
        # Else a message would say which host is written to.
        raise ValueError("has a placeholder in the host; use it in the path or in the query")
    return template


def _check_placeholders(template: str) -> None:
    hint = f"the placeholders are {' and '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template)]
    except ValueError:
        raise ValueError(f"has a brace without its counterpart; {hint}") from None
    if "{{" in template or "}}" in template:
        raise ValueError(f"has double braces; {hint}")
    for name, spec, conversion in fields:
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            raise ValueError(f"has the placeholder {{{name}}}, which no message fills; {hint}")
