"""What Azure Service Bus's refusals are said as."""

import pytest
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusAuthorizationError, ServiceBusError

from vott_operator.errors import SourceUnavailableError
from vott_operator.queues.credentials import Credentials
from vott_operator.queues.service_bus.errors import service_bus_errors


@pytest.mark.parametrize("error", [ServiceBusAuthenticationError, ServiceBusAuthorizationError])
def test_who_only_receives_is_told_to_grant_no_right_to_send(error: type[ServiceBusError]) -> None:
    with pytest.raises(SourceUnavailableError) as caught, service_bus_errors("queue q", Credentials(None)):
        raise error(message="refused")
    needed, _, requeue = str(caught.value).partition("Only `vott-train queue requeue`")
    assert "the right Listen" in needed
    assert "Azure Service Bus Data Receiver" in needed
    assert "Send" not in needed
    assert "the right Send" in requeue
    assert "Azure Service Bus Data Sender" in requeue
