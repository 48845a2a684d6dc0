"""Error texts for what Azure Service Bus refuses."""

import pytest
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusAuthorizationError, ServiceBusError

from vott_messaging.errors import SourceUnavailableError
from vott_messaging.queues.credential_variables import Credentials
from vott_messaging.queues.service_bus.errors import service_bus_errors


@pytest.mark.parametrize("error", [ServiceBusAuthenticationError, ServiceBusAuthorizationError])
def test_only_requeue_asks_for_the_send_right(error: type[ServiceBusError]) -> None:
    with pytest.raises(SourceUnavailableError) as caught, service_bus_errors("queue q", Credentials(None)):
        raise error(message="refused")
    needed, _, requeue = str(caught.value).partition("Only `vott-train queue requeue`")
    assert "the Listen right" in needed
    assert "Azure Service Bus Data Receiver" in needed
    assert "Send" not in needed
    assert "the Send right" in requeue
    assert "Azure Service Bus Data Sender" in requeue
