"""Access to the Kubernetes API: the client, the watch cache, leader election and resync."""
