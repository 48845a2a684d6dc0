"""Body and id of an Azure Service Bus message."""

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType


def body_bytes(message: ServiceBusReceivedMessage) -> bytes:
    """The message's body: its data sections joined, or an AMQP value or sequence as text, which intake then rejects."""
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    value = message.body if message.body_type == AmqpMessageBodyType.VALUE else list(message.body)
    return value if isinstance(value, bytes) else str(value).encode()


def message_id(message: ServiceBusReceivedMessage) -> str:
    """The sender's MessageId, or else sequence number and enqueue time: a queue that is recreated counts from 1 again."""
    if message.message_id:
        return str(message.message_id)
    time = message.enqueued_time_utc
    return f"sequence-{message.sequence_number}" + (f"-{time.timestamp() * 1000:.0f}" if time else "")
