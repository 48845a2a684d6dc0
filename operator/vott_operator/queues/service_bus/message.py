"""What stands in a message of Azure Service Bus."""

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType


def body_bytes(message: ServiceBusReceivedMessage) -> bytes:
    """What was sent: the data sections joined; of an AMQP value or sequence its text, for the reader to reject in words."""
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    value = message.body if message.body_type == AmqpMessageBodyType.VALUE else list(message.body)
    return value if isinstance(value, bytes) else str(value).encode()


def message_id(message: ServiceBusReceivedMessage) -> str:
    """The sender's MessageId; where there is none, what the queue calls it. A queue that is made anew counts from 1 again."""
    if message.message_id:
        return str(message.message_id)
    time = message.enqueued_time_utc
    return f"sequence-{message.sequence_number}" + (f"-{time.timestamp() * 1000:.0f}" if time else "")
