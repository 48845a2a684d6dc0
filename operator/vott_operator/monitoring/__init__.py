"""What Prometheus sees of the operator: the HTTP server, and the metrics that are read from its state."""
