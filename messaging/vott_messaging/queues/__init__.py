"""Message queues: Azure Storage Queue and Azure Service Bus behind one interface."""
