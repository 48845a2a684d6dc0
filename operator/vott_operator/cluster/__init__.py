"""Access to the Kubernetes API: requests, the watch cache, observing and applying, leader election, resync."""
