"""Azure Storage Queues and their poison queues."""
