"""Azure Service Bus queues and their dead-letter sub-queues."""
